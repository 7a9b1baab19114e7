"""
The sandbox: a provider inside the process, deterministic, at the same seam as the network.

It answers every test key and the `sandbox/...` models in OpenAI's wire format, so that translation, metering
and streaming run exactly as with a real provider. It never waits, but for `sandbox/slow`.
"""

import asyncio
import hashlib
import math
import struct
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

from gateway import vocabulary
from gateway.providers.base import ProviderError, UpstreamRequest, UpstreamResponse
from gateway.providers.sandbox import sandbox_chat, sandbox_media, sandbox_sound

_MAX_DELAY_MS: Final = 60_000
_DELAY_MS: Final = 100

# Dimensions of OpenAI's embedding models (https://platform.openai.com/docs/guides/embeddings, read 2026-10).
_DIMENSIONS: Final = {
    "text-embedding-3-large": 3_072,
    "text-embedding-3-small": 1_536,
    "text-embedding-ada-002": 1_536,
}
_DIMENSIONS_DEFAULT: Final = 1_024


class SandboxModel(NamedTuple):
    """One model of the sandbox, for the catalog."""

    name: str
    kind: Literal["chat", "embedding", "image", "speech", "transcription", "moderation", "rerank"]
    title: str
    description: str


SANDBOX_MODELS: Final = (
    SandboxModel("sandbox/echo", "chat", "Echo", "Answers with the text of the last message."),
    SandboxModel("sandbox/tools", "chat", "Tools", "Calls every tool of the request, once."),
    SandboxModel(
        "sandbox/slow",
        "chat",
        "Slow",
        'Waits before each piece; the last message may be {"delay_ms": 100, "tokens": 20}.',
    ),
    SandboxModel("sandbox/length", "chat", "Length", "Ends at its output limit (`length`)."),
    SandboxModel(
        "sandbox/overrun", "chat", "Overrun", "Answers twice as long as it was allowed to."
    ),
    SandboxModel("sandbox/empty", "chat", "Empty", "Answers with no text at all."),
    SandboxModel("sandbox/no-usage", "chat", "No usage", "Answers without reporting usage."),
    SandboxModel("sandbox/broken-stream", "chat", "Broken stream", "Breaks off half way."),
    SandboxModel("sandbox/error-400", "chat", "Error 400", "Refuses the request as invalid."),
    SandboxModel("sandbox/error-401", "chat", "Error 401", "Refuses our account's key."),
    SandboxModel("sandbox/error-404", "chat", "Error 404", "Does not know the model."),
    SandboxModel(
        "sandbox/error-429", "chat", "Error 429", "Says that there are too many requests."
    ),
    SandboxModel("sandbox/error-500", "chat", "Error 500", "Fails inside."),
    SandboxModel("sandbox/error-503", "chat", "Error 503", "Is overloaded."),
    SandboxModel("sandbox/error-timeout", "chat", "Timeout", "Does not answer in time."),
    SandboxModel("sandbox/embedding", "embedding", "Embedding", "Unit vectors made from a hash."),
    SandboxModel("sandbox/image", "image", "Image", "Draws stripes, in the size asked for."),
    SandboxModel("sandbox/speech", "speech", "Speech", "Silence (mp3) or a tone (wav, pcm)."),
    SandboxModel(
        "sandbox/transcription",
        "transcription",
        "Transcription",
        "Says how long the recording is.",
    ),
    SandboxModel(
        "sandbox/moderation", "moderation", "Moderation", "Flags texts with the word violence."
    ),
    SandboxModel("sandbox/rerank", "rerank", "Rerank", "Scores by the words of the query."),
)

_ERRORS: Final[Mapping[str, tuple[str, str, str]]] = {
    "400": ("The request is invalid, as asked for.", "invalid_request_error", "invalid_value"),
    "401": ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    "404": ("The model does not exist.", "invalid_request_error", "model_not_found"),
    "429": ("Rate limit reached. Please try again in 1s.", "requests", "rate_limit_exceeded"),
    "500": ("The server had an error, as asked for.", "server_error", ""),
    "503": ("The engine is overloaded, as asked for.", "server_error", "overloaded"),
}

_encode: Final = msgspec.json.Encoder().encode


class _Answer:
    """An answer that is all here; `parts` come one by one, `delay_seconds` before each."""

    __slots__ = ("_breaks", "_delay_seconds", "_parts", "headers", "status")

    def __init__(
        self,
        parts: Iterable[bytes],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        delay_seconds: float = 0.0,
        breaks: bool = False,
    ) -> None:
        self.status = status
        self.headers = headers or {"content-type": "application/json"}
        self._parts = parts
        self._delay_seconds = delay_seconds
        self._breaks = breaks

    async def read(self) -> bytes:
        """Return the whole body."""
        return b"".join([part async for part in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body part by part, and raise ProviderError after the last if it is to break off."""
        for part in self._parts:
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            yield part
        if self._breaks:
            raise ProviderError("connection", "The provider closed the connection.")

    async def close(self) -> None:
        """Drop what was not read."""
        self._parts = ()


async def respond(request: UpstreamRequest, *, now: int) -> UpstreamResponse:
    """
    Return the answer to a request that an OpenAI adapter made; `now` is its Unix time.

    Raises ProviderError `timeout` for `sandbox/error-timeout`, as the client does.
    """
    media = sandbox_media.respond(request, now=now)
    if media is not None:
        headers = {"content-type": media.content_type}
        return _Answer(media.parts, status=media.status, headers=headers)
    body = msgspec.json.decode(request.body)
    behaviour = body["model"].removeprefix("sandbox/error-")
    if behaviour == "timeout":
        raise ProviderError("timeout", "The provider took too long.")
    if behaviour in _ERRORS:
        return _error(behaviour)
    if request.url.endswith("/embeddings"):
        return _Answer([_embeddings(body)])
    return _chat(body, now=now)


def _error(status: str) -> UpstreamResponse:
    message, kind, code = _ERRORS[status]
    error = {"message": message, "type": kind, "param": None, "code": code or None}
    headers = {"content-type": "application/json"}
    if status in ("429", "503"):
        headers["retry-after"] = "1"
    return _Answer([_encode({"error": error})], status=int(status), headers=headers)


def _refusal(message: str, param: str) -> UpstreamResponse:
    error = {
        "message": message,
        "type": "invalid_request_error",
        "param": param,
        "code": "unsupported_value",
    }
    return _Answer([_encode({"error": error})], status=400)


def _chat(body: Mapping[str, Any], *, now: int) -> UpstreamResponse:
    model = body["model"]
    if "audio" in body and body["audio"]["format"] not in sandbox_sound.MAKERS:
        return _refusal("The sandbox speaks mp3, wav and pcm16 only.", "audio.format")
    reply = sandbox_chat.reply_to(body)
    with_usage = model != "sandbox/no-usage"
    parts: Iterable[bytes]
    if body.get("stream"):
        parts = sandbox_chat.events(reply, body, now=now, with_usage=with_usage)
        headers = {"content-type": "text/event-stream"}
    else:
        parts = [sandbox_chat.whole(reply, body, now=now, with_usage=with_usage)]
        headers = {"content-type": "application/json"}
    if model == "sandbox/broken-stream":
        whole = b"".join(parts)
        return _Answer([whole[: len(whole) // 2]], headers=headers, breaks=True)
    delay_ms = 0
    if model == "sandbox/slow":
        asked = sandbox_chat.options_of(body).get("delay_ms")
        delay_ms = sandbox_chat.whole_number(asked, default=_DELAY_MS, most=_MAX_DELAY_MS)
    return _Answer(parts, headers=headers, delay_seconds=delay_ms / 1000)


def _embeddings(body: Mapping[str, Any]) -> bytes:
    model = body["model"]
    inputs = body["input"]
    if isinstance(inputs, str) or isinstance(inputs[0], int):
        inputs = [inputs]
    dimensions = body.get("dimensions") or _DIMENSIONS.get(
        model.rpartition("/")[2], _DIMENSIONS_DEFAULT
    )
    as_base64 = body.get("encoding_format") == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _vector(item, dimensions=dimensions, as_base64=as_base64),
        }
        for index, item in enumerate(inputs)
    ]
    tokens = sum(
        vocabulary.count_tokens(item, model=model) if isinstance(item, str) else len(item)
        for item in inputs
    )
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return _encode({"object": "list", "data": data, "model": model, "usage": usage})


def _vector(item: str | list[int], *, dimensions: int, as_base64: bool) -> str | list[float]:
    """Return a unit vector that depends on nothing but the input and the number of dimensions."""
    digest = hashlib.shake_256(_encode(item)).digest(2 * dimensions)
    numbers = [number + 0.5 for number in struct.unpack(f"<{dimensions}h", digest)]
    length = math.sqrt(sum(number * number for number in numbers))
    packed = struct.pack(f"<{dimensions}f", *(number / length for number in numbers))
    if as_base64:
        return b64encode(packed).decode()
    return list(struct.unpack(f"<{dimensions}f", packed))
