"""Faults of a body that comes whole: its length, its coding, its size, its usage, its pace."""

import gzip
import json
import zlib
from functools import cache

from tests.gateway.upstream_faults import wire
from tests.gateway.upstream_faults.cells import ANSWERED, COUNTED, Cell, Expected, Moment, refused
from tests.gateway.upstream_faults.dialects import Dialect
from tests.gateway.upstream_faults.heads import Play
from tests.gateway.upstream_faults.stand_in import Link

BOMB_BYTES = 50 * 2**20
PART = 2**20
DRIP_BYTES = 7


def body_of(cell: Cell) -> bytes:
    """Return the whole good answer of a cell's call."""
    return cell.dialect.stream if cell.stream else cell.dialect.whole_body


def typed(cell: Cell, body: bytes, *lines: str, size: int | None = None) -> bytes:
    """Return an answer with a content-length and the type that is expected."""
    return wire.sized(200, body, *lines, content_type=wire.content_type(cell), size=size)


async def length_short(cell: Cell, link: Link) -> bool:
    """The declared length ends in the middle; what follows must not be taken for the next answer."""
    body = body_of(cell)
    stop = len(cell.dialect.start) + len(cell.dialect.words[0]) if cell.stream else len(body) // 2
    await link.send(typed(cell, body, size=stop))
    return False


async def length_long(cell: Cell, link: Link) -> bool:
    """More is declared than ever comes."""
    await link.send(typed(cell, body_of(cell), size=len(body_of(cell)) + 100))
    await link.arrive()
    link.fin()
    return False


async def more_than_declared(cell: Cell, link: Link) -> bool:
    """A whole answer, and behind it another one that nobody asked for."""
    forged = wire.sized(200, b'{"forged": "answer"}')
    await link.send(typed(cell, body_of(cell)) + forged)
    return False


# Made once: while one is made, the stand-in serves nobody.
@cache
def gzipped_bomb() -> bytes:
    return gzip.compress(b" " * BOMB_BYTES, compresslevel=1)


@cache
def deflated_bomb() -> bytes:
    return zlib.compress(b" " * BOMB_BYTES, level=1)


def squeezed(name: str) -> Play:
    """Return the play of an answer in a content coding that was not asked for."""

    async def play(cell: Cell, link: Link) -> bool:
        packed = gzipped_bomb() + gzip.compress(body_of(cell))  # one member after the other
        await link.send(typed(cell, packed, f"content-encoding: {name}"))
        return True

    return play


async def squeezed_error(cell: Cell, link: Link) -> bool:
    await link.send(wire.sized(500, deflated_bomb(), "content-encoding: deflate"))
    return True


async def oversized(cell: Cell, link: Link) -> bool:
    """An answer that goes on and on, in lines of a kind that means nothing."""
    await link.send(wire.chunked(cell))
    part = b": padding\n\n" * (PART // 11) if cell.stream else b" " * PART
    for _ in range(200):
        await link.send(wire.chunk(part))
    return False


async def oversized_error(cell: Cell, link: Link) -> bool:
    """A refusal with a body that goes on and on."""
    await link.send(wire.head(500, "content-type: text/html", "transfer-encoding: chunked"))
    for _ in range(200):
        await link.send(wire.chunk(b"x" * PART))
    return False


async def drip(cell: Cell, link: Link) -> bool:
    """A few bytes at a time."""
    await link.send(wire.chunked(cell))
    body = body_of(cell)
    for start in range(0, len(body), DRIP_BYTES):
        await link.send(wire.chunk(body[start : start + DRIP_BYTES]))
    await link.send(wire.LAST_CHUNK)
    return True


async def byte_by_byte(cell: Cell, link: Link) -> bool:
    """One byte in each packet, headers and coding included."""
    for byte in typed(cell, body_of(cell)):
        await link.send(bytes((byte,)))
    return True


async def without_usage(cell: Cell, link: Link) -> bool:
    dialect = cell.dialect
    body = dialect.stream_without_usage if cell.stream else dialect.whole_without_usage
    await link.send(typed(cell, body))
    return True


async def usage_twice(cell: Cell, link: Link) -> bool:
    """The usage comes again, before the end."""
    dialect = cell.dialect
    again = dialect.usage or dialect.finish
    body = dialect.stream.removesuffix(dialect.end) + again + dialect.end
    await link.send(typed(cell, body))
    return True


async def without_last_word(cell: Cell, link: Link) -> bool:
    """Everything but `[DONE]`, or what stands for it."""
    body = cell.dialect.stream.removesuffix(cell.dialect.end)
    await link.send(wire.chunked(cell) + wire.chunk(body) + wire.LAST_CHUNK)
    return True


async def error_with_200(cell: Cell, link: Link) -> bool:
    """A refusal as the only thing said, with status 200."""
    dialect = cell.dialect
    await link.send(typed(cell, dialect.failure if cell.stream else dialect.failure_whole))
    return True


async def nothing_said(cell: Cell, link: Link) -> bool:
    """A stream that begins and ends, or an answer that is an empty object."""
    await link.send(typed(cell, b"{}" if not cell.stream else b": nothing\n\n"))
    return True


async def scalar(cell: Cell, link: Link) -> bool:
    """JSON, but no object."""
    body = json.dumps(["canary", 1]).encode()
    await link.send(typed(cell, b"data: " + body + b"\n\n" if cell.stream else body))
    return True


def cells(dialect: Dialect, *, everything: bool) -> list[Cell]:
    """Return the cells of one API; `everything`: also those which no translator has a part in."""
    found = []
    for stream in (True, False):
        cases = _said(dialect, stream=stream)
        if everything:
            cases += _carried(stream=stream)
        for name, play, expected, moment in cases:
            found.append(Cell(name, moment, stream, dialect, expected, play))
    return found


Case = tuple[str, Play, Expected, Moment]


def _said(dialect: Dialect, *, stream: bool) -> list[Case]:
    bad = refused("bad_answer")
    found: list[Case] = [
        ("usage missing", without_usage, COUNTED, "usage"),
        ("JSON that is no object", scalar, bad, "start"),
        ("nothing said", nothing_said, refused("connection") if stream else bad, "start"),
    ]
    if stream:
        found.append(("usage twice", usage_twice, ANSWERED, "usage"))
        if dialect.end:
            found.append(("last word missing", without_last_word, ANSWERED, "end"))
    if stream or dialect.failure_whole:
        overloaded = refused("overloaded", tries=3)
        found.append(("error with status 200", error_with_200, overloaded, "start"))
    return found


def _carried(*, stream: bool) -> list[Case]:
    bad = refused("bad_answer")
    long = ANSWERED if stream else refused("connection")
    return [
        ("content-length too short", length_short, bad, "headers"),
        ("content-length too long", length_long, long, "end"),
        ("more than the content-length", more_than_declared, ANSWERED, "end"),
        ("gzip bomb", squeezed("gzip"), bad, "start"),
        ("brotli, unasked", squeezed("br"), bad, "start"),
        ("error in deflate, unasked", squeezed_error, refused("server", tries=3), "headers"),
        ("an answer without end", oversized, bad, "start"),
        ("an error without end", oversized_error, refused("server", tries=3), "headers"),
        ("7 bytes at a time", drip, ANSWERED, "start"),
        ("one byte at a time", byte_by_byte, ANSWERED, "headers"),
    ]
