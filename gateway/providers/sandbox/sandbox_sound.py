"""The sandbox's voice: a tone, or silence, as long as its words would take; real files of their formats. Pure."""

import io
import math
import struct
import wave
from collections.abc import Callable, Mapping
from typing import Final

CHARACTERS_PER_SECOND: Final = 15
_SAMPLE_RATE: Final = 24_000
# One silent frame of MPEG-1 layer III, 128 kbit/s, 44.1 kHz, mono: a header, and 413 bytes of nothing.
_MP3_FRAME: Final = b"\xff\xfb\x90\xc4" + bytes(413)
_MP3_FRAMES_PER_SECOND: Final = 44_100 / 1_152


def _mp3(seconds: float) -> bytes:
    return _MP3_FRAME * max(1, math.ceil(seconds * _MP3_FRAMES_PER_SECOND))


def _tone(seconds: float) -> bytes:
    """Return samples of 440 Hz, 16 bit, 24 kHz, mono."""
    period = [
        round(8_000 * math.sin(2 * math.pi * 440 * n / _SAMPLE_RATE)) for n in range(_SAMPLE_RATE)
    ]
    second = struct.pack(f"<{_SAMPLE_RATE}h", *period)
    samples = max(1, round(seconds * _SAMPLE_RATE))
    return (second * (samples // _SAMPLE_RATE + 1))[: 2 * samples]


def _wav(seconds: float) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_SAMPLE_RATE)
        file.writeframes(_tone(seconds))
    return buffer.getvalue()


# `pcm16` is what chats call `pcm`.
MAKERS: Final[Mapping[str, Callable[[float], bytes]]] = {
    "mp3": _mp3,
    "wav": _wav,
    "pcm": _tone,
    "pcm16": _tone,
}


def pieces(audio: bytes, *, most: int) -> list[bytes]:
    """Return the audio in so many pieces, of even lengths but for the last."""
    step = -(-len(audio) // most)
    step += step % 2  # samples stay whole
    return [audio[start : start + step] for start in range(0, len(audio), step)]
