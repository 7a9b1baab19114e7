"""
Anthropic's Messages API: requests out, whole answers in. Pure; streams are in `anthropic_stream`.

https://platform.claude.com/docs/en/api/messages, read 2026-11.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.providers import one_choice, wire_json
from gateway.providers.anthropic import (
    anthropic_answer,
    anthropic_errors,
    anthropic_native,
    anthropic_request,
    anthropic_usage,
)
from gateway.providers.anthropic.anthropic_native import Native
from gateway.providers.anthropic.anthropic_native_stream import NativeStream
from gateway.providers.anthropic.anthropic_stream import AnthropicStream
from gateway.providers.base import (
    Adapter,
    ProviderError,
    ServeAs,
    StreamTranslator,
    Upstream,
    UpstreamRequest,
    WholeAnswer,
)
from gateway.providers.openai import openai_usage

# All that a provider learns of us: nothing of the customer's headers goes out.
_HEADERS: Final = (
    ("content-type", "application/json"),
    ("user-agent", "exerati/1"),
    ("anthropic-version", "2023-06-01"),
)
_ACCEPT_JSON: Final = ("accept", "application/json")
_ACCEPT_EVENTS: Final = ("accept", "text/event-stream")


class AnthropicAdapter(Adapter):
    """The translator for Anthropic; see `Adapter`."""

    def chat_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any], stream: bool
    ) -> UpstreamRequest:
        """Return the request for a chat answer. Raises ProviderError where it cannot be translated."""
        sent = anthropic_request.translate(body, model=upstream_model, stream=stream)
        headers = [
            *_HEADERS,
            _ACCEPT_EVENTS if stream else _ACCEPT_JSON,
            *anthropic_native.headers(body.get(anthropic_native.FIELD)),
        ]
        if upstream.credential:
            headers.append(("x-api-key", upstream.credential))
        return UpstreamRequest(
            url=upstream.base_url.rstrip("/") + "/messages",
            headers=tuple(headers),
            body=wire_json.encode(sent),
            ignored=anthropic_request.set_aside(body),
        )

    def count_request(
        self, upstream: Upstream, *, upstream_model: str, native: Native
    ) -> UpstreamRequest:
        """
        Return the request for the number of a prompt's tokens. Raises ProviderError.

        https://platform.claude.com/docs/en/build-with-claude/token-counting (read 2026-11-28).
        """
        headers = [*_HEADERS, _ACCEPT_JSON, *anthropic_native.headers(native)]
        if upstream.credential:
            headers.append(("x-api-key", upstream.credential))
        return UpstreamRequest(
            url=upstream.base_url.rstrip("/") + "/messages/count_tokens",
            headers=tuple(headers),
            body=wire_json.encode(anthropic_native.counted(native, model=upstream_model)),
        )

    def counted(self, data: bytes) -> dict[str, Any]:
        """Return what the provider says of a prompt's tokens. Raises ProviderError."""
        theirs = wire_json.decode(data)
        if openai_usage.told(theirs.get("input_tokens")) is None:
            raise ProviderError("bad_answer", "The provider's answer has no count.")
        return theirs

    def chat_answer(self, data: bytes, *, serve_as: ServeAs) -> WholeAnswer:
        """Return a whole chat answer in OpenAI's form. Raises ProviderError."""
        theirs = wire_json.decode_whole(data)
        if theirs.get("error"):
            raise anthropic_errors.error_of(theirs)
        blocks = theirs.get("content")
        if not isinstance(blocks, list):
            raise ProviderError("bad_answer", "The provider's answer has no content.")
        message = anthropic_answer.message(blocks, lossless=serve_as.native)
        text = anthropic_answer.output_text(message)
        reason = theirs.get("stop_reason")
        message["refusal"] = anthropic_answer.refusal(reason, theirs.get("stop_details"))
        ending = anthropic_answer.ending(
            reason,
            stop_sequence=theirs.get("stop_sequence"),
            tools_called="tool_calls" in message,
        )
        raw = wire_json.mapping(theirs.get("usage"))
        answer = one_choice.answer(
            message,
            ending=ending,
            text=text,
            usage=anthropic_usage.read_usage(raw),
            extra_usage=anthropic_usage.extra_usage(raw),
            upstream_id=str(theirs.get("id") or ""),
            serve_as=serve_as,
        )
        if serve_as.native:
            answer.body[anthropic_native.FIELD] = theirs
        return answer

    def chat_stream(self, *, serve_as: ServeAs) -> StreamTranslator:
        """Return a translator for one stream."""
        if serve_as.native:
            return NativeStream(serve_as=serve_as)
        return AnthropicStream(serve_as=serve_as)

    def error(self, status: int, headers: Mapping[str, str], data: bytes) -> ProviderError:
        """Return what a status of 400 or more means."""
        return anthropic_errors.read_error(status, headers, data)
