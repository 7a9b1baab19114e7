"""A client on a bare socket, for what no library does: to hang up, or to stop reading."""

import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

from tests.gateway_server import Gateway


class Caller:
    """
    A client of one call, that of a streamed chat by default, that can hang up at any moment.

    `data` of a `content_type` is sent as it is; otherwise the body is made of `fields`.
    """

    def __init__(
        self,
        shop: Any,
        *,
        gateway: Gateway | None = None,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        path: str = "/v1/chat/completions",
        data: bytes = b"",
        content_type: str = "application/json",
        **fields: Any,
    ) -> None:
        body = {
            "model": shop.model,
            "messages": [{"role": "user", "content": "Hello"}],
            "stream": True,
            **fields,
        }
        data = data or json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: gateway\r\n"
            f"authorization: Bearer {key or shop.secret}\r\n"
            f"content-type: {content_type}\r\n"
            f"content-length: {len(data)}\r\n"
            + "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
            + "\r\n"
        )
        self.socket = socket.create_connection(
            ("127.0.0.1", (gateway or shop.gateway).port), timeout=60
        )
        self.socket.sendall(head.encode() + data)
        self.read = b""

    @property
    def status(self) -> int:
        """The status of the answer, waited for."""
        self.read_until(b"\r\n\r\n")
        return int(self.read.split()[1])

    def read_until(self, text: bytes, *, times: int = 1) -> None:
        """Read until the text has come so often."""
        while self.read.count(text) < times:
            data = self.socket.recv(65536)
            assert data, self.read
            self.read += data

    def hang_up(self) -> None:
        """End the connection with a reset, as a process that dies does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
