"""
Usage of images and audio as OpenAI's schemas have it, whatever the provider told: `usage` objects with each required
field. Pure. What a provider told beyond that stays.
"""

from collections.abc import Mapping
from typing import Any

from billing.types import TokenUsage

Told = Mapping[str, Any]


def speech(told: Told, usage: TokenUsage) -> dict[str, Any]:
    """Return the usage at the end of speech in events."""
    return _with_tokens(told, usage)


def image(told: Told, usage: TokenUsage) -> dict[str, Any]:
    """Return the usage of images."""
    details = {
        "text_tokens": usage.input_tokens - usage.image_input_tokens,
        "image_tokens": usage.image_input_tokens,
    }
    return {"input_tokens_details": details, **_with_tokens(told, usage)}


def transcript(told: Told, usage: TokenUsage) -> dict[str, Any]:
    """Return the usage of a whole transcript: a duration where seconds are billed, else tokens."""
    if told.get("type") == "duration" or (usage.seconds and not usage.input_tokens):
        return duration(told, seconds=usage.seconds)
    return transcript_event(told, usage)


def transcript_event(told: Told, usage: TokenUsage) -> dict[str, Any]:
    """Return the usage at the end of a streamed transcript, which has no form but tokens: none, beside `seconds`."""
    details = {
        "text_tokens": usage.input_tokens - usage.audio_input_tokens,
        "audio_tokens": usage.audio_input_tokens,
    }
    seconds = {"seconds": usage.seconds} if usage.seconds else {}
    made = {"input_token_details": details, **seconds, **_with_tokens(told, usage)}
    return {**made, "type": "tokens"}


def duration(told: Told, *, seconds: int) -> dict[str, Any]:
    """Return the usage of a verbose transcript."""
    return {"seconds": seconds, **told, "type": "duration"}


def _with_tokens(told: Told, usage: TokenUsage) -> dict[str, Any]:
    made = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    return {**made, **told}
