"""What the ASGI handler hands to a view of /v1 besides Django's request."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec

from apikeys.snapshots import KeySnapshot
from gateway.engine import Engine
from gateway.open_call import OpenCall

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ErrorBody = Callable[..., dict[str, Any]]  # (ApiError, *, request_id) -> JSON object

CORS_HEADERS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"*"),
]
WATCH_AFTER_SECONDS = 0.1


class CallContext(msgspec.Struct, eq=False):
    """
    One HTTP request: its id (ours, minted here), raw headers and body, and the engine of this process.

    `response_headers` are added to whatever is answered, errors included. `key`, `endpoint` and `model` are known as
    far as the request has come; `admitted` says that the call has a reservation, and so an event of its own;
    `goes_on` that it is to be finished even for a client that has left. `seat` is who calls where that is a
    member's session: no request has one, only `gateway.console.session_call` gives it.
    """

    engine: Engine
    request_id: UUID
    headers: list[tuple[bytes, bytes]]
    by_name: dict[bytes, bytes]  # of a header given twice, the last
    body: bytes
    client_address: str
    receive: Receive
    send: Send
    client_request_id: str = ""
    public_id: str = ""
    path: str = ""
    key: KeySnapshot | None = None
    seat: KeySnapshot | None = None
    endpoint: str = ""
    model: str = ""
    admitted: bool = False
    goes_on: bool = False
    error_body: "ErrorBody | None" = (
        None  # of an endpoint whose errors have another envelope than OpenAI's
    )
    response_headers: list[tuple[bytes, bytes]] = msgspec.field(default_factory=list)
    answering: bool = False
    _watch: "asyncio.TimerHandle | asyncio.Task[None] | None" = None

    def add_header(self, name: str, value: str) -> None:
        """Add a header to the answer; both must be plain ASCII without line ends."""
        self.response_headers.append((name.encode("ascii"), value.encode("ascii")))

    def header(self, name: bytes) -> str:
        """Return a header of the request, "" when it has none; `name` in lower case."""
        return self.by_name.get(name, b"").decode("latin-1")

    def start_stream(self) -> Message:
        """Return the message that starts a streamed answer."""
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
            *self.common_headers(),
        ]
        return {"type": "http.response.start", "status": 200, "headers": headers}

    def common_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers of every answer, which begins with them: CORS, our request id, and what was added."""
        self.answering = True
        return [
            *CORS_HEADERS,
            (b"x-request-id", self.shown_id.encode()),
            *self.response_headers,
        ]

    @property
    def shown_id(self) -> str:
        """The request id as customers see it."""
        return f"req_{self.public_id}"

    def watch_client(self, call: OpenCall) -> None:
        """
        Tell the call when its client hangs up. Most calls are over before it is worth a task to look.
        """
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(WATCH_AFTER_SECONDS, self._start_watching, call)

    def stop_watching(self) -> None:
        """End the watch."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _start_watching(self, call: OpenCall) -> None:
        self._watch = asyncio.get_running_loop().create_task(self._until_disconnect(call))

    async def _until_disconnect(self, call: OpenCall) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            continue
        call.client_gone()
