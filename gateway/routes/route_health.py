"""
How one route is doing, as this process has seen it: the circuit breaker, and its speed.

Ejection follows Envoy's outlier detection (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier,
read 2026-11): several failures in a row, or too large a share of them in a rolling window; the time grows with each
ejection in turn; afterwards one call goes there as a probe. Each call costs O(1). Times are monotonic seconds.
"""

from typing import Final, Literal

State = Literal["closed", "probe", "ejected", "dead"]

WINDOW_SECONDS: Final = 30.0
BUCKETS: Final = 6
BUCKET_SECONDS: Final = WINDOW_SECONDS / BUCKETS
FAILURES_IN_A_ROW: Final = 5
MIN_VOLUME: Final = 10
MAX_FAILED_SHARE: Final = 0.5
EJECTION_SECONDS: Final = 5.0
LONGEST_EJECTION_SECONDS: Final = 120.0
SPEED_WEIGHT: Final = 0.2  # of the newest measurement
SPEED_HOLDS_SECONDS: Final = 300.0  # an older one says nothing, so the route is measured anew


class RouteHealth:
    """
    One route. `state`: `closed` may be used; `probe` may be used by one call; `ejected` only when every other
    route is ejected too; `dead` not at all, since nothing it did in the window worked.
    """

    __slots__ = (
        "_bad",
        "_bucket",
        "_good",
        "_in_a_row",
        "_probing",
        "ejected_until",
        "ejections",
        "first_token_ms",
        "measured_at",
        "tokens_per_second",
    )

    def __init__(self) -> None:
        self._bucket = 0
        self._good = [0] * BUCKETS
        self._bad = [0] * BUCKETS
        self._in_a_row = 0
        self._probing = False
        self.ejections = 0
        self.ejected_until = 0.0
        self.first_token_ms: float | None = None
        self.tokens_per_second: float | None = None
        self.measured_at = 0.0

    def state(self, now: float) -> State:
        """Return what the route may be used for."""
        if not self.ejections:
            return "closed"
        if now >= self.ejected_until and not self._probing:
            return "probe"
        self._turn(now)
        return "ejected" if any(self._good) else "dead"

    def works(self, now: float) -> bool:
        """Whether the route is known to answer: calls that went there are no load on something broken."""
        self._turn(now)
        return not self.ejections and self._in_a_row == 0 and sum(self._good) > sum(self._bad)

    def begin(self, now: float) -> bool:
        """Note that a call goes there; return whether it is the probe, which must end by one of the three below."""
        if self.ejections and now >= self.ejected_until and not self._probing:
            self._probing = True
            return True
        return False

    def succeeded(self, now: float, *, probe: bool) -> None:
        """Note an answer, or a refusal that shows the provider at work."""
        self._turn(now)
        self._good[0] += 1
        self._in_a_row = 0
        if probe:
            self._probing = False
            self.ejections = 0
            self._bad = [0] * BUCKETS  # what was before the outage ended is no measure of now

    def failed(self, now: float, *, probe: bool, counts_in_a_row: bool) -> bool:
        """Note a failure; return whether it has ejected the route just now."""
        self._turn(now)
        self._bad[0] += 1
        self._in_a_row += counts_in_a_row
        if probe:
            self._probing = False
            return self._eject(now)
        return not self.ejections and self._is_outlier() and self._eject(now)

    def left(self, *, probe: bool) -> None:
        """Note a call that ended without saying anything of the route (its client left)."""
        if probe:
            self._probing = False

    def measure(
        self, now: float, *, first_token_ms: float | None, tokens_per_second: float | None
    ) -> None:
        """Take in the speed of one answer; None was not measured."""
        fresh = now - self.measured_at > SPEED_HOLDS_SECONDS
        if first_token_ms is not None:
            self.first_token_ms = _mean(None if fresh else self.first_token_ms, first_token_ms)
        if tokens_per_second is not None:
            old = None if fresh else self.tokens_per_second
            self.tokens_per_second = _mean(old, tokens_per_second)
        self.measured_at = now

    def _is_outlier(self) -> bool:
        bad, good = sum(self._bad), sum(self._good)
        return self._in_a_row >= FAILURES_IN_A_ROW or (
            bad + good >= MIN_VOLUME and bad >= MAX_FAILED_SHARE * (bad + good)
        )

    def _eject(self, now: float) -> bool:
        seconds = min(LONGEST_EJECTION_SECONDS, EJECTION_SECONDS * 2.0**self.ejections)
        self.ejections += 1
        self.ejected_until = now + seconds
        self._in_a_row = 0
        return True

    def _turn(self, now: float) -> None:
        """Drop the buckets that have left the window; the newest one is the first."""
        bucket = int(now / BUCKET_SECONDS)
        passed = bucket - self._bucket
        if not passed:
            return
        passed = min(passed, BUCKETS)
        self._good = [0] * passed + self._good[:-passed]
        self._bad = [0] * passed + self._bad[:-passed]
        self._bucket = bucket


def _mean(old: float | None, new: float) -> float:
    return new if old is None else old + SPEED_WEIGHT * (new - old)
