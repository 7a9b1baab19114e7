"""Requests, tokens and open calls a key may have: exact over several processes, given back, and without Redis."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from billing.models import Reservation
from tests import gateway_server
from tests.gateway import books
from tests.gateway.caller import Caller
from tests.upstream import wait_until

CALLS = 100


def all_at_once(gateways, secret, model, **fields):
    """Make CALLS calls in parallel, spread over the gateways, and return their answers."""
    with ThreadPoolExecutor(CALLS) as pool:
        futures = [
            pool.submit(gateways[n % len(gateways)].chat, secret, model=model, **fields)
            for n in range(CALLS)
        ]
        return [future.result() for future in futures]


def test_headers_tell_the_state_of_the_key(shop):
    secret = shop.make_key(requests_per_minute=6, tokens_per_minute=50_000)

    first = shop.gateway.chat(secret, model=shop.model, max_completion_tokens=100).headers
    books.settled(shop.organization)
    second = shop.gateway.chat(secret, model=shop.model, max_completion_tokens=100).headers

    assert first["x-ratelimit-limit-requests"] == "6"
    assert first["x-ratelimit-remaining-requests"] == "5"
    assert first["x-ratelimit-limit-tokens"] == "50000"
    assert first["x-ratelimit-reset-requests"] in ("10s", "9.999s", "9.998s")
    assert second["x-ratelimit-remaining-requests"] == "4"
    # The first call took its bound and gave back all but 13.
    taken = 50_000 - int(first["x-ratelimit-remaining-tokens"])
    assert 100 < taken < 400
    assert int(second["x-ratelimit-remaining-tokens"]) >= 50_000 - taken - 13


def test_requests_over_the_limit_are_refused_and_told_when_to_come_again(shop):
    secret = shop.make_key(requests_per_minute=3)

    answers = [shop.gateway.chat(secret, model=shop.model) for _ in range(4)]

    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    refused = answers[-1]
    assert (refused.error["code"], refused.error["type"]) == ("rate_limit_exceeded", "requests")
    assert 0 < int(refused.headers["retry-after-ms"]) <= 20_000
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert "x-should-retry" not in refused.headers
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert len(books.settled(shop.organization, calls=3)) == 3


def test_requests_are_exact_over_two_processes(shop, second_gateway):
    second_gateway.learn(shop.model, key=shop.secret)
    secret = shop.make_key(requests_per_minute=2)  # one more every 30 s

    answers = all_at_once([shop.gateway, second_gateway], secret, shop.model)

    assert sorted(answer.status for answer in answers) == [200] * 2 + [429] * (CALLS - 2)
    books.settled(shop.organization, calls=2)


def test_open_calls_are_exact_over_two_processes_and_free_again_at_once(shop, second_gateway):
    second_gateway.learn(shop.model, key=shop.secret)
    secret = shop.make_key(concurrency=7)
    shop.script(pieces=["x "] * 3000, piece_seconds=0.1)

    gateways = [shop.gateway, second_gateway]
    callers = [Caller(shop, gateway=gateways[n % 2], key=secret) for n in range(CALLS)]
    statuses = [caller.status for caller in callers]

    assert sorted(statuses) == [200] * 7 + [429] * (CALLS - 7)
    refused = next(c for c in callers if c.status == 429)
    refused.read_until(b"}}")
    assert b'"concurrency_limit_exceeded"' in refused.read
    for caller in callers:
        caller.hang_up()
    books.settled(shop.organization, calls=7)
    shop.script()
    assert shop.gateway.chat(secret, model=shop.model).status == 200


def test_tokens_are_exact_over_two_processes(shop, second_gateway):
    second_gateway.learn(shop.model, key=shop.secret)
    fields: dict[str, Any] = {"max_completion_tokens": 1000}
    first = shop.chat(**fields).headers
    bound = 1_000_000 - int(first["x-ratelimit-remaining-tokens"])
    secret = shop.make_key(tokens_per_minute=2 * bound + 1, concurrency=1000)  # one more after 30 s
    shop.script(pieces=["x "] * 3000, piece_seconds=0.1)

    gateways = [shop.gateway, second_gateway]
    callers = [Caller(shop, gateway=gateways[n % 2], key=secret, **fields) for n in range(CALLS)]
    statuses = [caller.status for caller in callers]

    assert sorted(statuses) == [200] * 2 + [429] * (CALLS - 2)
    for caller in callers:
        caller.hang_up()
    books.settled(shop.organization, calls=3)


def test_tokens_are_given_back_when_the_call_is_over(shop):
    secret = shop.make_key(tokens_per_minute=2000)

    for _ in range(5):  # of 1,000 tokens each by their bound, of 13 by use
        assert shop.gateway.chat(secret, model=shop.model, max_completion_tokens=900).status == 200


def test_what_a_call_uses_beyond_what_it_took_keeps_the_next_ones_out(shop):
    secret = shop.make_key(tokens_per_minute=600)
    usage = {"prompt_tokens": 9, "completion_tokens": 1500}
    shop.script(usage=[usage])

    first = shop.gateway.chat(secret, model=shop.model)  # names no maximum: the model's is 16,384
    books.settled(shop.organization)
    second = shop.gateway.chat(secret, model=shop.model, max_completion_tokens=10)

    assert (first.status, second.status) == (200, 429)
    assert second.error["type"] == "tokens"
    assert int(second.headers["retry-after-ms"]) > 60_000  # 900 tokens of debt at 10 a second


def test_call_that_can_never_fit_is_told_so_and_not_asked_to_retry(shop):
    secret = shop.make_key(tokens_per_minute=600)

    answer = shop.gateway.chat(secret, model=shop.model, max_completion_tokens=5000)

    assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
    assert answer.headers["x-should-retry"] == "false"
    assert "600" in answer.error["message"]
    assert shop.upstream.calls == []


@pytest.mark.parametrize("status", [400, 500])
def test_failed_calls_give_back_their_place_and_tokens(shop, status):
    secret = shop.make_key(concurrency=1, tokens_per_minute=2000)
    shop.script(status=status)

    answers = [
        shop.gateway.chat(secret, model=shop.model, max_completion_tokens=900) for _ in range(4)
    ]

    assert {answer.error["code"] for answer in answers} <= {"invalid_request", "provider_error"}


def test_refused_for_money_gives_back_place_and_tokens(shop):
    secret = shop.make_key(concurrency=1, tokens_per_minute=2000, budget_total_nanousd=1)

    answers = [
        shop.gateway.chat(secret, model=shop.model, max_completion_tokens=900) for _ in range(4)
    ]

    assert {answer.error["code"] for answer in answers} == {"insufficient_quota"}


def test_client_that_hangs_up_leaves_its_place(shop):
    secret = shop.make_key(concurrency=1)
    shop.script(delay_seconds=600)
    caller = Caller(shop, key=secret)
    shop.upstream.wait_for(shop.model)
    assert shop.gateway.chat(secret, model=shop.model).error["code"] == "concurrency_limit_exceeded"

    caller.hang_up()

    shop.script()
    wait_until(lambda: shop.gateway.chat(secret, model=shop.model).status == 200)


@pytest.mark.slow
def test_places_of_a_killed_process_come_back_with_their_lease(
    shop, gateway_database_url, redis_url
):
    secret = shop.make_key(concurrency=2)
    shop.script(pieces=["x "] * 3000, piece_seconds=0.1)
    with gateway_server.running(
        database_url=gateway_database_url, redis_url=redis_url, LEASE_SECONDS=8
    ) as doomed:
        callers = [Caller(shop, gateway=doomed, key=secret) for _ in range(2)]
        assert [caller.status for caller in callers] == [200, 200]
        assert shop.gateway.chat(secret, model=shop.model).status == 429
        doomed.kill()
    for caller in callers:
        caller.hang_up()
    shop.script()

    wait_until(lambda: shop.gateway.chat(secret, model=shop.model).status == 200)

    wait_until(lambda: not Reservation.objects.filter(state="open").exists())
    lost = [e for e in books.settled(shop.organization, calls=3) if e.outcome == "lost"]
    assert len(lost) == 2


def test_without_redis_each_process_goes_on_with_its_share_and_money_is_exact(shop, lonely_gateway):
    lonely_gateway.learn(shop.model, key=shop.secret)
    secret = shop.make_key(requests_per_minute=4)  # a share of 2: one more every 30 s

    answers = all_at_once([lonely_gateway], secret, shop.model)

    assert sorted(answer.status for answer in answers) == [200] * 2 + [429] * (CALLS - 2)
    events = books.settled(shop.organization, calls=2)
    assert {event.charge_nanousd for event in events} == {2500}


def test_without_redis_places_are_free_again_when_calls_end(shop, lonely_gateway):
    lonely_gateway.learn(shop.model, key=shop.secret)
    secret = shop.make_key(concurrency=2)  # a share of one for each of two processes

    answers = [lonely_gateway.chat(secret, model=shop.model) for _ in range(5)]

    assert [answer.status for answer in answers] == [200] * 5
