"""The limits of one process on its own are the limits of the script in Redis, call by call."""

import json
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings
from hypothesis import HealthCheck, given
from hypothesis import settings as sizes
from hypothesis import strategies as some

from gateway.rate_limits.limit_types import Allowance, TakeSlot
from gateway.rate_limits.limits import SCRIPT
from gateway.rate_limits.local_limits import LocalLimits

# The script as it is, but for its clock, which is given.
CLOCK = "local clock = redis.call('TIME')"
TIMED = SCRIPT.replace(CLOCK, "local clock = {ARGV[2], 0}")
FOREVER_MS = 10**9
ORGANIZATION = 10**9  # nobody's

steps = some.lists(
    some.tuples(
        some.sampled_from(("take", "take", "take", "free")),
        some.integers(0, 40),  # seconds since the step before
        some.integers(1, 400),  # tokens to take
        some.integers(-300, 400),  # tokens to give back
        some.integers(0, 5),  # which open call ends
    ),
    max_size=30,
)


@pytest.fixture(scope="module")
def server(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as connection:
        yield connection


def call(number: int, tokens: int, limits: tuple[int, int, int]) -> TakeSlot:
    per_minute, tokens_per_minute, concurrency = limits
    return TakeSlot(
        organization_id=ORGANIZATION,
        key_id=1,
        request=str(number),
        requests_per_minute=per_minute,
        tokens=tokens,
        tokens_per_minute=tokens_per_minute,
        concurrency=concurrency,
    )


def in_redis(script, row, seconds):
    tag = f"{{limits:{ORGANIZATION}}}"
    [answer] = json.loads(script(keys=[tag], args=[json.dumps([row]), seconds]))
    return answer


@sizes(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=steps,
    limits=some.tuples(some.integers(1, 20), some.integers(50, 1000), some.integers(1, 4)),
)
def test_both_forms_decide_alike(server, steps, limits):
    assert CLOCK in SCRIPT
    for key in server.scan_iter(f"{{limits:{ORGANIZATION}}}*"):
        server.delete(key)
    script, local = server.register_script(TIMED), LocalLimits(processes=1)
    seconds, open_calls = 1_000_000, []
    for number, (action, pause, tokens, back, which) in enumerate(steps):
        seconds += pause
        if action == "take":
            slot = call(number, tokens, limits)
            row = ["take", 1, slot.request, limits[0], tokens, limits[1], limits[2], FOREVER_MS]
            expected = Allowance(*in_redis(script, row, seconds))
            assert local.take(slot, now_ms=seconds * 1000) == expected
            if not expected.refused:
                open_calls.append(slot)
        elif open_calls:
            slot = open_calls.pop(which % len(open_calls))
            unused = min(back, slot.tokens)
            in_redis(script, ["free", 1, slot.request, unused, limits[1]], seconds)
            assert local.free(slot, unused_tokens=unused, now_ms=seconds * 1000)


def test_each_process_has_its_share():
    local = LocalLimits(processes=4)
    limits = (8, 1000, 100)

    answers = [local.take(call(n, 1, limits), now_ms=0).refused for n in range(3)]

    assert answers == ["", "", "requests"]


def test_call_larger_than_the_share_may_take_the_whole_of_it():
    local = LocalLimits(processes=2)
    slot = call(1, 900, (100, 1000, 100))

    assert local.take(slot, now_ms=0).remaining_tokens == 0
    assert local.free(slot, unused_tokens=800, now_ms=0)
    assert local.take(call(2, 1, (100, 1000, 100)), now_ms=0).remaining_tokens == 399


def test_call_that_was_not_let_in_here_is_not_ended_here():
    assert not LocalLimits(processes=1).free(call(1, 1, (1, 1, 1)), unused_tokens=1, now_ms=0)


def test_settings_name_the_number_of_processes():
    assert settings.GATEWAY_PROCESSES >= 1
