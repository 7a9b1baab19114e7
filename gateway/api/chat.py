"""Chats, in every wire format that has them: one view, one dialect each."""

from typing import ClassVar

from django.conf import settings
from django.http import HttpResponseBase

from gateway import serializers, tokens
from gateway.admission import Admission
from gateway.api.base import MeteredView, Relayed, parse_body
from gateway.context import CallContext
from gateway.dialects.base import Dialect
from gateway.dialects.chat import ChatDialect
from gateway.dialects.completions import CompletionsDialect
from gateway.dialects.responses import ResponsesDialect
from gateway.dispatch import BuildRequest, serve_as
from gateway.open_call import OpenCall
from gateway.providers.base import Adapter, UpstreamRequest
from gateway.routing import find_model, routes_for
from gateway.serializers import ChatCall
from gateway.snapshot import ModelSnapshot, RouteSnapshot
from gateway.streaming import EventStream, relay

CHAT_LIMITS = serializers.ChatLimits(
    max_messages=settings.MAX_MESSAGES, max_tools=settings.MAX_TOOLS
)


class ChatView(MeteredView):
    """Answers a chat, whole or as a stream, in the wire format of its dialect."""

    dialect: ClassVar[type[Dialect]]

    async def post(self, context: CallContext) -> HttpResponseBase:
        """Answer one chat."""
        dialect = self.dialect()
        chat = serializers.parse_chat(dialect.chat_body(parse_body(context)), limits=CHAT_LIMITS)
        self.note_ignored(context, chat.ignored)
        model = find_model(chat.model, kind="chat", key=self.key, catalog=context.engine.catalog)
        routes_for(model, key=self.key, catalog=context.engine.catalog)
        chat = self.fitted(chat, model)
        call = await self.admit(context, self._admission(context, chat, model))
        build = _build(chat, call)
        if chat.stream:
            return await self.relay(context, call, chat=chat, build=build, dialect=dialect)
        shown = serve_as(call, prefix=dialect.id_prefix)
        return await self.answer(
            context,
            call,
            build=build,
            read=lambda adapter, data: adapter.chat_answer(data, serve_as=shown),
            write=dialect.whole,
        )

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
        shown = serve_as(call, prefix=dialect.id_prefix, include_usage=chat.include_usage)
        stream = EventStream(context.send, context.start_stream, call)
        writer = dialect.stream(shown)
        try:
            await relay(
                context.engine, call, stream=stream, build=build, serve_as=shown, writer=writer
            )
        finally:
            context.stop_watching()
        return Relayed()

    def _admission(self, context: CallContext, chat: ChatCall, model: ModelSnapshot) -> Admission:
        return Admission(
            request_id=context.request_id,
            public_id=context.public_id,
            key=self.key,
            model=model,
            endpoint=self.endpoint,
            bound=tokens.chat_bound(
                chat,
                context_tokens=model.context_tokens,
                max_output_tokens=model.max_output_tokens,
                key_max_output_tokens=self.key.max_output_tokens,
            ),
            streamed=chat.stream,
            choices=chat.n,
            # A prediction is sent without a limit, so that its bound cannot be made smaller.
            fixed_output=chat.max_output_tokens is not None or "prediction" in chat.body,
            service_tier=chat.service_tier,
            client_request_id=context.client_request_id,
            count_input=lambda: tokens.count_chat(chat, model=model.name),
        )


class ChatCompletions(ChatView):
    """POST /v1/chat/completions."""

    endpoint = "chat.completions"
    dialect = ChatDialect


class Completions(ChatView):
    """POST /v1/completions, OpenAI's legacy endpoint of text completions."""

    endpoint = "completions"
    dialect = CompletionsDialect


class Responses(ChatView):
    """POST /v1/responses."""

    endpoint = "responses"
    dialect = ResponsesDialect


def _build(chat: ChatCall, call: OpenCall) -> BuildRequest:
    """Return what makes the request to a route, with the bound that was reserved written into it."""
    outgoing = tokens.bounded_body(chat, call.bound)

    def build(adapter: Adapter, route: RouteSnapshot) -> UpstreamRequest:
        return adapter.chat_request(
            route.upstream, upstream_model=route.upstream_model, body=outgoing, stream=chat.stream
        )

    return build
