"""
What the endpoints have in common that read the database: a thread of their own, and never many at once.

They cost nothing and reserve nothing. They count against the key's requests a minute, apart from its calls: asking
for one's status must neither use up calls nor be refused because calls did.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from apikeys.snapshots import KeySnapshot
from gateway.admission import DEFAULT_RPM
from gateway.async_view import AsyncAPIView
from gateway.context import CallContext
from gateway.rate_limits.limit_types import TakeSlot

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# Each uses a thread and a connection; the catalog's refresh needs some too.
_READERS: Final = asyncio.Semaphore(4)
_UNLIMITED: Final = 1_000_000


class ReadingView(AsyncAPIView):
    """An endpoint that reads rows."""

    async def read(
        self,
        context: CallContext,
        function: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Return the function's result, run in a thread; raises RateLimited, and what the function raises."""
        async with counted_apart(context, self.key), _READERS:
            run = sync_to_async(_with_fresh_connection, thread_sensitive=False)
            result: Result = await run(function, *args, **kwargs)
            return result


@asynccontextmanager
async def counted_apart(context: CallContext, key: KeySnapshot) -> AsyncIterator[None]:
    """Count a request that costs nothing against the key's requests a minute; raises RateLimited."""
    slot = TakeSlot(
        organization_id=key.organization_id,
        key_id=-key.id,  # counters of its own, beside those of the key's calls
        request=context.public_id,
        requests_per_minute=key.requests_per_minute or DEFAULT_RPM,
        tokens=0,
        tokens_per_minute=_UNLIMITED,
        concurrency=_UNLIMITED,
    )
    await context.engine.limits.take(slot)
    try:
        yield
    finally:
        context.engine.limits.free(slot, unused_tokens=0)


def _with_fresh_connection(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    close_old_connections()
    try:
        return function(*args, **kwargs)
    finally:
        close_old_connections()
