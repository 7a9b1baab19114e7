"""Keeps what a call asked and was answered, for organizations that switched that on; for others nothing of it runs."""

from collections.abc import Awaitable, Callable

from django.http import HttpResponse, HttpResponseBase

from billing.bodies.stored_bodies import CalledBody, decoded
from gateway import stream_text
from gateway.context import CallContext, Message, Send

Handler = Callable[[], Awaitable[HttpResponseBase]]
MOST_BYTES = 2**20  # of an answer that are listened to; what is stored of it is less


async def kept(context: CallContext, handler: Handler, *, organization_id: int) -> HttpResponseBase:
    """Return the handler's answer, and put it aside with the request. A call that was refused leaves nothing."""
    listener = _Listener(context.send)
    context.send = listener.send
    whole = b""
    try:
        response = await handler()
        if isinstance(response, HttpResponse) and "json" in response.headers["content-type"]:
            whole = response.content[:MOST_BYTES]
        return response
    finally:
        if context.admitted:
            streamed = b"".join(listener.parts)
            context.engine.bodies.note(
                CalledBody(
                    context.request_id,
                    organization_id,
                    _request(context),
                    whole or streamed,
                    decoded if whole else stream_text.assembled,
                )
            )


def _request(context: CallContext) -> bytes:
    """Return the body as far as it is text; of a form, which holds files, only that there was one."""
    if "json" in (context.header(b"content-type") or "json"):
        return context.body[:MOST_BYTES]
    return b"[a form of %d bytes, not stored]" % len(context.body)


class _Listener:
    """Passes a streamed answer on and keeps its beginning."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.parts: list[bytes] = []
        self._room = MOST_BYTES

    async def send(self, message: Message) -> None:
        """Send the message."""
        data = message.get("body", b"")
        if data and self._room > 0:
            self.parts.append(data[: self._room])
            self._room -= len(data)
        await self._send(message)
