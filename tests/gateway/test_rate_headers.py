"""The headers of a key's limits are written as OpenAI writes them."""

import pytest

from gateway.rate_limits.limit_types import Allowance, TakeSlot
from gateway.rate_limits.rate_headers import duration, rate_headers


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (-5, b"0s"),
        (0, b"0s"),
        (1, b"1ms"),
        (999, b"999ms"),
        (1000, b"1s"),
        (1500, b"1.5s"),
        (59_999, b"59.999s"),
        (60_000, b"1m0s"),
        (360_000, b"6m0s"),
        (361_250, b"6m1.25s"),
    ],
)
def test_durations(milliseconds, text):
    assert duration(milliseconds) == text


def test_six_headers():
    slot = TakeSlot(1, 2, "r", 600, 50, 1_000_000, 100)

    headers = rate_headers(slot, Allowance("", 599, 100, 999_950, 3, 0))

    assert headers == [
        (b"x-ratelimit-limit-requests", b"600"),
        (b"x-ratelimit-limit-tokens", b"1000000"),
        (b"x-ratelimit-remaining-requests", b"599"),
        (b"x-ratelimit-remaining-tokens", b"999950"),
        (b"x-ratelimit-reset-requests", b"100ms"),
        (b"x-ratelimit-reset-tokens", b"3ms"),
    ]
