"""Requests for speech: what is checked, and the most they may use. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from billing.types import Price, TokenBound, TokenUsage
from gateway import spoken, wire_checks
from gateway.media import units
from gateway.open_call import OpenCall
from gateway.providers.google import gemini_speech
from gateway.providers.google.gemini import SPEAKING as GEMINI
from gateway.serializers import checked_fields
from gateway.tokens import count_text
from gateway.wire_checks import Check, missing, wrong_value

MAX_CHARACTERS: Final = 4_096
CONTENT_TYPES: Final[Mapping[str, str]] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
# Speech has about 15 characters a second; a slow reading of digits, 3.
_TOKENS_PER_CHARACTER: Final = 9  # Gemini has 25 a second
_MARGIN_TOKENS: Final = 512


@dataclass(frozen=True, slots=True)
class SpeechCall:
    """
    A checked request for speech. `body` holds the known fields but for the model; `as_events` says that the client
    wants its audio as events. A `format` of "" is the one that the provider speaks by itself.
    """

    model: str
    body: dict[str, Any]
    text: str
    format: str = ""
    as_events: bool = False
    ignored: tuple[str, ...] = ()

    def format_of(self, call: OpenCall) -> str:
        """Return the format of the audio that the call's provider speaks."""
        if self.format:
            return self.format
        is_gemini = call.serving is not None and call.serving.upstream.api in GEMINI
        return gemini_speech.DEFAULT_FORMAT if is_gemini else "mp3"

    def bound(self, price: Price) -> TokenBound:
        """Return the most this call may use. Raises PriceMissing."""
        rates = units.require(price, "character_nanousd", "output_microusd_per_mtok")
        texts = units.bytes_of(self.text, self.body.get("instructions"))
        bound = TokenBound(
            input_tokens=texts + _MARGIN_TOKENS,
            output_tokens=len(self.text) * _TOKENS_PER_CHARACTER + _MARGIN_TOKENS,
            characters=len(self.text),
        )
        return units.priced(bound, rates=rates)

    def delivered(self, call: OpenCall) -> TokenUsage:
        """Return what was used as far as the audio was delivered; characters count whole, as providers bill them."""
        delivered_bytes = sum(map(int, call.translator.output_text)) if call.translator else 0
        seconds = delivered_bytes / spoken.BYTES_PER_SECOND[self.format_of(call)]
        text = f"{self.text}\n{self.body.get('instructions', '')}"
        usage = TokenUsage(
            input_tokens=count_text(text, model=self.model),
            output_tokens=round(seconds * spoken.TOKENS_PER_SECOND),
            characters=len(self.text),
        )
        return units.priced(usage, rates=call.price.rates)


def parse_speech(body: dict[str, Any]) -> SpeechCall:
    """Return the checked call of POST /v1/audio/speech. Raises InvalidRequest."""
    known, ignored = checked_fields(body, _CHECKS)
    for name in ("model", "input", "voice"):
        if name not in known:
            missing(name)
    return SpeechCall(
        model=known.pop("model"),
        text=known["input"],
        format=known.get("response_format", ""),
        as_events=known.pop("stream_format", "audio") == "sse",
        body=known,
        ignored=ignored,
    )


def _text(value: Any, param: str) -> None:
    wire_checks.text(value, param)
    if not 0 < len(value) <= MAX_CHARACTERS:
        wrong_value(param, f"expected 1 to {MAX_CHARACTERS:,} characters, but got {len(value):,}.")


# Every parameter of CreateSpeechRequest in OpenAI's specification 2.3.0 (2026-08-21).
_CHECKS: Final[Mapping[str, Check]] = {
    "model": wire_checks.name,
    "input": _text,
    "voice": spoken.voice,
    "instructions": _text,
    "response_format": wire_checks.choice(*CONTENT_TYPES),
    "speed": wire_checks.number(0.25, 4),
    "stream_format": wire_checks.choice("audio", "sse"),
}
