"""POST /v1/messages and /v1/messages/count_tokens: Anthropic's API for every chat model."""

import asyncio
from typing import Any

from django.conf import settings
from django.http import HttpResponseBase
from msgspec.structs import replace

from gateway import provider_counts, serializers, tokens
from gateway.api.base import encode, json_response, parse_body
from gateway.api.chat import CHAT_LIMITS, ChatView
from gateway.api.reading import counted_apart
from gateway.async_view import AsyncAPIView
from gateway.context import CallContext
from gateway.dialects import messages_native
from gateway.dialects.base import Dialect
from gateway.dialects.messages import MessagesDialect, error_body
from gateway.dialects.messages_request import fitted, read_prompt
from gateway.dispatch import BuildRequest
from gateway.open_call import OpenCall
from gateway.providers.anthropic import anthropic_native
from gateway.routes import preferences
from gateway.routes.preferences import Preferences
from gateway.routes.routing import NoMatchingRoute, NoRoute, find_model, routes_for
from gateway.serializers import ChatCall
from gateway.snapshot import ModelSnapshot

IGNORED_BETAS = "x-exerati-ignored-betas"
COUNT_BASIS = "x-exerati-count-basis"  # `reported` by the provider or `counted` by us, as of usage
BYTES_PER_TOKEN = 4  # of English; the bound that is divided by it counts bytes


class AnthropicView(AsyncAPIView):
    """What both have in common: the key scope, the envelope of errors, and the header that SDKs read ids from."""

    endpoint = "messages"
    error_body = staticmethod(error_body)

    async def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]  # awaited
        """Answer with the request id under Anthropic's name, too."""
        context: CallContext = request.call_context
        context.add_header("request-id", context.shown_id)
        return await super().dispatch(request, *args, **kwargs)

    def read_native(self, context: CallContext, body: dict[str, Any]) -> messages_native.Read:
        """
        Return the request as it goes to Anthropic. Raises InvalidRequest.

        Beta features that stay behind are named in a header of their own: agents send a handful with every call.
        """
        found = messages_native.read(body, beta_header=context.header(b"anthropic-beta"))
        if found.ignored_betas:
            names = serializers.header_names(found.ignored_betas)
            context.add_header(IGNORED_BETAS, ",".join(names))
        return found


class Messages(AnthropicView, ChatView):
    """POST /v1/messages."""

    dialect = MessagesDialect

    def read(self, context: CallContext, body: dict[str, Any], dialect: Dialect) -> ChatCall:
        """Return the chat, and beside it the request as it goes to Anthropic. Raises InvalidRequest."""
        chat = super().read(context, body, dialect)
        found = self.read_native(context, body)
        return replace(
            chat,
            native=found.native,
            tools_run=found.tools,
            ignored=chat.ignored + serializers.header_names(found.unknown),
        )

    def fitted(self, chat: ChatCall, model: ModelSnapshot) -> ChatCall:
        """Return the call without the reasoning that its model cannot be asked for."""
        return fitted(chat, model=model)

    async def relay(
        self,
        context: CallContext,
        call: OpenCall,
        *,
        chat: ChatCall,
        build: BuildRequest,
        dialect: Dialect,
    ) -> HttpResponseBase:
        """
        Relay, with the prompt's tokens counted in a thread while the provider is asked.

        Clients show the count of a stream's start until the true one comes at its end. A prompt that is not
        counted by then is told at four bytes a token.
        """
        assert isinstance(dialect, MessagesDialect)  # noqa: S101  made from the class above
        counted = asyncio.get_running_loop().run_in_executor(None, call.count_input)
        estimated = call.bound.input_tokens // BYTES_PER_TOKEN
        dialect.count_input = lambda: counted.result() if counted.done() else estimated
        return await super().relay(context, call, chat=chat, build=build, dialect=dialect)


class CountTokens(AnthropicView):
    """POST /v1/messages/count_tokens. Free of charge; it counts against the key's requests a minute."""

    async def post(self, context: CallContext) -> HttpResponseBase:
        """Tell the tokens of a prompt: by the provider where it counts them, else by the model's vocabulary."""
        body = parse_body(context)
        wishes = preferences.take(body)
        seconds = preferences.timeout_seconds(context.header(preferences.TIMEOUT_HEADER))
        chat = serializers.parse_chat(read_prompt(body), limits=CHAT_LIMITS)
        model = find_model(chat.model, kind="chat", key=self.key, catalog=context.engine.catalog)
        async with counted_apart(context, self.key):
            told = await self._ask(context, body, model=model, wishes=wishes, seconds=seconds)
            if told is None:
                counted = await asyncio.to_thread(tokens.count_chat, chat, model=model.name)
        context.add_header(COUNT_BASIS, "counted" if told is None else "reported")
        return json_response(encode({"input_tokens": counted} if told is None else told))

    async def _ask(
        self,
        context: CallContext,
        body: dict[str, Any],
        *,
        model: ModelSnapshot,
        wishes: Preferences,
        seconds: float | None,
    ) -> dict[str, Any] | None:
        """Return what the provider answers, None where none can tell. Raises what is wrong with the request."""
        engine = context.engine
        try:
            routes = routes_for(model, key=self.key, catalog=engine.catalog, wishes=wishes)
        except (NoRoute, NoMatchingRoute):
            return None
        routes = tuple(r for r in routes if r.upstream.api in anthropic_native.SPEAKING)
        if not routes:
            return None
        found = self.read_native(context, body)
        if not messages_native.is_counted(found):
            return None
        most = float(settings.COUNT_TOKENS_SECONDS)
        return await provider_counts.ask(
            engine,
            key=self.key,
            routes=routes,
            native=found.native,
            seconds=most if seconds is None else min(seconds, most),
        )
