"""
Every recorded request that customers could have sent through us, with the usage its provider reported.

Requests of other APIs are put in chat's form: Anthropic's and the Responses API's by our own dialects, Gemini's by
`recorded_gemini`. What we refuse (tools that run at a provider, stored conversations) is left out.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from billing.types import TokenUsage
from gateway.dialects.messages_request import read_request
from gateway.dialects.responses import ResponsesDialect
from gateway.providers.anthropic.anthropic import AnthropicAdapter
from gateway.providers.base import Adapter, ProviderError, ServeAs
from gateway.providers.google.gemini import GeminiAdapter
from gateway.providers.openai import openai_usage
from gateway.providers.openai.openai import OpenAIAdapter
from gateway.serializers import ChatCall, ChatLimits, parse_chat
from gateway.sse import SseDecoder
from gateway.wire_checks import InvalidRequest
from tests.gateway import recorded, recorded_anthropic, recorded_gemini

SERVE_AS = ServeAs(id="chatcmpl-1", model="m", created=1_700_000_000)


class Case(NamedTuple):
    """One call as we would have checked it, and what its provider said it used."""

    name: str
    call: ChatCall
    usage: TokenUsage


@cache
def cases() -> tuple[Case, ...]:
    """Return all cases whose provider reported a usage."""
    found = []
    for name, body, usage in (*_chats(), *_messages(), *_gemini(), *_responses()):
        if usage is None or not usage.input_tokens:
            continue
        try:
            call = parse_chat({"model": "unnamed", **body()}, limits=ChatLimits())
        except InvalidRequest:
            continue
        # OpenRouter runs provider-side tools (`plugins`) whose results are prompts that nobody sent.
        if "plugins" not in call.ignored:
            found.append(Case(name, call, usage))
    return tuple(found)


def _chats() -> Iterator[tuple[str, Any, TokenUsage | None]]:
    for item in recorded.exchanges():
        if item.api == "chat" and item.status == 200 and isinstance(item.request, dict):
            usage = _usage(OpenAIAdapter(), item.data, streamed=item.streamed)
            yield item.name, item.request.copy, usage


def _messages() -> Iterator[tuple[str, Any, TokenUsage | None]]:
    for item in recorded_anthropic.exchanges():
        # Citations and Anthropic's own tools go out in Anthropic's form alone: `test_messages_native_recorded`.
        text = json.dumps(item.request)
        native = '"citations": {"enabled": true}' in text or any(
            tool.get("type", "custom") != "custom" for tool in (item.request or {}).get("tools", ())
        )
        if item.status == 200 and isinstance(item.request, dict) and not native:
            usage = _usage(AnthropicAdapter(), item.data, streamed=item.streamed)
            yield f"anthropic/{item.name}", lambda body=item.request: read_request(body), usage


def _gemini() -> Iterator[tuple[str, Any, TokenUsage | None]]:
    for item in recorded_gemini.exchanges():
        if item.api == "embeddings" or item.status != 200 or not item.request:
            continue
        text = json.dumps(item.request)
        own = any("functionDeclarations" not in tool for tool in item.request.get("tools") or ())
        # Content that Google stores has a size that nobody tells us; we take no such address.
        if own or "cachedContent" in text or "toolCall" in text or "files/" in text:
            continue
        data = item.sse if item.streamed else item.data
        usage = _usage(GeminiAdapter(), data, streamed=item.streamed)
        yield item.name, lambda found=item: _gemini_chat(found), usage


def _gemini_chat(item: recorded_gemini.Exchange) -> dict[str, Any]:
    chat = recorded_gemini.as_chat(item.request)
    media = [
        part
        for content in item.request["contents"]
        for raw in content["parts"]
        if (part := _media_part(raw)) is not None
    ]
    if media:
        chat["messages"].append({"role": "user", "content": media})
    return {"model": item.model or "gemini", **chat}


def _media_part(raw: Any) -> dict[str, Any] | None:
    data = recorded_gemini.field(raw, "inlineData") or recorded_gemini.field(raw, "fileData")
    if not data:
        return None
    kind = str(recorded_gemini.field(data, "mimeType"))
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": "https://a/b.png"}}
    if kind.startswith("audio/") and "data" in data:
        audio = {"data": data["data"], "format": kind.removeprefix("audio/")}
        return {"type": "input_audio", "input_audio": audio}
    return {"type": "file", "file": {"file_data": "data:"}}


def _responses() -> Iterator[tuple[str, Any, TokenUsage | None]]:
    for path in sorted(recorded.SHARED.glob("*/responses-*.json")):
        case = json.loads(path.read_text())
        for number, found in enumerate(case["interactions"]):
            request, response = (found["request"] or {}).get("body"), found["response"]
            if case["api"] != "responses" or not isinstance(request, dict):
                continue
            if _carries_reasoning(request):
                continue
            if response["status"] == 200:
                name = f"{path.parent.name}/{path.stem}/{number}"
                usage = _last_usage(response["body"])
                yield name, lambda body=request: ResponsesDialect().chat_body(body), usage


def _carries_reasoning(request: dict[str, Any]) -> bool:
    """Say whether OpenAI's own reasoning, kept there or encrypted for it alone, is input: we do not send that on."""
    items = request.get("input")
    return any(
        item.get("type") == "reasoning" for item in (items if isinstance(items, list) else ())
    )


def _last_usage(body: Any) -> TokenUsage | None:
    """Return the usage of a response, whole or as the lines of a stream."""
    if isinstance(body, dict):
        found = [body]
    else:
        lines = body.split("\n") if isinstance(body, str) else [f"data: {line}" for line in body]
        events = [json.loads(line[5:]) for line in lines if line.startswith("data: {")]
        found = [event["response"] for event in events if "response" in event]
    usages = [item["usage"] for item in found if item.get("usage")]
    if not usages:
        return None
    raw = usages[-1]
    return openai_usage.read_usage(
        {
            "prompt_tokens": raw["input_tokens"],
            "completion_tokens": raw["output_tokens"],
            "prompt_tokens_details": raw.get("input_tokens_details") or {},
            "completion_tokens_details": raw.get("output_tokens_details") or {},
        }
    )


def _usage(adapter: Adapter, data: bytes, *, streamed: bool) -> TokenUsage | None:
    try:
        if not streamed:
            return adapter.chat_answer(data, serve_as=SERVE_AS).usage
        translator = adapter.chat_stream(serve_as=SERVE_AS)
        decoder = SseDecoder()
        for event, line in decoder.feed(data) + decoder.flush():
            translator.feed(event, line)
        translator.finish()
    except ProviderError:
        return None
    return translator.usage
