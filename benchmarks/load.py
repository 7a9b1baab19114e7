"""
Load by raw asyncio: a number of keep-alive connections, each sending its next request when the answer is there.

As a program it prints one JSON object: requests, seconds, errors, latencies in ms at p50 and p99, bytes.
"""

import argparse
import asyncio
import json
import time
from urllib.parse import urlsplit

import uvloop


class Load:
    """One run against one address."""

    def __init__(
        self, url: str, key: str, body: bytes, *, connections: int, seconds: float, pause: float
    ) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname, parts.port
        self.request = (
            f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body
        self.connections, self.seconds, self.pause = connections, seconds, pause
        self.latencies: list[float] = []
        self.errors = self.bytes = 0
        self.first_error = b""

    async def run(self) -> dict[str, object]:
        """Return the figures."""
        started = time.perf_counter()
        self.end = started + self.seconds
        await asyncio.gather(*(self.connection() for _ in range(self.connections)))
        elapsed = time.perf_counter() - started
        ordered = sorted(self.latencies) or [0.0]
        return {
            "requests": len(self.latencies),
            "errors": self.errors,
            "first_error": self.first_error.decode(errors="replace")[:600],
            "seconds": round(elapsed, 3),
            "per_second": round(len(self.latencies) / elapsed, 1),
            "p50_ms": round(ordered[len(ordered) // 2] * 1000, 3),
            "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 3),
            "bytes": self.bytes,
        }

    async def connection(self) -> None:
        """Send requests one after the other."""
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=2**20)
        while time.perf_counter() < self.end:
            started = time.perf_counter()
            writer.write(self.request)
            ok = await self.answer(reader)
            self.latencies.append(time.perf_counter() - started)
            self.errors += not ok
            if self.pause:
                await asyncio.sleep(self.pause)
        writer.close()

    async def answer(self, reader: asyncio.StreamReader) -> bool:
        """Read one answer, with a length or in chunks."""
        head = await reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        body = b""
        at = lower.find(b"content-length:")
        if at >= 0:
            body = await reader.readexactly(int(lower[at + 15 : lower.index(b"\r\n", at)]))
        else:
            while True:
                size = int(await reader.readuntil(b"\r\n"), 16)
                part = await reader.readexactly(size + 2)
                self.bytes += size
                if not size:
                    break
                body = part
        self.bytes += len(body)
        ok = b" 200 " in head[:16] and b'"error"' not in body
        if not ok and not self.first_error:
            self.first_error = head + body
        return ok


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--key", default="")
    parser.add_argument("--body", required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--pause", type=float, default=0.0)
    options = parser.parse_args()
    load = Load(
        options.url,
        options.key,
        options.body.encode(),
        connections=options.connections,
        seconds=options.seconds,
        pause=options.pause,
    )
    print(json.dumps(uvloop.run(load.run())))
