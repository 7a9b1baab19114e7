"""
Recorded traffic of Anthropic's Messages API, and its requests as customers of ours would have put them.

`as_openai` is written for the tests alone, from the two API references, so that a translated request can be
compared with what was really sent and accepted.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.gateway.recorded import SHARED

Json = dict[str, Any]


class Exchange(NamedTuple):
    """One request (None in fixtures) and its answer, as bytes."""

    name: str
    streamed: bool
    status: int
    headers: dict[str, str]
    data: bytes
    request: Any


def exchanges() -> Iterator[Exchange]:
    """Yield every exchange with /v1/messages; token counts and file uploads are other APIs."""
    for path in sorted((SHARED / "anthropic").glob("*.json")):
        case = json.loads(path.read_text())
        for number, found in enumerate(case["interactions"]):
            request, response = found["request"] or {}, found["response"]
            if "/messages" not in request.get("url", "/messages"):
                continue
            if "count_tokens" in request.get("url", ""):
                continue
            yield Exchange(
                f"{path.stem}/{number}",
                _is_stream(response),
                response["status"],
                {key.lower(): value for key, value in (response["headers"] or {}).items()},
                _bytes(response),
                request.get("body"),
            )


def streams() -> list[Exchange]:
    """Return all recorded streams."""
    return [item for item in exchanges() if item.streamed and item.status == 200]


def wholes() -> list[Exchange]:
    """Return all recorded whole answers."""
    return [item for item in exchanges() if not item.streamed and item.status == 200]


def askable() -> list[tuple[Exchange, Json]]:
    """Return the accepted requests that OpenAI's API can say, each with its chat request."""
    found = []
    for item in exchanges():
        if item.request and item.status == 200:
            try:
                found.append((item, as_openai(item.request)))
            except NotOpenAI:
                continue
    return found


def events_of(data: bytes) -> list[Json]:
    """Return a stream's events, read with nothing but the standard library."""
    lines = data.decode().split("\n")
    return [json.loads(line[5:]) for line in lines if line.startswith("data:")]


def _is_stream(response: Json) -> bool:
    encoding, body = response["body_encoding"], response["body"]
    return encoding == "sse-data-lines" or (encoding == "text" and "event: message_start" in body)


def _bytes(response: Json) -> bytes:
    body = response["body"]
    if response["body_encoding"] == "sse-data-lines":
        return "".join(
            f"event: {json.loads(line)['type']}\ndata: {line}\n\n" for line in body
        ).encode()
    return (body if response["body_encoding"] == "text" else json.dumps(body)).encode()


class NotOpenAI(Exception):
    """The request uses what OpenAI's API cannot say: the provider's own tools, stored files."""


def as_openai(request: Json) -> Json:
    """Return a recorded Messages request as a chat request. Raises NotOpenAI."""
    messages: list[Json] = []
    system = request.get("system")
    if system:
        messages.append({"role": "system", "content": _parts(system)})
    for turn in request["messages"]:
        messages += _assistant(turn) if turn["role"] == "assistant" else _user(turn)
    body: Json = {
        "model": request["model"],
        "messages": messages,
        "max_completion_tokens": request["max_tokens"],
    }
    for name in ("temperature", "top_p"):
        if name in request:
            body[name] = request[name]
    if "stop_sequences" in request:
        body["stop"] = request["stop_sequences"]
    if request.get("tools"):
        body["tools"] = [_tool(tool) for tool in request["tools"]]
    choice = request.get("tool_choice") or {}
    if choice:
        body["tool_choice"] = _choice(choice)
    if choice.get("disable_parallel_tool_use"):
        body["parallel_tool_calls"] = False
    if {"container", "cache_control"} & set(request):
        raise NotOpenAI
    return body


def _parts(content: Any) -> Any:
    if isinstance(content, str):
        return content
    return [_part(block) for block in content]


def _part(block: Json) -> Json:
    kind, mark = block["type"], {k: v for k, v in block.items() if k == "cache_control"}
    if kind == "text":
        return {"type": "text", "text": block["text"], **mark}
    source = block.get("source") or {}
    if kind == "image" and source["type"] == "url":
        return {"type": "image_url", "image_url": {"url": source["url"]}, **mark}
    if kind == "image" and source["type"] == "base64":
        url = f"data:{source['media_type']};base64,{source['data']}"
        return {"type": "image_url", "image_url": {"url": url}, **mark}
    raise NotOpenAI


def _user(turn: Json) -> list[Json]:
    if isinstance(turn["content"], str):
        return [{"role": "user", "content": turn["content"]}]
    results = [block for block in turn["content"] if block["type"] == "tool_result"]
    others = [block for block in turn["content"] if block["type"] != "tool_result"]
    messages: list[Json] = [
        {
            "role": "tool",
            "tool_call_id": block["tool_use_id"],
            "content": _parts(block.get("content") or ""),
        }
        for block in results
    ]
    if others:
        messages.append({"role": "user", "content": _parts(others)})
    return messages


def _assistant(turn: Json) -> list[Json]:
    blocks = turn["content"]
    if isinstance(blocks, str):
        return [{"role": "assistant", "content": blocks}]
    message: Json = {"role": "assistant", "content": None}
    for block in blocks:
        kind = block["type"]
        if kind == "text":
            message["content"] = (message["content"] or "") + block["text"]
        elif kind == "tool_use":
            function = {"name": block["name"], "arguments": json.dumps(block["input"])}
            call = {"id": block["id"], "type": "function", "function": function}
            message.setdefault("tool_calls", []).append(call)
        elif kind == "thinking":
            detail = {
                "type": "reasoning.text",
                "text": block["thinking"],
                "signature": block["signature"],
                "format": "anthropic-claude-v1",
                "index": len(message.get("reasoning_details", [])),
            }
            message.setdefault("reasoning_details", []).append(detail)
        else:
            raise NotOpenAI
    return [message]


def _tool(tool: Json) -> Json:
    if "input_schema" not in tool:
        raise NotOpenAI
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    if "description" in tool:
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


def _choice(choice: Json) -> Any:
    if choice["type"] == "tool":
        return {"type": "function", "function": {"name": choice["name"]}}
    return {"auto": "auto", "none": "none", "any": "required"}[choice["type"]]
