"""
Cohere's API, version 2: requests out, whole answers in. Pure; streams are in `cohere_stream`.

https://docs.cohere.com/reference/chat and /reference/embed (read 2026-11).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.providers import embedding_format, one_choice, wire_json
from gateway.providers.anthropic.anthropic_errors import unsupported
from gateway.providers.base import (
    Adapter,
    ProviderError,
    ServeAs,
    StreamTranslator,
    Upstream,
    UpstreamRequest,
    WholeAnswer,
)
from gateway.providers.cohere import cohere_answer, cohere_request, cohere_usage
from gateway.providers.cohere.cohere_stream import CohereStream
from gateway.providers.openai import openai_errors

_MAX_INPUTS: Final = 96
_BLOCKED: Final = (
    498  # "blocked input or output" (https://docs.cohere.com/reference/errors, read 2026-11)
)
_TOO_LONG: Final = re.compile(r"too many tokens|size limit exceeded|token limit")
_TRIAL_IS_USED_UP: Final = re.compile(r"trial key|monthly|billing")


class CohereAdapter(Adapter):
    """The translator for Cohere; see `Adapter`."""

    def chat_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any], stream: bool
    ) -> UpstreamRequest:
        """Return the request for a chat answer. Raises ProviderError where it cannot be translated."""
        sent = cohere_request.translate(body, model=upstream_model, stream=stream)
        return request(
            upstream,
            path="/chat",
            body=sent,
            events=stream,
            ignored=cohere_request.set_aside(body),
        )

    def chat_answer(self, data: bytes, *, serve_as: ServeAs) -> WholeAnswer:
        """Return a whole chat answer in OpenAI's form. Raises ProviderError."""
        theirs = wire_json.decode_whole(data)
        found = theirs.get("message")
        if not isinstance(found, dict):
            raise ProviderError("bad_answer", "The provider's answer has no message.")
        ending = cohere_answer.ending(
            theirs.get("finish_reason"), tools_called=bool(found.get("tool_calls"))
        )
        message = cohere_answer.message(found)
        text = _output_text(message)
        raw = wire_json.mapping(theirs.get("usage"))
        return one_choice.answer(
            message,
            ending=ending,
            text=text,
            usage=cohere_usage.read_usage(raw),
            extra_usage=cohere_usage.extra_usage(raw),
            upstream_id=str(theirs.get("id") or ""),
            serve_as=serve_as,
        )

    def chat_stream(self, *, serve_as: ServeAs) -> StreamTranslator:
        """Return a translator for one stream."""
        return CohereStream(serve_as=serve_as)

    def embeddings_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any]
    ) -> UpstreamRequest:
        """Return the request for embeddings, which are taken as those of documents. Raises ProviderError."""
        inputs = embedding_format.texts(body)
        if len(inputs) > _MAX_INPUTS:
            unsupported("input", f"This model takes at most {_MAX_INPUTS} inputs a call.")
        sent = {
            "model": upstream_model,
            "texts": inputs,
            "input_type": "search_document",
            "embedding_types": ["float"],
            "truncate": "NONE",
        }
        if "dimensions" in body:
            sent["output_dimension"] = body["dimensions"]
        return request(upstream, path="/embed", body=sent)

    def embeddings_answer(self, data: bytes, *, serve_as: ServeAs) -> WholeAnswer:
        """Return embeddings as floats. Raises ProviderError."""
        theirs = wire_json.decode_whole(data)
        vectors = wire_json.mapping(theirs.get("embeddings")).get("float")
        if not isinstance(vectors, list) or not all(isinstance(item, list) for item in vectors):
            raise ProviderError("bad_answer", "The provider's answer has no embeddings.")
        return embedding_format.answer(
            vectors,
            usage=cohere_usage.read_usage(wire_json.mapping(theirs.get("meta"))),
            serve_as=serve_as,
            upstream_id=str(theirs.get("id") or ""),
        )

    def error(self, status: int, headers: Mapping[str, str], data: bytes) -> ProviderError:
        """Return what a status of 400 or more means."""
        return read_error(status, headers, data)


def request(
    upstream: Upstream,
    *,
    path: str,
    body: dict[str, Any],
    events: bool = False,
    ignored: tuple[str, ...] = (),
) -> UpstreamRequest:
    """Return a request to Cohere; what it learns of us is our key alone."""
    headers = [
        ("content-type", "application/json"),
        ("accept", "text/event-stream" if events else "application/json"),
        ("user-agent", "exerati/1"),
    ]
    if upstream.credential:
        headers.append(("authorization", f"Bearer {upstream.credential}"))
    return UpstreamRequest(
        url=upstream.base_url.rstrip("/") + path,
        headers=tuple(headers),
        body=wire_json.encode(body),
        ignored=ignored,
    )


def read_error(status: int, headers: Mapping[str, str], data: bytes) -> ProviderError:
    """Return the error in an answer of status 400 or more: `{"id", "message"}`."""
    error = openai_errors.read_error(status, headers, data)
    text = error.message.lower()
    if status == _BLOCKED:
        error.kind = "content_policy"
    elif status in (400, 422) and _TOO_LONG.search(text):
        error.kind = "context_length"
    elif status == 429 and _TRIAL_IS_USED_UP.search(text):
        error.kind = "quota"
    return error


def _output_text(message: Mapping[str, Any]) -> str:
    parts = [message["content"] or "", message.get("reasoning_content") or ""]
    for call in message.get("tool_calls") or ():
        parts += call["function"].values()
    return "".join(parts)
