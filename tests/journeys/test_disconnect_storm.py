"""
Thousands of clients that leave at random points, over real sockets: everything they took comes back.

`EXERATI_CLIENTS=100000 python3 manage.py test tests/journeys/test_disconnect_storm.py -- -n 0 -o log_cli=true
--log-cli-level=INFO` is the full form.
"""

import asyncio
import json
import logging
import os
import random
import socket
import struct
import time
from collections import Counter
from pathlib import Path

import pytest

from apikeys.models import ApiKey
from tests import factories
from tests.journeys.watch import NO_LIMITS
from tests.upstream import PIECES, USAGE, Upstream, wait_until

logger = logging.getLogger(__name__)
# The stand-in's word on each client that has left it.
logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)

CLIENTS = int(os.environ.get("EXERATI_CLIENTS", "5000"))
WARM_UP = 500  # what a process allocates once
AT_ONCE = 100
AFTERWARDS = 100
MODEL = "storm"
# Where a client leaves: in the midst of its request, at once after it, at the headers, within the answer, never.
POINTS = ("request", "sent", "headers", "answer", "answer", "answer", "end")
INPUT_NANOUSD, OUTPUT_NANOUSD = 100, 400  # a token, by the default price
NEVER_LOGGED = ("internal_error", "could not be settled", "never retrieved", "was destroyed")


def request(secret, *, stream):
    """Return the bytes of one call."""
    messages = [{"role": "user", "content": "Hello"}]
    body = json.dumps({"model": MODEL, "messages": messages, "stream": stream}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\n"
        f"content-type: application/json\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def leave(server, secret, *, dice):
    """Make a call and leave it somewhere, with a reset as a killed process does or with a goodbye; return where."""
    point, reset = dice.choice(POINTS), dice.random() < 0.5
    data = request(secret, stream=dice.random() < 0.7)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        if point == "request":
            writer.write(data[: dice.randrange(len(data))])
            await writer.drain()
            return point
        writer.write(data)
        await writer.drain()
        await read_until(reader, point, dice=dice)
    except ConnectionError:
        return "refused"  # the server was quicker to end it
    finally:
        hang_up(writer, reset=reset)
    return point


async def read_until(reader, point, *, dice):
    """Read as far as the point says."""
    if point == "sent":
        await asyncio.sleep(dice.random() * 0.05)
    if point in ("headers", "answer", "end"):
        await reader.readuntil(b"\r\n\r\n")
    if point == "answer":
        await asyncio.sleep(dice.random() * 0.1)
        await reader.read(dice.randint(1, 2000))
    if point == "end":
        await reader.read(-1)


def hang_up(writer, *, reset):
    """End the connection."""
    if reset:
        taken = writer.get_extra_info("socket")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()


async def storm(servers, secret, *, clients, seed):
    """Let so many clients come and leave, AT_ONCE at a time; count where they left."""
    dice = random.Random(seed)
    left: Counter[str] = Counter()
    waiting = iter(range(clients))

    async def client():
        for number in waiting:
            own = random.Random(dice.random())
            left[await leave(servers[number % len(servers)], secret, dice=own)] += 1

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return left


def open_files(server):
    """Return how many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def memory_mib(server):
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def charged_by_policy(event):
    """Return whether an event's charge is what the published policy says of how it ended."""
    if event.basis == "waived":
        return event.charge_nanousd == 0
    price = event.input_tokens * INPUT_NANOUSD + event.output_tokens * OUTPUT_NANOUSD
    if event.outcome == "finished":
        usage = (USAGE["prompt_tokens"], USAGE["completion_tokens"])
        return (event.input_tokens, event.output_tokens) == usage and event.charge_nanousd == price
    # The client left: its input, and no more output than the provider can have sent.
    return event.output_tokens <= 2 * len(PIECES) and event.charge_nanousd == price


@pytest.fixture
def upstream():
    with Upstream() as upstream:
        upstream.script(MODEL, piece_seconds=0.02)
        yield upstream


@pytest.mark.slow
def test_clients_that_leave_at_random_points_leave_nothing_behind(start_servers, books, upstream):
    factories.make_model(MODEL, provider=factories.make_provider(base_url=upstream.base_url))
    acme = factories.make_organization()
    factories.make_credit(acme, usd="1000")
    created = factories.make_api_key(acme, **NO_LIMITS)
    servers = start_servers(2)

    def all_is_over():
        books.wait_until_closed(acme.pk)
        wait_until(lambda: all(call.ended_at for call in upstream.calls))

    asyncio.run(storm(servers, created.secret, clients=WARM_UP, seed=1))
    all_is_over()
    before = [(open_files(server), memory_mib(server)) for server in servers]
    started = time.monotonic()
    left = asyncio.run(storm(servers, created.secret, clients=CLIENTS, seed=2))
    took = time.monotonic() - started
    all_is_over()

    # Every place among the open calls is free again: the next calls take as many as there now are.
    ApiKey.objects.filter(pk=created.key.pk).update(concurrency=AFTERWARDS)
    statuses = asyncio.run(call_at_once(servers, created.secret, upstream))
    all_is_over()
    # Sockets to the provider are kept for the next call, at most as many as were once open at the same time.
    wait_until(
        lambda: all(
            open_files(server) <= files + 2 * AT_ONCE
            for server, (files, _) in zip(servers, before, strict=True)
        )
    )
    grown = [
        memory_mib(server) - memory for server, (_, memory) in zip(servers, before, strict=True)
    ]
    books.check(acme.pk)
    events = books.events(acme.pk)
    wrong = [event for event in events if not charged_by_policy(event)]

    assert statuses == [200] * AFTERWARDS
    assert wrong == []
    assert {event.outcome for event in events} == {"finished", "client_left"}
    # No call of the provider is without an event; some were given up on the way to it.
    assert len(upstream.calls) <= sum(event.provider != "" for event in events)
    assert max(grown) < 64
    for server in servers:
        assert not [words for words in NEVER_LOGGED if words in server.log]
    logger.info(
        "%d clients in %.0f s (%s); %d events, %s; memory grew by %.0f MiB",
        CLIENTS,
        took,
        dict(left),
        len(events),
        dict(Counter(f"{event.outcome}, {event.basis}" for event in events)),
        max(grown),
    )


async def call_at_once(servers, secret, upstream):
    """Make AFTERWARDS calls that are all open at the same moment, and return their statuses."""
    await asyncio.sleep(3)  # until the processes have looked at the key again
    seen = len(upstream.calls)
    upstream.script(MODEL, delay_seconds=2)

    async def status(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", servers[number % 2].port)
        writer.write(request(secret, stream=False))
        line = await reader.readline()
        await reader.read(-1)
        writer.close()
        return int(line.split()[1])

    found = await asyncio.gather(*map(status, range(AFTERWARDS)))
    assert len(upstream.calls) == seen + AFTERWARDS
    return found
