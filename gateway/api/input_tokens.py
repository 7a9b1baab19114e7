"""POST /v1/responses/input_tokens: how many tokens a request of the Responses API is, without sending it."""

import asyncio

from django.http import HttpResponseBase

from gateway import serializers, tokens
from gateway.api.base import encode, json_response, parse_body
from gateway.api.chat import CHAT_LIMITS
from gateway.api.reading import counted_apart
from gateway.async_view import AsyncAPIView
from gateway.context import CallContext
from gateway.dialects.responses import ResponsesDialect
from gateway.routes import preferences
from gateway.routes.routing import find_model


class InputTokens(AsyncAPIView):
    """Free of charge; it counts against the key's requests a minute, apart from its calls."""

    endpoint = "responses"

    async def post(self, context: CallContext) -> HttpResponseBase:
        """Tell the tokens of a request, counted by the model's vocabulary in a thread."""
        body = parse_body(context)
        preferences.take(body)
        chat = serializers.parse_chat(ResponsesDialect().chat_body(body), limits=CHAT_LIMITS)
        model = find_model(chat.model, kind="chat", key=self.key, catalog=context.engine.catalog)
        async with counted_apart(context, self.key):
            counted = await asyncio.to_thread(tokens.count_chat, chat, model=model.name)
        return json_response(encode({"object": "response.input_tokens", "input_tokens": counted}))
