"""
How long a recording is: what its container states, and the most its bytes can be. Pure.

A stated length is a claim of whoever made the file. The bound is therefore never below what the bytes would last at
`SLOW_BYTES_PER_SECOND`, less than people record at; a file that lies below that costs us the difference, never the
customer more than the bound (docs/decisions/0008).
"""

import math
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from tinytag import ParseError, TinyTag, UnsupportedFormatError

from gateway.wire_checks import wrong_value

SLOW_BYTES_PER_SECOND: Final = 4_000  # 32 kbit/s
SLOWEST_BYTES_PER_SECOND: Final = 500  # 4 kbit/s, what speech codecs need at least
USUAL_BYTES_PER_SECOND: Final = 16_000  # 128 kbit/s
MAX_SECONDS: Final = 7 * 24 * 3600  # no claim is true above it
_TYPES: Final = {
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "wav": "audio/wav",
    "webm": "audio/webm",
}
_WAV_HEAD_BYTES: Final = 44
_CLUSTER: Final = b"\x1f\x43\xb6\x75"
_WEBM_CLUSTER_SECONDS: Final = (
    33  # a block's time is a 16 bit number of milliseconds after its cluster's
)


@dataclass(frozen=True, slots=True)
class Recording:
    """
    A recording's container and length. `seconds` is the length stated, else guessed at 128 kbit/s; `most_seconds`
    the bound. Both are whole and at least 1.
    """

    extension: str
    seconds: int
    most_seconds: int

    @property
    def content_type(self) -> str:
        """The media type of the container."""
        return _TYPES[self.extension]


def measure(data: bytes, *, param: str) -> Recording:
    """Return what a file is; raises InvalidRequest when it is no recording in a container we know."""
    extension = container(data)
    if not extension:
        wrong_value(
            param, "the file is none of these: flac, mp3, mp4, mpeg, mpga, m4a, ogg, wav, webm."
        )
    size = len(data)
    stated = _webm_seconds(data) if extension == "webm" else _stated(data, extension)
    if stated is None:
        return Recording(
            extension,
            _whole(size / USUAL_BYTES_PER_SECOND),
            _whole(size / SLOWEST_BYTES_PER_SECOND),
        )
    seconds = _whole(stated)
    if _is_pcm(data):  # its bytes have no other length
        return Recording(extension, seconds, seconds)
    return Recording(extension, seconds, max(seconds, _whole(size / SLOW_BYTES_PER_SECOND)))


def container(data: bytes) -> str:
    """Return the extension of the container that the first bytes show, "" for none that is known."""
    if data[:4] in (b"RIFF", b"RF64") and data[8:12] == b"WAVE":
        return "wav"
    if data.startswith(b"fLaC"):
        return "flac"
    if data.startswith(b"OggS"):
        return "ogg"
    if data[4:8] == b"ftyp":
        return "m4a"
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm"
    if data.startswith(b"ID3") or (len(data) > 2 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0):
        return "mp3"
    return ""


def _stated(data: bytes, extension: str) -> float | None:
    """Return the length that the container states, None where it states none that can be true."""
    try:
        tag = TinyTag.get(file_obj=BytesIO(data), tags=False)
    except (ParseError, UnsupportedFormatError):
        return None
    seconds = tag.duration
    if seconds is None or not math.isfinite(seconds) or seconds <= 0:
        return None
    if extension == "wav" and tag.bitrate:
        # Programs that write as they record state 4 GiB.
        seconds = min(seconds, (len(data) - _WAV_HEAD_BYTES) / (tag.bitrate * 125))
    return seconds if 0 < seconds <= MAX_SECONDS else None


def _is_pcm(data: bytes) -> bool:
    """Whether this is WAV with samples as they are: integers, floats, or "extensible", which is either."""
    return data[8:16] == b"WAVEfmt " and data[20:22] in (b"\x01\0", b"\x03\0", b"\xfe\xff")


def _webm_seconds(data: bytes) -> float | None:
    """
    Return the time of the last cluster and the most that one may last: recorders in browsers write no length.

    The time is the first element of each cluster, in milliseconds where the file keeps to WebM's guidelines
    (https://www.webmproject.org/docs/container/, read 2026-11).
    """
    last, position = None, data.find(_CLUSTER)
    while position >= 0:
        start = position + 4
        start += _length_of_number(data[start : start + 1])
        if data[start : start + 1] == b"\xe7" and start + 1 < len(data):
            width = data[start + 1] & 0x7F
            last = max(
                last or 0, int.from_bytes(data[start + 2 : start + 2 + min(width, 8)], "big")
            )
        position = data.find(_CLUSTER, position + 4)
    seconds = None if last is None else last / 1000 + _WEBM_CLUSTER_SECONDS
    return seconds if seconds is not None and seconds <= MAX_SECONDS else None


def _length_of_number(first: bytes) -> int:
    """Return the bytes of an EBML number by its first one: as many as the place of its highest bit says."""
    return 9 - first[0].bit_length() if first and first[0] else 8


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))
