"""
A limit on the bodies that the site takes, kept before Django sees them.

Django reads a whole body to disk before any view runs. Here a body that says it is too large is refused unread, and
one that does not say is cut where it passes the limit.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

WEBHOOKS = ("/stripe/", "/leaks/")
ANSWER = b"The body is too large.\n"


async def limited(application: Application, scope: Any, receive: Receive, send: Send) -> None:
    """Answer a request of the site, with 413 where its body is too large for its path."""
    most = most_bytes(scope["path"])
    if _announced(scope) > most:
        await _refuse(send)
        return
    body = _Body(receive, most)
    answer = _Answer(send, body)
    await application(scope, body.receive, answer.send)
    if body.is_too_large and not answer.has_begun:
        await _refuse(send)


def most_bytes(path: str) -> int:
    """Return the limit of a path."""
    limit: int = (
        settings.STRIPE_WEBHOOK_BYTES if path.startswith(WEBHOOKS) else settings.MAX_BODY_BYTES
    )
    return limit


def _announced(scope: Any) -> int:
    """Return the length that the headers name, 0 for none."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() else 0


class _Body:
    """The body as it comes; past the limit the client seems to be gone."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._left = receive, most
        self.is_too_large = False

    async def receive(self) -> Any:
        """Return the next message of the body."""
        if self.is_too_large:
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self.is_too_large = True
            return {"type": "http.disconnect"}
        return message


class _Answer:
    """The answer as it goes; what comes of a body that was cut does not."""

    def __init__(self, send: Send, body: _Body) -> None:
        self._send, self._body = send, body
        self.has_begun = False

    async def send(self, message: Any) -> None:
        """Send a message of the answer."""
        if self._body.is_too_large and not self.has_begun:
            return
        self.has_begun = True
        await self._send(message)


async def _refuse(send: Send) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(ANSWER)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})
