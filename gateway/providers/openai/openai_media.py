"""
Images, audio and moderation as OpenAI and its compatible servers offer them: requests out, whole answers in. Pure;
streams are in `openai_media_stream`.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from billing.types import TokenUsage
from gateway.providers import form_data, wire_json
from gateway.providers.base import ProviderError, ServeAs, Upstream, UpstreamRequest, WholeAnswer
from gateway.providers.form_data import FilePart
from gateway.providers.openai import azure_address, openai_errors
from gateway.providers.openai.openai_usage import count

SPEAKING: Final = frozenset(
    {"openai", "sandbox", azure_address.API}
)  # the APIs of `Upstream.api` that have these routes
LEAST_SECONDS: Final = 10
_USER_AGENT: Final = ("user-agent", "exerati/1")


def json_request(
    upstream: Upstream, *, path: str, body: Mapping[str, Any], accept: str = "application/json"
) -> UpstreamRequest:
    """Return a request with a JSON body."""
    return _request(upstream, path, "application/json", wire_json.encode(dict(body)), accept)


def form_request(
    upstream: Upstream,
    *,
    path: str,
    fields: Iterable[tuple[str, str]],
    files: Iterable[FilePart],
    accept: str = "application/json",
) -> UpstreamRequest:
    """Return a request with a form for a body."""
    content_type, body = form_data.encode(fields, files)
    return _request(upstream, path, content_type, body, accept)


def image_body(body: Mapping[str, Any], *, upstream_model: str) -> dict[str, Any]:
    """
    Return the fields of a request for images as the model takes them.

    GPT Image refuses `response_format`, since it answers with `b64_json` in any case (recorded; OpenAI's API
    reference); asking for just that is no reason to fail.
    """
    sent = {**body, "model": upstream_model}
    if "gpt-image" in upstream_model and sent.get("response_format") == "b64_json":
        del sent["response_format"]
    return sent


def transcription_fields(
    upstream: Upstream, *, upstream_model: str, body: Mapping[str, Any], told_format: str
) -> list[tuple[str, str]]:
    """
    Return the fields of a form that asks for a transcript in `told_format`, or as a stream where that is "stream".

    Mistral has no `response_format` and no `prompt`; its segments come when asked for
    (https://docs.mistral.ai/api/#tag/audio.transcriptions, read 2026-11).
    """
    sent: dict[str, Any] = {**body, "model": upstream_model}
    if "no_transcript_format" in upstream.quirks:
        sent.pop("prompt", None)
        if told_format == "verbose_json":
            sent.setdefault("timestamp_granularities", ["segment"])
    elif told_format != "stream":
        sent["response_format"] = told_format
    if told_format == "stream":
        sent["stream"] = True
    return form_fields(sent)


def form_fields(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the fields of a JSON body as those of a form."""
    return [pair for name, value in body.items() for pair in _form_fields(name, value)]


def image_answer(data: bytes, *, serve_as: ServeAs) -> WholeAnswer:
    """Return images, every unknown field kept. Raises ProviderError."""
    body = decoded(data)
    images = body.get("data")
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        raise ProviderError("bad_answer", "The provider's answer has no images.")
    images = [image for image in images if image.get("b64_json") or image.get("url")]
    body["data"] = images
    body["created"] = body.get("created") or serve_as.created
    raw = body.pop("usage", None)
    usage = image_usage(raw, images=len(images)) if has_tokens(raw) else None
    if usage is not None:
        body["usage"] = raw
    return WholeAnswer(body=body, usage=usage, has_output=bool(images))


def has_tokens(raw: object) -> bool:
    """Whether a provider's usage counts tokens; xAI's tells only what the call costs us."""
    return isinstance(raw, dict) and "output_tokens" in raw


def image_usage(raw: Mapping[str, Any], *, images: int) -> TokenUsage:
    """Return the usage that OpenAI tells with images."""
    given, made = _details(raw, "input_tokens_details"), _details(raw, "output_tokens_details")
    output = count(raw.get("output_tokens"))
    return TokenUsage(
        input_tokens=count(raw.get("input_tokens")),
        output_tokens=output,
        cache_read_tokens=count(given.get("cached_tokens")),
        image_input_tokens=count(given.get("image_tokens")),
        image_output_tokens=count(made.get("image_tokens")) if made else output,
        images=images,
    )


def transcript(data: bytes, *, quirks: frozenset[str]) -> WholeAnswer:
    """Return a transcript whole, as the provider wrote it. Raises ProviderError."""
    body = decoded(data)
    text = body.get("text")
    if not isinstance(text, str):
        raise ProviderError("bad_answer", "The provider's answer has no text.")
    usage = transcript_usage(body, quirks=quirks)
    return WholeAnswer(body=body, usage=usage, has_output=bool(text.strip()), output_text=text)


def transcript_usage(body: Mapping[str, Any], *, quirks: frozenset[str]) -> TokenUsage | None:
    """
    Return what a transcript tells of its usage: tokens, seconds, or both; None where it tells nothing.

    Seconds come in `usage.seconds`, in Mistral's `usage.prompt_audio_seconds`, or as the `duration` of the
    recording; they are billed whole, and at least ten by Groq (https://groq.com/pricing, read 2026-11).
    """
    usage = _details(body, "usage")
    told = usage.get("seconds") or usage.get("prompt_audio_seconds") or body.get("duration")
    seconds = _whole_seconds(told)
    if seconds and "least_10_seconds" in quirks:
        seconds = max(seconds, LEAST_SECONDS)
    counted = _details(usage, "input_token_details") or _details(usage, "prompt_tokens_details")
    audio = count(counted.get("audio_tokens"))
    found = TokenUsage(
        input_tokens=count(usage.get("input_tokens")) or count(usage.get("prompt_tokens")),
        output_tokens=count(usage.get("output_tokens")) or count(usage.get("completion_tokens")),
        audio_input_tokens=audio,
        seconds=seconds,
    )
    return found if found != TokenUsage() else None


def speech_usage(raw: object) -> TokenUsage | None:
    """Return the usage that OpenAI tells at the end of speech in events."""
    if not isinstance(raw, dict):
        return None
    return TokenUsage(
        input_tokens=count(raw.get("input_tokens")), output_tokens=count(raw.get("output_tokens"))
    )


def moderation_answer(data: bytes, *, serve_as: ServeAs) -> WholeAnswer:
    """Return what the moderation found. Raises ProviderError."""
    body = decoded(data)
    results = body.get("results")
    if not isinstance(results, list):
        raise ProviderError("bad_answer", "The provider's answer has no results.")
    upstream_id = str(body.get("id") or "")
    body["id"] = serve_as.id
    body["model"] = serve_as.model
    return WholeAnswer(
        body=body,
        usage=TokenUsage(calls=1),
        upstream_id=upstream_id,
        has_output=bool(results),
    )


def decoded(data: bytes) -> dict[str, Any]:
    """Return a JSON answer. Raises ProviderError, also for an error told with status 200."""
    body = wire_json.decode_whole(data)
    if body.get("error"):
        raise openai_errors.error_of(body)
    return body


def _request(
    upstream: Upstream, path: str, content_type: str, body: bytes, accept: str
) -> UpstreamRequest:
    headers = [("content-type", content_type), ("accept", accept), _USER_AGENT]
    base = upstream.base_url.rstrip("/")
    if upstream.api == azure_address.API:
        base = azure_address.without_version(base)  # its key is added as the request is sent
    elif upstream.credential:
        if "api_key_header" in upstream.quirks:  # Azure
            headers.append(("api-key", upstream.credential))
        else:
            headers.append(("authorization", f"Bearer {upstream.credential}"))
    return UpstreamRequest(url=base + path, headers=tuple(headers), body=body)


def _form_fields(name: str, value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, list):
        return [(f"{name}[]", str(item)) for item in value]
    if isinstance(value, dict):
        return [(f"{name}[{key}]", str(item)) for key, item in value.items()]
    if isinstance(value, bool):
        return [(name, "true" if value else "false")]
    return [(name, str(value))]


def _details(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = raw.get(name)
    return found if isinstance(found, dict) else {}


def _whole_seconds(value: object) -> int:
    sound = isinstance(value, int | float) and math.isfinite(value) and 0 < value < 10**9
    return math.ceil(value) if sound and isinstance(value, int | float) else 0
