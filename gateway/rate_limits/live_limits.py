"""
What of its rate limits a key uses at this moment, for pages: read from Redis, never changed.

`look` answers as `Limits.take` does: it lets the same script take a slot on a copy of the key's state.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import redis.exceptions
from django.conf import settings

from apikeys.models import ApiKey
from exerati.lib import ids
from exerati.lib.redis import async_client, sync_client
from gateway.rate_limits.limit_types import Allowance, TakeSlot
from gateway.rate_limits.limits import SCRIPT, checked, take_row

MINUTE_MS = 60_000
STATES = ("requests", "tokens", "open")


@dataclass(frozen=True, slots=True)
class Use:
    """One limit: how much of it is used now, of how much. Of tokens a debt counts as used, too."""

    used: int
    limit: int

    @property
    def share(self) -> float:
        """Return used / limit."""
        return self.used / self.limit


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One key with its three limits; `is_known` is false while Redis is away."""

    key: ApiKey
    requests: Use
    tokens: Use
    open_calls: Use
    is_known: bool = True

    @property
    def share(self) -> float:
        """Return the share of the limit that is fullest."""
        return max(self.requests.share, self.tokens.share, self.open_calls.share)


async def look(slot: TakeSlot) -> Allowance:
    """Return what `Limits.take` would; raises RateLimited, or redis.exceptions.RedisError when Redis is away."""
    client = async_client(timeout_seconds=2)
    tag = f"{{limits:{slot.organization_id}}}"
    copy = f"{tag}:rehearsal:{ids.encode(ids.new_uuid())}"
    names = [f"{copy}:{state}:{slot.key_id}" for state in STATES]
    try:
        async with client.pipeline(transaction=True) as pipe:
            for state, name in zip(STATES, names, strict=True):
                pipe.copy(f"{tag}:{state}:{slot.key_id}", name)
            pipe.eval(SCRIPT, 1, copy, msgspec.json.encode([take_row(slot)]))
            pipe.delete(*names)
            answers = await pipe.execute()
    finally:
        await client.aclose()
    [answer] = msgspec.json.decode(answers[len(names)])
    return checked(Allowance(*answer), slot)


def uses(keys: Sequence[ApiKey]) -> list[KeyUse]:
    """Return the use of each key; one round trip to Redis, whatever their number."""
    try:
        return _read(keys)
    except redis.exceptions.RedisError:
        return [
            KeyUse(key, Use(0, _rpm(key)), Use(0, _tpm(key)), Use(0, _open(key)), is_known=False)
            for key in keys
        ]


def _read(keys: Sequence[ApiKey]) -> list[KeyUse]:
    client = sync_client()
    seconds, micros = client.time()
    now = seconds * 1000 + micros / 1000
    pipe = client.pipeline(transaction=False)
    for key in keys:
        tag = f"{{limits:{key.organization_id}}}"
        pipe.get(f"{tag}:requests:{key.pk}")
        pipe.hmget(f"{tag}:tokens:{key.pk}", "level", "at")
        pipe.zcount(f"{tag}:open:{key.pk}", now, "+inf")
    found = iter(pipe.execute())
    return [
        KeyUse(
            key,
            Use(_requests(next(found), now, _rpm(key)), _rpm(key)),
            Use(_tokens(next(found), now, _tpm(key)), _tpm(key)),
            Use(next(found), _open(key)),
        )
        for key in keys
    ]


def _requests(arrival: bytes | None, now: float, limit: int) -> int:
    """Return how many requests of the minute are used, by the time at which all would be free again."""
    ahead = max(0.0, float(arrival) - now) if arrival else 0.0
    return min(limit, math.ceil(ahead * limit / MINUTE_MS - 0.001))


def _tokens(state: list[bytes | None], now: float, limit: int) -> int:
    if state[0] is None or state[1] is None:
        return 0
    level = min(limit, float(state[0]) + (now - float(state[1])) * limit / MINUTE_MS)
    return max(0, round(limit - level))


def _rpm(key: ApiKey) -> int:
    return key.requests_per_minute or int(settings.KEY_DEFAULT_RPM)


def _tpm(key: ApiKey) -> int:
    return key.tokens_per_minute or int(settings.KEY_DEFAULT_TPM)


def _open(key: ApiKey) -> int:
    return key.concurrency or int(settings.KEY_DEFAULT_CONCURRENCY)
