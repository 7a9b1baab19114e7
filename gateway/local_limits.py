"""
The rate limits of one process on its own, for the time when Redis is away: the same rules as
`gateway/lua/limits.lua`, on this process's share of each limit. Pure; time is given.
"""

from dataclasses import dataclass, field

from gateway.limit_types import Allowance, TakeSlot

MINUTE_MS = 60_000


@dataclass(slots=True)
class _Key:
    arrival_ms: float = 0.0
    level: float = 0.0
    level_at_ms: float = 0.0
    open_calls: set[str] = field(default_factory=set)


class LocalLimits:
    """Counts in memory; `processes` is how many gateway processes share each limit."""

    def __init__(self, *, processes: int) -> None:
        self._processes = processes
        self._keys: dict[int, _Key] = {}

    def take(self, call: TakeSlot, *, now_ms: float) -> Allowance:
        """Admit or refuse one call against this process's share."""
        share = self._share
        per_minute, tokens_per_minute = (
            share(call.requests_per_minute),
            share(call.tokens_per_minute),
        )
        key = self._keys.setdefault(call.key_id, _Key(level=tokens_per_minute, level_at_ms=now_ms))
        spacing = MINUTE_MS / per_minute
        arrival = max(key.arrival_ms, now_ms)
        level = min(
            tokens_per_minute,
            key.level + (now_ms - key.level_at_ms) * tokens_per_minute / MINUTE_MS,
        )
        refused, retry = "", 0.0
        if arrival + spacing - now_ms > MINUTE_MS + 0.5:
            refused, retry = "requests", arrival + spacing - now_ms - MINUTE_MS
        elif call.tokens > level:
            refused = "tokens"
            retry = (min(call.tokens, tokens_per_minute) - level) * MINUTE_MS / tokens_per_minute
        elif len(key.open_calls) >= share(call.concurrency):
            refused, retry = "concurrency", 1000.0
        else:
            arrival, level = arrival + spacing, level - call.tokens
            key.arrival_ms, key.level, key.level_at_ms = arrival, level, now_ms
            key.open_calls.add(call.request)
        return Allowance(
            refused=refused,
            remaining_requests=max(0, int((MINUTE_MS - (arrival - now_ms)) / spacing + 0.001)),
            reset_requests_ms=int(arrival - now_ms),
            remaining_tokens=max(0, int(level)),
            reset_tokens_ms=int((tokens_per_minute - level) * MINUTE_MS / tokens_per_minute),
            retry_ms=int(retry),
        )

    def free(self, key_id: int, request: str, *, tokens: int) -> None:
        """End a call and give back tokens that it did not use."""
        key = self._keys.get(key_id)
        if key is not None:
            key.open_calls.discard(request)
            key.level += tokens

    def _share(self, limit: int) -> int:
        return max(1, limit // self._processes)
