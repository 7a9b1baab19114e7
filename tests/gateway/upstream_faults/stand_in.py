"""
A stand-in provider on bare sockets, which can do what no HTTP library would: break any rule at any byte.

It reads each request whole and then plays what was set for the model that was asked for. It remembers every
exchange, and whether its connection was ended by the other side, to compare with what the gateway says it sent.
"""

import asyncio
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote

from tests.upstream import START_SECONDS

_MODEL_IN_PATH = re.compile(rb"/models?/([^/:? ]+)")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
TLS_HANDSHAKE = 0x16
DELIVERED_SECONDS = 20.0


class Link:
    """The provider's end of one connection, while it answers one request."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        delivered: Callable[[], bool],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._delivered = delivered

    async def send(self, data: bytes) -> None:
        """Write bytes as they are; raises OSError when the other side is gone."""
        self._writer.write(data)
        await self._writer.drain()

    async def arrive(self) -> None:
        """Give what was written time to be read apart from what follows."""
        await asyncio.sleep(0.02)

    async def until_delivered(self) -> None:
        """Wait until the customer has read the beginning of the answer; who waits for long has found a fault."""
        until = time.monotonic() + DELIVERED_SECONDS
        while not self._delivered() and time.monotonic() < until:  # noqa: ASYNC110  another thread says so
            await asyncio.sleep(0.01)

    def reset(self) -> None:
        """End the connection with a reset."""
        found: socket.socket = self._writer.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def fin(self) -> None:
        """End the connection in order."""
        self._writer.close()

    async def until_left(self) -> bytes:
        """Say nothing until the other side ends the connection; return what it sent in the meantime."""
        read = b""
        with suppress(OSError):
            while data := await self._reader.read(65536):
                read += data
        return read


# Returns whether the answer was whole, so that the connection may carry another request.
Play = Callable[[Link], Awaitable[bool]]


@dataclass(slots=True)
class Exchange:
    """
    One request as the provider saw it. `whole`: the answer was; `used_again`: another request came on its connection
    although it was not; `over` when nothing more is to come of it: it was whole, or its connection has ended.
    """

    model: str
    head: bytes
    body: bytes
    whole: bool = False
    used_again: bool = False
    over: threading.Event = field(default_factory=threading.Event)


class StandIn:
    """The server; `with StandIn() as provider` runs it on a free port of the loopback."""

    def __init__(self) -> None:
        self.port = 0
        self.plays: dict[str, Play] = {}
        self.exchanges: list[Exchange] = []
        self.delivered: set[str] = set()  # models of which the customer has read output
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = threading.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> "StandIn":
        self._thread.start()
        if not self._started.wait(START_SECONDS):
            raise TimeoutError("the stand-in provider did not start")
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(START_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)
        self._loop.close()

    def of(self, model: str) -> list[Exchange]:
        """Return the exchanges for a model, in order."""
        return [exchange for exchange in self.exchanges if exchange.model == model]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._started.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        while self._writers:  # noqa: ASYNC110  each ends by itself, at once
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # the gateway has left, as it may at any time
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection may carry another one."""
        first = await reader.readexactly(1)
        if first[0] == TLS_HANDSHAKE:  # who wants TLS gets what a plain server says to that
            writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            return False
        head = first + await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        exchange = Exchange(_model(head, body), head, body)
        self.exchanges.append(exchange)
        link = Link(reader, writer, lambda: exchange.model in self.delivered)
        try:
            exchange.whole = await self.plays[exchange.model](link)
            if not exchange.whole:
                exchange.used_again = bool(await link.until_left())
        finally:
            exchange.over.set()
        return exchange.whole


def _model(head: bytes, body: bytes) -> str:
    if found := _MODEL_IN_PATH.search(head.partition(b"\r\n")[0]):
        return unquote(found[1].decode())
    return str(json.loads(body)["model"])
