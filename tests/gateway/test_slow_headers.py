"""
Clients that send slowly, never, or without end, and clients that do not read: they are cut off, take little, and
disturb nobody. `EXERATI_SLOW_CLIENTS` is how many of each kind; with it the times of others are held to their bound.
"""

import logging
import os
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest

from billing.models import UsageEvent
from tests import factories, gateway_server
from tests.gateway import books
from tests.gateway.conftest import Shop
from tests.gateway_server import Gateway
from tests.upstream import wait_until

FULL = "EXERATI_SLOW_CLIENTS" in os.environ
HEADER_SECONDS = 10 if FULL else 2
CLIENTS = int(os.environ.get("EXERATI_SLOW_CLIENTS", "20"))
CALLS = 600 if FULL else 10
WARM_CALLS = 20
READER_KIB = 256
PIECES = 6_000  # of 8 KB: more than the kernels' buffers between provider and client take
NOISE_KIB = 16 * 1024  # what a process takes for its first calls, whoever makes them
KERNEL_KIB = 512  # of a connection's own, doubled by the kernel's bookkeeping
ESTABLISHED = "01"
BEGUN = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n"

logger = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def strict_gateway(gateway_database_url: str, redis_url: str) -> Iterator[Gateway]:
    with gateway_server.running(
        database_url=gateway_database_url, redis_url=redis_url, HEADER_SECONDS=HEADER_SECONDS
    ) as process:
        yield process


def connect(gateway: Gateway) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=60)


def read_all(client: socket.socket) -> bytes:
    read = b""
    while data := client.recv(65536):
        read += data
    return read


@pytest.mark.parametrize("sent", [b"", b"GET /v1/models HTTP/1.1\r\nhost: x\r\n"])
def test_headers_that_never_come_end_the_connection(strict_gateway, sent):
    started = time.monotonic()
    with connect(strict_gateway) as client:
        client.sendall(sent)

        assert read_all(client).startswith(b"HTTP/1.1 408 ")

    assert time.monotonic() - started > HEADER_SECONDS * 0.9


def test_headers_that_trickle_are_cut_off_in_total(strict_gateway):
    with connect(strict_gateway) as client:
        client.sendall(b"GET /v1/models HTTP/1.1\r\n")
        with pytest.raises(OSError):  # noqa: PT012  the write that fails is one of many
            for number in range(600):
                client.sendall(b"x-%d: y\r\n" % number)
                time.sleep(0.1)


def test_headers_without_end_are_refused(strict_gateway):
    with connect(strict_gateway) as client:
        client.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n" + b"x-y: z\r\n" * 10_000)

        assert client.recv(100).startswith(b"HTTP/1.1 431 ")


def test_second_request_of_a_connection_has_its_own_deadline(strict_gateway):
    request = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
    with connect(strict_gateway) as client:
        client.sendall(request)
        assert client.recv(65536).startswith(b"HTTP/1.1 401 ")
        time.sleep(
            HEADER_SECONDS * 1.5
        )  # idle between requests is fine: keep-alive has its own time

        client.sendall(request[:-2])

        assert b"HTTP/1.1 408 " in read_all(client)


@pytest.fixture
def strict_shop(shop: Shop, strict_gateway: Gateway) -> Shop:
    strict_gateway.learn(shop.model, key=shop.secret)
    # What is looked at are connections, not the limits of a key.
    key = factories.make_api_key(
        shop.organization,
        concurrency=10 * CLIENTS,
        requests_per_minute=1_000_000,
        tokens_per_minute=10**9,
    )
    return replace(shop, gateway=strict_gateway, key=key)


@contextmanager
def trickling(clients: list[socket.socket]) -> Iterator[None]:
    """Send a byte a second through each of the connections, one after the other, as far as they are open."""
    stopped = threading.Event()

    def send() -> None:
        for client in cycle(clients):
            if stopped.wait(1 / len(clients)):
                return
            with suppress(OSError):
                client.send(b"x")

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def seconds_of_calls(shop: Shop, model: str, *, calls: int = CALLS) -> list[float]:
    """Return how long calls take, one after the other."""
    found = []
    for _ in range(calls):
        started = time.monotonic()
        assert shop.chat(model=model).status == 200
        found.append(time.monotonic() - started)
    return found


def check_times(alone: list[float], beside: list[float], *, most: float) -> None:
    """Log what others wait; on a machine of our own it is bounded."""
    figures = [statistics.quantiles(times, n=100)[98] * 1000 for times in (alone, beside)]
    logger.info("99 %% of calls within %.1f ms alone, %.1f ms beside %s", *figures, CLIENTS)
    assert not FULL or figures[1] <= most * figures[0]


def memory_kib(gateway: Gateway) -> int:
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def unread_bytes(gateway: Gateway) -> list[int]:
    """Return what the kernel keeps for each client that is connected, its `tx_queue`."""
    connections = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = f":{gateway.port:04X}"
    return [
        int(queues.partition(":")[0], 16)
        for _, local, _, state, queues, *_ in connections
        if local.endswith(ours) and state == ESTABLISHED
    ]


def test_many_that_send_slowly_are_dropped_and_hold_up_nobody(strict_shop):
    gateway, model = strict_shop.gateway, strict_shop.model
    seconds_of_calls(strict_shop, model, calls=WARM_CALLS)
    alone = seconds_of_calls(strict_shop, model)
    before = len(unread_bytes(gateway))

    with ExitStack() as stack:
        slow = [stack.enter_context(connect(gateway)) for _ in range(2 * CLIENTS)]
        for number, client in enumerate(slow):
            key = f"authorization: Bearer {strict_shop.secret}\r\n\r\n{{".encode()
            client.sendall(BEGUN + (key if number % 2 else b"x-slow: "))
        with trickling(slow):
            seconds_of_calls(strict_shop, model, calls=WARM_CALLS)  # until all have been let in
            beside = seconds_of_calls(strict_shop, model)
        for client in slow:
            answer = b""
            with suppress(ConnectionResetError):  # of bytes that were still on their way
                while data := client.recv(65536):
                    answer += data
            assert answer.startswith(b"HTTP/1.1 408 ") or not answer

    check_times(alone, beside, most=2)
    wait_until(lambda: len(unread_bytes(gateway)) <= before)


@pytest.mark.parametrize("key", ["wrong", ""])
def test_body_that_goes_on_after_its_answer_ends_the_connection(strict_shop, key):
    with connect(strict_shop.gateway) as client:
        head = f"authorization: Bearer {key}\r\n\r\n{{".encode() if key else b"\r\n{"
        client.sendall(BEGUN + head)
        assert client.recv(100).startswith((b"HTTP/1.1 401 ", b"HTTP/1.1 408 "))

        with pytest.raises(OSError):  # noqa: PT012  the write that fails is one of many
            for _ in range(600):
                client.sendall(b"x")
                time.sleep(0.1)


def test_readers_that_stop_take_little_and_hold_up_nobody(strict_shop):
    gateway, quick = strict_shop.gateway, f"{strict_shop.model}-quick"
    factories.make_model(quick, provider=strict_shop.provider)
    gateway.learn(quick, key=strict_shop.secret)
    strict_shop.script(usage=[])
    strict_shop.chat(
        stream=True
    )  # is counted, as cut streams are: the vocabulary for that is not the readers' memory
    strict_shop.script(pieces=["one "] * PIECES, extra={"padding": "x" * 8_000})
    seconds_of_calls(strict_shop, quick, calls=WARM_CALLS)
    alone = seconds_of_calls(strict_shop, quick)
    peak = before = memory_kib(gateway)

    with ExitStack() as stack:
        for _ in range(CLIENTS):
            stack.enter_context(stopped_reader(strict_shop))
        unread = unread_bytes(gateway)  # of the last readers at least, whom nobody has cut yet
        beside = seconds_of_calls(strict_shop, quick)
        assert max(unread + unread_bytes(gateway)) <= KERNEL_KIB * 1024
        while len(events := ended(strict_shop)) < CLIENTS + 1:
            peak = max(peak, memory_kib(gateway))
            time.sleep(0.05)

    assert Counter(event.error_code for event in events) == {"": 1, "request_timeout": CLIENTS}
    assert all(event.charge_nanousd > 0 for event in events)
    assert all(call.pieces_sent < PIECES for call in strict_shop.upstream.calls)
    logger.info("%s stopped readers take %s KiB", CLIENTS, peak - before)
    assert peak - before <= CLIENTS * READER_KIB + NOISE_KIB
    check_times(alone, beside, most=1.5)
    books.settled(strict_shop.organization, calls=CLIENTS + 2 * CALLS + WARM_CALLS + 1)


def stopped_reader(shop: Shop) -> socket.socket:
    """Return the connection of a client that asks for a stream and reads no more than its beginning."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.settimeout(60)
    client.connect(("127.0.0.1", shop.gateway.port))
    body = (
        f'{{"model":"{shop.model}","stream":true,"messages":[{{"role":"user","content":"Hi"}}]}}'
    ).encode()
    client.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        + f"authorization: Bearer {shop.secret}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    return client


def ended(shop: Shop) -> list[UsageEvent]:
    return list(UsageEvent.objects.filter(organization=shop.organization, model=shop.model))
