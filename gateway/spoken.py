"""
Speech as an answer: voices, formats, and how many tokens delivered audio is where its provider does not say. Pure.

Chats answer in sound where `modalities` has "audio" (https://platform.openai.com/docs/guides/audio, read 2026-11).
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway import wire_checks
from gateway.wire_checks import missing, unsupported_value, wrong_type, wrong_value

# Audio tokens a second, of gpt-4o-mini-tts: $0.015 a minute at $12 a million tokens
# (https://platform.openai.com/docs/models/gpt-4o-mini-tts, read 2026-11); gpt-audio has 20.
TOKENS_PER_SECOND: Final = 21
# Bytes a second: samples of 24 kHz in 16 bit, and usual codec rates.
BYTES_PER_SECOND: Final[Mapping[str, int]] = {
    "mp3": 16_000,
    "opus": 4_000,
    "aac": 8_000,
    "flac": 24_000,
    "wav": 48_000,
    "pcm": 48_000,
}
CHAT_FORMATS: Final[Mapping[str, int]] = {
    **{name: rate for name, rate in BYTES_PER_SECOND.items() if name != "pcm"},
    "pcm16": BYTES_PER_SECOND["pcm"],
}
_MODALITIES: Final = ("text", "audio")
_FORMAT: Final = wire_checks.choice(*CHAT_FORMATS)


def voice(value: Any, param: str) -> None:
    """
    Demand the name of a voice; an object with the id of a voice of one's own belongs to an account with the provider.
    """
    if value.__class__ is dict:
        wire_checks.name(value.get("id"), f"{param}.id")
        wrong_value(param, "voices of an account are not offered. Send the name of a voice.")
    if value.__class__ is not str:
        wrong_type(value, param, expected="a string")
    wire_checks.name(value, param)


def modalities(value: Any, param: str) -> None:
    """Demand text, audio or both."""
    if value.__class__ is not list:
        wrong_type(value, param, expected="an array of strings")
    for item in value:
        if item not in _MODALITIES:
            unsupported_value(param, 'chats answer in text and audio. Send ["text", "audio"].')


def audio(value: Any, param: str) -> None:
    """Demand the voice and the format of an answer in audio."""
    wire_checks.mapping(value, param)
    for name, check in (("voice", voice), ("format", _FORMAT)):
        if value.get(name) is None:
            missing(f"{param}.{name}")
        check(value[name], f"{param}.{name}")
    for name in value:
        if name not in ("voice", "format"):
            wrong_value(param, f"'{name[:60]}' is unknown. Send 'voice' and 'format' only.")


def is_wanted(body: Mapping[str, Any]) -> bool:
    """Whether a checked chat asks for an answer in audio."""
    return "audio" in body.get("modalities", ())


def format_wanted(body: Mapping[str, Any]) -> str:
    """Return the format of the audio that a checked chat asks for, "" where it asks for none."""
    return str(body["audio"]["format"]) if is_wanted(body) else ""


def tokens(base64_characters: int, *, audio_format: str) -> int:
    """Return about how many tokens so much audio is, by its length."""
    seconds = base64_characters * 3 / 4 / CHAT_FORMATS[audio_format]
    return round(seconds * TOKENS_PER_SECOND)
