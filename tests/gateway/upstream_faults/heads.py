"""Faults before any answer: no connection, no HTTP, headers that break rules, and every refusal a provider knows."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate

from tests.gateway.upstream_faults import wire
from tests.gateway.upstream_faults.cells import TRIES, Cell, Expected, refused
from tests.gateway.upstream_faults.dialects import Dialect
from tests.gateway.upstream_faults.stand_in import Link

Play = Callable[[Cell, Link], Awaitable[bool]]
HEADER_LINES = 1_000_000
LONG_BYTES = 10 * 2**20
PART = 2**16
STOP_WRITING_SECONDS = 60
HTML = b"<html><h1>canary: 502 Bad Gateway</h1><p>acct_CANARY1234567</p></html>"
REFUSED_PORT = "refused"
FULL_PORT = "full"
TLS_ADDRESS = "tls"


def sending(data: bytes) -> Play:
    """Return the play that sends these bytes and leaves the connection as it is."""

    async def play(cell: Cell, link: Link) -> bool:
        await link.send(data)
        return False

    return play


async def slow_headers(cell: Cell, link: Link) -> bool:
    """A byte at a time, each in time, and never the last one."""
    await link.send(b"HTTP/1.1 200 OK\r\n")
    until = time.monotonic() + STOP_WRITING_SECONDS
    while time.monotonic() < until:
        await link.send(b"x-a: b\r\n")
        await asyncio.sleep(0.2)
    return False


async def million_headers(cell: Cell, link: Link) -> bool:
    await link.send(b"HTTP/1.1 200 OK\r\n")
    lines = b"x-a: b\r\n" * (HEADER_LINES // 1000)
    for _ in range(1000):
        await link.send(lines)
    await link.send(b"\r\n")
    return False


async def long_header(cell: Cell, link: Link) -> bool:
    await link.send(b"HTTP/1.1 200 OK\r\nx-long: ")
    for _ in range(LONG_BYTES // PART):
        await link.send(b"x" * PART)
    await link.send(b"\r\n\r\n")
    return False


async def endless_interim(cell: Cell, link: Link) -> bool:
    """100 Continue, slowly and for ever."""
    until = time.monotonic() + STOP_WRITING_SECONDS
    while time.monotonic() < until:
        await link.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0.5)
    return False


async def interim_flood(cell: Cell, link: Link) -> bool:
    """102 Processing, as fast as the connection takes them."""
    until = time.monotonic() + STOP_WRITING_SECONDS
    while time.monotonic() < until:
        await link.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 2000)
    return False


async def no_content(cell: Cell, link: Link) -> bool:
    await link.send(wire.head(204))
    return True


def refusal(status: int, *lines: str, body: bytes | None = None) -> Play:
    """Return the play of a refusal in the API's own form, or of a given body."""

    async def play(cell: Cell, link: Link) -> bool:
        told = cell.dialect.refusal(status, wire.SECRET_TEXT) if body is None else body
        headers = (*cell.dialect.refusal_headers.get(status, ()), *lines)
        kind = "application/json" if body is None else "text/html"
        await link.send(wire.sized(status, told, *headers, content_type=kind))
        return True

    return play


def asking_to_wait(value: Callable[[], str]) -> Play:
    """Return the play of a 429 with a Retry-After."""

    async def play(cell: Cell, link: Link) -> bool:
        return await refusal(429, f"retry-after: {value()}")(cell, link)

    return play


def cells(dialect: Dialect, *, everything: bool) -> list[Cell]:
    """Return the cells of one API; `everything`: also those which no translator has a part in."""
    found = []
    for stream in (True, False):
        cases = [*refusals(dialect), *(transports(stream=stream) + waits() if everything else ())]
        for name, play, expected, address in cases:
            found.append(Cell(name, "headers", stream, dialect, expected, play, address))
    return found


Case = tuple[str, Play | None, Expected, str]


def transports(*, stream: bool) -> list[Case]:
    """Return what no translator sees: connections, TLS, HTTP itself, headers."""
    bad = refused("bad_answer")
    nothing = refused("connection") if stream else bad  # a stream that ends before it began
    good = b"{}"
    return [
        ("connection refused", None, refused("connection", tries=TRIES), REFUSED_PORT),
        ("connection not accepted in time", None, refused("timeout", tries=TRIES), FULL_PORT),
        ("no TLS where it is expected", None, refused("connection", tries=TRIES), TLS_ADDRESS),
        ("TLS where none is expected", sending(b"\x15\x03\x03\x00\x02\x02\x28"), bad, ""),
        ("another protocol", sending(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), bad, ""),
        ("HTTP/0.9", sending(b"<html>canary</html>\r\n\r\n"), bad, ""),
        ("headers that never end", slow_headers, refused("timeout"), ""),
        ("a million headers", million_headers, bad, ""),
        ("a header of 10 MB", long_header, bad, ""),
        ("NUL in a header", sending(b"HTTP/1.1 200 OK\r\nx-a: b\0c\r\n\r\n"), bad, ""),
        ("endless 1xx", endless_interim, refused("timeout"), ""),
        ("a flood of 1xx", interim_flood, bad, ""),
        ("101 Switching Protocols", sending(wire.head(101, "upgrade: canary")), bad, ""),
        ("two content-lengths", sending(wire.sized(200, good, "content-length: 3")), bad, ""),
        ("negative content-length", sending(wire.sized(200, good, size=-7)), bad, ""),
        *(
            (f"redirect {status}", refusal(status, body=HTML), bad, "")
            for status in (301, 302, 307, 308)
        ),
        ("204 No Content", no_content, nothing, ""),
        ("empty body", refusal(200, body=b""), nothing, ""),
        ("HTML instead of an answer", refusal(200, body=HTML), nothing, ""),
        ("HTML error page of a proxy", refusal(502, body=HTML), refused("server", tries=TRIES), ""),
        ("HTML page of a firewall", refusal(403, body=HTML), refused("auth", rests=True), ""),
        ("empty error body", refusal(500, body=b""), refused("server", tries=TRIES), ""),
    ]


def waits() -> list[Case]:
    """Return 429 with every kind of Retry-After: a short wait is waited out, a long one is the customer's."""
    again = refused("rate_limited", tries=TRIES)
    told = Expected(503, "provider_overloaded", tries=TRIES, rests=True, retry_after=(1, 3))
    long = Expected(503, "provider_overloaded", rests=True, retry_after=(3600, 3600))
    unsaid = Expected(503, "provider_overloaded", tries=TRIES, retry_after=(1, 5))
    return [
        ("429, Retry-After in seconds", asking_to_wait(lambda: "1"), told, ""),
        (
            "429, Retry-After as a date",
            asking_to_wait(lambda: formatdate(time.time() + 2, usegmt=True)),
            told,
            "",
        ),
        (
            "429, Retry-After as a date gone by",
            asking_to_wait(lambda: formatdate(time.time() - 3600, usegmt=True)),
            again,
            "",
        ),
        ("429, Retry-After unreadable", asking_to_wait(lambda: "soon, \xe9"), unsaid, ""),
        ("429, Retry-After 1e9", asking_to_wait(lambda: "1e9"), long, ""),
        ("429, Retry-After negative", asking_to_wait(lambda: "-5"), unsaid, ""),
        ("429, Retry-After infinite", asking_to_wait(lambda: "inf"), long, ""),
        ("429, Retry-After not a number", asking_to_wait(lambda: "nan"), unsaid, ""),
    ]


def refusals(dialect: Dialect) -> list[Case]:
    """Return the statuses that a provider refuses with."""
    found: list[Case] = []
    for status, expected in STATUSES.items():
        if status in dialect.statuses:
            found.append((f"status {status}", refusal(status), expected, ""))
    return found


STATUSES = {
    400: refused("bad_request"),
    401: refused("auth", rests=True),
    402: refused("quota", rests=True),
    403: refused("auth", rests=True),
    404: refused("not_found"),
    408: refused("timeout"),
    409: refused("bad_request"),
    413: refused("too_large"),
    422: refused("bad_request"),
    429: refused("rate_limited", tries=TRIES),
    500: refused("server", tries=TRIES),
    502: refused("server", tries=TRIES),
    503: refused("overloaded", tries=TRIES),
    504: refused("timeout"),
    529: refused("overloaded", tries=TRIES),
}
