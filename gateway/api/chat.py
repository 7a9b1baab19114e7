"""Chats, in every wire format that has them: one view, one dialect each."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import msgspec
from django.conf import settings
from django.http import HttpResponseBase

from billing import price_book
from billing.types import TokenBound, TokenUsage
from gateway import serializers, spoken, tokens
from gateway.admission import Admission, Fallback
from gateway.api.base import (
    MeteredView,
    Relayed,
    parse_body,
    start_stream,
    wants_route,
)
from gateway.context import CallContext
from gateway.dialects.base import Dialect, StreamWriter
from gateway.dialects.chat import ChatDialect
from gateway.dialects.completions import CompletionsDialect
from gateway.dialects.responses import ResponsesDialect
from gateway.dispatch import BuildRequest, as_served, serve_as
from gateway.open_call import OpenCall
from gateway.providers import odd_answers
from gateway.providers.anthropic import anthropic_native
from gateway.providers.base import Adapter, ServeAs, UpstreamRequest, WholeAnswer
from gateway.providers.openai.openai_usage import wire_usage
from gateway.routes import native_routes, preferences, route_detail
from gateway.routes.preferences import Preferences
from gateway.routes.routing import NoMatchingRoute, NoRoute, find_model, routes_for
from gateway.serializers import ChatCall
from gateway.snapshot import ModelSnapshot, RouteSnapshot
from gateway.streaming import EventStream, LateWriter, relay
from gateway.wire_checks import InvalidRequest, unsupported_value

# The APIs whose chats can answer in audio: OpenAI's own, and the sandbox.
SPEAKING = frozenset({"openai", "azure", "sandbox"})
CHAT_LIMITS = serializers.ChatLimits(
    max_messages=settings.MAX_MESSAGES, max_tools=settings.MAX_TOOLS
)


class _Served(msgspec.Struct, frozen=True):
    """A model that may serve, its routes, and the chat as it can take it."""

    model: ModelSnapshot
    routes: tuple[RouteSnapshot, ...]
    chat: ChatCall


class ChatView(MeteredView):
    """Answers a chat, whole or as a stream, in the wire format of its dialect."""

    dialect: ClassVar[type[Dialect]]

    async def post(self, context: CallContext) -> HttpResponseBase:
        """Answer one chat."""
        body = parse_body(context)
        wishes = preferences.take(body)
        dialect = self.dialect()
        chat = self.read(context, body, dialect)
        self.note_ignored(context, chat.ignored + wishes.ignored)
        served = self._served(context, chat, wishes)
        call = await self.admit(context, self._admission(context, served, wishes))
        note = partial(self.note_set_aside, context, ignored=chat.ignored + wishes.ignored)
        build = _build(served, call, note=note)
        if chat.stream:
            return await self.relay(context, call, chat=chat, build=build, dialect=dialect)
        shown = self.shown(call, chat, dialect)
        return await self.answer(
            context,
            call,
            build=build,
            read=lambda adapter, data: _read(adapter, data, shown=as_served(shown, call)),
            write=dialect.whole,
        )

    def read(self, context: CallContext, body: dict[str, Any], dialect: Dialect) -> ChatCall:
        """Return the checked chat that the request stands for. Raises InvalidRequest."""
        return serializers.parse_chat(dialect.chat_body(body), limits=CHAT_LIMITS)

    def shown(self, call: OpenCall, chat: ChatCall, dialect: Dialect) -> ServeAs:
        """Return what the customer must see in the answer."""
        return serve_as(
            call,
            prefix=dialect.id_prefix,
            include_usage=chat.include_usage,
            native=chat.native is not None,
        )

    def _served(self, context: CallContext, chat: ChatCall, wishes: Preferences) -> list[_Served]:
        """
        Return the models that may serve, each with the chat as it can take it. One that nobody serves is left out
        as long as there is another; one that the key may not use is refused.
        """
        catalog = context.engine.catalog
        found: list[_Served] = []
        problem: Exception | None = None
        for name in (chat.model, *wishes.models):
            model = find_model(name, kind="chat", key=self.key, catalog=catalog)
            try:
                routes = routes_for(model, key=self.key, catalog=catalog, wishes=wishes)
                routes = _speaking(model, routes) if spoken.is_wanted(chat.body) else routes
                routes = native_routes.able(chat.native, routes, model=model)
                _check_tools(chat, model)
            except (NoRoute, NoMatchingRoute, InvalidRequest) as error:
                problem = problem or error
                continue
            found.append(_Served(model, routes, self.fitted(chat, model)))
        if problem is not None and not found:
            raise problem
        return found

    def fitted(self, chat: ChatCall, model: ModelSnapshot) -> ChatCall:
        """Return the call as its model can take it; most formats leave that to the client."""
        return chat

    async def relay(
        self,
        context: CallContext,
        call: OpenCall,
        *,
        chat: ChatCall,
        build: BuildRequest,
        dialect: Dialect,
    ) -> HttpResponseBase:
        """Answer as a stream."""
        shown = self.shown(call, chat, dialect)
        stream = EventStream(context.send, partial(start_stream, context, call), call)
        writer: StreamWriter = (
            dialect.stream(shown)
            if len(call.candidates) == 1
            else LateWriter(lambda: dialect.stream(as_served(shown, call)))
        )
        tell = partial(route_detail.event, call, shown=shown, chunk_object=dialect.chunk_object)
        try:
            await relay(
                context.engine,
                call,
                stream=stream,
                build=build,
                serve_as=shown,
                writer=writer,
                before_end=tell if wants_route(context, call.wishes) else bytes,
            )
        finally:
            context.stop_watching()
        return Relayed()

    def _admission(
        self, context: CallContext, served: Sequence[_Served], wishes: Preferences
    ) -> Admission:
        first, chat = served[0], served[0].chat
        return Admission(
            request_id=context.request_id,
            public_id=context.public_id,
            key=self.key,
            model=first.model,
            endpoint=self.endpoint,
            bound=self._bound(first),
            streamed=chat.stream,
            choices=chat.n,
            # A prediction is sent without a limit, so that its bound cannot be made smaller.
            fixed_output=chat.max_output_tokens is not None or "prediction" in chat.body,
            service_tier=chat.service_tier,
            client_request_id=context.client_request_id,
            count_input=lambda: tokens.count_chat(chat, model=first.model.name),
            routes=first.routes,
            fallbacks=tuple(
                [Fallback(one.model, self._bound(one), one.routes) for one in served[1:]]
            ),
            wishes=wishes,
            tags=chat.metadata.get("tags", ""),
            sticky_key=chat.body.get("prompt_cache_key") or chat.body.get("user") or "",
            audio_format=spoken.format_wanted(chat.body),
            repeats=chat.tools_run.repeats,
            # What the provider's own tools have cost is told at the end only.
            drain=chat.tools_run.repeats,
        )

    def _bound(self, served: _Served) -> TokenBound:
        return tokens.chat_bound(
            served.chat,
            model=served.model.name,
            context_tokens=served.model.context_tokens,
            max_output_tokens=served.model.max_output_tokens,
            key_max_output_tokens=self.key.max_output_tokens,
        )

    def tell_counted(self, body: dict[str, Any], usage: TokenUsage) -> None:
        """Clients read `usage` without asking whether it is there."""
        body["usage"] = wire_usage(usage)


class ChatCompletions(ChatView):
    """POST /v1/chat/completions."""

    endpoint = "chat.completions"
    dialect = ChatDialect
    not_supported = frozenset({"GET"})  # stored chats


class Completions(ChatView):
    """POST /v1/completions, OpenAI's legacy endpoint of text completions."""

    endpoint = "completions"
    dialect = CompletionsDialect


class Responses(ChatView):
    """POST /v1/responses."""

    endpoint = "responses"
    dialect = ResponsesDialect


def _read(adapter: Adapter, data: bytes, *, shown: ServeAs) -> WholeAnswer:
    answer = adapter.chat_answer(data, serve_as=shown)
    odd_answers.check_answer(answer.body)
    return answer


def _speaking(model: ModelSnapshot, routes: tuple[RouteSnapshot, ...]) -> tuple[RouteSnapshot, ...]:
    """Return the routes that can answer a chat in audio. Raises InvalidRequest where none can."""
    found = tuple(route for route in routes if route.upstream.api in SPEAKING)
    if "audio" not in model.output_modalities or not found:
        unsupported_value(
            "modalities",
            f"'{model.name}' answers in text only. Models that speak have 'audio' among the output modalities"
            " that GET /v1/models lists.",
        )
    return found


def _check_tools(chat: ChatCall, model: ModelSnapshot) -> None:
    if chat.tools_run.repeats:
        price = price_book.at(model.prices, time.time())
        native_routes.check_priced(chat.tools_run, model=model, price=price)


def _build(
    served: Sequence[_Served], call: OpenCall, *, note: Callable[[tuple[str, ...]], None]
) -> BuildRequest:
    """
    Return what makes the request to a route, with the bound that was reserved written into it; `note` is told what
    the route's provider has no word for.
    """
    chats = {one.model.name: one.chat for one in served}

    def build(adapter: Adapter, route: RouteSnapshot) -> UpstreamRequest:
        chat = chats[call.model.name]
        body = tokens.bounded_body(chat, call.bound)
        left_out: tuple[str, ...] = ()
        if chat.native and route.upstream.api in anthropic_native.SPEAKING:
            body = {**body, anthropic_native.FIELD: chat.native}
        elif chat.native:
            left_out = chat.native.lost
        request = adapter.chat_request(
            route.upstream, upstream_model=route.upstream_model, body=body, stream=chat.stream
        )
        if request.ignored or left_out or call.attempts:
            note(request.ignored + left_out)
        return request

    return build
