"""
What a provider may send that it should not: ways to break a sound stream. Knows no translator.

A break is three numbers, so that whoever draws them can make a failure small: what to do, where, and which odd value.
"""

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from tests.gateway.sound_answers import Event

ODD_VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    0,
    -1,
    3,
    1.5,
    10**12,
    10**30,
    float("nan"),
    "",
    "odd",
    "\ud83d",
    "a\0b\u2028",
    "x" * 70_000,
    [],
    {},
    [None],
    ["a", 1],
    {"a": {"b": [1]}},
    [{"type": "text", "text": 7}],
    {"type": "unheard_of", "index": 99},
)
DEEP: Final = b"[" * 5_000 + b"]" * 5_000


# Ways to break a list of events: (events, place, odd value) -> events.
def _dropped(events: list[Event], place: int, odd: int) -> list[Event]:
    return events[:place] + events[place + 1 :]


def _repeated(events: list[Event], place: int, odd: int) -> list[Event]:
    return events[:place] + [events[place]] * (2 + odd % 3) + events[place + 1 :]


def _moved(events: list[Event], place: int, odd: int) -> list[Event]:
    rest = _dropped(events, place, odd)
    to = odd * 7 % (len(rest) + 1)
    return [*rest[:to], events[place], *rest[to:]]


def _ended(events: list[Event], place: int, odd: int) -> list[Event]:
    return events[: place + 1]


def _again(events: list[Event], place: int, odd: int) -> list[Event]:
    return events[: place + 1] + events


def _unknown(events: list[Event], place: int, odd: int) -> list[Event]:
    new = ("something_new", {"type": "something_new", "delta": ODD_VALUES[odd]})
    return [*events[:place], new, *events[place:]]


def _renamed(events: list[Event], place: int, odd: int) -> list[Event]:
    name = ("error", "", "odd\r", "modelStreamErrorException")[odd % 4]
    return [*events[:place], (name, events[place][1]), *events[place + 1 :]]


def _replaced(events: list[Event], place: int, odd: int) -> list[Event]:
    return [*events[:place], (events[place][0], ODD_VALUES[odd]), *events[place + 1 :]]


def _broken(events: list[Event], place: int, odd: int) -> list[Event]:
    name, value = events[place]
    data = value if isinstance(value, bytes) else dumped(value)
    pieces = (data[: len(data) // 2], data[:-1], b"", b"\xff\xfe{", DEEP, b'{"type":' + DEEP + b"}")
    return [*events[:place], (name, pieces[odd % len(pieces)]), *events[place + 1 :]]


BREAKS: Final[tuple[Callable[[list[Event], int, int], list[Event]], ...]] = (
    _dropped,
    _repeated,
    _moved,
    _ended,
    _again,
    _unknown,
    _renamed,
    _replaced,
    _broken,
)


def broken(events: list[Event], *, how: int, where: int, odd: int) -> list[Event]:
    """Return the events with one of them broken; beyond `BREAKS`, a value deep inside of one becomes an odd one."""
    if not events:
        return events
    if how < len(BREAKS):
        return BREAKS[how](events, where % len(events), odd)
    places = [(number, path) for number, (_, body) in enumerate(events) for path in paths(body)]
    number, path = places[where % len(places)] if places else (0, ())
    name, body = events[number]
    return [*events[:number], (name, replaced(body, path, odd)), *events[number + 1 :]]


def paths(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each value inside of a JSON value."""
    inner: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    for name, item in inner:
        yield (*before, name)
        yield from paths(item, (*before, name))


def replaced(value: Any, path: tuple[Any, ...], odd: int) -> Any:
    """Return the value with an odd one at the end of the path."""
    if not path:
        return ODD_VALUES[odd]
    name, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {**value, name: replaced(value[name], rest, odd)}
    return [*value[:name], replaced(value[name], rest, odd), *value[name + 1 :]]


def dumped(value: Any) -> bytes:
    """Return a value as JSON; what is no JSON (NaN) as some servers write it."""
    return json.dumps(value).encode()


def as_bytes(events: list[Event], *, api: str) -> bytes:
    """Return the events as the provider sends them."""
    write = _frame if api == "bedrock" else _lines
    return b"".join(
        write(name, value if isinstance(value, bytes) else dumped(value)) for name, value in events
    )


def _lines(name: str, data: bytes) -> bytes:
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + data + b"\n\n"


def _frame(name: str, payload: bytes) -> bytes:
    """Return a message of Amazon's framing."""
    failure = name.endswith(("Exception", "error"))
    pairs: tuple[tuple[str, str], ...]
    pairs = ((":message-type", "exception" if failure else "event"),)
    pairs += ((":exception-type" if failure else ":event-type", name),)
    headers = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(text)) + text.encode()
        for key, text in pairs
    )
    prelude = struct.pack(">II", 12 + len(headers) + len(payload) + 4, len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))
