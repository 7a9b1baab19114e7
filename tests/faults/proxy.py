"""
A TCP proxy between the product and PostgreSQL that can cut, delay and lose what passes.

It reads PostgreSQL's message framing (one type byte, four bytes of length; protocol 3.0, "Message Formats" in
PostgreSQL's documentation), so that an answer can be lost exactly while the server commits: the statement has been
handed over, the connection dies before the client hears what became of it.
"""

import asyncio
import re
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104
FUNCTION = re.compile(rb"\bbilling_\w+")
READY_FOR_QUERY = ord("Z")
PARSE, BIND, QUERY, SYNC = ord("P"), ord("B"), ord("Q"), ord("S")


@dataclass(eq=False, slots=True)
class _Link:
    """One connection: both ends, the functions of its prepared statements, and what is being lost on it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    statements: dict[bytes, str] = field(default_factory=dict)
    losing_answer: bool = False
    losing_request: bool = False

    def abort(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()


class DatabaseProxy:
    """`await start(port)`, then clients connect to `port` of this object."""

    def __init__(self) -> None:
        self.port = 0
        self.lost: Counter[str] = Counter()
        self._upstream_port = 0
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._armed: dict[str, str] = {}
        self._open = asyncio.Event()
        self._open.set()

    async def start(self, upstream_port: int) -> None:
        """Listen on a free port of the loopback, for a server on another."""
        self._upstream_port = upstream_port
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more, cut everything, and return when that is done."""
        if self._server is not None:
            self._server.close()
        self.calm()
        self.cut()
        while self._links:  # noqa: ASYNC110  each ends by itself, at once
            await asyncio.sleep(0.01)

    def point_to(self, upstream_port: int) -> None:
        """New connections go there from now on."""
        self._upstream_port = upstream_port

    def cut(self) -> int:
        """Break every connection at once; return how many there were."""
        links = list(self._links)
        for link in links:
            link.abort()
        return len(links)

    def lose(self, what: str, *, function: str) -> None:
        """
        Lose the next call of an SQL function: its `answer` (it is committed, and its caller cannot know) or the
        `request` (it never arrives). The connection breaks either way.
        """
        self._armed[function] = what

    def armed(self, function: str) -> bool:
        """Return whether the next call of the function is still to come."""
        return function in self._armed

    def hold(self) -> None:
        """Let nothing pass until `calm`."""
        self._open.clear()

    def calm(self) -> None:
        """Let everything pass again."""
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            startup = await _startup(reader, writer)
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # Cancelled only as the loop ends, where a stream's task may not complain.
            writer.transport.abort()
            return
        to_server.write(startup)
        link = _Link(client=writer, server=to_server)
        self._links.add(link)
        await asyncio.gather(self._requests(link, reader), self._answers(link, from_server))
        self._links.discard(link)

    async def _requests(self, link: _Link, reader: asyncio.StreamReader) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                kind, message = await _message(reader)
                await self._open.wait()
                self._look(link, kind, message)
                if not link.losing_request:
                    link.server.write(message)
                    await link.server.drain()
                elif kind in (SYNC, QUERY):
                    break
        link.abort()

    async def _answers(self, link: _Link, reader: asyncio.StreamReader) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                kind, message = await _message(reader)
                await self._open.wait()
                if not link.losing_answer:
                    link.client.write(message)
                    await link.client.drain()
                elif kind == READY_FOR_QUERY:  # the transaction has ended
                    break
        link.abort()

    def _look(self, link: _Link, kind: int, message: bytes) -> None:
        """Remember which function a prepared statement calls, and begin to lose what is armed."""
        if kind == PARSE:
            name, _, rest = message[5:].partition(b"\0")
            found = FUNCTION.search(rest)
            link.statements[name] = found.group().decode() if found else ""
            return
        if kind == BIND:
            statement = message[5:].split(b"\0", 2)[1]
            function = link.statements.get(statement, "")
        elif kind == QUERY and (found := FUNCTION.search(message)):
            function = found.group().decode()
        else:
            return
        what = self._armed.pop(function, "")
        if what:
            self.lost[f"{what} of {function}"] += 1
            link.losing_answer = what == "answer"
            link.losing_request = what == "request"


async def _startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return the first message proper; encryption is declined, as the servers here do."""
    while True:
        head = await reader.readexactly(8)
        length, code = struct.unpack("!II", head)
        if code not in (SSL_REQUEST, GSS_REQUEST):
            return head + await reader.readexactly(length - 8)
        writer.write(b"N")


async def _message(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readexactly(5)
    return head[0], head + await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
