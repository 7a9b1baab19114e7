"""
Asks the provider how many tokens a prompt has, where its API counts: Anthropic's, and Claude's on Vertex AI.

That is free there, so that nothing is reserved. A place is taken as for a call (breaker, bulkhead, account), but what
comes of it says little of how calls fare: the provider limits counts apart from calls, and not every server that
speaks the API counts. Only a connection that fails is held against the route.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any, Final

from apikeys.snapshots import KeySnapshot
from gateway.engine import Engine
from gateway.providers.anthropic import anthropic_native
from gateway.providers.anthropic.anthropic import AnthropicAdapter
from gateway.providers.anthropic.anthropic_native import Native
from gateway.providers.base import ErrorKind, ProviderError, UpstreamRequest
from gateway.providers.registry import adapter as adapter_for
from gateway.routes.traffic import THE_REQUEST, Seat
from gateway.snapshot import RouteSnapshot

_OF_THE_ROUTE: Final[frozenset[ErrorKind]] = frozenset({"connection", "timeout"})

logger = logging.getLogger(__name__)


async def ask(
    engine: Engine,
    *,
    key: KeySnapshot,
    routes: Iterable[RouteSnapshot],
    native: Native,
    seconds: float,
) -> dict[str, Any] | None:
    """
    Return the provider's own answer, None where none that counts could be asked or answered within so many seconds.

    The first one that can be asked is; raises ProviderError where it refuses the request itself.
    """
    try:
        async with asyncio.timeout(seconds):
            for route in routes:
                if not anthropic_native.can_say(native, route.upstream.api):
                    continue
                try:
                    return await _ask(engine, route, key=key, native=native)
                except ProviderError as error:
                    if error.kind in THE_REQUEST and error.sent:
                        raise
                    logger.info("%s did not count: %s", route.upstream.name, error.kind)
                    if error.sent:
                        return None
    except TimeoutError:
        logger.info("no count within %s s", seconds)
    return None


async def _ask(
    engine: Engine, route: RouteSnapshot, *, key: KeySnapshot, native: Native
) -> dict[str, Any]:
    adapter = adapter_for(route.upstream.api)
    assert isinstance(adapter, AnthropicAdapter)  # noqa: S101  `can_say` names no others
    seat = engine.traffic.take(
        route, organization_id=key.organization_id, failed=(), now=time.monotonic()
    )
    try:
        upstream = seat.route.upstream
        request = adapter.count_request(
            upstream, upstream_model=route.upstream_model, native=native
        )
        answer = await _answer(engine, seat, request, adapter)
    except ProviderError as error:
        if error.kind in _OF_THE_ROUTE:
            engine.traffic.failed(seat, error, now=time.monotonic())
        else:
            engine.traffic.left(seat)
        raise
    except BaseException:
        engine.traffic.left(seat)
        raise
    engine.traffic.left(seat)
    return answer


async def _answer(
    engine: Engine, seat: Seat, request: UpstreamRequest, adapter: AnthropicAdapter
) -> dict[str, Any]:
    response = await engine.send(request, seat.route.upstream)
    try:
        data = await response.read()
        if response.status >= 400:
            raise adapter.error(response.status, response.headers, data)
        return adapter.counted(data)
    finally:
        await response.close()
