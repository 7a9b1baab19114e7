"""
One request from reservation to settlement: READ THIS FIRST.

`gateway.admission.admit` lets the call in; `answer_whole` here and `gateway.streaming.relay` then try its
routes in order and settle once. The ASGI task of the request is the supervised task of the design: a client
that leaves only sets a flag, nothing but `OpenCall.cut` and the end of the process cancels it, and what a
killed process leaves behind is settled by lease and sweep.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from django.conf import settings

from billing.types import AttemptRecord, Settlement
from gateway.engine import Engine
from gateway.errors import from_exception
from gateway.open_call import CallCut, OpenCall
from gateway.providers.base import (
    Adapter,
    ProviderError,
    ServeAs,
    UpstreamRequest,
    UpstreamResponse,
    WholeAnswer,
)
from gateway.providers.registry import adapter as adapter_for
from gateway.routing import routes_for
from gateway.settlement import settlement
from gateway.snapshot import RouteSnapshot
from gateway.tokens import count_text

CLIENT_CLOSED_REQUEST = 499
MAX_TRIES: int = 1 + settings.UPSTREAM_RETRIES

Result = TypeVar("Result")
BuildRequest = Callable[[Adapter, RouteSnapshot], UpstreamRequest]
ReadAnswer = Callable[[Adapter, bytes], WholeAnswer]
Consume = Callable[[Adapter, RouteSnapshot, UpstreamResponse], Awaitable[Result]]


async def answer_whole(
    engine: Engine, call: OpenCall, *, build: BuildRequest, read: ReadAnswer
) -> tuple[WholeAnswer, int]:
    """
    Return the first good answer of the call's routes and its cost in nano-USD, settled.

    Raises ProviderError when every route failed, CallCut when the call was stopped; both are settled too.
    """

    async def consume(
        adapter: Adapter, route: RouteSnapshot, response: UpstreamResponse
    ) -> WholeAnswer:
        data = await response.read()
        if response.status >= 400:
            raise adapter.error(response.status, response.headers, data)
        return read(adapter, data)

    async with settled_on_failure(engine, call):
        answer = await first_good(engine, call, build=build, consume=consume)
        if answer.usage is None:
            call.output_tokens = count_text(answer.output_text, model=call.model.name)
        result = settlement(
            call,
            reported=answer.usage,
            outcome="finished" if answer.has_output else "empty",
            status=200,
            has_output=answer.has_output,
            finish_reason=answer.finish_reason,
            upstream_id=answer.upstream_id,
            now=time.time(),
        )
    await engine.settle(call, result)
    return answer, shown_cost(call, result)


async def first_good(
    engine: Engine, call: OpenCall, *, build: BuildRequest, consume: Consume[Result]
) -> Result:
    """
    Return what `consume` makes of the first route that works.

    After an error the next route is tried if it may help and nothing was delivered yet. When the routes are
    used up, the same ones are tried again only for requests that never reached their provider.
    """
    candidates = routes_for(call.model, key=call.key, catalog=engine.catalog)
    tries = (candidates * MAX_TRIES)[:MAX_TRIES]
    for number, route in enumerate(tries, start=1):
        try:
            return await _try(engine, call, route, build=build, consume=consume)
        except ProviderError as error:
            may_help = error.retryable and call.first_token_ms is None and number < len(tries)
            if not may_help or (number >= len(candidates) and error.sent):
                raise
    raise AssertionError("routes_for returns at least one route")


async def _try(
    engine: Engine,
    call: OpenCall,
    route: RouteSnapshot,
    *,
    build: BuildRequest,
    consume: Consume[Result],
) -> Result:
    """Send one request and use its answer; whatever happens is recorded as an attempt."""
    adapter = adapter_for(route.upstream.api)
    request = build(adapter, route)
    started = time.monotonic()
    record = AttemptRecord(
        number=len(call.attempts) + 1,
        provider=route.upstream.name,
        upstream_model=route.upstream_model,
        started_at=datetime.now(UTC),
    )
    response: UpstreamResponse | None = None
    call.sent = True
    call.costs = route.costs
    try:
        response = await engine.send(request, route.upstream)
        record.status, record.first_byte_ms = response.status, _since(started)
        return await consume(adapter, route, response)
    except ProviderError as error:
        record.error_code, record.status = error.kind, error.status or record.status
        raise
    finally:
        record.duration_ms = _since(started)
        call.attempts.append(record)
        if response is not None:
            await response.close()


class settled_on_failure:
    """
    Let `call.cut` stop what happens inside, and settle the call if it ends without an answer.

    A cut becomes CallCut; a cancellation from outside (the process is being stopped) goes through, with the
    settlement left to run behind it. A class, since every call passes here and a generator costs more.
    """

    __slots__ = ("_call", "_engine", "_task")

    def __init__(self, engine: Engine, call: OpenCall) -> None:
        self._engine, self._call = engine, call

    async def __aenter__(self) -> None:
        self._call.cuttable = self._task = asyncio.current_task()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: object
    ) -> None:
        call, engine = self._call, self._engine
        call.cuttable = None
        if error is None:
            return
        if isinstance(error, asyncio.CancelledError):
            if not call.cut_reason or self._task is None:
                engine.settle_behind(call, failed(call, 503, "shutdown"))
                return
            self._task.uncancel()
            await engine.settle(call, failed(call, CLIENT_CLOSED_REQUEST, call.cut_reason))
            raise CallCut(call.cut_reason) from None
        if isinstance(error, ProviderError):
            await engine.settle(call, failed(call, from_exception(error).status, error.kind))
        else:
            await engine.settle(call, failed(call, 500, "internal_error"))


def failed(call: OpenCall, status: int, error_code: str) -> Settlement:
    """
    Return the settlement of a call that ended without its whole answer.

    `status` is what the client was told. What was delivered is charged; when nothing was, only a client that
    hung up pays, for the input that the provider had begun to work on.
    """
    left = error_code == "client_left"
    return settlement(
        call,
        reported=None,
        outcome="client_left" if left else "failed",
        status=status,
        has_output=left or call.first_token_ms is not None,
        error_code=error_code,
        now=time.time(),
    )


def shown_cost(call: OpenCall, result: Settlement) -> int:
    """Return the cost to show in nano-USD: the charge, or for a test key what a live one would have paid."""
    return result.price_nanousd if call.key.mode == "test" else result.charge_nanousd


def serve_as(call: OpenCall, *, prefix: str, include_usage: bool = False) -> ServeAs:
    """Return what the customer must see in an answer: our id behind a prefix, and the model asked for."""
    return ServeAs(
        id=prefix + call.public_id,
        model=call.model.name,
        created=int(time.time()),
        include_usage=include_usage,
    )


def _since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
