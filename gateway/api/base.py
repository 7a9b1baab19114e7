"""What every endpoint of /v1 that costs money has in common."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.http import HttpResponse, HttpResponseBase
from msgspec.structs import replace

from billing.types import TokenUsage
from exerati.lib.money import usd_text
from gateway import admission, call_tags, idempotency, json_body
from gateway.admission import Admission
from gateway.api import idempotent
from gateway.async_view import AsyncAPIView, Handler
from gateway.context import CallContext, Message
from gateway.dispatch import BuildRequest, ReadAnswer, answer_whole
from gateway.errors import unknown_parameters, unsupported_media_type
from gateway.kept_bodies import kept
from gateway.open_call import OpenCall
from gateway.providers import wire_json
from gateway.providers.base import ProviderError
from gateway.rate_limits.limits import RateLimited
from gateway.rate_limits.rate_headers import rate_headers
from gateway.routes import preferences, route_detail
from gateway.routes.preferences import Preferences

MAX_JSON_DEPTH: int = settings.MAX_JSON_DEPTH
IGNORED_HEADER = "x-exerati-ignored-params"

WriteAnswer = Callable[
    ..., dict[str, Any]
]  # (answer, *, cost_nanousd) -> body in the client's format

encode = wire_json.encode


class Relayed(HttpResponseBase):
    """A response whose bytes the view has already sent."""


class MeteredView(AsyncAPIView):
    """An endpoint whose calls are admitted, metered and priced."""

    def note_ignored(self, context: CallContext, ignored: tuple[str, ...]) -> None:
        """Name the parameters that nobody knows, or refuse them where the key asks for strictness."""
        if not ignored:
            return
        if self.key.strict_parameters:
            raise unknown_parameters(ignored)
        context.add_header(IGNORED_HEADER, ",".join(ignored))

    def note_set_aside(
        self, context: CallContext, names: tuple[str, ...], *, ignored: tuple[str, ...]
    ) -> None:
        """
        Name what the chosen provider has no word for, beside what nobody knows; of several tries the last one tells.
        Raises ProviderError where the key asks for strictness.
        """
        if names and self.key.strict_parameters:
            raise ProviderError(
                "bad_request",
                f"This model takes no '{names[0]}'. Remove it, or switch off strict parameters for this key.",
                status=400,
                code="unsupported_parameter",
                param=names[0],
                sent=False,
            )
        header = IGNORED_HEADER.encode()
        context.response_headers[:] = [
            pair for pair in context.response_headers if pair[0] != header
        ]
        if told := tuple(dict.fromkeys((*ignored, *names))):
            context.add_header(IGNORED_HEADER, ",".join(told))

    async def handle(
        self, context: CallContext, handler: Handler, **kwargs: Any
    ) -> HttpResponseBase:
        """Answer once for each `Idempotency-Key`, where the request has one; keep bodies where that is switched on."""
        if self.key.body_days:
            own = self.key.organization_id
            return await kept(
                context, partial(self._once, context, handler, **kwargs), organization_id=own
            )
        return await self._once(context, handler, **kwargs)

    async def _once(
        self, context: CallContext, handler: Handler, **kwargs: Any
    ) -> HttpResponseBase:
        if idempotency.HEADER not in context.by_name:
            return await handler(context, **kwargs)
        return await idempotent.once(context, partial(handler, **kwargs), key_id=self.key.id)

    async def admit(self, context: CallContext, wanted: Admission) -> OpenCall:
        """Let the call in, under the deadline that its request sets; raises what `admission.admit` raises."""
        timeout = preferences.timeout_seconds(context.header(preferences.TIMEOUT_HEADER))
        if timeout is not None or context.goes_on:
            drain = wanted.drain or context.goes_on
            wanted = replace(wanted, timeout_seconds=timeout, drain=drain)
        try:
            call = await admission.admit(context.engine, wanted)
        except RateLimited as error:
            context.response_headers += rate_headers(error.slot, error.allowance)
            raise
        call.tags = call_tags.read(context.header(call_tags.HEADER), wanted.tags)
        context.admitted = True
        context.response_headers += rate_headers(call.slot, call.allowance)
        context.watch_client(call)
        return call

    async def answer(
        self,
        context: CallContext,
        call: OpenCall,
        *,
        build: BuildRequest,
        read: ReadAnswer,
        write: WriteAnswer,
    ) -> HttpResponse:
        """Answer whole, with the cost in a header and where `write` puts it."""
        try:
            answer, cost_nanousd = await answer_whole(context.engine, call, build=build, read=read)
        finally:
            context.stop_watching()
            context.response_headers += route_detail.headers(call)
        context.add_header("x-exerati-cost-usd", usd_text(cost_nanousd))
        if answer.usage is None:
            self.tell_counted(answer.body, call.delivered_usage())
        body = write(answer.body, cost_nanousd=cost_nanousd)
        if wants_route(context, call.wishes):
            body["route"] = route_detail.detail(call)
        return json_response(encode(body))

    def tell_counted(self, body: dict[str, Any], usage: TokenUsage) -> None:
        """Write into an answer what we counted, where its provider told no usage; not every answer has a place."""


def wants_route(context: CallContext, wishes: Preferences) -> bool:
    """Whether the answer is to tell of its tries, by field or header of the request."""
    return wishes.include_route or context.header(b"x-exerati-include-route") in ("1", "true")


def start_stream(context: CallContext, call: OpenCall) -> Message:
    """Return the message that starts a streamed answer, with its route once output is there."""
    if call.first_token_ms is not None:
        context.response_headers += route_detail.headers(call)
    return context.start_stream()


def parse_body(context: CallContext) -> dict[str, Any]:
    """Return the request's JSON object; raises InvalidBody, or ApiError when it is declared as something else."""
    content_type = context.header(b"content-type")
    if content_type and "json" not in content_type.lower():
        raise unsupported_media_type(content_type)
    body = json_body.parse(context.body, max_depth=MAX_JSON_DEPTH)
    model = body.get("model")
    context.model = model if isinstance(model, str) else ""
    return body


def json_response(data: bytes) -> HttpResponse:
    """Return a whole JSON answer."""
    return HttpResponse(data, content_type="application/json")
