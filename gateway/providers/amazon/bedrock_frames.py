"""
Amazon's event stream framing: bytes in, events out. Pure.

A message is a prelude (total length, headers length, CRC of both), headers, a payload and a CRC of all before it
(https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream, read 2026-11).
Both checksums are checked: bytes that do not fit them are no answer to bill.
"""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.providers import wire_json
from gateway.providers.base import ProviderError
from gateway.sse import MAX_EVENT_BYTES, Event, EventTooLarge

_PRELUDE: Final = 12
_CRC: Final = 4
_SMALLEST: Final = _PRELUDE + _CRC
# Bytes of a header's value by its type; a byte array (6) and a string (7) name their length before it.
_FIXED: Final[Mapping[int, int]] = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_STRING: Final = 7
_SIZED: Final = frozenset({6, _STRING})


class EventStreamDecoder:
    """
    Cuts one stream of bytes, however it is split, into events: pairs of name and payload.

    An event is named by its `:event-type`, an exception by its `:exception-type`, an error by its `:error-code`;
    the names of the latter two have "Exception" or "error" as their last word, see `is_failure`.
    """

    __slots__ = ("_fault", "_held", "_max_bytes")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._held = b""
        self._fault: ProviderError | EventTooLarge | None = None
        self._max_bytes = max_event_bytes

    def feed(self, data: bytes) -> list[Event]:
        """
        Return the events that `data` completes. Raises ProviderError `bad_answer`, or EventTooLarge; where events came
        before the fault, they are returned, and the next call raises.
        """
        if self._fault is not None:
            raise self._fault
        held = self._held + data if self._held else data
        events: list[Event] = []
        start = 0
        try:
            while len(held) - start >= _PRELUDE:
                size = self._size(held[start : start + _PRELUDE])
                if len(held) - start < size:
                    break
                events.append(_event(held[start : start + size]))
                start += size
        except (ProviderError, EventTooLarge) as fault:
            if not events:
                raise
            self._fault = fault
        self._held = held[start:]
        return events

    def flush(self) -> list[Event]:
        """A message that was not completed is none; the translator tells that its answer was cut."""
        if self._fault is not None:
            raise self._fault
        return []

    def _size(self, prelude: bytes) -> int:
        if zlib.crc32(prelude[:8]) != int.from_bytes(prelude[8:], "big"):
            raise _corrupt()
        size = int.from_bytes(prelude[:4], "big")
        if size < _SMALLEST:
            raise _corrupt()
        if size > self._max_bytes:
            raise EventTooLarge(max_bytes=self._max_bytes)
        return size


def is_failure(name: bytes) -> bool:
    """Whether an event of this name tells of an error."""
    return name.endswith((b"Exception", b"error"))


def _event(message: bytes) -> Event:
    if zlib.crc32(message[:-_CRC]) != int.from_bytes(message[-_CRC:], "big"):
        raise _corrupt()
    payload = _PRELUDE + int.from_bytes(message[4:8], "big")
    if payload > len(message) - _CRC:
        raise _corrupt()
    headers = dict(_headers(message[_PRELUDE:payload]))
    kind = headers.get(b":message-type", b"event")
    if kind == b"error":
        return _error(headers)
    name = headers.get(b":exception-type" if kind == b"exception" else b":event-type", b"")
    if kind == b"exception" and not is_failure(name):
        name += b"Exception"
    return name, message[payload:-_CRC]


def _error(headers: Mapping[bytes, bytes]) -> Event:
    """An unmodelled error has no payload: its code and message stand in the headers."""
    told: dict[str, Any] = {
        "code": headers.get(b":error-code", b"").decode("utf-8", "replace"),
        "message": headers.get(b":error-message", b"").decode("utf-8", "replace"),
    }
    return b"error", wire_json.encode(told)


def _headers(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield names and values; only strings are of use to us, the rest is passed over by its length."""
    at = 0
    while at < len(data):
        end = at + 1 + data[at]
        name, kind = data[at + 1 : end], data[end : end + 1]
        if not kind:
            raise _corrupt()
        at = end + 1
        if kind[0] in _SIZED:
            size = int.from_bytes(data[at : at + 2], "big")
            at += 2
        elif kind[0] in _FIXED:
            size = _FIXED[kind[0]]
        else:
            raise _corrupt()
        if at + size > len(data):
            raise _corrupt()
        if kind[0] == _STRING:
            yield name, data[at : at + size]
        at += size


def _corrupt() -> ProviderError:
    return ProviderError("bad_answer", "The provider's stream is damaged.")
