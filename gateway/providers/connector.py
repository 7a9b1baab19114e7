"""
aiohttp's connections to providers with its holes closed.

Read and tried in aiohttp 3.14: answers of status 1xx (RFC 9110, 15.2) are read without end, each one takes the read
timeout away, and a flood of them keeps the event loop from everything else; after a 101 that does not say `Upgrade`
the connection is used again; and a body whose chunked coding breaks never ends, neither by an error nor by a timeout.
An answer whose end waited for its reader leaves its read timeout running on the connection, which is idle by then: the
next request there fails with it, before a byte was sent. And what arrives on an idle connection, which nobody asked
for, is taken for the answer to the next request.
"""

from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

MAX_INTERIM: Final = (
    32  # a provider that takes minutes to think may send 102 or 103 every few seconds
)
_SWITCHED: Final = 101


class Connector(aiohttp.TCPConnector):
    """Makes connections that are read by `_Handler`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = partial(_Handler, loop=self._loop)  # type: ignore[assignment]  # of a subclass


class _Handler(ResponseHandler):
    """One connection."""

    _interim = 0

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take the head of an answer."""
        head = data[0]
        if head.code < 200 and head.code != _SWITCHED:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                self._give_up("more interim answers than anybody needs")
                return
        else:
            self._interim = 0
            if head.code == _SWITCHED:
                self.force_close()
        super().feed_data(data, size)

    def is_connected(self) -> bool:
        """Whether a request may be sent here; asked of idle connections only, which have nothing to say."""
        return super().is_connected() and not self.should_close

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Read on; the time until the next byte runs only while there is one to come."""
        was_running = self._read_timeout_handle is not None
        super().resume_reading(resume_parser)
        if not was_running and (self._payload is None or self._payload.is_eof()):
            self._drop_timeout()

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """End the answer by an error; a body that has begun ends, too."""
        super().set_exception(exc, *cause)
        payload = self._payload
        if isinstance(exc, HttpProcessingError) and payload is not None and not payload.is_eof():
            payload.set_exception(aiohttp.ClientPayloadError("the body breaks its coding"))

    def _give_up(self, why: str) -> None:
        self.set_exception(aiohttp.ClientError(why))
        self.force_close()
        if self.transport is not None:
            self.transport.abort()
