"""
F3, request smuggling: what two HTTP parsers may read differently is refused and its connection closed, so that nothing
hidden behind it is ever answered.
"""

import json
import socket

import pytest

SECONDS = 15  # longer than the headers' deadline, so that whoever waits for more is told
HIDDEN = b"GET /v1/openapi.json HTTP/1.1\r\nhost: hidden\r\nconnection: close\r\n\r\n"
START = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
ZERO_CHUNK = b"0\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"

REFUSED = {
    "CL and TE": START + b"content-length: 5\r\n" + CHUNKED + b"\r\n" + ZERO_CHUNK,
    "TE and CL": START + CHUNKED + b"content-length: 5\r\n\r\n" + ZERO_CHUNK,
    "two lengths": START + b"content-length: 0\r\ncontent-length: 60\r\n\r\n",
    "the same length twice": START + b"content-length: 0\r\ncontent-length: 0\r\n\r\n",
    "a list of lengths": START + b"content-length: 0, 0\r\n\r\n",
    "length +0": START + b"content-length: +0\r\n\r\n",
    "length -1": START + b"content-length: -1\r\n\r\n",
    "length 0x0": START + b"content-length: 0x0\r\n\r\n",
    "length beyond 64 bits": START + b"content-length: 18446744073709551616\r\n\r\n",
    "blank before the colon": START + b"content-length : 0\r\n\r\n",
    "folded header": START + b"content-length: 0\r\n\tx: y\r\n\r\n",
    "NUL in a header": START + b"x-a: b\0c\r\n\r\n",
    "header without a name": START + b": x\r\n\r\n",
    "CR in a header": START + b"x-a: b\rcontent-length: 60\r\n\r\n",
    "line feed alone ends the line": START + b"x-a: b\ncontent-length: 0\r\n\r\n",
    "another coding": START + b"transfer-encoding: xchunked\r\n\r\n" + ZERO_CHUNK,
    "chunked is not the last coding": START
    + b"transfer-encoding: chunked, gzip\r\n\r\n"
    + ZERO_CHUNK,
    "chunk size -1": START + CHUNKED + b"\r\n-1\r\nx\r\n" + ZERO_CHUNK,
    "chunk size 0x1": START + CHUNKED + b"\r\n0x1\r\nx\r\n" + ZERO_CHUNK,
    "chunk size beyond 64 bits": START + CHUNKED + b"\r\n10000000000000000\r\nx\r\n" + ZERO_CHUNK,
    "chunk longer than its size": START + CHUNKED + b"\r\n1\r\nxyz\r\n" + ZERO_CHUNK,
    "chunk ended by a line feed": START + CHUNKED + b"\r\n1\nx\n0\n\n",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version 9": b"GET /v1/models HTTP/9.9\r\nhost: x\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
}


def exchange(port: int, data: bytes) -> bytes:
    """Return all that is answered to some bytes before the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
        client.sendall(data)
        read = b""
        try:
            while piece := client.recv(65536):
                read += piece
        except (ConnectionResetError, TimeoutError):
            pass  # it was closed with something unread, or waits for another request
        return read


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_answered(gateway, case):
    answer = exchange(gateway.port, REFUSED[case] + HIDDEN)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"HTTP/1.1 " not in body
    error = json.loads(body)["error"]
    assert error["docs_url"].endswith(f"/docs/errors#{error['code']}")
    assert f"\r\nx-request-id: {error['request_id']}\r\n".encode() in head


@pytest.mark.parametrize("upgrade", ["h2c", "websocket", "TLS/1.0"])
def test_no_connection_is_upgraded(gateway, upgrade):
    head = (
        f"GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: {upgrade}\r\n"
        "http2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\nsec-websocket-key: x\r\n\r\n"
    )

    answer = exchange(gateway.port, head.encode())

    assert b"HTTP/1.1 101" not in answer
    assert answer.startswith(b"HTTP/1.1 200") or answer.startswith(b"HTTP/1.1 4")
