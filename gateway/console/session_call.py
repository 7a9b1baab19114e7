"""
A call of /v1 that a member's session makes: the playground's way into the gateway.

The call goes through the gateway's own handler, so the URL table, scopes, limits, reservation, metering, errors and
the record of refusals are those of every other call. Only who calls is given as a seat instead of read from a key.
It runs in a task of the engine: a page that is left ends the answer, not the settlement.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from apikeys.snapshots import KeySnapshot
from gateway.asgi import Gateway
from gateway.context import Message

QUEUED_MESSAGES = 16  # of a reader that is slower than the provider; then the provider has to wait
HIDDEN_HEADERS = (b"access-control-", b"content-length", b"cache-control")
SCOPE_KEY = "exerati.gateway"


class NoGateway(Exception):
    """This process does not serve /v1, so nothing can be called from its pages."""


class SeatClosed(Exception):
    """The member may call no more, or the organization is suspended; `reason` is as for a key."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def seat_snapshot(gateway: Gateway, digest: bytes, *, now: float) -> KeySnapshot:
    """Return what the gateway knows of a seat, as of this moment; raises SeatClosed."""
    engine = await gateway.ready()
    await engine.keys.refresh([digest])
    seat = await engine.keys.find(digest)
    reason = seat.inactive_reason(now) if seat is not None else "unknown"
    if seat is None or reason:
        raise SeatClosed(reason)
    return seat


class SessionCall:
    """One call and its answer: `start` it, then read the `body`; `leave` is what a closed page does."""

    def __init__(self, gateway: Gateway, seat: KeySnapshot, *, path: str, body: bytes) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self._gateway, self._seat, self._path, self._body = gateway, seat, path, body
        self._messages: asyncio.Queue[Message] = asyncio.Queue(QUEUED_MESSAGES)
        self._left = asyncio.Event()
        self._asked = False

    async def start(self, *, headers: dict[str, str]) -> None:
        """Begin, and wait for the status and headers of the answer."""
        engine = await self._gateway.ready()
        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": self._path,
            "query_string": b"",
            "headers": [
                (name.encode(), value.encode("latin-1")) for name, value in headers.items()
            ],
        }
        engine.behind(self._gateway(scope, self._receive, self._send, seat=self._seat))
        try:
            first = await self._messages.get()
        except asyncio.CancelledError:
            self.leave()
            raise
        self.status = first["status"]
        self.headers = [
            (name.decode(), value.decode("latin-1"))
            for name, value in first["headers"]
            if not name.startswith(HIDDEN_HEADERS)
        ]

    @property
    def is_stream(self) -> bool:
        """Say whether the answer comes in parts."""
        return ("content-type", "text/event-stream; charset=utf-8") in self.headers

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the parts of the answer as they come."""
        try:
            while True:
                message = await self._messages.get()
                if message.get("body"):
                    yield message["body"]
                if not message.get("more_body", False):
                    return
        finally:
            self.leave()

    async def whole(self) -> bytes:
        """Return the whole answer."""
        return b"".join([part async for part in self.body()])

    def leave(self) -> None:
        """Tell the call that nobody reads any more; harmless after its end."""
        self._left.set()
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                self._messages.get_nowait()  # wakes a send that waits for room

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if not self._left.is_set():
            await self._messages.put(message)
