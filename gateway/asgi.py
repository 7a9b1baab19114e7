"""
The lean ASGI handler of /v1.

Django's own handler spends most of a request on thread hops for signals and on middleware that an API has no
use for. This one mints the request id, reads the body within size and time, finds the view in the URL table,
and turns every exception into OpenAI's error envelope: the one place where that happens.
"""

import asyncio
import gc
import logging
from functools import cached_property, lru_cache
from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.urls import Resolver404, ResolverMatch, get_resolver

from apikeys.snapshots import KeySnapshot
from exerati.lib import ids
from exerati.lib.deadline import Deadline
from gateway import errors, refusal_record
from gateway.api.base import Relayed
from gateway.api_urls import NOT_SUPPORTED, STORED_CHATS
from gateway.context import CORS_HEADERS, CallContext, Message, Receive, Send
from gateway.engine import Engine
from gateway.open_call import CallCut
from gateway.upkeep import Upkeep

URLCONF = "gateway.api_urls"
PREFLIGHT_HEADERS = [
    *CORS_HEADERS,
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"*, authorization"),
    (b"access-control-max-age", b"86400"),
]
MAX_BODY_BYTES: int = settings.MAX_BODY_BYTES
BODY_SECONDS: int = settings.BODY_SECONDS
JSON_HEADER = (b"content-type", b"application/json")

logger = logging.getLogger(__name__)


class ClientDisconnected(Exception):
    """The client hung up before its request was complete: nobody is there to be told."""


class LeanRequest(HttpRequest):
    """
    Django's request with only what a view of /v1 reads; the raw parts are in `call_context`.

    It does not call Django's own `__init__`, which makes three query dictionaries that nobody here reads.
    """

    def __init__(self, scope: dict[str, Any], context: CallContext) -> None:
        self.path = self.path_info = scope["path"]
        self.method = scope["method"]
        self.META: dict[str, Any] = {}
        self.resolver_match = None
        self.call_context = context
        self._query_string: bytes = scope["query_string"]

    @cached_property
    def GET(self) -> QueryDict:  # type: ignore[override]  # Django gives it a setter
        """The query parameters."""
        return QueryDict(self._query_string, encoding="utf-8")


class Gateway:
    """The ASGI application of /v1. The engine is made on the first use in its event loop, or by lifespan."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._upkeep: Upkeep | None = None
        self._starting = asyncio.Lock()

    async def startup(self) -> None:
        """Make the engine ready, and the process fit for serving."""
        await self.ready()
        # What is there now stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()

    async def shutdown(self) -> None:
        """Let what is under way settle, then disconnect from everything."""
        if self._upkeep is not None and self._engine is not None:
            await self._upkeep.stop()
            await self._engine.close()
            self._engine = self._upkeep = None

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Receive,
        send: Send,
        *,
        seat: KeySnapshot | None = None,
    ) -> None:
        """Answer one request; with a seat it is a member's session that calls, and no key is looked for."""
        request_id = ids.new_uuid()
        if scope["method"] == "OPTIONS":
            await _send_whole(send, 204, PREFLIGHT_HEADERS, b"")
            return
        context: CallContext | None = None
        by_name = dict(scope["headers"])
        try:
            context = CallContext(
                engine=self._engine or await self.ready(),
                request_id=request_id,
                public_id=ids.encode(request_id),
                headers=scope["headers"],
                by_name=by_name,
                body=b"",
                client_address=scope["client"][0] if scope.get("client") else "",
                receive=receive,
                send=send,
                client_request_id=by_name.get(b"x-request-id", b"").decode("latin-1"),
                seat=seat,
            )
            match = _resolve(scope["method"], scope["path"])
            context.error_body = match.func.cls.error_body  # type: ignore[attr-defined]  # by DRF's as_view
            context.body = await _read_body(by_name, receive)
            response = await match.func(LeanRequest(scope, context), *match.args, **match.kwargs)
            if not isinstance(response, Relayed):
                await _send_response(send, response, context)
        except Exception as error:  # the API boundary: whatever it is, the client gets the envelope
            await _send_error(send, error, request_id=request_id, context=context)
        except asyncio.CancelledError:
            # The process ends, and the time to drain is over. Else the server would say 500 in its own words.
            if context is not None and not context.answering:
                cut = CallCut("shutdown")
                await _send_error(send, cut, request_id=request_id, context=context)
            raise

    async def ready(self) -> Engine:
        """Return the engine of this process, made on the first use."""
        async with self._starting:
            if self._engine is None:
                engine = Engine()
                await engine.start()
                self._upkeep = Upkeep(engine)
                self._upkeep.start()
                self._engine = engine
        return self._engine


@lru_cache(maxsize=4096)
def _resolve(method: str, path: str) -> ResolverMatch:
    """Return the view of a path; raises ApiError `unknown_url` or `not_supported`."""
    try:
        match = get_resolver(URLCONF).resolve(path)
    except Resolver404:
        known = path.lstrip("/").startswith(NOT_SUPPORTED) or STORED_CHATS.fullmatch(path)
        raise (errors.not_supported(path) if known else errors.unknown_url(method, path)) from None
    return match


async def _read_body(by_name: dict[bytes, bytes], receive: Receive) -> bytes:
    """Return the body; raises ApiError or ClientDisconnected."""
    declared = by_name.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise errors.request_too_large(MAX_BODY_BYTES)
    try:
        with Deadline(BODY_SECONDS):
            return await _read_parts(receive)
    except TimeoutError:
        raise errors.request_timeout(BODY_SECONDS) from None


async def _read_parts(receive: Receive) -> bytes:
    message = await receive()
    if not message.get("more_body", False):
        return _body_part(message)
    parts, size = [_body_part(message)], len(message.get("body", b""))
    while message.get("more_body", False):
        message = await receive()
        parts.append(_body_part(message))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            raise errors.request_too_large(MAX_BODY_BYTES)
    return b"".join(parts)


def _body_part(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    body: bytes = message.get("body", b"")
    return body


async def _send_response(send: Send, response: HttpResponseBase, context: CallContext) -> None:
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    content: bytes = response.content  # type: ignore[attr-defined]  # views of /v1 return whole responses
    await _send_whole(send, response.status_code, headers + context.common_headers(), content)


async def _send_error(
    send: Send, error: Exception, *, request_id: Any, context: CallContext | None
) -> None:
    if isinstance(error, ClientDisconnected):
        return
    shown_id = f"req_{ids.encode(request_id)}"
    known = errors.from_exception(error)
    if known.code == "internal_error":
        logger.error("%s failed", shown_id, exc_info=error)
    elif known.status >= 500:
        logger.warning("%s answered %s %s", shown_id, known.status, known.code)
    headers = [
        (name.encode("ascii"), value.encode("latin-1")) for name, value in known.headers.items()
    ]
    headers.append(JSON_HEADER)
    headers += (
        context.common_headers()
        if context
        else [*CORS_HEADERS, (b"x-request-id", shown_id.encode())]
    )
    body = (context and context.error_body) or errors.body
    answer = msgspec.json.encode(body(known, request_id=shown_id))
    try:
        await _send_whole(send, known.status, headers, answer)
    finally:
        refusal_record.note(context, known, error)


async def _send_whole(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
