"""
The text of a streamed answer, put together from its events: what is stored of a stream. Pure.

The pieces must be joined before anything is taken out of them: an address that came in two pieces is in neither.
"""

import json
from collections.abc import Iterator
from typing import Any


def assembled(stream: bytes) -> str:
    """Return the answer as one JSON object of its parts: text, reasoning, arguments of tools, and the last usage."""
    parts: dict[str, str] = {}
    usage: Any = None
    for event in _events(stream):
        for name, text in _pieces(event):
            parts[name] = parts.get(name, "") + text
        found = event.get("usage") or (event.get("response") or {}).get("usage")
        usage = found or usage
    return json.dumps({"streamed": True, **parts, "usage": usage}, ensure_ascii=False)


def _events(stream: bytes) -> Iterator[dict[str, Any]]:
    for line in stream.decode("utf-8", "replace").split("\n"):
        if not line.startswith("data:"):
            continue
        try:
            event = json.loads(line.removeprefix("data:"))
        except ValueError:
            continue  # `[DONE]`, or an event that was cut off
        if isinstance(event, dict):
            yield event


def _pieces(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (part, piece of text) of an event of any dialect."""
    if event.get("error"):
        yield "error", json.dumps(event["error"])
    for choice in event.get("choices") or ():
        yield from _choice(choice)
    kind, delta = event.get("type") or "", event.get("delta")
    if isinstance(delta, str) and kind.endswith(".delta"):
        yield f"{kind.removesuffix('.delta')} {event.get('output_index', 0)}", delta
    elif isinstance(delta, dict):
        for name in ("text", "thinking", "partial_json"):
            if isinstance(delta.get(name), str):
                yield f"{name} {event.get('index', 0)}", delta[name]


def _choice(choice: dict[str, Any]) -> Iterator[tuple[str, str]]:
    index = choice.get("index", 0)
    if isinstance(choice.get("text"), str):
        yield f"text {index}", choice["text"]
    delta = choice.get("delta") or {}
    for name in ("content", "reasoning", "reasoning_content", "refusal"):
        if isinstance(delta.get(name), str):
            yield f"{name} {index}", delta[name]
    for call in delta.get("tool_calls") or ():
        function = call.get("function") or {}
        if isinstance(function.get("name"), str):
            yield f"tool {call.get('index', 0)}", function["name"]
        if isinstance(function.get("arguments"), str):
            yield f"arguments {call.get('index', 0)}", function["arguments"]
