"""
What a gateway process does every few seconds for its open calls: renew leases and store progress, keep silent
streams open, cut those that may not go on, sweep up after dead processes, and re-read keys and catalog.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import psycopg
import redis.exceptions
from django.conf import settings

from billing import pricing
from billing.metering import attempt_rows
from exerati.lib.broadcast import CATALOG_CHANGED, KEY_CHANGED
from exerati.lib.redis import async_client
from gateway.engine import Engine
from gateway.open_call import OpenCall
from gateway.settlement import cost_nanousd

TICK_SECONDS = 1.0
RESUBSCRIBE_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Upkeep:
    """The background work of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._renewed = self._watched = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    def start(self) -> None:
        """Begin all rounds."""
        rounds: tuple[tuple[float, Callable[[], Awaitable[object]]], ...] = (
            (settings.LEASE_RENEW_SECONDS, self._renew),
            (settings.SWEEP_SECONDS, self._engine.budgets.sweep),
            (settings.KEY_SNAPSHOT_SECONDS, self._engine.keys.refresh),
            (settings.CATALOG_SNAPSHOT_SECONDS, self._engine.refresh_catalog),
            (TICK_SECONDS, self._watch_streams),
            (settings.ROUTE_STATS_SECONDS, self._publish_route_stats),
            (TICK_SECONDS, self._engine.refusals.flush),
            (TICK_SECONDS, self._engine.bodies.flush),
        )
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._every(seconds, work)) for seconds, work in rounds]
        self._tasks.append(loop.create_task(self._listen()))

    async def stop(self) -> None:
        """End all rounds."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _renew(self) -> None:
        """Renew every lease in one statement; stop what was lost, and everything when this fails for long."""
        calls = list(self._engine.open_calls.values())
        try:
            lost = (
                await self._engine.budgets.renew([progress(call) for call in calls])
                if calls
                else []
            )
            self._renewed = time.monotonic()
        except psycopg.OperationalError:
            lost = []
            if time.monotonic() - self._renewed > settings.LEASE_STALE_SECONDS:
                for call in calls:
                    call.cut("lease_lost")
            raise
        for request_id in lost:
            if request_id in self._engine.open_calls:
                self._engine.open_calls[request_id].cut("lease_lost")
        self._engine.limits.keep([call.slot for call in calls])

    async def _every(self, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        """Do the work until `stop`. Whatever fails is outlived: without renewals every call would be lost."""
        name = getattr(work, "__name__", "upkeep")
        while not self._stopping:
            try:
                await asyncio.sleep(seconds)
                await work()
            except asyncio.CancelledError:
                if self._stopping:
                    raise
                logger.error("%s was cancelled", name)  # by nobody who may end it
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                logger.warning("%s failed: %s", name, error)
            except Exception:  # the task boundary
                logger.exception("%s failed", name)

    async def _watch_streams(self) -> None:
        """
        Cut calls that take too long and streams that stand still; keep silent streams open.

        Time in which this process did not run, frozen or starved, is nobody's silence: what came meanwhile lies unread.
        """
        now = time.monotonic()
        missed = now - self._watched - TICK_SECONDS
        self._watched = now
        if missed > TICK_SECONDS:
            for call in self._engine.open_calls.values():
                call.forgive(missed)
        for call in list(self._engine.open_calls.values()):
            if now - call.started > settings.CALL_SECONDS:
                call.cut("deadline")
            if call.stream is None:
                continue
            if (
                call.sending_since
            ):  # then nobody reads from the provider, so it is not the one who is idle
                if now - call.sending_since > settings.SLOW_READER_SECONDS:
                    call.cut("slow_reader")
            elif call.last_read and now - call.last_read > _patience_seconds(call):
                call.cut("idle_upstream")
            elif now - (call.last_sent or call.started) > settings.KEEPALIVE_SECONDS:
                self._engine.behind(call.stream.ping())

    async def _publish_route_stats(self) -> None:
        await self._engine.route_stats.publish(self._engine.traffic.counts)

    async def _listen(self) -> None:
        """Follow the broadcasts; after a lost connection everything is read again."""
        while True:
            client = async_client(timeout_seconds=None)
            try:
                async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(KEY_CHANGED, CATALOG_CHANGED)
                    await self._engine.keys.refresh()
                    async for message in pubsub.listen():
                        await self._heard(message["channel"].decode(), message["data"].decode())
            except (redis.exceptions.RedisError, OSError, psycopg.OperationalError) as error:
                logger.warning("not listening to broadcasts: %s", error)
                await asyncio.sleep(RESUBSCRIBE_SECONDS)
            except Exception:  # the task boundary: a bad message must not end the listening
                logger.exception("a broadcast could not be followed")
                await asyncio.sleep(RESUBSCRIBE_SECONDS)
            finally:
                await client.aclose()

    async def _heard(self, channel: str, message: str) -> None:
        if channel == KEY_CHANGED:
            await self._engine.keys.refresh([bytes.fromhex(message)])
        else:
            await self._engine.refresh_catalog()


def _patience_seconds(call: OpenCall) -> float:
    """Return how long a stream's provider may be silent; some never end their stream after the last word."""
    if call.translator is not None and call.translator.is_complete:
        return float(settings.UPSTREAM_LAST_WORD_SECONDS)
    return float(settings.UPSTREAM_IDLE_SECONDS)


def progress(call: OpenCall) -> dict[str, object]:
    """
    Return how far a call has come, as `Budgets.renew` takes it.

    While there is no output nobody counts the prompt here; a cost left out is that of the input bound. A stream of
    Anthropic's that has begun has told its prompt, and then each further reading is seen as it comes.
    """
    usage = call.delivered_usage() if call.first_token_ms is not None else None
    used = usage or (call.delivered_usage() if call.prompt_is_told else None)
    row: dict[str, object] = {
        "request_id": call.request_id,
        "input_tokens": usage.input_tokens if usage else 0,
        "output_tokens": usage.output_tokens if usage else 0,
        "progress_nanousd": pricing.charge_nanousd(usage, price=call.price) if usage else 0,
        "sent": call.sent,
    }
    if call.attempts:
        attempts = row["attempts"] = attempt_rows(call.attempts)
        if used:
            cost = cost_nanousd(used, call.costs, time.time())
            row["provider_cost_nanousd"] = attempts[-1]["provider_cost_nanousd"] = cost
    return row
