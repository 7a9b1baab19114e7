"""A client that sends its headers slowly, never, or without end is cut off; others are not disturbed."""

import socket
import time
from collections.abc import Iterator

import pytest

from tests import gateway_server
from tests.gateway_server import Gateway

HEADER_SECONDS = 2


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
