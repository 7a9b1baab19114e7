"""
What this process knows of its routes, and who may call them: breakers, bulkheads, retry budgets, accounts.

Each attempt takes a `Seat` before it is sent and gives it back with how it went. No I/O: what other processes and
pages are to know of it is counted here and published behind (`gateway.routes.route_stats`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.providers.base import ErrorKind, ProviderError
from gateway.routes.accounts import Accounts
from gateway.routes.bulkhead import Bulkhead
from gateway.routes.retry import RetryBudget
from gateway.routes.route_health import RouteHealth
from gateway.routes.strategies import RouteStats
from gateway.snapshot import RouteSnapshot

# The provider worked; what it did not like is the request.
THE_REQUEST: Final[frozenset[ErrorKind]] = frozenset(
    {"bad_request", "context_length", "content_policy"}
)
THE_ACCOUNT: Final[frozenset[ErrorKind]] = frozenset({"auth", "quota", "rate_limited"})
# A 500 may be about one customer's request, so only the share of such failures ejects, not a row of them.
IN_A_ROW: Final[frozenset[ErrorKind]] = frozenset({"connection", "timeout", "overloaded"})
FULL_RETRY_SECONDS: Final = 1.0

Refused = Callable[[RouteSnapshot, ProviderError], None]


@dataclass(slots=True)
class Counts:
    """What a route did since the last publication; sums, so that they can be added up."""

    ok: int = 0
    failed: int = 0
    first_token_ms: int = 0
    first_tokens: int = 0
    output_tokens: int = 0
    output_ms: int = 0


class RetriesSpent(Exception):
    """The provider's retry budget has no room for another attempt of this call."""


@dataclass(slots=True)
class Seat:
    """The right to send one attempt over `route`, which names the account; given back by `Traffic` exactly once."""

    route: RouteSnapshot
    organization_id: int
    probe: bool = False


class Traffic:
    """Everything of one process; `refused` is told of accounts that staff must look at."""

    def __init__(self, *, processes: int, refused: Refused) -> None:
        self.accounts = Accounts(processes=processes)
        self.counts: dict[str, Counts] = {}
        self._refused = refused
        self._health: dict[str, RouteHealth] = {}
        self._bulkheads: dict[str, Bulkhead] = {}
        self._budgets: dict[str, RetryBudget] = {}

    def health(self, route: RouteSnapshot) -> RouteHealth:
        """Return the health of a route."""
        found = self._health.get(route.key)
        if found is None:
            found = self._health[route.key] = RouteHealth()
        return found

    def stats(self, routes: Iterable[RouteSnapshot], now: float) -> dict[str, RouteStats]:
        """Return what is known of the routes, for `strategies.ordered`."""
        found = {}
        for route in routes:
            health = self._health.get(route.key)
            if health is not None:
                found[route.key] = RouteStats(
                    health.state(now), health.first_token_ms, health.tokens_per_second
                )
        return found

    def take(
        self, route: RouteSnapshot, *, organization_id: int, failed: Sequence[str], now: float
    ) -> Seat:
        """
        Return a seat for one attempt; `failed` names the providers of the attempts before it.

        Raises RetriesSpent, or, when no attempt may go there now, ProviderError (unsent) with the seconds until
        one may.
        """
        if not route.key:
            return Seat(route, organization_id)
        health = self.health(route)
        if health.ejections and health.state(now) == "dead":
            raise _unusable("overloaded", max(health.ejected_until - now, 1.0))
        bulkhead = self._bulkhead(route)
        if not bulkhead.enter(organization_id):
            raise _unusable("overloaded", FULL_RETRY_SECONDS)
        chosen = self.accounts.choose(route, now)
        if isinstance(chosen, float):
            bulkhead.leave(organization_id)
            raise _unusable("quota", chosen)
        if not self._is_within_budget(route, failed, now):
            bulkhead.leave(organization_id)
            raise RetriesSpent
        return Seat(chosen, organization_id, probe=health.begin(now))

    def _is_within_budget(self, route: RouteSnapshot, failed: Sequence[str], now: float) -> bool:
        """
        The first try of a call always is, and so is one at a provider that works and has not failed in this call:
        such a fallback is no load on what is broken.
        """
        name = route.upstream.name
        budget = self._budgets.get(name)
        if budget is None:
            budget = self._budgets[name] = RetryBudget()
        if not failed or (name not in failed and self.health(route).works(now)):
            budget.call(now)
            return True
        return budget.take(now)

    def succeeded(
        self,
        seat: Seat,
        *,
        first_token_ms: int | None,
        duration_ms: int,
        output_tokens: int,
        now: float,
    ) -> None:
        """Note a good answer, its time to the first token (None: not streamed) and its size."""
        if not self._leave(seat):
            return
        health, counts = self.health(seat.route), self._counts(seat.route)
        health.succeeded(now, probe=seat.probe)
        self.accounts.state(seat.route).worked()
        counts.ok += 1
        writing_ms = duration_ms - (first_token_ms or 0)
        if first_token_ms is not None:
            counts.first_token_ms += first_token_ms
            counts.first_tokens += 1
        if output_tokens > 1 and writing_ms > 0:
            counts.output_tokens += output_tokens
            counts.output_ms += writing_ms
        rate = output_tokens * 1_000 / writing_ms if output_tokens > 1 and writing_ms > 0 else None
        health.measure(now, first_token_ms=first_token_ms, tokens_per_second=rate)

    def failed(self, seat: Seat, error: ProviderError, *, now: float) -> None:
        """Note a failure: the request's own, the account's, or the route's."""
        if not self._leave(seat):
            return
        route, health = seat.route, self.health(seat.route)
        if error.kind in THE_REQUEST:
            health.succeeded(now, probe=seat.probe)
            self.accounts.state(route).worked()
        elif error.kind in THE_ACCOUNT:
            health.left(probe=seat.probe)
            if self.accounts.state(route).refused(error, route, now):
                self._refused(route, error)
        else:
            self._counts(route).failed += 1
            health.failed(now, probe=seat.probe, counts_in_a_row=error.kind in IN_A_ROW)

    def left(self, seat: Seat) -> None:
        """Note an attempt that ended without saying anything of the route."""
        if self._leave(seat):
            self.health(seat.route).left(probe=seat.probe)

    def _leave(self, seat: Seat) -> bool:
        if not seat.route.key:
            return False
        self._bulkhead(seat.route).leave(seat.organization_id)
        return True

    def _bulkhead(self, route: RouteSnapshot) -> Bulkhead:
        found = self._bulkheads.get(route.upstream.name)
        if found is None:
            found = self._bulkheads[route.upstream.name] = Bulkhead(route.upstream.max_open)
        found.limit = route.upstream.max_open
        return found

    def _counts(self, route: RouteSnapshot) -> Counts:
        found = self.counts.get(route.key)
        if found is None:
            found = self.counts[route.key] = Counts()
        return found


def _unusable(kind: ErrorKind, seconds: float) -> ProviderError:
    return ProviderError(
        kind, "No call may go to the provider now.", sent=False, retry_after_seconds=seconds
    )
