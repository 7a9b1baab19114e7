"""
How much of a key's rate limits is in use at this moment, read for pages from what `lua/limits.lua` keeps in Redis.

Nothing is taken or changed. While Redis is away there is nothing to tell: the limits are then shares of each process.
"""

import time
from dataclasses import dataclass

from django.conf import settings
from redis.exceptions import RedisError

from apikeys.models import ApiKey
from exerati.lib.redis import sync_client

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Level:
    """One limit: `used` of `limit`, in units such as "requests a minute"."""

    title: str
    used: int
    limit: int


def of_key(key: ApiKey) -> list[Level]:
    """Return the levels of requests, tokens and open calls; none while Redis is away."""
    tag = f"{{limits:{key.organization_id}}}"
    pipeline = sync_client().pipeline(transaction=False)
    pipeline.get(f"{tag}:requests:{key.pk}")
    pipeline.hmget(f"{tag}:tokens:{key.pk}", "level", "at")
    now_ms = time.time() * 1000
    pipeline.zcount(f"{tag}:open:{key.pk}", f"({now_ms}", "+inf")
    try:
        arrival, tokens, open_calls = pipeline.execute()
    except RedisError:
        return []
    requests_limit = key.requests_per_minute or settings.KEY_DEFAULT_RPM
    tokens_limit = key.tokens_per_minute or settings.KEY_DEFAULT_TPM
    return [
        Level("Requests a minute", _requests(arrival, requests_limit, now_ms), requests_limit),
        Level("Tokens a minute", _tokens(tokens, tokens_limit, now_ms), tokens_limit),
        Level("Open calls", open_calls, key.concurrency or settings.KEY_DEFAULT_CONCURRENCY),
    ]


def _requests(arrival: bytes | None, limit: int, now_ms: float) -> int:
    """Return how many requests of the burst are not yet given back: the state is when all of them will be."""
    ahead_ms = max(0.0, float(arrival or 0) - now_ms)
    return min(limit, round(ahead_ms * limit / MINUTE_MS))


def _tokens(state: list[bytes | None], limit: int, now_ms: float) -> int:
    """Return how many tokens are missing in the bucket; a debt counts as a whole bucket."""
    level, at = state
    if level is None or at is None:
        return 0
    filled = min(limit, float(level) + (now_ms - float(at)) * limit / MINUTE_MS)
    return min(limit, max(0, round(limit - filled)))
