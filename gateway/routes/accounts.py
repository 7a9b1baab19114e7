"""
Our accounts with providers, as this process has seen them: which to use next, and which to leave alone.

An account that is refused (credential, credit, quota) is skipped for a growing time, so that the calls after the
first go elsewhere; one that the provider asked to slow down is skipped for as long as it asked. Times are
monotonic seconds; each call costs O(accounts of its provider).
"""

from collections.abc import Sequence
from typing import Final

from gateway.providers.base import ProviderError
from gateway.snapshot import RouteSnapshot

COOL_SECONDS: Final = 60.0
LONGEST_COOL_SECONDS: Final = 600.0
LONGEST_SLOW_DOWN_SECONDS: Final = 60.0


class AccountState:
    """
    One account. Calls are shared out by stride scheduling: who has had least, by weight, is next; an account that
    was away does not catch up.
    """

    __slots__ = ("_cool_until", "_quota", "_quota_at", "_refusals", "had")

    def __init__(self) -> None:
        self.had = 0.0
        self._cool_until: dict[str, float] = {}  # by route key; "" is all of them
        self._refusals = 0
        self._quota: float | None = None
        self._quota_at = 0.0

    def wait_seconds(self, route: RouteSnapshot, now: float, *, processes: int) -> float:
        """Return how long the account cannot serve the route: 0 when it can."""
        until = max(self._cool_until.get("", 0.0), self._cool_until.get(route.key, 0.0))
        return max(until - now, self._quota_wait(route, now, processes=processes), 0.0)

    def take(self, route: RouteSnapshot) -> None:
        """Count a call."""
        self.had += 1.0 / max(1, route.upstream.weight)
        if self._quota is not None:
            self._quota -= 1.0

    def worked(self) -> None:
        """Note that the provider took the account."""
        self._refusals = 0

    def refused(self, error: ProviderError, route: RouteSnapshot, now: float) -> bool:
        """
        Leave the account alone for a while; return whether staff must be told.

        A 403 may be about what was asked for, which a customer chooses, so it binds this route only.
        """
        if error.kind == "rate_limited":
            asked = min(error.retry_after_seconds or 0.0, LONGEST_SLOW_DOWN_SECONDS)
            if asked:
                self._cool_until[route.key] = now + asked
            return False
        scope = route.key if error.status == 403 else ""
        seconds = min(LONGEST_COOL_SECONDS, COOL_SECONDS * 2.0**self._refusals)
        self._refusals += 1
        self._cool_until[scope] = now + seconds
        return True

    def _quota_wait(self, route: RouteSnapshot, now: float, *, processes: int) -> float:
        """Refill the bucket of the account's requests a minute, of which this process has its share."""
        limit = route.upstream.requests_per_minute
        if limit is None:
            self._quota = None
            return 0.0
        share = max(1.0, limit / processes)
        passed = now - self._quota_at
        self._quota = (
            share if self._quota is None else min(share, self._quota + passed * share / 60)
        )
        self._quota_at = now
        return 0.0 if self._quota >= 1.0 else (1.0 - self._quota) * 60 / share


class Accounts:
    """All accounts of this process, by provider and name."""

    def __init__(self, *, processes: int) -> None:
        self._processes = processes
        self._states: dict[tuple[str, str], AccountState] = {}

    def state(self, route: RouteSnapshot) -> AccountState:
        """Return the state of the account that the route goes through."""
        name = (route.upstream.name, route.upstream.account)
        found = self._states.get(name)
        if found is None:
            found = self._states[name] = AccountState()
        return found

    def choose(self, route: RouteSnapshot, now: float) -> RouteSnapshot | float:
        """Return the route through the account whose turn it is, or after how many seconds one can serve it."""
        variants: Sequence[RouteSnapshot] = route.through or (route,)
        waits = [self.state(v).wait_seconds(v, now, processes=self._processes) for v in variants]
        usable = [v for v, wait in zip(variants, waits, strict=True) if not wait]
        if not usable:
            return min(waits)
        if len(usable) == 1:
            chosen = usable[0]
        else:
            latest = max(self.state(v).had for v in usable)
            chosen = min(usable, key=lambda v: self.state(v).had)
            # An account that was away goes on from where the others are, at most one turn behind.
            self.state(chosen).had = max(self.state(chosen).had, latest - 1.0)
        self.state(chosen).take(chosen)
        return chosen
