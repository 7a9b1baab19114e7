"""
Uptime and speed of routes over the last minutes, hour and day, summed over all gateway processes.

Each process counts in memory (`gateway.routes.traffic`) and adds its sums to Redis every few seconds, behind; pages and
`/v1/models/{id}/endpoints` read them. Routing itself uses what its own process has seen. Losing all of it costs
nothing but the figures.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import redis.exceptions

from exerati.lib.redis import async_client, sync_client
from gateway.routes.traffic import Counts

MINUTE: Final = 60
HOUR: Final = 3_600
KEEP_MINUTES_SECONDS: Final = 2 * HOUR
KEEP_HOURS_SECONDS: Final = 26 * HOUR
SPANS: Final[Mapping[str, tuple[int, int]]] = {  # name -> seconds of a bucket, buckets
    "5m": (MINUTE, 5),
    "1h": (MINUTE, 60),
    "24h": (HOUR, 24),
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Figures:
    """One route over one span. Failures of requests and of our accounts are none of the route's."""

    calls: int
    uptime_percent: float | None
    first_token_ms: int | None
    tokens_per_second: float | None


class StatsPublisher:
    """Adds the counts of one process to the sums."""

    def __init__(self) -> None:
        self._redis = async_client()

    async def publish(self, counts: dict[str, Counts]) -> None:
        """Add the counts and set them to nothing; while Redis is away they wait, as sums, for the next time."""
        if not counts:
            return
        taken = dict(counts)
        now = time.time()
        pipeline = self._redis.pipeline(transaction=True)
        for key, count in taken.items():
            for seconds, keep in ((MINUTE, KEEP_MINUTES_SECONDS), (HOUR, KEEP_HOURS_SECONDS)):
                name = _name(key, seconds, int(now) // seconds)
                for field, value in asdict(count).items():
                    if value:
                        pipeline.hincrby(name, field, value)
                pipeline.expire(name, keep)
        counts.clear()
        try:
            await pipeline.execute()
        except (redis.exceptions.RedisError, OSError) as error:
            logger.info("route statistics are published later: %s", error)
            for key, count in taken.items():
                counts[key] = _sum([count, counts.get(key, Counts())])

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()


def read(keys: Iterable[str], *, now: float) -> dict[str, dict[str, Figures]]:
    """
    Return the figures of routes, by key and span; blocks for one round trip, so it belongs in a thread or a page.

    While Redis is away there are none.
    """
    wanted = [
        (key, span, _name(key, seconds, int(now) // seconds - back))
        for key in keys
        for span, (seconds, buckets) in SPANS.items()
        for back in range(buckets)
    ]
    pipeline = sync_client().pipeline(transaction=False)
    for _, _, name in wanted:
        pipeline.hgetall(name)
    try:
        found = pipeline.execute() if wanted else []
    except redis.exceptions.RedisError as error:
        logger.info("route statistics cannot be read: %s", error)
        return {}
    sums: dict[str, dict[str, list[Counts]]] = {}
    for (key, span, _), row in zip(wanted, found, strict=True):
        sums.setdefault(key, {}).setdefault(span, []).append(_counts(row))
    return {
        key: {span: _figures(_sum(rows)) for span, rows in spans.items()}
        for key, spans in sums.items()
    }


def wire(figures: Mapping[str, Figures]) -> dict[str, Any]:
    """Return the figures as `/v1/models/{id}/endpoints` shows them, under OpenRouter's names where it has some."""
    return {
        "uptime_last_5m": _of(figures, "5m", "uptime_percent"),
        "uptime_last_1h": _of(figures, "1h", "uptime_percent"),
        "uptime_last_1d": _of(figures, "24h", "uptime_percent"),
        "latency_last_1h_ms": _of(figures, "1h", "first_token_ms"),
        "throughput_last_1h": _of(figures, "1h", "tokens_per_second"),
    }


def _of(figures: Mapping[str, Figures], span: str, field: str) -> Any:
    return getattr(figures[span], field) if span in figures else None


def _name(key: str, seconds: int, bucket: int) -> str:
    return f"exerati:route:{{{key}}}:{seconds}:{bucket}"


def _counts(row: Mapping[bytes, bytes]) -> Counts:
    known = {field.encode(): field for field in Counts.__slots__}
    return Counts(**{known[name]: int(value) for name, value in row.items() if name in known})


def _sum(rows: Iterable[Counts]) -> Counts:
    total = Counts()
    for row in rows:
        for field in Counts.__slots__:
            setattr(total, field, getattr(total, field) + getattr(row, field))
    return total


def _figures(total: Counts) -> Figures:
    calls = total.ok + total.failed
    return Figures(
        calls=calls,
        uptime_percent=round(100 * total.ok / calls, 2) if calls else None,
        first_token_ms=total.first_token_ms // total.first_tokens if total.first_tokens else None,
        tokens_per_second=round(1_000 * total.output_tokens / total.output_ms, 1)
        if total.output_ms
        else None,
    )
