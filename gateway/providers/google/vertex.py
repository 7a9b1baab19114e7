"""
Google's Vertex AI: Gemini and Claude as their own APIs have them, at addresses with our project and region. Pure.

https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference and
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai (read 2026-11). Requests leave here without a
credential and with `{project}` and `{region}` in the address: `gateway.providers.authorize` adds both.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from msgspec import structs

from billing.types import TokenUsage
from gateway.providers import embedding_format, wire_json
from gateway.providers.anthropic import anthropic_errors, anthropic_native, anthropic_request
from gateway.providers.anthropic.anthropic import AnthropicAdapter
from gateway.providers.anthropic.anthropic_native import Native
from gateway.providers.base import ProviderError, ServeAs, Upstream, UpstreamRequest, WholeAnswer
from gateway.providers.google import gemini, gemini_config, gemini_errors
from gateway.providers.google.gemini import GeminiAdapter
from gateway.providers.google.gemini_request import request_body
from gateway.providers.openai import openai_usage

_CLAUDE_VERSION: Final = "vertex-2023-10-16"
_CLAUDE_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,200}")
_CALL_IDS_FROM: Final = (3, 0)


class VertexAdapter(GeminiAdapter):
    """The translator for Gemini on Vertex AI; see `Adapter`."""

    def generate(
        self, upstream: Upstream, *, model: str, body: dict[str, Any], stream: bool = False
    ) -> UpstreamRequest:
        """Return the request without a credential, which is added as it is sent. Raises ProviderError."""
        return super().generate(
            replace(upstream, credential=""), model=model, body=body, stream=stream
        )

    def chat_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any], stream: bool
    ) -> UpstreamRequest:
        """Return the request for a chat answer. Raises ProviderError for what Gemini cannot do."""
        sent = request_body(body, model=upstream_model)
        if gemini_config.generation(upstream_model) < _CALL_IDS_FROM:
            _drop_call_ids(sent["contents"])
        made = self.generate(upstream, model=upstream_model, body=sent, stream=stream)
        return structs.replace(made, ignored=gemini_config.set_aside(body))

    def embeddings_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any]
    ) -> UpstreamRequest:
        """
        Return the request for embeddings; Gemini's model takes one input a call here. Raises ProviderError.

        https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api (read 2026-11).
        """
        inputs = embedding_format.texts(body)
        if len(inputs) > 1 and upstream_model.startswith("gemini-"):
            raise gemini_errors.refused("This model takes one input a call.", param="input")
        sent: dict[str, Any] = {"instances": [{"content": text} for text in inputs]}
        sent["parameters"] = {"autoTruncate": False}
        if "dimensions" in body:
            sent["parameters"]["outputDimensionality"] = body["dimensions"]
        return _unsigned(upstream, model=upstream_model, verb="predict", body=sent)

    def embeddings_answer(self, data: bytes, *, serve_as: ServeAs) -> WholeAnswer:
        """Return embeddings as floats. Raises ProviderError."""
        theirs = wire_json.decode_whole(data)
        predictions = theirs.get("predictions")
        found = [
            wire_json.mapping(wire_json.mapping(item).get("embeddings"))
            for item in (predictions if isinstance(predictions, list) else ())
        ]
        if not found or not all(isinstance(item.get("values"), list) for item in found):
            raise ProviderError("bad_answer", "The provider's answer has no embeddings.")
        tokens = sum(
            openai_usage.count(wire_json.mapping(item.get("statistics")).get("token_count"))
            for item in found
        )
        return embedding_format.answer(
            (item["values"] for item in found),
            usage=TokenUsage(input_tokens=tokens) if tokens else None,
            serve_as=serve_as,
        )


class VertexClaudeAdapter(AnthropicAdapter):
    """The translator for Claude on Vertex AI: the model in the address, the version in the body; see `Adapter`."""

    def chat_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any], stream: bool
    ) -> UpstreamRequest:
        """Return the request for a chat answer. Raises ProviderError where it cannot be translated."""
        if not _CLAUDE_MODEL.fullmatch(upstream_model):
            raise ProviderError("not_found", "The provider has no such model.", sent=False)
        sent = anthropic_request.translate(body, model=upstream_model, stream=stream)
        _check_sources(sent)
        for name in ("model", *anthropic_native.NOT_ON_VERTEX):
            sent.pop(name, None)
        verb = "streamRawPredict" if stream else "rawPredict"
        made = _to_claude(
            upstream, f"{upstream_model}:{verb}", sent, body.get(anthropic_native.FIELD)
        )
        accept = ("accept", "text/event-stream" if stream else "application/json")
        return structs.replace(
            made, headers=(*made.headers, accept), ignored=anthropic_request.set_aside(body)
        )

    def count_request(
        self, upstream: Upstream, *, upstream_model: str, native: Native
    ) -> UpstreamRequest:
        """
        Return the request for the number of a prompt's tokens, whose model stands in the body. Raises ProviderError.

        https://platform.claude.com/docs/en/build-with-claude/token-counting names Google Cloud among the platforms;
        address and body are those of Anthropic's SDK 2.12 (`lib/vertex`; both read 2026-11-28).
        """
        sent = anthropic_native.counted(native, model=upstream_model)
        made = _to_claude(upstream, "count-tokens:rawPredict", sent, native)
        return structs.replace(made, headers=(*made.headers, ("accept", "application/json")))

    def error(self, status: int, headers: Mapping[str, str], data: bytes) -> ProviderError:
        """Return what a status of 400 or more means: Google answers for the platform, Anthropic for the model."""
        if b'"type"' in data and b'"error"' in data and b'"status"' not in data:
            return anthropic_errors.read_error(status, headers, data)
        return gemini_errors.read_error(status, headers, data)


def _check_sources(sent: dict[str, Any]) -> None:
    """
    Refuse images and documents by address, before anything is sent, so that another route may take them.

    https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai ("Features not supported", of 2026-09-26).
    """
    for turn in sent["messages"]:
        blocks = turn.get("content")
        for block in blocks if isinstance(blocks, list) else ():
            inner = block.get("content") if block.get("type") == "tool_result" else None
            for part in (block, *(inner if isinstance(inner, list) else ())):
                if wire_json.mapping(part.get("source")).get("type") == "url":
                    raise ProviderError(
                        "bad_request",
                        "Claude on Vertex AI takes images and documents in base64 only. Send their data.",
                        status=400,
                        code="unsupported_value",
                        param="messages",
                        sent=False,
                    )


def _to_claude(
    upstream: Upstream, what: str, sent: dict[str, Any], native: Native | None
) -> UpstreamRequest:
    return UpstreamRequest(
        url=f"{upstream.base_url.rstrip('/')}/models/{what}",
        headers=(
            ("content-type", "application/json"),
            ("user-agent", "exerati/1"),
            *anthropic_native.headers(native),
        ),
        body=wire_json.encode({"anthropic_version": _CLAUDE_VERSION, **sent}),
    )


def _unsigned(
    upstream: Upstream, *, model: str, verb: str, body: dict[str, Any]
) -> UpstreamRequest:
    return gemini.request(replace(upstream, credential=""), model=model, verb=verb, body=body)


def _drop_call_ids(contents: list[dict[str, Any]]) -> None:
    """
    Take the ids out of calls and results, in place: before Gemini 3 Vertex refuses them with "Unknown name".

    https://github.com/vercel/ai/issues/15664; taken from Gemini 3 on since the API's revision 20260921.
    """
    for content in contents:
        for part in content["parts"]:
            for name in ("functionCall", "functionResponse"):
                if name in part:
                    part[name].pop("id", None)
