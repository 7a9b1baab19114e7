"""
Compresses what the site answers, pages and static text, on its way out; `/v1` does not pass here.

Below Django, since its own middleware cut static files after their first block under a real server, and since event
streams must not wait in a compressor's buffer. Each answer carries a file name of random length in gzip's header, so
that the length of a page tells nothing of its secrets (as Django does: https://docs.djangoproject.com/en/5.2/ref/
middleware/#module-django.middleware.gzip, read 2026-11).
"""

import secrets
import struct
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

TEXT = (
    b"text/",
    b"application/json",
    b"application/rss+xml",
    b"application/javascript",
    b"image/svg",
)
STREAM = b"text/event-stream"
LEAST_BYTES = 200
LEVEL = 5
MOST_PADDING = 100
# What must stay as it is: a part of a file, and what is compressed already.
AS_IT_IS = (b"content-range", b"content-encoding")


def compressed(app: App) -> App:
    """Return the application with its answers compressed for clients that take gzip."""

    async def answer(scope: Any, receive: Receive, send: Send) -> None:
        accepted = next((v for k, v in scope["headers"] if k == b"accept-encoding"), b"")
        if b"gzip" in accepted:
            send = _Answer(send).send
        await app(scope, receive, send)

    return answer


class _Answer:
    """One answer: its head waits for the first piece of the body, which says whether compressing is worth it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._head: Message | None = None
        self._gzip: _Gzip | None = None

    async def send(self, message: Message) -> None:
        """Pass a message on, compressed if it is part of a body that is."""
        if message["type"] == "http.response.start" and _is_text(message):
            self._head = message
            return
        if self._head is not None:
            await self._begin(self._head, message)
            self._head = None
        if self._gzip is not None and message["type"] == "http.response.body":
            more = message.get("more_body", False)
            message = {**message, "body": self._gzip.feed(message.get("body", b""), more=more)}
        await self._send(message)

    async def _begin(self, head: Message, first: Message) -> None:
        whole = not first.get("more_body", False)
        if not whole or len(first.get("body", b"")) >= LEAST_BYTES:
            self._gzip = _Gzip()
            head = {**head, "headers": _headers(head["headers"])}
        await self._send(head)


class _Gzip:
    """A gzip file in pieces; each piece can be read at once."""

    def __init__(self) -> None:
        name = b"a" * secrets.randbelow(MOST_PADDING)
        self._begin = b"\x1f\x8b\x08\x08\0\0\0\0\x02\xff" + name + b"\0"
        self._deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc = 0
        self._size = 0

    def feed(self, data: bytes, *, more: bool) -> bytes:
        """Return what has become of the next piece; with `more` False, of the last one."""
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        begin, self._begin = self._begin, b""
        body = self._deflate.compress(data)
        if more:
            return begin + body + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        end = struct.pack("<II", self._crc, self._size & 0xFFFFFFFF)
        return begin + body + self._deflate.flush() + end


def _is_text(head: Message) -> bool:
    headers = {name.lower(): value for name, value in head["headers"]}
    kind = headers.get(b"content-type", b"")
    is_free = not any(name in headers for name in AS_IT_IS)
    return is_free and kind.startswith(TEXT) and not kind.startswith(STREAM)


def _headers(given: Any) -> list[tuple[bytes, bytes]]:
    """Return the headers of a compressed answer: no length, a weak ETag, and what it varies on."""
    kept = [(name, value) for name, value in given if name.lower() != b"content-length"]
    found = [
        (name, b"W/" + value if name.lower() == b"etag" and not value.startswith(b"W/") else value)
        for name, value in kept
    ]
    varies = any(k.lower() == b"vary" and b"accept-encoding" in v.lower() for k, v in found)
    vary = [] if varies else [(b"vary", b"Accept-Encoding")]
    return [*found, *vary, (b"content-encoding", b"gzip")]
