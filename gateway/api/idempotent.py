"""Answers a request under an `Idempotency-Key`: by the view, or by what the view answered before."""

from collections.abc import Awaitable, Callable

from django.http import HttpResponse, HttpResponseBase

from gateway import idempotency
from gateway.context import CallContext, Message, Send
from gateway.idempotency import Claim, Stored
from gateway.media import forms

Handler = Callable[[CallContext], Awaitable[HttpResponseBase]]
_KEPT_HEADERS = "x-exerati-"


async def once(context: CallContext, handler: Handler, *, key_id: int) -> HttpResponseBase:
    """
    Return the handler's answer, or the stored one of an earlier request under the same name.

    The client of such a call may leave: the call goes on, since it will come back for its answer. Raises
    IdempotencyProblem, and what the handler raises; then the name is free again unless the call was charged.
    """
    claim = idempotency.claim_of(
        key_id=key_id,
        name=context.header(idempotency.HEADER),
        path=context.path,
        body=forms.without_boundary(context.header(b"content-type"), context.body),
        request_id=context.request_id,
    )
    calls = context.engine.idempotency
    stored = await calls.begin(claim)
    if stored is not None:
        return _replayed(context, stored)
    recorder = _Recorder(context.send)
    context.send, context.goes_on = recorder.send, True
    try:
        response = await handler(context)
    except BaseException:
        context.engine.behind(calls.release(claim))
        raise
    answer = _answer(claim, context, response, recorder)
    if (
        len(answer.body) <= idempotency.MAX_STORED_BYTES
    ):  # a larger one is not kept, but not made twice either
        await calls.store(claim, answer)
    return response


class _Recorder:
    """Passes a streamed answer on and keeps a copy of it, as long as it is not too large."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.parts: list[bytes] = []
        self.size = 0

    async def send(self, message: Message) -> None:
        """Send the message."""
        data = message.get("body", b"")
        self.size += len(data)
        # One part beyond the limit stays, so that the whole is seen to be too large.
        if data and self.size - len(data) <= idempotency.MAX_STORED_BYTES:
            self.parts.append(data)
        await self._send(message)


def _answer(
    claim: Claim, context: CallContext, response: HttpResponseBase, recorder: _Recorder
) -> Stored:
    headers = [
        (name.decode("ascii"), value.decode("latin-1"))
        for name, value in context.response_headers
        if name.startswith(_KEPT_HEADERS.encode())
    ]
    if isinstance(response, HttpResponse):
        headers.append(("content-type", response.headers["content-type"]))
        return Stored(claim.request_id, response.status_code, headers, response.content)
    headers.append(("content-type", "text/event-stream; charset=utf-8"))
    return Stored(claim.request_id, 200, headers, b"".join(recorder.parts))


def _replayed(context: CallContext, stored: Stored) -> HttpResponse:
    response = HttpResponse(stored.body, status=stored.status)
    for name, value in stored.headers:
        response.headers[name] = value
    context.add_header("idempotency-replayed", "true")
    return response
