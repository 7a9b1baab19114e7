"""Writes a transcript with times as SubRip (srt) or WebVTT, in Whisper's own layout. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.providers.base import ProviderError


def write(transcript: Mapping[str, Any], *, format: str) -> str:
    """Return the segments of a transcript as `srt` or `vtt`. Raises ProviderError where it has no times."""
    segments = list(_segments(transcript))
    mark = "," if format == "srt" else "."
    blocks = [
        f"{_time(start, mark)} --> {_time(end, mark)}\n{text}\n" for start, end, text in segments
    ]
    if format == "srt":
        return "\n".join(f"{number}\n{block}" for number, block in enumerate(blocks, start=1))
    return "\n".join(["WEBVTT\n", *blocks])


def _segments(transcript: Mapping[str, Any]) -> Iterable[tuple[float, float, str]]:
    segments = transcript.get("segments")
    if not isinstance(segments, list) or (not segments and transcript.get("text")):
        raise ProviderError("bad_answer", "The provider's transcript has no times.")
    for segment in segments:
        if not isinstance(segment, dict):
            raise ProviderError("bad_answer", "The provider's transcript has no times.")
        start, end = segment.get("start"), segment.get("end")
        if not isinstance(start, int | float) or not isinstance(end, int | float):
            raise ProviderError("bad_answer", "The provider's transcript has no times.")
        yield start, end, str(segment.get("text", "")).strip().replace("-->", "->")


def _time(seconds: float, mark: str) -> str:
    milliseconds = max(0, round(seconds * 1000))
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}{mark}{milliseconds % 1000:03d}"
