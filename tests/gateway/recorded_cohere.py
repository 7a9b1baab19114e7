"""Recorded traffic of Cohere's second API: chats and embeddings."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.gateway.recorded import SHARED

APIS = ("chat-v2", "embeddings")


class Exchange(NamedTuple):
    """One request (None in fixtures) and its answer, as bytes."""

    name: str
    api: str
    streamed: bool
    status: int
    headers: dict[str, str]
    data: bytes
    request: Any


def exchanges() -> Iterator[Exchange]:
    """Yield every exchange of the APIs we speak; rerank has tests of its own."""
    for path in sorted((SHARED / "cohere").glob("*.json")):
        case = json.loads(path.read_text())
        if case["api"] not in APIS:
            continue
        for number, found in enumerate(case["interactions"]):
            request, response = found["request"] or {}, found["response"]
            yield Exchange(
                f"{path.stem}/{number}",
                case["api"],
                response["status"] == 200 and response["body_encoding"] != "json",
                response["status"],
                {key.lower(): value for key, value in (response["headers"] or {}).items()},
                _bytes(response),
                request.get("body"),
            )


def events_of(data: bytes) -> list[Any]:
    """Return a stream's events, read with nothing but the standard library."""
    lines = data.decode().split("\n")
    return [json.loads(line[5:]) for line in lines if line.startswith("data: {")]


def _bytes(response: Any) -> bytes:
    body, encoding = response["body"], response["body_encoding"]
    if encoding == "sse-data-lines":
        return "".join(
            f"event: {json.loads(line)['type']}\ndata: {line}\n\n" for line in body
        ).encode()
    return (body if encoding == "text" else json.dumps(body)).encode()
