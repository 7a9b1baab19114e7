"""
Relays one streamed answer: provider's bytes in, the client's events out, usage held back until the end.

The response starts only with the first event, so that everything before it can still become an HTTP error or
another route. The settlement is waited for before the last bytes, which carry usage and cost.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from billing.types import Outcome, Settlement, TokenUsage
from gateway.attempts import BuildRequest, first_good
from gateway.dialects.base import StreamWriter
from gateway.dispatch import as_served, settled_on_failure, shown_cost
from gateway.engine import Engine
from gateway.errors import ApiError, from_exception
from gateway.money_stop import OutputWatch, end_cleanly
from gateway.open_call import OpenCall
from gateway.providers.base import (
    Adapter,
    ServeAs,
    StreamDecoder,
    StreamTranslator,
    UpstreamResponse,
)
from gateway.pump import Pump
from gateway.settlement import settlement
from gateway.snapshot import RouteSnapshot
from gateway.sse import PING

Send = Callable[[dict[str, Any]], Awaitable[None]]


def _chat_translator(
    adapter: Adapter, route: RouteSnapshot, response: UpstreamResponse, *, serve_as: ServeAs
) -> StreamTranslator:
    return adapter.chat_stream(serve_as=serve_as)


@dataclass(frozen=True, slots=True)
class StreamReader:
    """
    How the provider's side of a stream is read; by default as the events of a chat, cut by its translator's decoder.
    """

    translator: Callable[..., StreamTranslator] = _chat_translator
    decoder: Callable[[UpstreamResponse], StreamDecoder] | None = None


CHAT_READER = StreamReader()


class LateWriter:
    """
    A StreamWriter that is made when it is first needed: which model serves, and so what the answer says of it, is
    known only then.
    """

    def __init__(self, make: Callable[[], StreamWriter]) -> None:
        self._make = make
        self._writer: StreamWriter | None = None

    @property
    def _made(self) -> StreamWriter:
        if self._writer is None:
            self._writer = self._make()
        return self._writer

    def events(self, chunks: list[bytes]) -> bytes:
        """See StreamWriter."""
        return self._made.events(chunks)

    def end(self, usage: TokenUsage | None, *, extra: dict[str, Any], cost_nanousd: int) -> bytes:
        """See StreamWriter."""
        return self._made.end(usage, extra=extra, cost_nanousd=cost_nanousd)

    def error(self, error: ApiError, *, request_id: str) -> bytes:
        """See StreamWriter."""
        return self._made.error(error, request_id=request_id)


class EventStream:
    """
    The client's side of one stream. `start` is called once, before the first bytes.

    Bytes may be sent from two tasks (the relay and the keep-alive): each send is whole events, so they may
    come between each other but never inside.
    """

    def __init__(self, send: Send, start: Callable[[], dict[str, Any]], call: OpenCall) -> None:
        self._send = send
        self._start = start
        self._call = call
        self.started = False
        self._ended = False

    async def write(self, data: bytes) -> None:
        """Send events to the client; waits while its connection is full."""
        call = self._call
        if not self.started:
            self.started = True
            await self._send(self._start())
        call.sending_since = time.monotonic()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        call.sending_since = 0.0
        call.last_sent = time.monotonic()

    async def ping(self) -> None:
        """
        Keep a silent connection open, also while the provider has not said anything: proxies cut what is silent
        for long, so an error may then come as an event instead of a status.
        """
        if not self._ended and not self._call.sending_since:
            await self.write(PING)

    async def end(self, data: bytes) -> None:
        """Send the last bytes; the call may stay open for longer, until it is settled."""
        self._ended = True
        if not self.started:
            self.started = True
            await self._send(self._start())
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def fail(self, data: bytes) -> None:
        """Tell of an error by the last bytes."""
        await self.end(data)


async def relay(
    engine: Engine,
    call: OpenCall,
    *,
    stream: EventStream,
    build: BuildRequest,
    serve_as: ServeAs,
    writer: StreamWriter,
    reader: StreamReader = CHAT_READER,
    before_end: Callable[[], bytes] = bytes,
) -> None:
    """
    Answer the call as a stream, settled.

    Raises what `answer_whole` raises as long as nothing was sent; after that an error becomes the stream's
    last event, and what was delivered is charged. `before_end` returns events to send before the last ones.
    """
    call.stream = stream
    try:
        try:
            result = await _relay_routes(
                engine,
                call,
                stream=stream,
                build=build,
                serve_as=serve_as,
                writer=writer,
                reader=reader,
            )
        except Exception as error:
            # The settlement is done; only the client is still to be told.
            if not stream.started:
                raise
            await _end_with_error(stream, call, from_exception(error), writer)
            return
        translator = call.translator
        assert translator is not None  # noqa: S101  first_good has returned, so a stream was read
        await engine.settle(call, result)
        await stream.end(
            before_end()
            + writer.end(
                translator.usage or result.usage,
                extra=translator.usage_extra,
                cost_nanousd=shown_cost(call, result),
            )
        )
    finally:
        # The two know each other: left so, all that belongs to a stream would stay until the collector comes round.
        call.stream = None


async def _relay_routes(
    engine: Engine,
    call: OpenCall,
    *,
    stream: EventStream,
    build: BuildRequest,
    serve_as: ServeAs,
    writer: StreamWriter,
    reader: StreamReader,
) -> Settlement:
    async def consume(
        adapter: Adapter, route: RouteSnapshot, response: UpstreamResponse
    ) -> StreamTranslator:
        if response.status >= 400:
            raise adapter.error(response.status, response.headers, await response.read())
        translator = reader.translator(adapter, route, response, serve_as=as_served(serve_as, call))
        call.translator = translator
        call.last_read = 0.0  # of the route before, if there was one
        decoder = reader.decoder(response) if reader.decoder else adapter.stream_decoder()
        pump = Pump(call, stream, writer, translator, decoder, OutputWatch(engine, call))
        if reason := await pump.run(response):
            last = end_cleanly(translator, as_served(serve_as, call), reason)
            await stream.write(writer.events([last]))
        return translator

    async with settled_on_failure(engine, call):
        return _finished(call, await first_good(engine, call, build=build, consume=consume))


def _finished(call: OpenCall, translator: StreamTranslator) -> Settlement:
    has_output = call.first_token_ms is not None
    outcome: Outcome = "client_left" if call.client_left and not call.drains else "finished"
    return settlement(
        call,
        reported=translator.usage,
        outcome=outcome if has_output else "empty",
        status=200,
        has_output=has_output,
        finish_reason=translator.finish_reason,
        upstream_id=translator.upstream_id,
        now=time.time(),
    )


async def _end_with_error(
    stream: EventStream, call: OpenCall, error: ApiError, writer: StreamWriter
) -> None:
    if call.client_left:
        return
    try:
        async with asyncio.timeout(1):
            await stream.fail(writer.error(error, request_id=f"req_{call.public_id}"))
    except TimeoutError:
        return  # a reader that stopped reading cannot be told
