"""
Speech by Gemini: OpenAI's request as `generateContent`, and the samples it answers with as WAV or PCM. Pure.

Sources: https://ai.google.dev/gemini-api/docs/speech-generation and
https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/speech/text-to-speech (read 2026-11). It answers
with 16-bit samples (`audio/L16;codec=pcm;rate=24000`), from 3.8 on piece by piece; other formats would need an encoder.
"""

import re
import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.providers import wire_json
from gateway.providers.base import ProviderError, ServeAs, Upstream, UpstreamRequest
from gateway.providers.google import gemini_config, gemini_errors, gemini_usage
from gateway.providers.google.gemini import GeminiAdapter
from gateway.providers.google.gemini_answer import check_prompt
from gateway.providers.google.gemini_errors import refused
from gateway.providers.openai.openai_media_stream import MediaStream, Tell

FORMATS: Final = ("wav", "pcm")
DEFAULT_FORMAT: Final = "wav"
_RATE: Final = re.compile(r"rate=(\d{4,6})")
_SAMPLE_RATE: Final = 24_000
_STREAMS_FROM: Final = (3, 8)  # so does the style that stands apart from the text
_UNKNOWN_BYTES: Final = 0xFFFF_FFFF  # of a file whose length is not known when it begins
# OpenAI's voices, for clients that name one without knowing who speaks; Gemini's own names go through.
_VOICES: Final[Mapping[str, str]] = {
    "alloy": "Kore",
    "ash": "Orus",
    "ballad": "Umbriel",
    "cedar": "Iapetus",
    "coral": "Aoede",
    "echo": "Charon",
    "fable": "Fenrir",
    "marin": "Despina",
    "nova": "Leda",
    "onyx": "Algenib",
    "sage": "Sulafat",
    "shimmer": "Zephyr",
    "verse": "Puck",
}

_encode: Final = msgspec.json.Encoder().encode


def request(
    adapter: GeminiAdapter,
    upstream: Upstream,
    *,
    upstream_model: str,
    body: Mapping[str, Any],
    most_tokens: int,
) -> UpstreamRequest:
    """Return the request that speaks. Raises ProviderError for what Gemini cannot do."""
    if body.get("response_format", DEFAULT_FORMAT) not in FORMATS:
        known = " and ".join(f"'{name}'" for name in FORMATS)
        raise refused(f"This model speaks as {known}.", param="response_format")
    if body.get("speed", 1) != 1:
        raise refused("This model takes no 'speed'. Ask for it in 'instructions'.", param="speed")
    streams = gemini_config.generation(upstream_model) >= _STREAMS_FROM
    name = _VOICES.get(body["voice"].lower(), body["voice"])
    voice = {"voice": name} if streams else {"prebuiltVoiceConfig": {"voiceName": name}}
    return adapter.generate(
        upstream,
        model=upstream_model,
        body={
            "contents": [{"role": "user", "parts": [_part(body, has_style=streams)]}],
            "generationConfig": {
                "responseModalities": ["AUDIO"],
                "maxOutputTokens": most_tokens,
                "speechConfig": {"voiceConfig": voice},
            },
        },
        stream=streams,
    )


class GeminiSpeech(MediaStream):
    """
    Speech as it is spoken, from Gemini's events or whole answer, to bytes or to OpenAI's events.

    `output_text` holds the number of bytes of each piece: they are all that can be counted.
    """

    def __init__(self, *, serve_as: ServeAs, tell: Tell, format: str, to_events: bool) -> None:
        super().__init__(serve_as=serve_as, tell=tell)
        self._format = format
        self._to_events = to_events
        self._raw: dict[str, Any] = {}
        self._reason = ""

    def feed(self, event: bytes, data: bytes) -> list[bytes]:
        """Return the events or bytes to send. Raises ProviderError."""
        body = wire_json.decode(data)
        if body.get("error"):
            raise gemini_errors.error_of(body)
        check_prompt(body)
        self.upstream_id = self.upstream_id or str(body.get("responseId") or "")
        self._raw = gemini_usage.merged(self._raw, wire_json.mapping(body.get("usageMetadata")))
        candidates = body.get("candidates")
        out: list[bytes] = []
        for candidate in candidates if isinstance(candidates, list) else ():
            out += self._spoken(wire_json.mapping(candidate))
        return out

    def finish(self) -> list[bytes]:
        """Tell the usage; raises ProviderError when nothing was spoken or the end is missing."""
        if not self._reason:
            raise ProviderError("connection", "The provider broke off its answer.")
        if not self.output_text:
            raise _not_spoken(self._reason)
        self.usage = gemini_usage.read_usage(self._raw, has_output=True)
        self.usage_extra = {"type": "speech.audio.done"}
        return []

    def _spoken(self, candidate: Mapping[str, Any]) -> list[bytes]:
        self._reason = str(candidate.get("finishReason") or self._reason)
        parts = wire_json.mapping(candidate.get("content")).get("parts")
        out = []
        for part in parts if isinstance(parts, list) else ():
            said = wire_json.mapping(wire_json.mapping(part).get("inlineData"))
            if samples := _samples(said):
                out.append(self._piece(samples, kind=str(said.get("mimeType"))))
        return out

    def _piece(self, samples: bytes, *, kind: str) -> bytes:
        rate = _RATE.search(kind)
        hertz = int(rate[1]) if rate else _SAMPLE_RATE
        if self._format == "pcm" and hertz != _SAMPLE_RATE:
            raise ProviderError("bad_answer", "The provider's audio is not of 24 kHz.")
        if self._format == "wav" and not self.output_text:
            samples = wav_head(hertz) + samples
        self.output_text.append(str(len(samples)))
        if not self._to_events:
            return samples
        audio = b64encode(samples).decode()
        return _encode({"type": "speech.audio.delta", "audio": audio})


def wav_head(hertz: int) -> bytes:
    """Return the head of a WAV file of one channel in 16 bit whose length is not known, as OpenAI's streams begin."""
    shape = struct.pack("<IHHIIHH", 16, 1, 1, hertz, hertz * 2, 2, 16)
    unknown = struct.pack("<I", _UNKNOWN_BYTES)
    return b"RIFF" + unknown + b"WAVEfmt " + shape + b"data" + unknown


def _part(body: Mapping[str, Any], *, has_style: bool) -> dict[str, Any]:
    """Return what is to be said, and how."""
    style = body.get("instructions")
    if not style:
        return {"text": body["input"]}
    if has_style:
        return {"text": body["input"], "speechMetadata": {"style": style}}
    return {"text": f"{style}: {body['input']}"}


def _samples(said: Mapping[str, Any]) -> bytes:
    encoded = said.get("data")
    if not isinstance(encoded, str) or not str(said.get("mimeType")).startswith("audio/"):
        return b""
    try:
        return b64decode(encoded, validate=True)
    except ValueError:
        raise ProviderError("bad_answer", "The provider's audio is not base64.") from None


def _not_spoken(reason: str) -> ProviderError:
    if reason in ("STOP", "MAX_TOKENS", "OTHER"):
        return ProviderError("bad_answer", "The provider's answer has no audio.")
    return ProviderError(
        "content_policy",
        f"The provider's content policy refused this text ({reason[:60]}).",
        status=400,
        code=reason.lower()[:60],
    )
