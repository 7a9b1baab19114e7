"""
Measures what a chunk of a translated stream costs (Anthropic's and Gemini's events into OpenAI's, and OpenAI's own) in
one gateway with everything on, on one core.

    .venv/bin/python -m benchmarks.translated
    DJANGO_SETTINGS_MODULE=exerati.settings.test .venv/bin/python -m benchmarks.translated --alone

A chunk's cost is the difference between streams of 220 and of 20 chunks, divided by 200: all that a call costs besides
falls out. CPU is what the gateway's process used by /proc. Prints Markdown.
"""

import argparse
import asyncio
import io
import json
import os
import sys
import time
from contextlib import ExitStack
from typing import Any

import uvloop

from benchmarks import gateway, upstream
from benchmarks.gateway import Server

SHORT, LONG = 20, 220
DIALECTS = ("openai", "anthropic", "gemini")
ROUNDS = 3


def sse(name: str, body: dict[str, Any]) -> bytes:
    """Return one event as one HTTP chunk."""
    head = f"event: {name}\n" if name else ""
    data = f"{head}data: {json.dumps(body, separators=(',', ':'))}\n\n".encode()
    return b"%x\r\n" % len(data) + data + b"\r\n"


def anthropic(chunks: int) -> tuple[bytes, list[bytes], bytes]:
    """Return start, pieces and end of a stream as Anthropic's API has it."""
    message = {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": "claude-bench",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 14, "output_tokens": 1},
    }
    block = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    }
    start = sse("message_start", {"type": "message_start", "message": message})
    start += sse("content_block_start", block)
    pieces = [
        sse(
            "content_block_delta",
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": f" word{number}"},
            },
        )
        for number in range(10)
    ]
    end = sse("content_block_stop", {"type": "content_block_stop", "index": 0})
    last = {"stop_reason": "end_turn", "stop_sequence": None}
    usage = {"output_tokens": chunks}
    end += sse("message_delta", {"type": "message_delta", "delta": last, "usage": usage})
    return start, pieces, end + sse("message_stop", {"type": "message_stop"}) + b"0\r\n\r\n"


def gemini(chunks: int) -> tuple[bytes, list[bytes], bytes]:
    """Return start, pieces and end of a stream as Gemini's API has it: each event tells the usage so far."""

    def event(text: str, **more: Any) -> bytes:
        candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **more}
        usage = {
            "promptTokenCount": 14,
            "candidatesTokenCount": chunks,
            "totalTokenCount": 14 + chunks,
        }
        body = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-bench"}
        return sse("", {**body, "responseId": "bench"})

    pieces = [event(f" word{number}") for number in range(10)]
    return b"", pieces, event("", finishReason="STOP") + b"0\r\n\r\n"


class Speaker(upstream.Provider):
    """One connection of a provider that answers everything with one stream."""

    parts: tuple[bytes, list[bytes], bytes]
    chunks: int

    def answer(self, body: bytes) -> None:
        """Stream, whatever is asked."""
        self.streaming = asyncio.ensure_future(self.stream(self.chunks, 0))

    async def stream(self, chunks: int, pause: float) -> None:
        """Send the parts one by one."""
        start, pieces, end = self.parts
        self.transport.write(upstream.STREAM_HEAD + start)
        for number in range(chunks):
            if self.transport.is_closing():
                return
            self.transport.write(pieces[number % 10])
            await asyncio.sleep(pause)
        self.transport.write(end)


async def speak(dialect: str, chunks: int) -> None:
    """Answer in a dialect until stopped."""
    made = upstream.Provider
    if dialect != "openai":
        parts = {"anthropic": anthropic, "gemini": gemini}[dialect](chunks)
        made = type("Made", (Speaker,), {"parts": parts, "chunks": chunks})
    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0, backlog=4096)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def add_models(urls: dict[str, str]) -> None:
    """Add the providers and their models to the database of the environment; run in a process of its own."""
    import django

    django.setup()
    from django.core.management import call_command

    for name, url in urls.items():
        dialect, chunks = name.split("-")
        own = f"bench-{name}" if dialect == "openai" else dialect
        sys.stdin = io.StringIO("key")
        call_command(
            *("provider", "add", own, "--base-url", f"{url}/v1", "--api-key-stdin"),
            f"--model={name}=claude-haiku-4-5-m-{chunks}-0",
            *("--context-tokens", "8192", "--max-output-tokens", "1024"),
            *("--input-price", "0.1", "--output-price", "0.4"),
            stdout=io.StringIO(),
        )


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--speak", nargs=2, metavar=("DIALECT", "CHUNKS"))
    parser.add_argument("--add", metavar="JSON")
    parser.add_argument("--alone", action="store_true", help="the translation alone, no gateway")
    options = parser.parse_args()
    if options.speak:
        uvloop.run(speak(options.speak[0], int(options.speak[1])))
    elif options.alone:
        costs = translators()
        for name, cost in costs.items():
            print(f"| {name} | {cost:.2f} | {cost / costs['openai']:.2f} |")
    elif options.add:
        add_models(json.loads(options.add))
    else:
        report({dialect: measured(dialect, options.seconds) for dialect in DIALECTS})


def measured(dialect: str, seconds: float) -> list[tuple[float, int]]:
    """Return the CPU of a chunk in microseconds and the errors, of each round, for one dialect."""
    with ExitStack() as stack:
        urls = {}
        for chunks in (SHORT, LONG):
            arguments = ["-m", "benchmarks.translated", "--speak", dialect, str(chunks)]
            process = stack.enter_context(
                gateway.started(f"speaker-{chunks}", arguments, core="1", environment={})
            )
            urls[chunks] = f"http://127.0.0.1:{gateway.ready_port(process)}"
        servers = {
            chunks: stack.enter_context(gateway.exerati(url, seed=seeded(dialect, chunks, url)))
            for chunks, url in urls.items()
        }
        return [one_round(dialect, servers, seconds) for _ in range(ROUNDS)]


def seeded(dialect: str, chunks: int, url: str) -> list[str]:
    """Return the command that adds the dialect's model to a gateway's database."""
    told = json.dumps({f"{dialect}-{chunks}": url})
    return ["-W", "ignore", "-m", "benchmarks.translated", "--add", told]


def one_round(dialect: str, servers: dict[int, Server], seconds: float) -> tuple[float, int]:
    """Return the CPU of a chunk in microseconds, and the errors."""
    cpu, errors = {}, 0
    for chunks, server in servers.items():
        url = f"{server.url}/v1/chat/completions"
        content = gateway.body(f"{dialect}-{chunks}", stream=True)
        gateway.load(url, server.key, content, connections=8, seconds=1)
        figures = gateway.measured(server, url, content, connections=16, seconds=seconds)
        cpu[chunks] = figures["cpu_us"]
        errors += figures["errors"]
    return (cpu[LONG] - cpu[SHORT]) / (LONG - SHORT), errors


def translators() -> dict[str, float]:
    """Return the CPU of a chunk in microseconds of the translation alone: bytes in, bytes out, no sockets."""
    import django

    django.setup()
    from gateway.providers.base import ServeAs

    shown = ServeAs(id="chatcmpl-bench", model="bench", created=1, include_usage=True)
    parts = {
        "openai": (b"", upstream.CHUNKS, b""),
        "anthropic": anthropic(LONG),
        "gemini": gemini(LONG),
    }
    return {name: min(_translated(name, parts[name], shown) for _ in range(9)) for name in DIALECTS}


def _translated(name: str, parts: tuple[bytes, list[bytes], bytes], shown: Any) -> float:
    """Return the CPU of a chunk of 2,000, each read by itself as the relay does."""
    from gateway.dialects.chat import ChatDialect
    from gateway.providers import registry

    adapter = registry.adapter(name)
    decoder, writer = adapter.stream_decoder(), ChatDialect().stream(shown)
    translator = adapter.chat_stream(serve_as=shown)
    pieces = [bare(piece) for piece in parts[1]]
    for event, data in decoder.feed(bare(parts[0])):
        translator.feed(event, data)
    started = time.process_time()
    for number in range(2_000):
        for event, data in decoder.feed(pieces[number % 10]):
            writer.events(translator.feed(event, data))
    return (time.process_time() - started) / 2_000 * 1e6


def bare(data: bytes) -> bytes:
    """Return events without the framing of HTTP chunks."""
    lines = [line for line in data.split(b"\n") if line.startswith((b"data", b"event"))]
    ends = {b"d": b"\n\n", b"e": b"\n"}
    return b"".join(line + ends[line[:1]] for line in lines)


def report(found: dict[str, list[tuple[float, int]]]) -> None:
    """Print one table."""
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, Python {sys.version.split()[0]}\n")
    print("| provider's API | CPU µs a chunk, each round | least | x pass-through | errors |")
    print("|---|---|---|---|---|")
    base = min(cost for cost, _ in found["openai"])
    for dialect, rounds in found.items():
        costs = [cost for cost, _ in rounds]
        told = ", ".join(f"{cost:.1f}" for cost in costs)
        errors = sum(errors for _, errors in rounds)
        print(f"| {dialect} | {told} | {min(costs):.1f} | {min(costs) / base:.2f} | {errors} |")


if __name__ == "__main__":
    main()
