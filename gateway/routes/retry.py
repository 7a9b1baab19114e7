"""
When to try again: waits with full jitter, what a provider asked for, and the budget that keeps retries from
making an outage worse. Pure but for the clock that is passed in.

Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/ (read 2026-11).
Retry budgets: https://sre.google/sre-book/handling-overload/ (read 2026-11).
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

BASE_SECONDS: Final = 0.25
CAP_SECONDS: Final = 4.0
LONGEST_WAIT_SECONDS: Final = 5.0  # longer waits are the client's: it is told, and not kept hanging
LONGEST_TOLD_SECONDS: Final = 3_600.0

BUDGET_SHARE: Final = 0.2
BUDGET_MIN_RETRIES: Final = 10  # a window; so that rare calls may be retried, too
BUDGET_WINDOW_SECONDS: Final = 60.0


def backoff_seconds(number: int, *, draw: float) -> float:
    """Return how long to wait before retry `number` (from 1), by a random draw in [0, 1)."""
    longest: float = min(CAP_SECONDS, BASE_SECONDS * 2.0 ** (number - 1))
    return longest * draw


def asked_seconds(value: str, *, now: float) -> float | None:
    """Return the wait of a `Retry-After` header: seconds or a date (RFC 9110, 10.2.3); None for anything else."""
    try:
        return sensible_seconds(float(value))
    except ValueError:
        pass  # not a number, so perhaps a date
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return sensible_seconds((moment - datetime.fromtimestamp(now, UTC)).total_seconds())


def sensible_seconds(seconds: float | None) -> float | None:
    """Return a wait between 0 and an hour; None for what is no number."""
    if seconds is None or math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_TOLD_SECONDS)


def wait_seconds(number: int, *, asked: float | None, draw: Callable[[], float]) -> float:
    """
    Return how long to wait before retry `number`: what the provider asked for, with a little jitter on top so
    that those it turned away do not come back together, else the backoff.
    """
    if asked is None:
        return backoff_seconds(number, draw=draw())
    return asked + backoff_seconds(1, draw=draw())


class RetryBudget:
    """
    Retries at one provider from one process: at most a fifth of the calls of the last minute.

    Two half windows are kept and added up, so that the count is O(1) and never more than a window old.
    """

    __slots__ = ("_calls", "_half", "_retries")

    def __init__(self) -> None:
        self._half = -1
        self._calls = [0, 0]
        self._retries = [0, 0]

    def call(self, now: float) -> None:
        """Count a first try."""
        self._turn(now)
        self._calls[0] += 1

    def take(self, now: float) -> bool:
        """Count a retry and return True if there is room for it."""
        self._turn(now)
        if sum(self._retries) >= max(BUDGET_MIN_RETRIES, BUDGET_SHARE * sum(self._calls)):
            return False
        self._retries[0] += 1
        return True

    def _turn(self, now: float) -> None:
        half = int(now / (BUDGET_WINDOW_SECONDS / 2))
        if half == self._half:
            return
        keeps = half == self._half + 1
        self._calls = [0, self._calls[0] if keeps else 0]
        self._retries = [0, self._retries[0] if keeps else 0]
        self._half = half
