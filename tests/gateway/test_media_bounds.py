"""What media may cost is bounded by the rules of their provider, never by their bytes alone."""

import io
import struct
import wave
from base64 import b64encode

import pytest

from gateway import media_bounds

MP3_FRAME = b"\xff\xfb\x10\xc4"


def image(**fields):
    return {"type": "image_url", "image_url": {"url": "https://a/b.png", **fields}}


def audio(data: bytes):
    return {"type": "input_audio", "input_audio": {"data": b64encode(data).decode(), "format": "x"}}


def file(data: str):
    return {"type": "file", "file": {"file_data": data}}


def wav(*, seconds: float, rate: int = 8_000, width: int = 2, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(bytes(int(seconds * rate) * width * channels))
    return file.getvalue()


# The sources are named in the module.
@pytest.mark.parametrize(
    ("model", "detail", "tokens"),
    [
        ("gpt-4o", "auto", 85 + 8 * 170),
        ("gpt-4o", "low", 85),
        ("gpt-4o-mini", "high", 2_833 + 8 * 5_667),
        ("gpt-4o-mini", "low", 2_833),
        ("gpt-4-vision-preview", "high", 85 + 8 * 170),
        ("gpt-4.1", "high", 1_536),
        ("gpt-4.1-mini", "low", 2_489),
        ("gpt-4.1-nano", "high", 3_779),
        ("claude-opus-5", "low", 5_000),
        ("openrouter/claude-opus-5", "high", 5_000),
        ("qwen3-vl-plus", "low", 16_384),
        ("gpt-6-sol", "low", 16_384),
    ],
)
def test_an_image_has_the_most_tokens_of_its_family_by_detail(model, detail, tokens):
    found = media_bounds.bound([image(detail=detail)], model=model)

    assert (found.tokens, found.image_tokens, found.audio_tokens) == (tokens, tokens, 0)


def test_images_are_added_up():
    found = media_bounds.bound([image(detail="low"), image(), image()], model="gpt-4o")

    assert found.tokens == 85 + 2 * 1_445


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (wav(seconds=61), 61),
        (wav(seconds=61, rate=16_000, width=1, channels=2), 61),
        (MP3_FRAME + bytes(59_996), 60),
        (b"ID3\x04\x00\x00\x00\x00\x00\x10" + bytes(16) + MP3_FRAME + bytes(59_970), 60),
    ],
    ids=["wav", "wav of 8 bits", "mp3", "mp3 behind a tag"],
)
def test_plain_audio_is_as_long_as_its_bytes_allow(data, seconds):
    found = media_bounds.bound([audio(data)], model="gpt-audio")

    assert seconds <= found.seconds <= seconds + 1
    assert found.audio_tokens == found.tokens >= 32 * seconds


@pytest.mark.parametrize(
    "data",
    [
        b"fLaC" + bytes(500),
        b"OggS" + bytes(500),
        b"ID3\x04\x00\x00\x00\x00\x00\x10" + bytes(16) + b"fLaC" + bytes(500),
        b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f",
        wav(seconds=1)[:20] + struct.pack("<H", 0x55) + wav(seconds=1)[22:],
        b"",
        b"RIFF",
    ],
    ids=["flac", "ogg", "flac behind a tag", "tag alone", "mp3 in wav", "nothing", "a stump"],
)
def test_packed_audio_may_be_as_long_as_a_provider_takes(data):
    # Silence packs to next to nothing.
    assert media_bounds.bound([audio(data)], model="gemini-3-flash").tokens >= 32 * 34_200


def test_what_is_not_base64_may_be_as_long_too():
    part = {"type": "input_audio", "input_audio": {"data": "\u00e9", "format": "mp3"}}

    assert media_bounds.bound([part], model="m").seconds == 34_200


def test_a_moment_of_audio_is_padded_by_some_providers():
    assert media_bounds.bound([audio(wav(seconds=0.1))], model="voxtral").tokens >= 375


def test_a_document_may_fill_any_context_and_its_pages_are_images():
    found = media_bounds.bound([file("data:application/pdf;base64,JVBE")], model="m")

    assert found.tokens == found.image_tokens == 1_000_000
    assert found.audio_tokens == 0


@pytest.mark.parametrize("data", ["data:video/mp4;base64,AAAA", "https://a/b.mp4", "AAAA"])
def test_what_may_be_a_film_has_a_sound(data):
    assert media_bounds.bound([file(data)], model="m").audio_tokens == 1_000_000


@pytest.mark.parametrize(
    ("part", "least", "most"),
    [
        (image(), 85, 1_600),
        (image(detail="low"), 85, 85),
        (audio(wav(seconds=20)), 20 * 10, 21 * 32),
        (audio(MP3_FRAME + bytes(320_000)), 20 * 10, 21 * 32),  # 20 s at 128 kbit/s
        (file("https://a.example/a.pdf"), 1_500, 20_000),
        (file("data:application/pdf;base64,AAAA"), 1_500, 1_500),
        (
            file("data:application/pdf;base64," + "A" * 666_000),
            120_000,
            130_000,
        ),  # Anthropic's example
    ],
)
def test_an_estimate_is_near_what_media_are_and_within_their_bound(part, least, most):
    estimated = media_bounds.estimate([part], model="gpt-4o")

    assert least <= estimated <= most
    assert estimated <= media_bounds.bound([part], model="gpt-4o").tokens
