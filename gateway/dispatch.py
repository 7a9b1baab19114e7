"""
One request from reservation to settlement: READ THIS FIRST.

`gateway.admission.admit` lets the call in; `answer_whole` here and `gateway.streaming.relay` then have its routes
tried in order (`gateway.attempts`) and settle once. The ASGI task of the request is the supervised task of the
design: a client that leaves only sets a flag, nothing but `OpenCall.cut` and the end of the process cancels it, and
what a killed process leaves behind is settled by lease and sweep.
"""

import asyncio
import math
import time
from collections.abc import Callable

from msgspec.structs import replace

from billing.types import Settlement
from gateway import error_words
from gateway.attempts import (
    BuildRequest as BuildRequest,
)  # endpoints find all they need of a call here
from gateway.attempts import first_good
from gateway.engine import Engine
from gateway.errors import from_exception
from gateway.open_call import CallCut, OpenCall
from gateway.providers.base import (
    Adapter,
    ProviderError,
    ServeAs,
    UpstreamResponse,
    WholeAnswer,
)
from gateway.providers.odd_answers import MALFORMED, unreadable
from gateway.settlement import settlement
from gateway.snapshot import RouteSnapshot
from gateway.tokens import count_text

CLIENT_CLOSED_REQUEST = 499

ReadAnswer = Callable[[Adapter, bytes], WholeAnswer]


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
        try:
            return read(adapter, data)
        except MALFORMED as error:
            raise unreadable(error) from error

    async with settled_on_failure(engine, call):
        answer = await first_good(engine, call, build=build, consume=consume)
        if answer.usage is None:
            call.output_tokens = count_text(answer.output_text, model=call.model.name)
            call.audio_characters = answer.audio_characters
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


class settled_on_failure:
    """
    Let `call.cut` stop what happens inside, and settle the call if it ends without an answer.

    A cut becomes CallCut; a cancellation from outside (the process is being stopped) goes through, with the
    settlement left to run behind it. A class, since every call passes here and a generator costs more.
    """

    __slots__ = ("_call", "_engine", "_task", "_timer")

    def __init__(self, engine: Engine, call: OpenCall) -> None:
        self._engine, self._call = engine, call
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        call = self._call
        call.cuttable = self._task = asyncio.current_task()
        if call.deadline < math.inf:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(call.deadline - time.monotonic(), call.cut, "deadline")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: object
    ) -> None:
        call, engine = self._call, self._engine
        call.cuttable = None
        if self._timer is not None:
            self._timer.cancel()
        if error is None:
            return
        if isinstance(error, asyncio.CancelledError):
            if not call.cut_reason or self._task is None:
                engine.settle_behind(call, failed(call, 503, "shutdown"))
                return
            self._task.uncancel()
            status = 504 if call.cut_reason == "deadline" else CLIENT_CLOSED_REQUEST
            await engine.settle(call, failed(call, status, call.cut_reason))
            raise CallCut(call.cut_reason) from None
        if isinstance(error, ProviderError):
            told = from_exception(error)
            await engine.settle(call, failed(call, told.status, told.code))
        else:
            await engine.settle(call, failed(call, 500, "internal_error"))


def failed(call: OpenCall, status: int, reason: str) -> Settlement:
    """
    Return the settlement of a call that ended without its whole answer.

    `status` is what the client was told; `reason` why the call was cut, or the code of the answer, which is what the
    request log shows. What was delivered is charged; when nothing was, only a client that
    hung up, or whose own deadline passed, pays, for the input that the provider had begun to work on.
    """
    left = reason == "client_left"
    stopped = left or (reason == "deadline" and call.deadline_is_theirs)
    return settlement(
        call,
        reported=None,
        outcome="client_left" if left else "failed",
        status=status,
        has_output=stopped or call.first_token_ms is not None,
        error_code=error_words.code_of_cut(reason),
        now=time.time(),
    )


def shown_cost(call: OpenCall, result: Settlement) -> int:
    """Return the cost to show in nano-USD: the charge, or for a test key what a live one would have paid."""
    return result.price_nanousd if call.key.mode == "test" else result.charge_nanousd


def serve_as(
    call: OpenCall, *, prefix: str, include_usage: bool = False, native: bool = False
) -> ServeAs:
    """Return what the customer must see in an answer: our id behind a prefix, and the model asked for."""
    return ServeAs(
        id=prefix + call.public_id,
        model=call.model.name,
        created=int(time.time()),
        include_usage=include_usage,
        native=native,
    )


def as_served(shown: ServeAs, call: OpenCall) -> ServeAs:
    """Return the same for the model that serves now, which may be a fallback."""
    return shown if shown.model == call.model.name else replace(shown, model=call.model.name)
