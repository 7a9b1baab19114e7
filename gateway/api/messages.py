"""POST /v1/messages and /v1/messages/count_tokens: Anthropic's API for every chat model."""

import asyncio
from functools import partial
from typing import Any

from django.http import HttpResponseBase
from msgspec.structs import replace

from gateway import serializers, tokens
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
from gateway.routes.routing import find_model
from gateway.serializers import ChatCall
from gateway.snapshot import ModelSnapshot

IGNORED_BETAS = "x-exerati-ignored-betas"
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


class Messages(AnthropicView, ChatView):
    """POST /v1/messages."""

    dialect = MessagesDialect

    def read(self, context: CallContext, body: dict[str, Any], dialect: Dialect) -> ChatCall:
        """
        Return the chat, and beside it the request as it goes to Anthropic. Raises InvalidRequest.

        Beta features that stay behind are named in a header of their own: agents send a handful with every call.
        """
        chat = super().read(context, body, dialect)
        found = messages_native.read(body, beta_header=context.header(b"anthropic-beta"))
        if found.ignored_betas:
            names = serializers.header_names(found.ignored_betas)
            context.add_header(IGNORED_BETAS, ",".join(names))
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
        """Count the tokens of a prompt by the model's vocabulary."""
        chat = serializers.parse_chat(read_prompt(parse_body(context)), limits=CHAT_LIMITS)
        model = find_model(chat.model, kind="chat", key=self.key, catalog=context.engine.catalog)
        count = partial(tokens.count_chat, chat, model=model.name)
        async with counted_apart(context, self.key):
            counted = await asyncio.get_running_loop().run_in_executor(None, count)
        return json_response(encode({"input_tokens": counted}))
