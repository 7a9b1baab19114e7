"""Small files of every kind that the endpoints of images and audio take."""

import io
import wave
import zlib

from gateway.providers.sandbox.sandbox_media import png


def wav(seconds: float, *, rate: int = 8_000) -> bytes:
    """Return silence as WAV, mono, 16 bit."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * round(seconds * rate)))
    return buffer.getvalue()


def mp3(seconds: float) -> bytes:
    """Return silence as MP3, 128 kbit/s."""
    return (b"\xff\xfb\x90\xc4" + bytes(413)) * round(seconds * 44_100 / 1_152)


def webm(seconds: int) -> bytes:
    """Return the frame of a WebM file as browsers record it: clusters with a time each, no length anywhere."""
    head = b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7
    clusters = b"".join(
        b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7 + b"\xe7\x84" + (at * 1000).to_bytes(4, "big")
        for at in range(0, seconds, 10)
    )
    return head + clusters


def picture(text: str = "a cat", size: int = 64) -> bytes:
    """Return a small PNG."""
    return png(text, size, size)


def pixels_of(data: bytes) -> tuple[int, int]:
    """Return the size of a PNG whose image data can be unpacked."""
    start = data.index(b"IDAT") + 4
    length = int.from_bytes(data[start - 8 : start - 4], "big")
    zlib.decompress(data[start : start + length])
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
