"""OpenAI's API and all that speak it: requests out, whole answers in. Pure; streams are in `openai_stream`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.providers import wire_json
from gateway.providers.base import (
    Adapter,
    ProviderError,
    ServeAs,
    StreamTranslator,
    Upstream,
    UpstreamRequest,
    WholeAnswer,
)
from gateway.providers.openai import openai_audio, openai_errors, openai_usage, quirks
from gateway.providers.openai.openai_stream import OpenAIStream

# All that a provider learns of us: nothing of the customer's headers goes out.
_USER_AGENT: Final = ("user-agent", "exerati/1")
_JSON: Final = ("content-type", "application/json")
_ACCEPT_JSON: Final = ("accept", "application/json")
_ACCEPT_EVENTS: Final = ("accept", "text/event-stream")


class OpenAIAdapter(Adapter):
    """The translator for OpenAI and every compatible server; see `Adapter`."""

    def chat_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any], stream: bool
    ) -> UpstreamRequest:
        """Return the request for a chat answer; streams always ask for usage, since we bill by it."""
        sent = {**body, "model": upstream_model}
        sent.pop("stream", None)
        options = sent.pop("stream_options", None) or {}
        if stream:
            sent["stream"] = True
            sent["stream_options"] = {**options, "include_usage": True}
        if "keeps_extensions" not in upstream.quirks:
            quirks.write_without_extensions(sent)
        if "service_tiers" not in upstream.quirks:
            sent.pop("service_tier", None)
        _apply(quirks.CHAT_QUIRKS, upstream, sent)
        return _request(upstream, path="/chat/completions", body=sent, events=stream)

    def chat_answer(self, data: bytes, *, serve_as: ServeAs) -> WholeAnswer:
        """Return a whole chat answer, every unknown field kept. Raises ProviderError."""
        body = _answer(data)
        choices = body.get("choices")
        if not isinstance(choices, list):
            raise ProviderError("bad_answer", "The provider's answer has no choices.")
        upstream_id = str(body.get("id") or "")
        spoken = 0
        for position, choice in enumerate(choices):
            _repair_choice(choice, position=position)
            _name_calls(choice["message"], serve_as=serve_as, position=position)
            spoken += openai_audio.relabel_message(
                choice["message"], serve_as=serve_as, index=position
            )
        body["id"] = serve_as.id
        body["object"] = "chat.completion"
        if not isinstance(body.get("created"), int) or not body["created"]:
            body["created"] = serve_as.created
        body["model"] = serve_as.model
        raw = wire_json.mapping(body.get("usage"))
        usage = openai_usage.read_usage(raw, service_tier=body.get("service_tier"))
        if usage is not None:
            body["usage"] = openai_usage.wire_usage(usage, extra=openai_usage.extra_usage(raw))
        else:
            body.pop("usage", None)  # told as we count it
        return WholeAnswer(
            body=body,
            usage=usage,
            upstream_id=upstream_id,
            finish_reason=str(choices[-1].get("finish_reason") or "") if choices else "",
            has_output=any(_has_output(choice["message"]) for choice in choices),
            output_text="".join(_output_text(choice["message"]) for choice in choices)
            if usage is None
            else "",
            audio_characters=spoken,
        )

    def chat_stream(self, *, serve_as: ServeAs) -> StreamTranslator:
        """Return a translator for one stream; answers show their own quirks."""
        return OpenAIStream(serve_as=serve_as)

    def embeddings_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any]
    ) -> UpstreamRequest:
        """Return the request for embeddings."""
        sent = {**body, "model": upstream_model}
        _apply(quirks.EMBEDDINGS_QUIRKS, upstream, sent)
        return _request(upstream, path="/embeddings", body=sent, events=False)

    def embeddings_answer(self, data: bytes, *, serve_as: ServeAs) -> WholeAnswer:
        """Return embeddings, floats or base64 as the provider wrote them. Raises ProviderError."""
        body = _answer(data)
        vectors = body.get("data")
        if not isinstance(vectors, list) or not all(_is_vector(item) for item in vectors):
            raise ProviderError("bad_answer", "The provider's answer has no embeddings.")
        upstream_id = str(body.get("id") or "")
        if "id" in body:
            body["id"] = serve_as.id
        body["object"] = "list"
        body["model"] = serve_as.model
        raw = wire_json.mapping(body.get("usage"))
        usage = openai_usage.read_usage({"completion_tokens": 0, **raw})
        if usage is not None:
            body["usage"] = {
                **openai_usage.extra_usage(raw),
                "prompt_tokens": usage.input_tokens,
                "total_tokens": usage.input_tokens + usage.output_tokens,
            }
        return WholeAnswer(
            body=body, usage=usage, upstream_id=upstream_id, has_output=bool(vectors)
        )

    def error(self, status: int, headers: Mapping[str, str], data: bytes) -> ProviderError:
        """Return what a status of 400 or more means."""
        return openai_errors.read_error(status, headers, data)


def _apply(
    known: Mapping[str, Callable[[dict[str, Any]], None]], upstream: Upstream, body: dict[str, Any]
) -> None:
    for name in upstream.quirks & known.keys():
        known[name](body)


def _request(
    upstream: Upstream, *, path: str, body: dict[str, Any], events: bool
) -> UpstreamRequest:
    headers = [_JSON, _ACCEPT_EVENTS if events else _ACCEPT_JSON, _USER_AGENT]
    if upstream.credential:
        if "api_key_header" in upstream.quirks:  # Azure
            headers.append(("api-key", upstream.credential))
        else:
            headers.append(("authorization", f"Bearer {upstream.credential}"))
    return UpstreamRequest(
        url=upstream.base_url.rstrip("/") + path,
        headers=tuple(headers),
        body=wire_json.encode(body),
    )


def _answer(data: bytes) -> dict[str, Any]:
    """Return the decoded answer. OpenRouter reports some errors with status 200, and pads with blank lines."""
    body = wire_json.decode_whole(data)
    if body.get("error"):
        raise openai_errors.error_of(body)
    return body


def _repair_choice(choice: Any, *, position: int) -> None:
    """Bring one choice into OpenAI's form, in place. Raises ProviderError."""
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        raise ProviderError("bad_answer", "The provider's answer has a choice without a message.")
    if choice.get("error"):
        raise openai_errors.error_of(choice)
    message = choice["message"]
    quirks.repair_message(message)
    message["role"] = "assistant"
    message.setdefault("content", None)  # Groq leaves it out beside tool calls
    message.setdefault("refusal", None)
    if not isinstance(choice.get("index"), int):
        choice["index"] = position
    choice.setdefault("logprobs", None)
    reason = choice.get("finish_reason")
    if reason in quirks.FAILED_REASONS:
        raise ProviderError("server", "The provider broke off its answer.", code=str(reason))
    if isinstance(reason, str) and reason:
        choice["finish_reason"] = quirks.finish_reason(reason)
    else:
        choice["finish_reason"] = "tool_calls" if message.get("tool_calls") else "stop"


def _name_calls(message: dict[str, Any], *, serve_as: ServeAs, position: int) -> None:
    """Give tool calls without an id one, in place: clients send it back with the tool's result."""
    calls = message.get("tool_calls")
    for number, call in enumerate(calls if isinstance(calls, list) else ()):
        if isinstance(call, dict) and not call.get("id"):
            call["id"] = f"call_{serve_as.id.rpartition('-')[2]}_{position}_{number}"
            call["type"] = call.get("type") or "function"


def _has_output(message: Mapping[str, Any]) -> bool:
    fields = (
        "content",
        "tool_calls",
        "function_call",
        "refusal",
        "reasoning",
        "reasoning_content",
        "audio",
    )
    return any(message.get(name) for name in fields)


def _output_text(message: Mapping[str, Any]) -> str:
    """Return all that a message says; reasoning sent under two names counts once."""
    functions = [
        call.get("function") or call.get("custom")
        for call in message.get("tool_calls") or ()
        if isinstance(call, dict)
    ]
    functions.append(message.get("function_call"))
    audio = message.get("audio")
    parts = [
        message.get("content"),
        audio.get("transcript") if isinstance(audio, dict) else None,
        message.get("refusal"),
        message.get("reasoning_content") or message.get("reasoning"),
    ]
    for function in functions:
        if isinstance(function, dict):
            parts += [function.get(name) for name in ("name", "arguments", "input")]
    return "".join(part for part in parts if isinstance(part, str))


def _is_vector(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("embedding"), list | str)
