"""
Google's Gemini API: requests out, whole answers in. Pure; streams are in `gemini_stream`.

Source: https://ai.google.dev/api/generate-content and /api/embeddings (read 2026-10). The model stands in the
address, the credential in a header, never in the address.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from gateway.providers import embedding_format, wire_json
from gateway.providers.base import (
    Adapter,
    ProviderError,
    ServeAs,
    StreamTranslator,
    Upstream,
    UpstreamRequest,
    WholeAnswer,
)
from gateway.providers.google import gemini_config, gemini_errors, gemini_usage
from gateway.providers.google.gemini_answer import (
    CandidateReader,
    check_prompt,
    extra_choice_fields,
    extra_fields,
    logprobs,
)
from gateway.providers.google.gemini_errors import refused
from gateway.providers.google.gemini_request import request_body
from gateway.providers.google.gemini_stream import GeminiStream
from gateway.providers.openai import openai_usage

SPEAKING: Final = frozenset({"gemini", "vertex"})  # the values of `Upstream.api` that mean this API
_MODEL: Final = re.compile(r"(?:tunedModels/)?[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_MAX_INPUTS: Final = 100  # of one batchEmbedContents
_OUTPUT: Final = ("content", "reasoning_content", "tool_calls", "images")


class GeminiAdapter(Adapter):
    """The translator for Gemini; see `Adapter`."""

    def chat_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any], stream: bool
    ) -> UpstreamRequest:
        """Return the request for a chat answer. Raises ProviderError for what Gemini cannot do."""
        sent = request_body(body, model=upstream_model)
        made = self.generate(upstream, model=upstream_model, body=sent, stream=stream)
        return replace(made, ignored=gemini_config.set_aside(body))

    def generate(
        self, upstream: Upstream, *, model: str, body: dict[str, Any], stream: bool = False
    ) -> UpstreamRequest:
        """Return a request for content that is not a chat: images, speech. Raises ProviderError."""
        return request(upstream, model=model, verb=_verb(stream=stream), body=body)

    def chat_answer(self, data: bytes, *, serve_as: ServeAs) -> WholeAnswer:
        """Return a whole chat answer. Raises ProviderError."""
        body = _answer(data)
        check_prompt(body)
        candidates = body.get("candidates")
        if not isinstance(candidates, list) or not candidates:
            raise ProviderError("bad_answer", "The provider's answer has no candidates.")
        output: list[str] = []
        choices = [
            _choice(candidate, position=position, serve_as=serve_as, output=output)
            for position, candidate in enumerate(candidates)
        ]
        has_output = any(choice["message"].get(name) for choice in choices for name in _OUTPUT)
        answer = {
            **extra_fields(body),
            "id": serve_as.id,
            "object": "chat.completion",
            "created": serve_as.created,
            "model": serve_as.model,
            "choices": choices,
        }
        raw = _usage_metadata(body)
        usage = gemini_usage.read_usage(raw, has_output=has_output)
        if usage is not None:
            extra = gemini_usage.extra_usage(raw)
            answer["usage"] = openai_usage.wire_usage(usage, extra=extra)
        return WholeAnswer(
            body=answer,
            usage=usage,
            upstream_id=str(body.get("responseId") or ""),
            finish_reason=choices[-1]["finish_reason"],
            has_output=has_output,
            output_text="".join(output) if usage is None else "",
        )

    def chat_stream(self, *, serve_as: ServeAs) -> StreamTranslator:
        """Return a translator for one stream."""
        return GeminiStream(serve_as=serve_as)

    def embeddings_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any]
    ) -> UpstreamRequest:
        """Return the request for embeddings, one or many. Raises ProviderError."""
        inputs = embedding_format.texts(body)
        if len(inputs) > _MAX_INPUTS:
            raise refused(f"This model takes at most {_MAX_INPUTS} inputs a call.", param="input")
        shared = {"model": f"models/{upstream_model}"}
        if "dimensions" in body:
            shared["outputDimensionality"] = body["dimensions"]
        requests = [{**shared, "content": {"parts": [{"text": text}]}} for text in inputs]
        return request(
            upstream, model=upstream_model, verb="batchEmbedContents", body={"requests": requests}
        )

    def embeddings_answer(self, data: bytes, *, serve_as: ServeAs) -> WholeAnswer:
        """Return embeddings as floats; Gemini tells the usage of some models only. Raises ProviderError."""
        body = _answer(data)
        embeddings = body.get("embeddings") or [body.get("embedding")]
        if not isinstance(embeddings, list) or not all(_is_vector(item) for item in embeddings):
            raise ProviderError("bad_answer", "The provider's answer has no embeddings.")
        return embedding_format.answer(
            (item["values"] for item in embeddings),
            usage=gemini_usage.read_usage(_usage_metadata(body), has_output=False),
            serve_as=serve_as,
        )

    def error(self, status: int, headers: Mapping[str, str], data: bytes) -> ProviderError:
        """Return what a status of 400 or more means."""
        return gemini_errors.read_error(status, headers, data)


def _verb(*, stream: bool) -> str:
    return "streamGenerateContent?alt=sse" if stream else "generateContent"


def request(upstream: Upstream, *, model: str, verb: str, body: dict[str, Any]) -> UpstreamRequest:
    """Return a request to one method of a model. Raises ProviderError for a name that is none."""
    if not _MODEL.fullmatch(model):
        # It would change the address; which names there are is ours to set, not the customer's.
        raise ProviderError("not_found", "The provider has no such model.", sent=False)
    path = model if model.startswith("tunedModels/") else f"models/{model}"
    accepted = "text/event-stream" if verb.endswith("alt=sse") else "application/json"
    headers = [
        ("content-type", "application/json"),
        ("accept", accepted),
        ("user-agent", "exerati/1"),
    ]
    if upstream.credential:
        headers.append(("x-goog-api-key", upstream.credential))
    return UpstreamRequest(
        url=f"{upstream.base_url.rstrip('/')}/{path}:{verb}",
        headers=tuple(headers),
        body=wire_json.encode(body),
    )


def _answer(data: bytes) -> dict[str, Any]:
    body = wire_json.decode_whole(data)
    if body.get("error"):
        raise gemini_errors.error_of(body)
    return body


def _usage_metadata(body: Mapping[str, Any]) -> dict[str, Any]:
    raw = body.get("usageMetadata")
    return raw if isinstance(raw, dict) else {}


def _choice(
    candidate: Any, *, position: int, serve_as: ServeAs, output: list[str]
) -> dict[str, Any]:
    if not isinstance(candidate, dict):
        raise ProviderError("bad_answer", "The provider's answer has a malformed candidate.")
    index = candidate.get("index")
    index = index if isinstance(index, int) else position
    reader = CandidateReader(answer_id=serve_as.id, index=index, output_text=output)
    said = reader.read(candidate)
    rest = reader.rest()
    message = {"role": "assistant", "content": None, "refusal": None, **_joined(said, rest)}
    for call in message.get("tool_calls") or ():
        del call["index"]  # of deltas only
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs(candidate),
        "finish_reason": reader.finish_reason(),
        "native_finish_reason": reader.reason,
        **extra_choice_fields(candidate),
    }


def _joined(said: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
    """Return both pieces of one message in one; they share `extra_content` and `tool_calls` only."""
    message = {**said, **rest}
    if "extra_content" in said and "extra_content" in rest:
        google = {**said["extra_content"]["google"], **rest["extra_content"]["google"]}
        message["extra_content"] = {"google": google}
    if "tool_calls" in said and "tool_calls" in rest:
        message["tool_calls"] = said["tool_calls"] + rest["tool_calls"]
    return message


def _is_vector(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("values"), list)
