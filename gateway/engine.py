"""
Everything a gateway process holds: doors to money, limits, keys and providers, the catalog, the open calls.

One Engine belongs to one event loop. `upkeep` keeps it alive: leases, sweep, pings, cuts and refreshes.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections

from apikeys.snapshots import KeyDirectory
from billing.bodies.stored_bodies import StoredBodies
from billing.budgets import Budgets
from billing.metering import Metering, Settled
from billing.refusals import Refusals
from billing.types import Settlement
from exerati.lib import ids
from exerati.lib.database import Connection
from gateway import vocabulary
from gateway.idempotency import IdempotentCalls
from gateway.open_call import OpenCall
from gateway.providers.authorize import Authorizer
from gateway.providers.base import ProviderError, Upstream, UpstreamRequest, UpstreamResponse
from gateway.providers.client import Client
from gateway.providers.sandbox import sandbox
from gateway.rate_limits.limits import Limits, processes_sharing
from gateway.routes import account_notices
from gateway.routes.route_stats import StatsPublisher
from gateway.routes.traffic import Traffic
from gateway.snapshot import SANDBOX, SIGNATURE_QUERY, Catalog, RouteSnapshot, load_catalog

RETRY_SETTLE_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Engine:
    """One gateway process."""

    catalog: Catalog

    def __init__(self) -> None:
        self.owner: UUID = ids.new_uuid()
        self.pepper: bytes = settings.KEY_PEPPER
        self.budgets = Budgets(self.owner, lease_seconds=settings.LEASE_SECONDS)
        self.metering = Metering(self.owner)
        self.refusals = Refusals()
        self.bodies = StoredBodies()
        self.idempotency = IdempotentCalls()
        self.limits = Limits(processes=processes_sharing())
        self.keys = KeyDirectory(self._key_inactive)
        self.client = Client(
            connect_seconds=settings.UPSTREAM_CONNECT_SECONDS,
            read_seconds=settings.UPSTREAM_FIRST_BYTE_SECONDS,
            max_whole_bytes=settings.UPSTREAM_MAX_WHOLE_BYTES,
            max_stream_bytes=settings.UPSTREAM_MAX_STREAM_BYTES,
        )
        self.authorizer = Authorizer(self.client.send)
        self.traffic = Traffic(processes=processes_sharing(), refused=self._account_refused)
        self.route_stats = StatsPublisher()
        self.open_calls: dict[UUID, OpenCall] = {}
        self._settle_wait_seconds: float = settings.SETTLE_WAIT_SECONDS
        self._background: set[asyncio.Task[Any]] = set()
        self._vocabulary: asyncio.Future[Any] | None = None
        self._catalog_connection = Connection("catalog")
        self._catalog_signature = ""
        self._catalog_lock = asyncio.Lock()

    async def start(self) -> None:
        """Read the catalog; raises psycopg.OperationalError when the database is away."""
        await self.refresh_catalog()

    async def close(self) -> None:
        """Finish what is under way behind, then disconnect from everything."""
        await self.metering.close()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.budgets.close()
        await self.refusals.close()
        await self.bodies.close()
        await self.idempotency.close()
        await self.route_stats.publish(self.traffic.counts)
        await self.route_stats.close()
        await self.limits.close()
        await self.keys.close()
        await self.authorizer.close()
        await self.client.close()
        await self._catalog_connection.close()

    async def refresh_catalog(self) -> None:
        """Read the catalog again if any row of it has changed; one after the other, so that an older one never wins."""
        async with self._catalog_lock:
            signature = await self._catalog_connection.fetch_value(SIGNATURE_QUERY)
            if signature != self._catalog_signature:
                self.catalog = await sync_to_async(_load_catalog, thread_sensitive=False)()
                self._catalog_signature = signature

    async def send(self, request: UpstreamRequest, upstream: Upstream) -> UpstreamResponse:
        """Send a request to a provider, or to the sandbox in this process. Raises ProviderError."""
        if upstream.api == SANDBOX:
            return await sandbox.respond(request, now=int(time.time()))
        return await self.client.send(await self.authorizer.authorized(request, upstream))

    def opened(self, call: OpenCall) -> None:
        """Take charge of a call that has been admitted."""
        self.open_calls[call.request_id] = call
        if self._vocabulary is None:
            # Half a second of work, to be over before the first call needs counting.
            loop = asyncio.get_running_loop()
            self._vocabulary = loop.run_in_executor(None, vocabulary.encoding, "o200k_base")

    async def settle(self, call: OpenCall, settlement: Settlement) -> None:
        """
        Settle and close the call. Waits a moment for the result, then lets it go on behind: the answer's
        last bytes should not wait for a slow database.
        """
        future = self.settle_behind(call, settlement)
        await _done_or_late(future, self._settle_wait_seconds)

    def settle_behind(self, call: OpenCall, settlement: Settlement) -> "asyncio.Future[Settled]":
        """Settle without waiting at all; return the future of the first try."""
        future = self.metering.submit(settlement)
        future.add_done_callback(partial(self._settled, call, settlement))
        return future

    def behind(self, work: Awaitable[Any]) -> "asyncio.Task[Any]":
        """Run something in a task that the engine waits for before it closes."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _settled(
        self, call: OpenCall, settlement: Settlement, future: "asyncio.Future[Settled]"
    ) -> None:
        """Close the call once it is settled; while the database is away it stays open, its lease renewed."""
        error = None if future.cancelled() else future.exception()
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            logger.warning("settling %s again: %s", call.public_id, error)
            self.behind(self._settle_later(call, settlement))
            return
        if error is not None:
            logger.error("%s could not be settled; the sweep will", call.public_id, exc_info=error)
        self.open_calls.pop(call.request_id, None)
        used = settlement.usage.input_tokens + settlement.usage.output_tokens
        self.limits.free(call.slot, unused_tokens=call.slot.tokens - used)

    async def _settle_later(self, call: OpenCall, settlement: Settlement) -> None:
        await asyncio.sleep(RETRY_SETTLE_SECONDS)
        self.settle_behind(call, settlement)

    def _account_refused(self, route: RouteSnapshot, error: ProviderError) -> None:
        """Tell staff, behind: the call that met with the refusal goes on elsewhere."""
        upstream = route.upstream
        logger.error(
            "our account %s at %s is refused (%s, status %s) and left alone for a while",
            upstream.account or "(own)",
            upstream.name,
            error.kind,
            error.status,
        )
        self.behind(account_notices.note(route, error))

    def _key_inactive(self, key_id: int) -> None:
        for call in list(self.open_calls.values()):
            if call.key.id == key_id:
                call.cut("key_inactive")


async def _done_or_late(future: "asyncio.Future[Any]", seconds: float) -> None:
    """Wait for the future, at most so long; `asyncio.wait` does the same at three times the cost."""
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = loop.call_later(seconds, wake)
    future.add_done_callback(wake)
    try:
        await waiter
    finally:
        timer.cancel()
        future.remove_done_callback(wake)


def _load_catalog() -> Catalog:
    close_old_connections()
    try:
        return load_catalog()
    finally:
        close_old_connections()
