"""
The stand-in provider: it does what each prompt says, and keeps a ledger of its own, to compare ours with.

A prompt is a JSON object (padded with blanks): `label` names the call, `pieces` is how many tokens to answer,
`pause` the seconds before each, `ending` how it ends. Every piece is exactly one token of o200k_base.
"""

import asyncio
import json
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PROMPT_TOKENS = 25
PIECE = " hello"
MODEL_OF_FAILING_ROUTE = "always-503"


@dataclass(slots=True)
class ProviderCall:
    """One call as the provider saw it; times are `time.time()` seconds, the clock of the database too."""

    label: str
    id: str
    model: str
    received_at: float
    pieces_at: list[float] = field(default_factory=list)
    reported: tuple[int, int] | None = None  # prompt and completion tokens told in `usage`
    finished: bool = False

    @property
    def pieces(self) -> int:
        """How many tokens were sent."""
        return len(self.pieces_at)


class Provider:
    """The server; its `ledger` has the calls by label."""

    def __init__(self) -> None:
        self.ledger: dict[str, list[ProviderCall]] = defaultdict(list)
        self.port = 0

    @property
    def base_url(self) -> str:
        """What a provider row has as its address."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def calls(self) -> list[ProviderCall]:
        """Every call, in no order."""
        return [call for calls in self.ledger.values() for call in calls]

    async def start(self) -> None:
        """Listen on a free port of the loopback."""
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embeddings)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        self.port = runner.addresses[0][1]

    def _received(self, body: dict[str, Any], prompt: str) -> tuple[ProviderCall, dict[str, Any]]:
        asked = json.loads(prompt)
        calls = self.ledger[asked["label"]]
        call = ProviderCall(
            label=asked["label"],
            id=f"upstream-{asked['label']}-{len(calls)}",
            model=body["model"],
            received_at=time.time(),
        )
        calls.append(call)
        return call, asked

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        call, asked = self._received(body, body["messages"][0]["content"])
        if call.model == MODEL_OF_FAILING_ROUTE:
            await asyncio.sleep(asked["pause"])
            return web.json_response({"error": {"message": "As scripted."}}, status=503)
        if body.get("stream"):
            return await self._stream(request, call, asked)
        await asyncio.sleep(asked["pause"])
        return self._whole(call, asked)

    def _whole(self, call: ProviderCall, asked: dict[str, Any]) -> web.Response:
        call.pieces_at = [time.time()] * asked["pieces"]
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": PIECE * asked["pieces"]},
            "finish_reason": "stop",
        }
        usage = _report(call)
        call.finished = True
        return web.json_response(
            {**_head(call, "chat.completion"), "choices": [choice], "usage": usage}
        )

    async def _stream(
        self, request: web.Request, call: ProviderCall, asked: dict[str, Any]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        with suppress(ConnectionResetError):  # the gateway has left
            await response.prepare(request)
            await self._write(request, response, call, asked)
        return response

    async def _write(
        self,
        request: web.Request,
        response: web.StreamResponse,
        call: ProviderCall,
        asked: dict[str, Any],
    ) -> None:
        await response.write(_chunk(call, {"role": "assistant", "content": ""}))
        for _ in range(asked["pieces"]):
            await asyncio.sleep(asked["pause"])
            # Counted first: what was written may have been read, whatever happens to this task after.
            call.pieces_at.append(time.time())
            await response.write(_chunk(call, {"content": PIECE}))
        if asked["ending"] == "broken":
            await asyncio.sleep(0.05)  # what was written is to reach the other side
            assert request.transport is not None
            request.transport.abort()
            return
        await response.write(_chunk(call, {}, finish_reason="stop"))
        if asked["ending"] != "no usage":
            usage = {**_head(call, "chat.completion.chunk"), "choices": [], "usage": _report(call)}
            await response.write(b"data: " + json.dumps(usage).encode() + b"\n\n")
        call.finished = True
        await response.write(b"data: [DONE]\n\n")

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        call, asked = self._received(body, body["input"])
        await asyncio.sleep(asked["pause"])
        call.reported, call.finished = (PROMPT_TOKENS, 0), True
        usage = {"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS}
        data = [{"object": "embedding", "index": 0, "embedding": [1.0, 0.0]}]
        return web.json_response(
            {"object": "list", "data": data, "model": call.model, "usage": usage}
        )


def _report(call: ProviderCall) -> dict[str, int]:
    call.reported = (PROMPT_TOKENS, call.pieces)
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": call.pieces,
        "total_tokens": PROMPT_TOKENS + call.pieces,
    }


def _head(call: ProviderCall, kind: str) -> dict[str, Any]:
    return {"id": call.id, "object": kind, "created": 1_700_000_000, "model": call.model}


def _chunk(call: ProviderCall, delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {**_head(call, "chat.completion.chunk"), "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
