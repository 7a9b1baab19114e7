"""
The most tokens and seconds that images, audio and files of a prompt may be. Pure.

A provider turns media into tokens by rules of its own, which depend on the model; what no rule bounds may fill
the context. Bytes bound nothing but plain audio: a few bytes may be a large picture or an hour of silence.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

# Tokens of one image by family, the longest prefix first. Tiles (https://platform.openai.com/docs/guides/images-vision,
# read 2026-10): base + 8 tiles, or the base alone where `detail` is low. Patches: 1,536 x the model's multiplier,
# whatever the detail (the same page; measured in https://community.openai.com/t/1377015, 2026-03).
# Claude: at most 2,576 pixels on the long edge, about 4,784 tokens
# (https://platform.claude.com/docs/en/build-with-claude/vision, read 2026-11).
_TILES: Final = (
    ("gpt-4o-mini", 2_833, 5_667),
    ("gpt-4o", 85, 170),
    ("chatgpt-4o", 85, 170),
    ("gpt-4-", 85, 170),
)
_FLAT: Final = (
    ("gpt-4.1-mini", 2_489),
    ("gpt-4.1-nano", 3_779),
    ("gpt-4.1", 1_536),
    ("gpt-5-mini", 2_489),
    ("gpt-5-nano", 3_779),
    ("claude-", 5_000),
)
_MAX_TILES: Final = 8
# Elsewhere: Qwen-VL takes up to 16,384 patches, more than Gemini (2,240) and Mistral (about 9,200) by their own
# references, and than the 10,000 patches x 1.2 of OpenAI's newest.
_IMAGE_MAX: Final = 16_384

# Tokens a second: Gemini 32 (https://ai.google.dev/gemini-api/docs/audio), Voxtral 12.5, gpt-audio 10. Voxtral
# pads to 30 seconds (375 tokens for 4 seconds in recorded traffic).
_AUDIO_TOKENS_PER_SECOND: Final = 32
_AUDIO_PADDED_SECONDS: Final = 30
# The lowest bit rate of MPEG audio, layer III: 8 kbit/s.
_MP3_BYTES_PER_SECOND: Final = 1_000
_PCM_FORMATS: Final = frozenset({1, 3, 6, 7})  # integer, float, A-law, µ-law
_WAV_HEAD_BYTES: Final = 36
_EXTENSIBLE: Final = 0xFFFE
# Where nothing bounds the length: 9.5 hours, the most that Gemini takes (the same page).
_AUDIO_SECONDS_MAX: Final = 34_200
# A document becomes text and page images, however small it is: it may fill the context.
FILE_TOKENS: Final = 1_000_000

# For estimates. An image of a million pixels is about 1,600 tokens for Claude, 1,536 at most for GPT-4.1; a page of a
# document at least 1,500, and 500 kB of a paper about 125,000 (https://platform.claude.com/docs/en/build-with-claude/vision,
# /pdf-support and /about-claude/pricing, read 2026-11). Speech is sent at 128 kbit/s or less, or in plain samples.
_IMAGE_USUAL: Final = 1_600
_PAGE_TOKENS: Final = 1_500
_FILE_BYTES_PER_TOKEN: Final = 4
_FILE_BY_ADDRESS: Final = 10_000
_SPEECH_BYTES_PER_SECOND: Final = 16_000

KINDS: Final = frozenset({"image_url", "input_audio", "file"})


class MediaBound(NamedTuple):
    """The most tokens of all media together; of them images and audio, and the seconds of the audio."""

    tokens: int = 0
    image_tokens: int = 0
    audio_tokens: int = 0
    seconds: int = 0


def bound(parts: Iterable[Mapping[str, Any]], *, model: str) -> MediaBound:
    """Return the bound of content parts, each of one of `KINDS`, for a model by its public name."""
    images = audio = files = sounding = seconds = 0
    for part in parts:
        if part["type"] == "image_url":
            images += _image_tokens(part["image_url"], family=model.rpartition("/")[2])
        elif part["type"] == "input_audio":
            length = _audio_seconds(part["input_audio"])
            seconds += length
            audio += _AUDIO_TOKENS_PER_SECOND * max(length, _AUDIO_PADDED_SECONDS)
        else:
            files += FILE_TOKENS
            sounding += FILE_TOKENS if _may_sound(part["file"]) else 0
    # Pages of a document are images too, and a film has a sound.
    return MediaBound(images + audio + files, images + files, audio + sounding, seconds)


def estimate(parts: Iterable[Mapping[str, Any]], *, model: str) -> int:
    """
    Return about how many tokens content parts are, each of one of `KINDS`: where only their bound is known, that would
    be the whole context for a file of one page.
    """
    return sum(_estimated(part, family=model.rpartition("/")[2]) for part in parts)


def _estimated(part: Mapping[str, Any], *, family: str) -> int:
    if part["type"] == "image_url":
        return min(_IMAGE_USUAL, _image_tokens(part["image_url"], family=family))
    if part["type"] == "input_audio":
        size = len(part["input_audio"]["data"]) * 3 // 4
        seconds = min(_audio_seconds(part["input_audio"]), size // _SPEECH_BYTES_PER_SECOND + 1)
        return seconds * _AUDIO_TOKENS_PER_SECOND
    data: str = part["file"]["file_data"]
    if not data.startswith("data:"):
        return _FILE_BY_ADDRESS
    return max(_PAGE_TOKENS, len(data) * 3 // 4 // _FILE_BYTES_PER_TOKEN)


def _may_sound(file: Mapping[str, Any]) -> bool:
    return not file["file_data"][:30].lower().startswith(("data:application/pdf", "data:text/"))


def _image_tokens(image: Mapping[str, Any], *, family: str) -> int:
    for prefix, base, tile in _TILES:
        if family.startswith(prefix):
            return base if image.get("detail") == "low" else base + _MAX_TILES * tile
    return next((tokens for prefix, tokens in _FLAT if family.startswith(prefix)), _IMAGE_MAX)


def _audio_seconds(audio: Mapping[str, Any]) -> int:
    """Return how long the audio may be, in seconds rounded up; only plain formats tell by their size."""
    data: str = audio["data"]
    size = len(data) * 3 // 4
    try:
        head = b64decode(data[:64])
    except (Base64Error, ValueError):
        return _AUDIO_SECONDS_MAX
    if head[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa"):
        rate = _MP3_BYTES_PER_SECOND
    elif head.startswith(b"ID3"):
        rate = _MP3_BYTES_PER_SECOND if _mpeg_after_tag(data, head) else 0
    else:
        rate = _pcm_bytes_per_second(head)
    return -(-size // rate) if rate else _AUDIO_SECONDS_MAX


def _mpeg_after_tag(data: str, head: bytes) -> bool:
    """Say whether MPEG audio follows an ID3 tag: other formats carry such tags too, and say less by their size."""
    length = 10
    for position, byte in enumerate(head[6:10]):
        length += (byte & 0x7F) << 7 * (3 - position)
    start = length // 3 * 4
    try:
        after = b64decode(data[start : start + 8])[length % 3 :]
    except (Base64Error, ValueError):
        return False
    return len(after) > 1 and after[0] == 0xFF and after[1] & 0xE6 == 0xE2


def _pcm_bytes_per_second(head: bytes) -> int:
    """Return the rate of a WAV file of plain samples, by its own head (samples a second x bytes of one); else 0."""
    if head[:4] != b"RIFF" or head[8:16] != b"WAVEfmt " or len(head) < _WAV_HEAD_BYTES:
        return 0
    kind = int.from_bytes(head[20:22], "little")
    rate = int.from_bytes(head[24:28], "little")
    block = int.from_bytes(head[32:34], "little")
    if kind == _EXTENSIBLE:
        kind = int.from_bytes(head[44:46], "little")
    return rate * block if kind in _PCM_FORMATS else 0
