"""
The rate limits of one process on its own, for the time when Redis is away: the same rules as
`gateway/rate_limits/lua/limits.lua`, on this process's share of each limit. Pure; time is given.
"""

import math
from dataclasses import dataclass, field

from gateway.rate_limits.limit_types import Allowance, TakeSlot

MINUTE_MS = 60_000


@dataclass(slots=True)
class _Key:
    arrival_ms: float = 0.0
    level: float = 0.0
    level_at_ms: float = 0.0
    open_calls: set[str] = field(default_factory=set)

    def level_now(self, limit: int, now_ms: float) -> float:
        """Return what the bucket of tokens holds; a level below zero is a debt, which has to be filled up first."""
        return min(limit, self.level + (now_ms - self.level_at_ms) * limit / MINUTE_MS)

    def set_level(self, level: float, now_ms: float) -> None:
        """Keep a level, to the thousandth as the script does."""
        self.level, self.level_at_ms = round(level, 3), now_ms


class LocalLimits:
    """Counts in memory; `processes` is how many gateway processes share each limit."""

    def __init__(self, *, processes: int) -> None:
        self._processes = processes
        self._keys: dict[int, _Key] = {}

    def take(self, call: TakeSlot, *, now_ms: float) -> Allowance:
        """Admit or refuse one call against this process's share."""
        per_minute, limit = (
            self._share(call.requests_per_minute),
            self._share(call.tokens_per_minute),
        )
        key = self._keys.setdefault(call.key_id, _Key(level=limit, level_at_ms=now_ms))
        spacing = MINUTE_MS / per_minute
        arrival = max(key.arrival_ms, now_ms)
        level = key.level_now(limit, now_ms)
        # A call of more tokens than the share may take the whole share, or it could not be let in at all.
        tokens = min(call.tokens, limit) if call.tokens <= call.tokens_per_minute else call.tokens
        refused, retry = "", 0.0
        if arrival + spacing - now_ms > MINUTE_MS + 0.5:
            refused, retry = "requests", arrival + spacing - now_ms - MINUTE_MS
        elif tokens > level:
            refused, retry = "tokens", (min(tokens, limit) - level) * MINUTE_MS / limit
        elif len(key.open_calls) >= self._share(call.concurrency):
            refused, retry = "concurrency", 1000.0
        else:
            arrival, level = arrival + spacing, level - tokens
            key.arrival_ms = round(arrival, 3)
            key.set_level(level, now_ms)
            key.open_calls.add(call.request)
        return Allowance(
            refused=refused,
            remaining_requests=max(0, int((MINUTE_MS - (arrival - now_ms)) / spacing + 0.001)),
            reset_requests_ms=math.ceil(arrival - now_ms),
            remaining_tokens=max(0, int(level)),
            reset_tokens_ms=math.ceil((limit - level) * MINUTE_MS / limit),
            retry_ms=math.ceil(retry),
        )

    def free(self, call: TakeSlot, *, unused_tokens: int, now_ms: float) -> bool:
        """End a call and give back tokens that it did not use; return whether it was let in here."""
        key = self._keys.get(call.key_id)
        if key is None or call.request not in key.open_calls:
            return False
        key.open_calls.discard(call.request)
        limit = self._share(call.tokens_per_minute)
        over = call.tokens - min(call.tokens, limit)  # what was not taken cannot be given back
        key.set_level(min(limit, key.level_now(limit, now_ms) + unused_tokens - over), now_ms)
        return True

    def _share(self, limit: int) -> int:
        return max(1, limit // self._processes)
