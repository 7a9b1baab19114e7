"""
Requests, tokens and open calls per key, counted in Redis by one script for a whole batch of calls.

When Redis is away or slow each process goes on with its local share of every limit; money does not depend
on any of this.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import redis.exceptions
from django.conf import settings

from exerati.lib.batch import Batcher
from exerati.lib.redis import async_client
from gateway.rate_limits.limit_types import Allowance, TakeSlot
from gateway.rate_limits.local_limits import LocalLimits

SCRIPT = (Path(__file__).parent / "lua" / "limits.lua").read_text()
LEASE_MS = settings.LEASE_SECONDS * 1500  # renewed together with the reservation's lease
PAUSE_SECONDS = 1.0

logger = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Any]).decode

Command = tuple[int, tuple[Any, ...]]  # (organization id, one row of the script's argument)


class RateLimited(Exception):
    """A key is over one of its limits: `kind` is `requests`, `tokens` or `concurrency`."""

    def __init__(self, kind: str, *, limit: int, allowance: Allowance, slot: TakeSlot) -> None:
        super().__init__(kind)
        self.kind = kind
        self.limit = limit
        self.remaining = 0
        self.retry_after_seconds = max(0.001, allowance.retry_ms / 1000)
        self.allowance = allowance
        self.slot = slot


class Limits:
    """The batched door to the limits of one gateway process."""

    def __init__(self, *, processes: int) -> None:
        self._redis = async_client()
        self._script = self._redis.register_script(SCRIPT)
        self._local = LocalLimits(processes=processes)
        self._away_until = 0.0
        self._batcher: Batcher[Command, Any] = Batcher(self._send)

    async def take(self, slot: TakeSlot) -> Allowance:
        """Count one call; raises RateLimited. What was taken is given back by `free`."""
        answer = await self._call((slot.organization_id, take_row(slot)))
        if answer is None:
            allowance = self._local.take(slot, now_ms=time.monotonic() * 1000)
        else:
            allowance = Allowance(*answer)
        return checked(allowance, slot)

    def free(self, slot: TakeSlot, *, unused_tokens: int) -> None:
        """
        End a call: its place is free at once, and tokens it did not use are given back. Does not wait.

        `unused_tokens` is negative where it used more than was taken; that is made up for by calls to come.
        """
        if self._local.free(slot, unused_tokens=unused_tokens, now_ms=time.monotonic() * 1000):
            return  # it was let in while Redis was away, so Redis does not know of it
        if time.monotonic() < self._away_until:
            return
        row = ("free", slot.key_id, slot.request, unused_tokens, slot.tokens_per_minute)
        self._batcher.submit((slot.organization_id, row)).add_done_callback(_ignore_result)

    def keep(self, slots: Sequence[TakeSlot]) -> None:
        """Renew the places of calls that are still open. Does not wait."""
        if time.monotonic() < self._away_until:
            return
        for slot in slots:
            row = ("keep", slot.key_id, slot.request, LEASE_MS)
            self._batcher.submit((slot.organization_id, row)).add_done_callback(_ignore_result)

    async def close(self) -> None:
        """Send what is queued, then disconnect."""
        await self._batcher.close()
        await self._redis.aclose()

    async def _call(self, command: Command) -> Any:
        """Return the script's answer, or None while Redis is away."""
        if time.monotonic() < self._away_until:
            return None
        try:
            return await self._batcher.call(command)
        except (redis.exceptions.RedisError, OSError, TimeoutError) as error:
            if time.monotonic() >= self._away_until:
                logger.warning("rate limits fall back to the local share: %s", error)
            self._away_until = time.monotonic() + PAUSE_SECONDS
            return None

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        by_organization: dict[int, list[int]] = defaultdict(list)
        for index, (organization_id, _) in enumerate(commands):
            by_organization[organization_id].append(index)
        answers: list[Any] = [None] * len(commands)
        scripts = [
            self._script(
                keys=[f"{{limits:{organization_id}}}"],
                args=[_encode([commands[index][1] for index in indexes])],
            )
            for organization_id, indexes in by_organization.items()
        ]
        results = await asyncio.gather(*scripts) if len(scripts) > 1 else [await scripts[0]]
        for indexes, result in zip(by_organization.values(), results, strict=True):
            for index, answer in zip(indexes, _decode(result), strict=True):
                answers[index] = answer
        return answers


def take_row(slot: TakeSlot) -> tuple[Any, ...]:
    """Return the script's row that takes a slot."""
    return (
        "take",
        slot.key_id,
        slot.request,
        slot.requests_per_minute,
        slot.tokens,
        slot.tokens_per_minute,
        slot.concurrency,
        LEASE_MS,
    )


def checked(allowance: Allowance, slot: TakeSlot) -> Allowance:
    """Return the allowance; raises RateLimited when it is a refusal."""
    if allowance.refused:
        limit = {"requests": slot.requests_per_minute, "tokens": slot.tokens_per_minute}
        raise RateLimited(
            allowance.refused,
            limit=limit.get(allowance.refused, slot.concurrency),
            allowance=allowance,
            slot=slot,
        )
    return allowance


def processes_sharing() -> int:
    """Return how many gateway processes share each limit while Redis is away."""
    return int(settings.GATEWAY_PROCESSES)


def _ignore_result(future: "asyncio.Future[Any]") -> None:
    # A place that could not be freed runs out with its lease.
    if not future.cancelled():
        future.exception()
