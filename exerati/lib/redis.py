"""Connections to Redis (or Valkey): rate limits and broadcasts only, never money."""

from functools import lru_cache

import redis
import redis.asyncio
from django.conf import settings

TIMEOUT_SECONDS = 0.25


def async_client(*, timeout_seconds: float | None = TIMEOUT_SECONDS) -> "redis.asyncio.Redis":
    """Return a client for the present event loop; None as timeout waits for ever (for subscriptions)."""
    return redis.asyncio.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=TIMEOUT_SECONDS,
        health_check_interval=0,
    )


@lru_cache(maxsize=1)
def _sync_client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)


def sync_client() -> redis.Redis:
    """Return the process's blocking client, for pages and tasks."""
    return _sync_client(settings.REDIS_URL)
