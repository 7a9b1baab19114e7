"""
A stand-in for an OpenAI-compatible provider, over real HTTP on a thread of its own.

What it answers is scripted by model name; it remembers every call it got: headers, body, how many pieces it
sent, and when its client (the gateway) hung up. That memory is its own ledger, to compare ours with.
"""

import asyncio
import json
import re
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests import upstream_media

USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
PIECES = ("Hel", "lo ", "wor", "ld")
UPSTREAM_ID = "upstream-77"
START_SECONDS = 60
WAIT_SECONDS = 60.0  # long enough for a busy machine: who waits so long has found a fault


@dataclass(slots=True)
class Script:
    """
    How one model behaves.

    Streams send a role chunk, `pieces`, a finish chunk, the frames of `usage` (each a usage object) and [DONE].
    `abort_after` cuts the connection after so many pieces; `abort_at` names a moment before any answer
    (`request`) or before the usage frames (`usage`). `stall_after` goes silent after so many pieces until the
    client leaves. `raw` is sent as it is in the place of everything else.
    """

    status: int = 200
    error: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    piece_seconds: float = 0.0
    pieces: Sequence[str] = PIECES
    finish_reason: str | None = "stop"
    usage: Sequence[Any] = (USAGE,)
    usage_on: str = "own"  # own chunk | finish | every | x_groq | before_finish
    done: bool = True
    abort_after: int | None = None
    abort_at: str = ""
    stall_after: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    message: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes | None = None
    parts: Sequence[bytes] = ()
    content_type: str = "application/json"
    refuses: str = ""  # the credential that `status` is for; everybody's when empty
    once: bool = False  # for the next call alone; those after it are answered as ever
    id: str = UPSTREAM_ID


@dataclass(slots=True)
class Received:
    """One call as the provider saw it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    peer: tuple[str, int]
    started_at: float = field(default_factory=time.monotonic)
    pieces_sent: int = 0
    ended_at: float | None = None
    finished: bool = False

    @property
    def model(self) -> str:
        """The model that was asked for, in the body or the path; of a token's endpoint the last word of that."""
        if found := re.search(r"/models?/([^/:?]+)", self.path):
            return unquote(found[1])
        return str(self.body.get("model") or self.path.rpartition("/")[2])


class Upstream:
    """The server; `with Upstream() as upstream` runs it on a free port of the loopback."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.calls: list[Received] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = threading.Event()

    @property
    def base_url(self) -> str:
        """What a provider row has as its address."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> "Upstream":
        self._thread.start()
        if not self._started.wait(START_SECONDS):
            raise TimeoutError("the stand-in provider did not start")
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(START_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)
        self._loop.close()

    def script(self, model: str, **behaviour: Any) -> None:
        """Let a model behave so from now on."""
        self.scripts[model] = Script(**behaviour)

    def reset(self) -> None:
        """Forget scripts and calls."""
        self.scripts.clear()
        self.calls.clear()

    def calls_of(self, model: str) -> list[Received]:
        """Return the calls for a model, in order."""
        return [call for call in self.calls if call.model == model]

    def wait_for(self, model: str, *, seconds: float = WAIT_SECONDS) -> Received:
        """Return the first call for a model once it is there."""
        wait_until(lambda: bool(self.calls_of(model)), seconds=seconds)
        return self.calls_of(model)[0]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._started.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/messages", self._chat)  # Anthropic: scripted by `raw`
        app.router.add_post("/v1/embeddings", self._embeddings)
        for path in upstream_media.PATHS:
            app.router.add_post(path, self._media)
        app.router.add_post("/{path:.*}", self._elsewhere)
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _received(self, request: web.Request) -> tuple[Received, Script]:
        assert request.transport is not None
        call = Received(
            path=request.raw_path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await upstream_media.read(request),
            peer=request.transport.get_extra_info("peername"),
        )
        self.calls.append(call)
        script = self.scripts.get(call.model, Script())
        if script.once:
            del self.scripts[call.model]
        return call, script

    async def _media(self, request: web.Request) -> web.StreamResponse:
        call, script = await self._received(request)
        try:
            if script.status != 200:
                return _error(script)
            response = await upstream_media.answer(request, call, script, _abort)
            call.finished = True
            return response
        finally:
            call.ended_at = time.monotonic()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        call, script = await self._received(request)
        try:
            response = await self._chat_answer(request, call, script)
            call.finished = True
            return response
        finally:
            call.ended_at = time.monotonic()

    async def _chat_answer(
        self, request: web.Request, call: Received, script: Script
    ) -> web.StreamResponse:
        if script.delay_seconds:
            await asyncio.sleep(script.delay_seconds)
        if script.abort_at == "request":
            _abort(request)
        if script.status != 200 and call.headers.get("authorization", "").endswith(script.refuses):
            return _error(script)
        if not call.body.get("stream"):
            return web.Response(
                body=script.raw or _whole(call, script), content_type="application/json"
            )
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream", **script.headers}
        )
        await response.prepare(request)
        if script.raw is not None:
            await response.write(script.raw)
            await _moment(request, script, 0)
        else:
            async for data in _events(request, call, script):
                await response.write(data)
        await response.write_eof()
        return response

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
        """APIs that name the model in their path, and Anthropic's counts; scripted by `raw`."""
        call, script = await self._received(request)
        if script.delay_seconds:
            await asyncio.sleep(script.delay_seconds)
        if script.abort_at == "request":
            _abort(request)
        call.ended_at, call.finished = time.monotonic(), True
        if script.status != 200:
            return _error(script)
        return web.Response(body=script.raw, content_type=script.content_type)

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        call, script = await self._received(request)
        if script.delay_seconds:
            await asyncio.sleep(script.delay_seconds)
        if script.status != 200:
            return _error(script)
        inputs = call.body["input"]
        count = len(inputs) if isinstance(inputs, list) and not isinstance(inputs[0], int) else 1
        as_base64 = call.body.get("encoding_format") == "base64"
        vector: Any = "AACAPwAAAAA=" if as_base64 else [1.0, 0.0]
        data = [{"object": "embedding", "index": i, "embedding": vector} for i in range(count)]
        body: dict[str, Any] = {"object": "list", "data": data, "model": call.model}
        if script.usage:
            body["usage"] = {"prompt_tokens": 5, "total_tokens": 5}
        call.ended_at, call.finished = time.monotonic(), True
        return web.json_response({**body, **script.extra})


def wait_until(condition: Any, *, seconds: float = WAIT_SECONDS) -> None:
    """Return once the condition holds; raises TimeoutError after so many seconds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.01)


def _abort(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()
    raise asyncio.CancelledError


def _error(script: Script) -> web.Response:
    if isinstance(script.error, bytes):
        return web.Response(status=script.status, body=script.error, headers=script.headers)
    error = script.error or {"message": "As scripted.", "type": "server_error", "code": None}
    return web.json_response({"error": error}, status=script.status, headers=script.headers)


def _whole(call: Received, script: Script) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(script.pieces), **script.message},
        "finish_reason": script.finish_reason,
    }
    body: dict[str, Any] = {
        "id": script.id,
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": call.model,
        "choices": [choice],
        **script.extra,
    }
    if script.usage:
        body["usage"] = script.usage[-1]
    return json.dumps(body).encode()


async def _events(request: web.Request, call: Received, script: Script) -> AsyncIterator[bytes]:
    yield _chunk(call, script, {"role": "assistant", "content": ""})
    for number, piece in enumerate(script.pieces):
        await _moment(request, script, number)
        usage = (
            script.usage[min(number, len(script.usage) - 1)] if script.usage_on == "every" else None
        )
        yield _chunk(call, script, {"content": piece}, usage=usage)
        call.pieces_sent += 1
    await _moment(request, script, len(script.pieces))
    if script.usage_on == "before_finish":
        yield _chunk(call, script, None, usage=script.usage[-1])
    if script.finish_reason:
        usage = script.usage[-1] if script.usage_on == "finish" else None
        yield _chunk(call, script, {}, finish_reason=script.finish_reason, usage=usage)
    if script.abort_at == "usage":
        _abort(request)
    if script.usage_on == "own":
        for usage in script.usage:
            yield _chunk(call, script, None, usage=usage)
    if script.usage_on == "x_groq":
        yield _chunk(call, script, {}, x_groq={"usage": script.usage[-1]})
    if script.done:
        yield b"data: [DONE]\n\n"


async def _moment(request: web.Request, script: Script, number: int) -> None:
    """What happens before piece `number`."""
    if script.abort_after == number:
        await asyncio.sleep(0.05)  # let what was written reach the other side first
        _abort(request)
    if script.stall_after == number:
        with suppress(TimeoutError):
            async with asyncio.timeout(600):
                await asyncio.Event().wait()
    if script.piece_seconds:
        await asyncio.sleep(script.piece_seconds)


def _chunk(
    call: Received,
    script: Script,
    delta: Mapping[str, Any] | None,
    *,
    finish_reason: str | None = None,
    **fields: Any,
) -> bytes:
    choices = (
        [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    )
    chunk = {
        "id": script.id,
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": call.model,
        "choices": choices,
        **script.extra,
        **{name: value for name, value in fields.items() if value is not None},
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
