"""
uvicorn's HTTP protocol with deadlines: for headers, for the rest of a body that is answered already, and for readers.

uvicorn waits for ever for a client that sends its headers slowly or never, keeps whatever size they have, and keeps an
answer for a client that does not read it: a few thousand such connections cost an attacker nothing. Bodies have their
deadline in `gateway.asgi`; but an answer that comes before its request's body is whole (to a wrong key, to a body that
came too slowly) would leave a connection that each further byte keeps open. What is refused here is refused in the
envelope of `/v1`, since there is no path yet.
"""

import asyncio
import json
import socket
from typing import NamedTuple

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from exerati.lib import ids

MAX_HEADER_BYTES = 64 * 1024
# What the kernel takes in advance for a client; left to itself it takes megabytes for one that stopped reading.
MAX_UNSENT_BYTES = 128 * 1024
# The application ends a stream that is not read after SLOW_READER_SECONDS, and knows why; this is the net below it.
GRACE_SECONDS = 5


class Refusal(NamedTuple):
    """What is answered in the place of any application."""

    status: str
    code: str
    message: str

    def answer(self) -> bytes:
        """Return the whole answer, with a request id of its own."""
        request_id = f"req_{ids.encode(ids.new_uuid())}"
        error = {
            "message": self.message,
            "type": "invalid_request_error",
            "param": None,
            "code": self.code,
            "docs_url": f"{settings.SITE_URL}/docs/errors#{self.code}",
            "request_id": request_id,
        }
        body = json.dumps({"error": error}).encode()
        head = (
            f"HTTP/1.1 {self.status}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\n"
            "cache-control: no-store\r\nconnection: close\r\n\r\n"
        )
        return head.encode() + body


TOO_SLOW = Refusal(
    "408 Request Timeout", "request_timeout", "The request's headers did not arrive in time."
)
TOO_LARGE = Refusal(
    "431 Request Header Fields Too Large", "headers_too_large", "The headers are too large."
)
NO_HTTP = Refusal("400 Bad Request", "invalid_http", "This is no valid HTTP request.")


class DeadlineProtocol(HttpToolsProtocol):
    """Closes a connection whose request's headers are not complete in time, or too large."""

    _deadline: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _rest: asyncio.TimerHandle | None = None
    _in_body = False
    _in_headers = False
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """Expect the first request at once."""
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_BYTES
        )
        self._start_deadline()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; headers that came in one piece, as nearly all do, need no timer."""
        super().data_received(data)
        if not self._in_headers:
            return
        self._header_bytes += len(data)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(TOO_LARGE)
        elif self._deadline is None:
            self._start_deadline()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_headers, self._header_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Its headers are here."""
        self._in_headers, self._in_body = False, True
        self._stop_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Its body is here."""
        self._in_body = False
        self._stop_rest_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The request is answered; what is still missing of its body has to come in the time of headers."""
        super().on_response_complete()
        if self._in_body and self._rest is None and not self.transport.is_closing():
            self._rest = self.loop.call_later(settings.HEADER_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._stop_deadline()
        self._stop_rest_deadline()
        self._stop_reading_deadline()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read as fast as we write; it has to catch up in time."""
        super().pause_writing()
        seconds = settings.SLOW_READER_SECONDS + GRACE_SECONDS
        self._reading = self.loop.call_later(seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It has caught up."""
        self._stop_reading_deadline()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; uvicorn's own words are plain text."""
        self._refuse(NO_HTTP)

    def _stop_rest_deadline(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def _stop_reading_deadline(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(settings.HEADER_SECONDS, self._refuse, TOO_SLOW)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, refusal: Refusal) -> None:
        self._stop_deadline()
        self._in_headers = False
        if not self.transport.is_closing():
            self.transport.write(refusal.answer())
            self.transport.close()
