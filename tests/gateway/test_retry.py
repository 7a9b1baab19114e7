"""Waits and budgets of retries."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routes import retry
from gateway.routes.retry import BUDGET_MIN_RETRIES, RetryBudget

NOW = 1_800_000_000.0


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_full_jitter_below_a_cap_that_doubles(number, draw):
    seconds = retry.backoff_seconds(number, draw=draw)

    assert 0 <= seconds <= min(4.0, 0.25 * 2.0 ** (number - 1))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("1e9", 3_600.0),
        ("inf", 3_600.0),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Tue, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds(value, seconds):
    assert retry.asked_seconds(value, now=NOW) == seconds


def test_retry_after_is_read_as_a_date():
    moment = datetime.fromtimestamp(NOW, UTC)

    assert retry.asked_seconds(
        format_datetime(moment + timedelta(seconds=90), usegmt=True), now=NOW
    ) == pytest.approx(90, abs=1)
    assert retry.asked_seconds(format_datetime(moment - timedelta(days=9)), now=NOW) == 0


@given(st.text(max_size=40))
def test_no_header_breaks_the_reading(value):
    seconds = retry.asked_seconds(value, now=NOW)

    assert seconds is None or 0 <= seconds <= 3_600


@given(st.lists(st.floats(0, 5), min_size=60, max_size=400))
def test_retries_are_at_most_a_fifth_of_the_calls(gaps):
    budget, now, retries = RetryBudget(), 0.0, 0
    for gap in gaps:
        now += gap / 100  # all within one window
        budget.call(now)
        retries += budget.take(now)

    assert retries <= max(BUDGET_MIN_RETRIES, math.ceil(len(gaps) * 0.2))


def test_a_budget_that_was_used_up_is_there_again_after_its_window():
    budget = RetryBudget()
    used = sum(budget.take(1.0) for _ in range(50))

    assert used == BUDGET_MIN_RETRIES
    assert not budget.take(31.0)
    assert budget.take(120.0)
