"""In which order routes are tried: pure, so that properties can be checked for any routes and statistics."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.base import Upstream
from gateway.routes.strategies import RouteStats, Wish, ordered
from gateway.snapshot import RouteSnapshot

NAMES = ("priority", "weighted", "cheapest", "fastest", "latency", "throughput", "sticky")
PROVIDERS = ("alpha", "beta", "gamma", "delta")


def route(key: str, *, provider: str = "alpha", priority: int = 0, weight: int = 1):
    return RouteSnapshot(
        Upstream(provider, "openai", "http://x"), key, key=key, priority=priority, weight=weight
    )


def order(routes, *, strategy="priority", stats=None, costs=None, seed=0, **wish):
    found = ordered(
        routes,
        wish=Wish(strategy, **wish),
        stats=stats or {},
        costs=costs or {},
        draw=random.Random(seed).random,
    )
    return [one.key for one in found]


ROUTES = st.lists(
    st.builds(
        lambda provider, priority, weight: (provider, priority, weight),
        st.sampled_from(PROVIDERS),
        st.integers(0, 3),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=8,
).map(
    lambda rows: [
        route(f"r{number}", provider=provider, priority=priority, weight=weight)
        for number, (provider, priority, weight) in enumerate(rows)
    ]
)
STATS = st.dictionaries(
    st.sampled_from([f"r{number}" for number in range(8)]),
    st.builds(
        RouteStats,
        st.sampled_from(["closed", "probe", "ejected", "dead"]),
        st.none() | st.floats(0, 1e6),
        st.none() | st.floats(0, 1e6),
    ),
)


@given(ROUTES, STATS, st.sampled_from(NAMES), st.integers(0, 99))
def test_every_usable_route_comes_once_and_no_other(routes, stats, strategy, seed):
    found = order(routes, strategy=strategy, stats=stats, seed=seed)

    state = {one.key: stats.get(one.key, RouteStats()).state for one in routes}
    usable = {key for key in state if state[key] in ("closed", "probe")}
    sometimes = {key for key in state if state[key] == "ejected"}
    assert len(found) == len(set(found))
    assert set(found) == (usable or sometimes)


@given(ROUTES, STATS, st.sampled_from(NAMES), st.integers(0, 99))
def test_the_same_rows_statistics_and_draws_give_the_same_order(routes, stats, strategy, seed):
    first = order(routes, strategy=strategy, stats=stats, seed=seed)

    assert order(routes, strategy=strategy, stats=stats, seed=seed) == first


@given(ROUTES, STATS, st.integers(0, 99))
def test_a_lower_priority_number_always_comes_first(routes, stats, seed):
    by_key = {one.key: one for one in routes}

    found = [by_key[key].priority for key in order(routes, stats=stats, seed=seed)]

    assert found == sorted(found)


@given(
    ROUTES,
    STATS,
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(PROVIDERS), unique=True, max_size=4),
)
def test_named_providers_go_first_in_their_order(routes, stats, strategy, names):
    by_key = {one.key: one.upstream.name for one in routes}

    found = [
        by_key[key] for key in order(routes, strategy=strategy, stats=stats, providers=tuple(names))
    ]

    places = [names.index(name) if name in names else len(names) for name in found]
    assert places == sorted(places)


@given(ROUTES, st.text(max_size=20))
def test_a_route_that_goes_away_moves_no_other_callers_route(routes, sticky_key):
    weighed = [one for one in routes if one.weight]
    if len(weighed) < 2:
        return
    chosen = order(weighed, strategy="sticky", sticky_key=sticky_key)
    without = [one for one in weighed if one.key != chosen[-1]]

    assert order(without, strategy="sticky", sticky_key=sticky_key) == chosen[:-1]


@pytest.mark.parametrize("strategy", ["weighted", "priority"])
def test_calls_are_shared_by_weight(strategy):
    routes = [route("light", weight=1), route("heavy", weight=3), route("never", weight=0)]
    draw = random.Random(7).random

    firsts = Counter(
        ordered(routes, wish=Wish(strategy), stats={}, costs={}, draw=draw)[0].key
        for _ in range(4_000)
    )

    assert firsts["never"] == 0
    assert 0.70 < firsts["heavy"] / 4_000 < 0.80


def test_callers_are_spread_over_sticky_routes_by_weight():
    routes = [route("light", weight=1), route("heavy", weight=3)]

    firsts = Counter(
        order(routes, strategy="sticky", sticky_key=f"key {number}")[0] for number in range(4_000)
    )

    assert 0.70 < firsts["heavy"] / 4_000 < 0.80


def test_the_cheapest_route_goes_first_and_one_of_unknown_cost_last():
    routes = [route("unknown"), route("dear"), route("cheap")]

    assert order(routes, strategy="cheapest", costs={"dear": 9, "cheap": 1}) == [
        "cheap",
        "dear",
        "unknown",
    ]


def test_the_fastest_route_is_the_one_that_ends_a_short_answer_first():
    routes = [route("quick to start"), route("quick to write"), route("slow")]
    stats = {
        "quick to start": RouteStats("closed", 100.0, 20.0),  # 0.1 s + 10 s
        "quick to write": RouteStats("closed", 900.0, 200.0),  # 0.9 s + 1 s
        "slow": RouteStats("closed", 5_000.0, 10.0),
    }

    assert order(routes, strategy="fastest", stats=stats)[0] == "quick to write"
    assert order(routes, strategy="latency", stats=stats)[0] == "quick to start"
    assert order(routes, strategy="throughput", stats=stats)[0] == "quick to write"


@pytest.mark.parametrize("strategy", ["fastest", "latency", "throughput"])
def test_a_route_that_nobody_has_measured_goes_first(strategy):
    routes = [route("known"), route("new")]

    assert order(routes, strategy=strategy, stats={"known": RouteStats("closed", 1.0, 999.0)}) == [
        "new",
        "known",
    ]
