"""
The same server stack with nothing in it: uvicorn, uvloop, httptools and one aiohttp session that passes each request
on and its answer back. What Exerati costs beyond this is what it does.

`UPSTREAM=http://127.0.0.1:9100 uvicorn benchmarks.passthrough:application`
"""

import os
from typing import Any

import aiohttp

UPSTREAM = os.environ.get("UPSTREAM", "http://127.0.0.1:9100")
session: aiohttp.ClientSession | None = None


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Pass one request on."""
    global session
    if scope["type"] != "http":
        return
    if session is None:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
        )
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = {"content-type": "application/json"}
    async with session.post(UPSTREAM + scope["path"], data=body, headers=headers) as response:
        kind = response.headers["content-type"].encode()
        start = {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(b"content-type", kind)],
        }
        if "content-length" in response.headers:
            data = await response.read()
            start["headers"].append((b"content-length", b"%d" % len(data)))
            await send(start)
            await send({"type": "http.response.body", "body": data})
            return
        await send(start)
        async for chunk in response.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
