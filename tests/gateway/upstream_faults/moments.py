"""Faults that may come at any moment of an answer: the connection, its coding, or what is said breaks."""

from tests.gateway.upstream_faults import wire
from tests.gateway.upstream_faults.cells import (
    STREAM_MOMENTS,
    WHOLE_MOMENTS,
    Cell,
    Expected,
    Moment,
    after_a_break,
    refused,
)
from tests.gateway.upstream_faults.dialects import Dialect
from tests.gateway.upstream_faults.stand_in import Link

LONG_LINE_BYTES = 17 * 2**20
PART = 2**20


async def reset(cell: Cell, link: Link) -> bool:
    await wire.begin(cell, link)
    link.reset()
    return False


async def fin(cell: Cell, link: Link) -> bool:
    await wire.begin(cell, link)
    link.fin()
    return False


async def stall(cell: Cell, link: Link) -> bool:
    await wire.begin(cell, link)
    return False


async def early_end(cell: Cell, link: Link) -> bool:
    """The transfer is whole, what was to be said is not."""
    await wire.begin(cell, link)
    await link.send(wire.LAST_CHUNK)
    return True


async def broken_chunk(cell: Cell, link: Link) -> bool:
    await wire.begin(cell, link)
    await link.send(b"not-hex\r\nxx\r\n")
    return False


async def cut_event(cell: Cell, link: Link) -> bool:
    """Half an event, and then an end in order."""
    await wire.begin(cell, link)
    event = cell.dialect.words[-1]
    await link.send(wire.chunk(event[: len(event) // 2]) + wire.LAST_CHUNK)
    return True


async def not_json(cell: Cell, link: Link) -> bool:
    return await _say(cell, link, b'data: {"choices": [}\n\n')


async def nul(cell: Cell, link: Link) -> bool:
    return await _say(cell, link, b"data: \0\0\0\n\n")


async def not_utf8(cell: Cell, link: Link) -> bool:
    return await _say(cell, link, b'data: {"id": "\xff\xfe"}\n\n')


async def _say(cell: Cell, link: Link, data: bytes) -> bool:
    """Say something unreadable, and then all the rest of a good answer."""
    await wire.begin(cell, link)
    rest = cell.dialect.words[-1] if cell.stream else cell.dialect.whole_body[len(cell.before) :]
    await link.send(wire.chunk(data) + wire.chunk(rest) + wire.LAST_CHUNK)
    return True


async def long_line(cell: Cell, link: Link) -> bool:
    """A line that never ends; of Bedrock's frames, one that says it is that long."""
    await wire.begin(cell, link)
    await link.send(wire.chunk(b"data: "))
    for _ in range(LONG_LINE_BYTES // PART):
        await link.send(wire.chunk(b"x" * PART))
    return False


async def failure(cell: Cell, link: Link) -> bool:
    """The provider tells of an overload inside its stream of status 200."""
    await wire.begin(cell, link)
    await link.send(wire.chunk(cell.dialect.failure) + wire.LAST_CHUNK)
    return True


# Name, what the customer's kind of failure is, how it is played, and whether it spoils what was said.
BREAKS = (
    ("reset", "connection", reset),
    ("closed early (FIN)", "connection", fin),
    ("silence", "timeout", stall),
    ("broken chunked coding", "connection", broken_chunk),
)
NONSENSE = (
    ("not JSON", not_json),
    ("NUL bytes", nul),
    ("not UTF-8", not_utf8),
)


def cells(dialect: Dialect, *, everything: bool) -> list[Cell]:
    """Return the cells of one API; `everything`: also those which no translator has a part in."""
    found = []
    for stream in (True, False):
        moments: tuple[Moment, ...] = STREAM_MOMENTS if stream else WHOLE_MOMENTS
        found += _breaks(dialect, ("headers", *moments), stream=stream, everything=everything)
        found += _ends(dialect, moments, stream=stream)
        found += _nonsense(dialect, moments, stream=stream)
    return found


def _breaks(
    dialect: Dialect, moments: tuple[Moment, ...], *, stream: bool, everything: bool
) -> list[Cell]:
    found = []
    for name, kind, play in BREAKS if everything else BREAKS[:1]:
        for moment in moments:
            if name == "broken chunked coding" and moment == "headers":
                continue  # that is no HTTP at all
            expected = after_a_break(moment, stream=stream, dialect=dialect, kind=kind)
            found.append(Cell(name, moment, stream, dialect, expected, play))
    return found


def _ends(dialect: Dialect, moments: tuple[Moment, ...], *, stream: bool) -> list[Cell]:
    found = []
    for moment in moments:
        if stream:
            expected = after_a_break(moment, stream=True, dialect=dialect, kind="connection")
            cut = after_a_break(moment, stream=True, dialect=dialect, kind=_cut_kind(dialect))
            found.append(Cell("cut inside an event", moment, True, dialect, cut, cut_event))
        else:
            expected = Expected(bill="reported") if moment == "end" else refused("bad_answer")
        found.append(Cell("ended too early", moment, stream, dialect, expected, early_end))
    return found


def _cut_kind(dialect: Dialect) -> str:
    """Half of an event with lines is read as an event; half of a frame is known to be none."""
    return "connection" if dialect.api == "bedrock" else "bad_answer"


def _nonsense(dialect: Dialect, moments: tuple[Moment, ...], *, stream: bool) -> list[Cell]:
    found = []
    faults = (*NONSENSE, ("a line without end", long_line)) if stream else NONSENSE
    for name, play in faults:
        for moment in moments:
            if stream:
                expected = after_a_break(moment, stream=True, dialect=dialect, kind="bad_answer")
            else:
                expected = refused("bad_answer")
            found.append(Cell(name, moment, stream, dialect, expected, play))
    if stream:
        for moment in moments:
            expected = after_a_break(moment, stream=True, dialect=dialect, kind="overloaded")
            if moment == "start":
                expected = refused("overloaded", tries=3)
            found.append(Cell("error event", moment, True, dialect, expected, failure))
    return found
