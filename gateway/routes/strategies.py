"""
The order in which the routes of a model are tried: rows and statistics in, routes out. Pure.

- `priority`: by priority; routes of the same priority share the calls by weight (as SRV records do, RFC 2782)
- `weighted`: all routes share the calls by weight
- `cheapest`: by what the provider charges us for the call; the customer's price is the model's either way
- `fastest`: by the expected time to a short answer; a route nobody has measured lately goes first, to be measured
- `latency`, `throughput`: by one half of that
- `sticky`: the same route for the same key (rendezvous hashing), so that providers' prompt caches are hit; a
  route that comes or goes moves only the calls that it gains or loses
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from gateway.routes.route_health import State
from gateway.routes.strategy_names import Strategy
from gateway.snapshot import RouteSnapshot

SHORT_ANSWER_TOKENS: Final = 200
_UNKNOWN_COST: Final = 2**62

Draw = Callable[[], float]  # a random number in [0, 1)


@dataclass(frozen=True, slots=True)
class RouteStats:
    """What is known of a route at this moment; speeds are None where nobody has measured them lately."""

    state: State = "closed"
    first_token_ms: float | None = None
    tokens_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """How one call wants its routes ordered. `providers` go first, in that order; `sticky_key` names the caller."""

    strategy: Strategy = "priority"
    providers: tuple[str, ...] = ()
    sticky_key: str = ""


NO_STATS: Final = RouteStats()


def ordered(
    routes: Sequence[RouteSnapshot],
    *,
    wish: Wish,
    stats: Mapping[str, RouteStats],
    costs: Mapping[str, int],
    draw: Draw,
) -> list[RouteSnapshot]:
    """
    Return the routes to try, best first.

    `stats` and `costs` (nano-USD of this call at the provider) are by `RouteSnapshot.key`; absent ones are
    unknown. Ejected routes are left out, unless every route is; then those are tried that still answer
    sometimes. Dead ones never are.
    """
    states = [(route, stats.get(route.key, NO_STATS).state) for route in routes]
    usable = [route for route, state in states if state in ("closed", "probe")]
    if not usable:
        usable = [route for route, state in states if state == "ejected"]
    if len(usable) > 1:
        usable = _by_strategy(usable, wish=wish, stats=stats, costs=costs, draw=draw)
    if wish.providers:
        usable.sort(key=lambda route: _place(route, wish.providers))
    return usable


def _by_strategy(
    routes: list[RouteSnapshot],
    *,
    wish: Wish,
    stats: Mapping[str, RouteStats],
    costs: Mapping[str, int],
    draw: Draw,
) -> list[RouteSnapshot]:
    def speed(route: RouteSnapshot) -> RouteStats:
        return stats.get(route.key, NO_STATS)

    match wish.strategy:
        case "priority":
            return _by_priority(routes, draw=draw)
        case "weighted":
            return _shuffled(routes, draw=draw)
        case "cheapest":
            return sorted(routes, key=lambda r: (costs.get(r.key, _UNKNOWN_COST), r.priority))
        case "fastest":
            return sorted(routes, key=lambda r: (_expected_ms(speed(r)), r.priority))
        case "latency":
            return sorted(routes, key=lambda r: (speed(r).first_token_ms or 0.0, r.priority))
        case "throughput":
            return sorted(routes, key=lambda r: (-_tokens_per_second(speed(r)), r.priority))
        case "sticky":
            return sorted(routes, key=lambda r: _rendezvous(r, wish.sticky_key))
        case _:
            assert_never(wish.strategy)


def _by_priority(routes: list[RouteSnapshot], *, draw: Draw) -> list[RouteSnapshot]:
    priorities = {route.priority for route in routes}
    if len(priorities) == len(routes):
        return sorted(routes, key=lambda route: route.priority)
    return [
        route
        for priority in sorted(priorities)
        for route in _shuffled([r for r in routes if r.priority == priority], draw=draw)
    ]


def _shuffled(routes: list[RouteSnapshot], *, draw: Draw) -> list[RouteSnapshot]:
    """
    Return the routes in a random order in which each comes first as often as its weight says.

    One exponential draw each, the smallest first: Efraimidis and Spirakis, 2006.
    """
    if len(routes) == 1:
        return routes
    drawn = {id(route): _exponential(draw(), weight=route.weight) for route in routes}
    return sorted(routes, key=lambda route: drawn[id(route)])


def _rendezvous(route: RouteSnapshot, sticky_key: str) -> float:
    digest = hashlib.blake2b(f"{route.key}\0{sticky_key}".encode(), digest_size=8).digest()
    return _exponential(int.from_bytes(digest) / 2**64, weight=route.weight)


def _exponential(uniform: float, *, weight: int) -> float:
    return -math.log(1.0 - min(uniform, 1.0 - 2**-53)) / weight if weight else math.inf


def _expected_ms(stats: RouteStats) -> float:
    if stats.first_token_ms is None and stats.tokens_per_second is None:
        return 0.0
    writing = SHORT_ANSWER_TOKENS / stats.tokens_per_second if stats.tokens_per_second else 0.0
    return (stats.first_token_ms or 0.0) + 1_000.0 * writing


def _tokens_per_second(stats: RouteStats) -> float:
    return math.inf if stats.tokens_per_second is None else stats.tokens_per_second


def _place(route: RouteSnapshot, providers: tuple[str, ...]) -> int:
    name = route.upstream.name
    return providers.index(name) if name in providers else len(providers)
