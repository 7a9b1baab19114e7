"""
Amazon Bedrock: every chat model through Converse and ConverseStream, embeddings through InvokeModel. Pure.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (read 2026-11). Requests leave here
unsigned: `gateway.providers.authorize` signs each one as it is sent.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from gateway.providers import embedding_format, one_choice, wire_json
from gateway.providers.amazon import (
    bedrock_answer,
    bedrock_embeddings,
    bedrock_errors,
    bedrock_request,
    bedrock_usage,
)
from gateway.providers.amazon.bedrock_frames import EventStreamDecoder
from gateway.providers.amazon.bedrock_stream import BedrockStream
from gateway.providers.anthropic import anthropic_answer, anthropic_request
from gateway.providers.base import (
    Adapter,
    ProviderError,
    ServeAs,
    StreamDecoder,
    StreamTranslator,
    Upstream,
    UpstreamRequest,
    WholeAnswer,
)

# A model's id, or the ARN of an inference profile or of a model of our own.
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,2000}")
_JSON: Final = ("content-type", "application/json")
_USER_AGENT: Final = ("user-agent", "exerati/1")
_ACCEPT_JSON: Final = ("accept", "application/json")
_ACCEPT_EVENTS: Final = ("accept", "application/vnd.amazon.eventstream")


class BedrockAdapter(Adapter):
    """The translator for Amazon Bedrock; see `Adapter`."""

    def chat_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any], stream: bool
    ) -> UpstreamRequest:
        """Return the request for a chat answer. Raises ProviderError where it cannot be translated."""
        return _request(
            upstream,
            model=upstream_model,
            action="converse-stream" if stream else "converse",
            accept=_ACCEPT_EVENTS if stream else _ACCEPT_JSON,
            body=bedrock_request.translate(body, model=upstream_model),
            ignored=anthropic_request.set_aside(body),
        )

    def chat_answer(self, data: bytes, *, serve_as: ServeAs) -> WholeAnswer:
        """Return a whole chat answer in OpenAI's form. Raises ProviderError."""
        theirs = wire_json.decode_whole(data)
        reason = theirs.get("stopReason")
        bedrock_answer.check_reason(reason)
        message = anthropic_answer.message(bedrock_answer.blocks(_content(theirs)))
        text = anthropic_answer.output_text(message)
        ending = anthropic_answer.ending(
            reason, stop_sequence=_stop_sequence(theirs), tools_called="tool_calls" in message
        )
        raw = wire_json.mapping(theirs.get("usage"))
        return one_choice.answer(
            message,
            ending=ending,
            text=text,
            usage=bedrock_usage.read_usage(raw),
            extra_usage=bedrock_usage.extra_usage(raw),
            upstream_id="",
            serve_as=serve_as,
        )

    def chat_stream(self, *, serve_as: ServeAs) -> StreamTranslator:
        """Return a translator for one stream."""
        return BedrockStream(serve_as=serve_as)

    def stream_decoder(self) -> StreamDecoder:
        """Return what cuts Amazon's binary stream into events."""
        return EventStreamDecoder()

    def embeddings_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any]
    ) -> UpstreamRequest:
        """Return the request for embeddings. Raises ProviderError."""
        return _request(
            upstream,
            model=upstream_model,
            action="invoke",
            accept=_ACCEPT_JSON,
            body=bedrock_embeddings.request_body(body, model=upstream_model),
        )

    def embeddings_answer(self, data: bytes, *, serve_as: ServeAs) -> WholeAnswer:
        """Return embeddings as floats. Raises ProviderError."""
        theirs = wire_json.decode_whole(data)
        return embedding_format.answer(
            bedrock_embeddings.vectors(theirs),
            usage=bedrock_embeddings.usage(theirs),
            serve_as=serve_as,
            upstream_id=str(theirs.get("id") or ""),
        )

    def error(self, status: int, headers: Mapping[str, str], data: bytes) -> ProviderError:
        """Return what a status of 400 or more means."""
        return bedrock_errors.read_error(status, headers, data)


def _request(
    upstream: Upstream,
    *,
    model: str,
    action: str,
    accept: tuple[str, str],
    body: dict[str, Any],
    ignored: tuple[str, ...] = (),
) -> UpstreamRequest:
    if not _MODEL.fullmatch(model):
        # It would change the address; which names there are is ours to set, not the customer's.
        raise ProviderError("not_found", "The provider has no such model.", sent=False)
    return UpstreamRequest(
        url=f"{upstream.base_url.rstrip('/')}/model/{quote(model, safe='')}/{action}",
        headers=(_JSON, accept, _USER_AGENT),
        body=wire_json.encode(body),
        ignored=ignored,
    )


def _content(theirs: Mapping[str, Any]) -> list[Any]:
    output = theirs.get("output")
    message = output.get("message") if isinstance(output, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        raise ProviderError("bad_answer", "The provider's answer has no content.")
    return content


def _stop_sequence(theirs: Mapping[str, Any]) -> str | None:
    fields = theirs.get("additionalModelResponseFields")
    found = fields.get("stop_sequence") if isinstance(fields, dict) else None
    return found if isinstance(found, str) else None
