"""
A provider that costs next to nothing: one OpenAI-shaped answer, whole or as a stream, by raw asyncio.

`python3 -m benchmarks.upstream --port 9100`. The model name may ask for a stream's shape: `m-200-5` streams 200
chunks with 5 ms between them (0 sends them one by one as fast as the socket takes them).
"""

import argparse
import asyncio
import re

import uvloop

ANSWER = (
    b'{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench-upstream",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"A short answer of about ten words, no more, '
    b'no less."},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":14,"completion_tokens":12,'
    b'"total_tokens":26},"system_fingerprint":"fp_bench"}'
)
WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)
    + ANSWER
)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
START = b'{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench-upstream",'
STREAM = re.compile(rb'"stream": ?true')
SHAPE = re.compile(rb'"model": ?"[^"]*?-(\d+)-(\d+)"')


def event(rest: bytes) -> bytes:
    """Return one event as one HTTP chunk."""
    data = b"data: " + START + rest + b"\n\n"
    return b"%x\r\n" % len(data) + data + b"\r\n"


# Different words: LiteLLM breaks off a stream that repeats itself.
CHUNKS = [
    event(
        b'"system_fingerprint":"fp_bench","choices":[{"index":0,"delta":{"content":" word%d"},"logprobs":null,'
        b'"finish_reason":null}],"usage":null}' % number
    )
    for number in range(10)
]
LAST = event(
    b'"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}'
)
DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


def usage(chunks: int) -> bytes:
    """Return the usage event of a stream."""
    return event(
        b'"choices":[],"usage":{"prompt_tokens":14,"completion_tokens":%d,"total_tokens":%d}}'
        % (chunks, 14 + chunks)
    )


class Provider(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.held = b""

    def data_received(self, data: bytes) -> None:
        self.held += data
        while (end := self.held.find(b"\r\n\r\n")) >= 0:
            head = self.held[:end].lower()
            length = int(re.search(rb"content-length: *(\d+)", head)[1])
            if len(self.held) < end + 4 + length:
                return
            body = self.held[end + 4 : end + 4 + length]
            self.held = self.held[end + 4 + length :]
            self.answer(body)

    def answer(self, body: bytes) -> None:
        if not STREAM.search(body):
            self.transport.write(WHOLE)
            return
        shape = SHAPE.search(body)
        chunks, pause = (int(shape[1]), int(shape[2])) if shape else (100, 0)
        self.streaming = asyncio.ensure_future(self.stream(chunks, pause / 1000))

    async def stream(self, chunks: int, pause: float) -> None:
        self.transport.write(STREAM_HEAD)
        for number in range(chunks):
            if self.transport.is_closing():
                return
            self.transport.write(CHUNKS[number % 10])
            await asyncio.sleep(pause)
        self.transport.write(LAST + usage(chunks) + DONE)


async def serve(port: int) -> None:
    """Answer until stopped."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Provider, "127.0.0.1", port, backlog=4096)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    uvloop.run(serve(parser.parse_args().port))
