"""DRF endpoints of /v1: parse, one call of dispatch, answer."""

from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpResponse, HttpResponseBase

from exerati.lib.money import usd_text
from gateway import admission, json_body, model_list, serializers, tokens
from gateway.admission import Admission
from gateway.async_view import AsyncAPIView
from gateway.context import CallContext
from gateway.dispatch import answer_whole, serve_as
from gateway.errors import unknown_parameters, unsupported_media_type
from gateway.limits import RateLimited
from gateway.open_call import OpenCall
from gateway.providers import embedding_format
from gateway.providers.base import Adapter, UpstreamRequest, WholeAnswer
from gateway.rate_headers import rate_headers
from gateway.routing import ModelNotFound, find_model, routes_for
from gateway.snapshot import RouteSnapshot
from gateway.streaming import EventStream, relay

CHAT_LIMITS = serializers.ChatLimits(
    max_messages=settings.MAX_MESSAGES, max_tools=settings.MAX_TOOLS
)
MAX_JSON_DEPTH: int = settings.MAX_JSON_DEPTH
CHAT_ID_PREFIX = "chatcmpl-"

_encode = msgspec.json.Encoder().encode


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
        context.add_header("x-exerati-ignored-params", ",".join(ignored))

    async def admit(self, context: CallContext, wanted: Admission) -> OpenCall:
        try:
            call = await admission.admit(context.engine, wanted)
        except RateLimited as error:
            context.response_headers += rate_headers(error.slot, error.allowance)
            raise
        context.response_headers += rate_headers(call.slot, call.allowance)
        context.watch_client(call)
        return call

    async def answer(
        self, context: CallContext, call: OpenCall, *, build: Any, read: Any
    ) -> HttpResponse:
        try:
            answer, cost = await answer_whole(context.engine, call, build=build, read=read)
        finally:
            context.stop_watching()
        cost_text = usd_text(cost)
        context.add_header("x-exerati-cost-usd", cost_text)
        usage = answer.body.get("usage")
        if isinstance(usage, dict):
            usage["cost"] = msgspec.Raw(cost_text.encode())
        return _json(_encode(answer.body))


class ChatCompletions(MeteredView):
    """POST /v1/chat/completions."""

    endpoint = "chat.completions"

    async def post(self, context: CallContext) -> HttpResponseBase:
        """Answer a chat, whole or as a stream."""
        body = parse_body(context)
        chat = serializers.parse_chat(body, limits=CHAT_LIMITS)
        self.note_ignored(context, chat.ignored)
        model = find_model(chat.model, kind="chat", key=self.key, catalog=context.engine.catalog)
        routes_for(model, key=self.key, catalog=context.engine.catalog)
        bound = tokens.chat_bound(
            chat,
            context_tokens=model.context_tokens,
            max_output_tokens=model.max_output_tokens,
            key_max_output_tokens=self.key.max_output_tokens,
        )
        wanted = Admission(
            request_id=context.request_id,
            public_id=context.public_id,
            key=self.key,
            model=model,
            endpoint=self.endpoint,
            bound=bound,
            streamed=chat.stream,
            choices=chat.n,
            fixed_output=chat.max_output_tokens is not None,
            client_request_id=context.client_request_id,
            count_input=lambda: tokens.count_chat(chat, model=model.name),
        )
        call = await self.admit(context, wanted)
        outgoing = tokens.bounded_body(chat, call.bound)

        def build(adapter: Adapter, route: RouteSnapshot) -> UpstreamRequest:
            return adapter.chat_request(
                route.upstream,
                upstream_model=route.upstream_model,
                body=outgoing,
                stream=chat.stream,
            )

        shown = serve_as(call, prefix=CHAT_ID_PREFIX, include_usage=chat.include_usage)
        if chat.stream:
            stream = EventStream(context.send, context.start_stream, call)
            try:
                await relay(context.engine, call, stream=stream, build=build, serve_as=shown)
            finally:
                context.stop_watching()
            return Relayed()
        return await self.answer(
            context,
            call,
            build=build,
            read=lambda adapter, data: adapter.chat_answer(data, serve_as=shown),
        )


class Embeddings(MeteredView):
    """POST /v1/embeddings."""

    endpoint = "embeddings"

    async def post(self, context: CallContext) -> HttpResponseBase:
        """Answer with one vector for each input."""
        body = parse_body(context)
        embeddings = serializers.parse_embeddings(body)
        self.note_ignored(context, embeddings.ignored)
        model = find_model(
            embeddings.model, kind="embedding", key=self.key, catalog=context.engine.catalog
        )
        routes_for(model, key=self.key, catalog=context.engine.catalog)
        wanted = Admission(
            request_id=context.request_id,
            public_id=context.public_id,
            key=self.key,
            model=model,
            endpoint=self.endpoint,
            bound=tokens.embeddings_bound(embeddings, context_tokens=model.context_tokens),
            client_request_id=context.client_request_id,
            count_input=lambda: tokens.count_inputs(embeddings, model=model.name),
        )
        call = await self.admit(context, wanted)

        def build(adapter: Adapter, route: RouteSnapshot) -> UpstreamRequest:
            return adapter.embeddings_request(
                route.upstream, upstream_model=route.upstream_model, body=embeddings.body
            )

        shown = serve_as(call, prefix="embd-")

        def read(adapter: Adapter, data: bytes) -> WholeAnswer:
            answer = adapter.embeddings_answer(data, serve_as=shown)
            embedding_format.write_as(answer.body, encoding_format=embeddings.encoding_format)
            return answer

        return await self.answer(context, call, build=build, read=read)


class ModelList(AsyncAPIView):
    """GET /v1/models."""

    async def get(self, context: CallContext) -> HttpResponseBase:
        """List the models this key may use."""
        return _json(model_list.listing(context.engine.catalog, self.key))


class ModelDetail(AsyncAPIView):
    """GET /v1/models/{id}; ids may contain slashes."""

    async def get(self, context: CallContext, name: str) -> HttpResponseBase:
        """Describe one model."""
        model = context.engine.catalog.models.get(name)
        if model is None or not model_list.is_listed(model, self.key):
            raise ModelNotFound(name)
        return _json(_encode(model_list.entry(model)))


def parse_body(context: CallContext) -> dict[str, Any]:
    """Return the request's JSON object; raises InvalidBody, or ApiError when it is declared as something else."""
    content_type = context.header(b"content-type")
    if content_type and "json" not in content_type.lower():
        raise unsupported_media_type(content_type)
    return json_body.parse(context.body, max_depth=MAX_JSON_DEPTH)


def _json(data: bytes) -> HttpResponse:
    return HttpResponse(data, content_type="application/json")
