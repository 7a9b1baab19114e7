"""
Server-sent events: bytes in, events out, and frames for our own streams. Pure, and on the hot path.

Lines end at CR, LF or CRLF and nowhere else (https://html.spec.whatwg.org/multipage/server-sent-events.html,
read 2026-10), so that U+2028 and the like inside JSON stay where they are.
"""

from typing import Final

Event = tuple[bytes, bytes]

DONE: Final = b"data: [DONE]\n\n"
PING: Final = b": ping\n\n"
MAX_EVENT_BYTES: Final = 16 * 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """A provider sent more bytes than one event may have, without ending it."""

    def __init__(self, *, max_bytes: int) -> None:
        super().__init__(f"an event has more than {max_bytes} bytes")
        self.max_bytes = max_bytes


class SseDecoder:
    """Cuts one stream of bytes, however it is split, into events: pairs of name (b"" when unnamed) and data."""

    __slots__ = ("_after_cr", "_at_start", "_held", "_held_bytes", "_max_bytes")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_bytes = max_event_bytes
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._after_cr = False
        self._at_start = True

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that `data` completes. Raises EventTooLarge."""
        if self._at_start:
            data = self._without_bom(data)
        if self._after_cr or b"\r" in data:
            data = self._with_lf_only(data)
        if not self._held and data.endswith(b"\n\n") and len(data) <= self._max_bytes:
            blocks = data[:-2].split(b"\n\n")
        else:
            blocks = self._complete_blocks(data)
        events = []
        for block in blocks:
            if block.startswith(b"data: ") and b"\n" not in block:
                events.append((b"", block[6:]))
            elif (event := _event(block)) is not None:
                events.append(event)
        return events

    def flush(self) -> list[Event]:
        """Return the last event of a stream that ended without a blank line."""
        block = b"".join(self._held)
        self._hold(b"")
        event = _event(block)
        return [event] if event is not None else []

    def _without_bom(self, data: bytes) -> bytes:
        """Take a byte order mark off the first three bytes, which may come one by one."""
        data = b"".join((*self._held, data))
        self._hold(b"")
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._hold(data)
            return b""
        self._at_start = False
        return data.removeprefix(_BOM)

    def _with_lf_only(self, data: bytes) -> bytes:
        """Turn CR and CRLF into LF; a LF that only completes the CR before it is dropped."""
        if not data:
            return data
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _complete_blocks(self, data: bytes) -> list[bytes]:
        """Return the blocks that end in `data`, and hold what follows the last of them."""
        ends_line = bool(self._held) and self._held[-1].endswith(b"\n")
        if b"\n\n" not in data and not (ends_line and data.startswith(b"\n")):
            if data:
                self._held.append(data)
                self._held_bytes += len(data)
                self._check_size(self._held_bytes)
            return []
        complete, _, rest = b"".join((*self._held, data)).rpartition(b"\n\n")
        self._hold(rest)
        blocks = complete.split(b"\n\n")
        self._check_size(max(len(rest), *map(len, blocks)))
        return blocks

    def _hold(self, data: bytes) -> None:
        self._held = [data] if data else []
        self._held_bytes = len(data)

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise EventTooLarge(max_bytes=self._max_bytes)


def frame(payload: bytes) -> bytes:
    """Return one unnamed event; `payload` has no line ends, as JSON without indentation has none."""
    return b"data: " + payload + b"\n\n"


def _event(block: bytes) -> Event | None:
    """Return the event of a block of lines, or None when it has no data (comments, bare names)."""
    name = b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return (name, b"\n".join(data)) if data else None
