"""
Moves the events of one stream from its provider to its client: the cost of a chunk is here.

What comes before the first output (a role, as a rule) is held back: until then another route may serve. What was said
before a fault is delivered before the fault is told, and a fault after the whole answer is none of the customer's.
"""

import asyncio
import logging
import time
from typing import Protocol

from gateway.dialects.base import StreamWriter
from gateway.money_stop import OutputWatch, StopReason
from gateway.open_call import OpenCall
from gateway.providers.base import (
    ProviderError,
    StreamDecoder,
    StreamTranslator,
    UpstreamResponse,
)
from gateway.providers.odd_answers import MALFORMED, unreadable
from gateway.sse import EventTooLarge

MAX_HELD = 1_000  # chunks without any output before the first output

logger = logging.getLogger(__name__)


class _Writes(Protocol):
    async def write(self, data: bytes) -> None: ...


class Pump:
    """One stream's; `run` is called once."""

    __slots__ = (
        "_call",
        "_decoder",
        "_fault",
        "_held",
        "_stream",
        "_translator",
        "_watch",
        "_writer",
    )

    def __init__(
        self,
        call: OpenCall,
        stream: _Writes,
        writer: StreamWriter,
        translator: StreamTranslator,
        decoder: StreamDecoder,
        watch: OutputWatch,
    ) -> None:
        self._call = call
        self._stream = stream
        self._writer = writer
        self._translator = translator
        self._decoder = decoder
        self._watch = watch
        self._held: list[bytes] = []
        self._fault: ProviderError | EventTooLarge | None = None

    async def run(self, response: UpstreamResponse) -> StopReason:
        """Return when the provider has said its last word, or why it may not go on. Raises ProviderError."""
        try:
            if reason := await self._move(response):
                return reason
            rest = self._feed_all(self._decoder.flush())
            if self._fault is not None:
                raise self._fault
        except (ProviderError, EventTooLarge, asyncio.CancelledError) as error:
            self._check_complete(error)
            rest = []
        rest += self._rest()
        if self._call.first_token_ms is None:
            rest = self._held + rest
            if self._translator.output_text:
                self._call.first_token_ms = self._call.elapsed_ms
        if rest:
            await self._stream.write(self._written(rest))
        return ""

    async def _move(self, response: UpstreamResponse) -> StopReason:
        call, translator, watch, feed = self._call, self._translator, self._watch, self._feed
        write, written = self._stream.write, self._written
        read_bytes = 0
        async for data in response.chunks():
            call.last_read = time.monotonic()
            out = feed(data)
            if call.first_token_ms is None:
                await self._hold(out)
            elif out:
                await write(written(out))
            if self._fault is not None:
                raise self._fault
            if translator.done:
                break
            read_bytes += len(data)
            if read_bytes > watch.check_at and (reason := await watch.must_stop(read_bytes)):
                return reason
        return ""

    def _feed(self, data: bytes) -> list[bytes]:
        try:
            events = self._decoder.feed(data)
        except (ProviderError, EventTooLarge) as error:
            self._fault = error
            return []
        return self._feed_all(events)

    def _feed_all(self, events: list[tuple[bytes, bytes]]) -> list[bytes]:
        """Return the chunks to send for the events, as far as they can be read."""
        out: list[bytes] = []
        feed = self._translator.feed
        try:
            for event, data in events:
                out += feed(event, data)
        except ProviderError as error:
            self._fault = error
        except MALFORMED as error:
            self._fault = unreadable(error)
        return out

    def _written(self, chunks: list[bytes]) -> bytes:
        """Return the chunks as the client reads them."""
        try:
            return self._writer.events(chunks)
        except MALFORMED as error:
            raise unreadable(error) from error

    def _rest(self) -> list[bytes]:
        """Return what is left to send when the provider has said its last word. Raises ProviderError."""
        try:
            return self._translator.finish()
        except MALFORMED as error:
            raise unreadable(error) from error

    async def _hold(self, out: list[bytes]) -> None:
        """Keep chunks until there is output, and no fault beside it."""
        self._held += out
        if self._fault is not None:
            return
        if self._translator.output_text:
            self._call.first_token_ms = self._call.elapsed_ms
            await self._stream.write(self._written(self._held))
        elif len(self._held) > MAX_HELD:
            raise ProviderError("bad_answer", "The provider says much and answers nothing.")

    def _check_complete(self, error: BaseException) -> None:
        """
        Return if the answer is whole in spite of what ended its stream, so that only usage or the end is missing;
        else raise what is to be told. A provider that falls silent before any output leaves the call to another route.
        """
        call, translator = self._call, self._translator
        has_output = call.first_token_ms is not None or bool(translator.output_text)
        is_complete = has_output and translator.is_complete
        if isinstance(error, asyncio.CancelledError):
            has_begun = call.first_token_ms is not None
            if call.cut_reason != "idle_upstream" or (has_begun and not is_complete):
                raise error
            call.take_back_cut()
            error = ProviderError("timeout", "The provider stopped answering.")
        elif isinstance(error, EventTooLarge):
            error = ProviderError("bad_answer", "The provider sent an event that is too large.")
        if not is_complete:
            raise error
        logger.info("upstream broke its stream after the whole answer: %s", error)
