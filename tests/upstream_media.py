"""
The stand-in's images, audio, moderation and reranking: reads forms, answers in OpenAI's shapes.

`Script.raw` is sent whole and `Script.parts` one by one in the place of the answers below, as `Script.content_type`.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import BodyPartReader, web

PATHS = (
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/moderations",
    "/v1/rerank",
)
IMAGE_USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens": 196,
    "total_tokens": 246,
}
AUDIO = (b"ID3 audio ", b"of the ", b"stand-in")
TEXT = "Hello world"


async def read(request: web.Request) -> dict[str, Any]:
    """Return the fields of the body; files of a form are tuples of name, content type and bytes."""
    if request.content_type == "application/x-www-form-urlencoded":
        return {name: str(value) for name, value in (await request.post()).items()}
    if not request.content_type.startswith("multipart/"):
        body: dict[str, Any] = await request.json()
        return body
    fields: dict[str, Any] = {}
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        name, data = str(part.name), bytes(await part.read())
        if part.filename:
            kind = part.headers.get("content-type", "")
            fields.setdefault("files", []).append((name, part.filename, kind, data))
        elif name.endswith("[]"):
            fields.setdefault(name, []).append(data.decode())
        else:
            fields[name] = data.decode()
    return fields


async def answer(
    request: web.Request, call: Any, script: Any, abort: Callable[[web.Request], None]
) -> web.StreamResponse:
    """Answer as scripted, else as OpenAI would."""
    if script.delay_seconds:
        await asyncio.sleep(script.delay_seconds)
    if script.abort_at == "request":
        abort(request)
    parts = list(script.parts)
    if not parts and script.raw is None and request.path == "/v1/audio/speech":
        parts = list(AUDIO)
    if parts:
        return await _in_parts(request, call, script, parts, abort)
    data = script.raw
    if data is None:
        data = json.dumps(_default(request.path, call.body)).encode()
    return web.Response(body=data, content_type=script.content_type)


async def _in_parts(
    request: web.Request,
    call: Any,
    script: Any,
    parts: list[bytes],
    abort: Callable[[web.Request], None],
) -> web.StreamResponse:
    headers = {"content-type": script.content_type, **script.headers}
    if headers["content-type"] == "application/json":
        headers["content-type"] = "audio/mpeg"
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    for number, part in enumerate(parts):
        if script.abort_after == number:
            abort(request)
        if script.stall_after == number:
            await asyncio.sleep(3600)
        await response.write(part)
        call.pieces_sent += 1
        if script.piece_seconds:
            await asyncio.sleep(script.piece_seconds)
    await response.write_eof()
    return response


def _default(path: str, body: dict[str, Any]) -> dict[str, Any]:
    if path.startswith("/v1/images/"):
        data = [{"b64_json": "aW1hZ2U="} for _ in range(int(body.get("n") or 1))]
        return {"created": 1_700_000_000, "data": data, "usage": IMAGE_USAGE}
    if path.startswith("/v1/audio/"):
        usage = {"type": "duration", "seconds": 7}
        segments = [{"id": 0, "start": 0.0, "end": 6.5, "text": f" {TEXT}"}]
        return {"text": TEXT, "duration": 6.5, "segments": segments, "usage": usage}
    if path == "/v1/moderations":
        return {"id": "modr-1", "model": "m", "results": [{"flagged": False, "categories": {}}]}
    results = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.2}]
    results = [result for result in results if result["index"] < len(body["documents"])]
    return {
        "id": "rr-1",
        "results": results,
        "meta": {"billed_units": {"search_units": 1}},
        "usage": {"total_tokens": 40},
    }
