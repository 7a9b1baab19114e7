"""When a route is left alone, and when it is asked again; what a customer and an account may take."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.base import ProviderError, Upstream
from gateway.routes.accounts import Accounts
from gateway.routes.bulkhead import Bulkhead
from gateway.routes.route_health import (
    EJECTION_SECONDS,
    FAILURES_IN_A_ROW,
    MIN_VOLUME,
    SPEED_HOLDS_SECONDS,
    WINDOW_SECONDS,
    RouteHealth,
)
from gateway.snapshot import RouteSnapshot

NOW = 1_000.0


def fail(health, times, *, now=NOW, in_a_row=True):
    return [health.failed(now, probe=False, counts_in_a_row=in_a_row) for _ in range(times)]


def test_several_failures_in_a_row_eject_a_route():
    health = RouteHealth()

    ejected = fail(health, FAILURES_IN_A_ROW)

    assert ejected == [False] * (FAILURES_IN_A_ROW - 1) + [True]
    assert health.state(NOW) == "dead"


def test_one_success_between_them_starts_the_row_anew():
    health = RouteHealth()
    fail(health, FAILURES_IN_A_ROW - 1)

    health.succeeded(NOW, probe=False)
    fail(health, 1)

    assert health.state(NOW) == "closed"


def test_a_share_of_failures_ejects_only_with_enough_calls():
    health = RouteHealth()
    for _ in range(MIN_VOLUME // 2 - 1):
        health.succeeded(NOW, probe=False)
        fail(health, 1, in_a_row=False)
    before = health.state(NOW)

    health.succeeded(NOW, probe=False)
    fail(health, 1, in_a_row=False)

    assert before == "closed"
    assert health.state(NOW) == "ejected"  # it does answer sometimes


def test_failures_are_forgotten_with_the_window():
    health = RouteHealth()
    fail(health, MIN_VOLUME - 1, in_a_row=False)

    fail(health, 1, now=NOW + WINDOW_SECONDS + 1, in_a_row=False)

    assert health.state(NOW + WINDOW_SECONDS + 1) == "closed"


def test_one_probe_at_a_time_and_its_success_brings_the_route_back():
    health = RouteHealth()
    fail(health, FAILURES_IN_A_ROW)
    later = NOW + EJECTION_SECONDS + 1

    assert health.state(later) == "probe"
    assert health.begin(later)
    assert health.state(later) != "probe"
    assert not health.begin(later)
    health.succeeded(later, probe=True)

    assert health.state(later) == "closed"


def test_a_probe_that_fails_doubles_the_time():
    health = RouteHealth()
    fail(health, FAILURES_IN_A_ROW)
    later = NOW + EJECTION_SECONDS + 1
    health.begin(later)

    health.failed(later, probe=True, counts_in_a_row=True)

    assert health.state(later + EJECTION_SECONDS + 1) == "dead"
    assert health.state(later + 2 * EJECTION_SECONDS + 1) == "probe"


def test_a_probe_whose_client_left_says_nothing_and_another_may_follow():
    health = RouteHealth()
    fail(health, FAILURES_IN_A_ROW)
    later = NOW + EJECTION_SECONDS + 1
    health.begin(later)

    health.left(probe=True)

    assert health.state(later) == "probe"


def test_an_old_measurement_is_no_part_of_a_new_one():
    health = RouteHealth()
    health.measure(NOW, first_token_ms=1_000, tokens_per_second=10)
    health.measure(NOW, first_token_ms=2_000, tokens_per_second=None)
    rolling = health.first_token_ms

    health.measure(NOW + SPEED_HOLDS_SECONDS + 1, first_token_ms=50, tokens_per_second=None)

    assert rolling == 1_200
    assert health.first_token_ms == 50


@given(st.lists(st.integers(1, 6), max_size=200), st.integers(1, 40))
def test_a_bulkhead_never_holds_more_than_its_limit_and_ends_empty(customers, limit):
    bulkhead = Bulkhead(limit)
    inside = []
    for customer in customers:
        if bulkhead.enter(customer):
            inside.append(customer)
        assert bulkhead.open == len(inside) <= limit
        if len(inside) > limit // 2:
            bulkhead.leave(inside.pop(0))
    for customer in inside:
        bulkhead.leave(customer)

    assert bulkhead.open == 0


def test_one_customer_alone_leaves_room_for_the_next():
    bulkhead = Bulkhead(10)

    taken = sum(bulkhead.enter(1) for _ in range(20))

    assert taken == 9
    assert bulkhead.enter(2)


def test_of_a_crowded_provider_nobody_gets_more_than_a_share():
    bulkhead = Bulkhead(12)
    for customer in (1, 2, 3):
        assert bulkhead.enter(customer)
    held_by_one = 1 + sum(bulkhead.enter(1) for _ in range(20))

    assert held_by_one <= 6  # up to where it is crowded
    assert bulkhead.enter(2)
    assert bulkhead.enter(3)
    assert not bulkhead.enter(1)


def account(name, *, weight=1, quota=None):
    upstream = Upstream(
        "acme", "openai", "http://x", account=name, weight=weight, requests_per_minute=quota
    )
    return RouteSnapshot(upstream, "m", key="acme/m")


def through(*accounts):
    return RouteSnapshot(accounts[0].upstream, "m", key="acme/m", through=accounts)


def chosen(accounts, route, *, now=NOW):
    found = accounts.choose(route, now)
    return found.upstream.account if isinstance(found, RouteSnapshot) else found


def test_accounts_take_turns_by_weight():
    accounts, route = Accounts(processes=1), through(account("a"), account("b", weight=3))

    turns = [chosen(accounts, route) for _ in range(400)]

    assert 95 <= turns.count("a") <= 105


def test_an_account_over_its_quota_is_skipped_until_it_has_room():
    accounts, route = Accounts(processes=2), through(account("a", quota=4), account("b"))

    turns = [chosen(accounts, route) for _ in range(20)]

    assert turns.count("a") == 2  # this process has half of the quota
    assert chosen(accounts, through(account("a", quota=4)), now=NOW + 31) == "a"


def test_a_refused_account_is_left_alone_longer_and_longer():
    accounts, dry, fresh = Accounts(processes=1), account("dry"), account("fresh")
    route = through(dry, fresh)
    refusal = ProviderError("quota", "Out of credit.", status=402)

    told = accounts.state(dry).refused(refusal, dry, NOW)

    assert told
    assert {chosen(accounts, route) for _ in range(9)} == {"fresh"}
    assert chosen(accounts, dry) == 60
    accounts.state(dry).refused(refusal, dry, NOW + 61)
    assert chosen(accounts, dry, now=NOW + 61) == 120


def test_a_403_binds_one_route_since_a_customer_may_have_asked_for_it():
    accounts, here = Accounts(processes=1), account("a")
    elsewhere = RouteSnapshot(here.upstream, "other", key="acme/other")

    accounts.state(here).refused(ProviderError("auth", "No.", status=403), here, NOW)

    assert chosen(accounts, here) == 60
    assert chosen(accounts, elsewhere) == "a"


def test_a_provider_that_says_how_long_to_wait_is_obeyed_up_to_a_minute():
    accounts, only = Accounts(processes=1), account("a")

    told = accounts.state(only).refused(
        ProviderError("rate_limited", "", status=429, retry_after_seconds=3_600), only, NOW
    )

    assert not told
    assert chosen(accounts, only) == 60
