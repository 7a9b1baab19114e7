"""Recorded traffic of Bedrock's Converse and ConverseStream, and its requests as customers would have put them."""

import base64
import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from tests.gateway import event_stream
from tests.gateway.recorded import SHARED

Json = dict[str, Any]


class Exchange(NamedTuple):
    """One request (None in fixtures) and its answer, as bytes."""

    name: str
    api: str
    streamed: bool
    status: int
    headers: dict[str, str]
    data: bytes
    request: Any
    model: str


def exchanges() -> Iterator[Exchange]:
    """Yield every exchange with Bedrock itself; `invoke` answers are in the words of each model's maker."""
    for path in sorted((SHARED / "bedrock").glob("*.json")):
        case = json.loads(path.read_text())
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
                unquote(request.get("url", "").partition("/model/")[2].partition("/")[0]),
            )


def converse(*, streamed: bool) -> list[Exchange]:
    """Return the recorded answers of the API we speak."""
    return [
        item
        for item in exchanges()
        if item.api.startswith("converse") and item.status == 200 and item.streamed == streamed
    ]


def askable() -> list[tuple[Exchange, Json]]:
    """Return the accepted requests that OpenAI's API can say, each with its chat request."""
    found = []
    for item in [*converse(streamed=False), *converse(streamed=True)]:
        if item.request:
            try:
                found.append((item, as_openai(item.request)))
            except NotOpenAI:
                continue
    return found


def _bytes(response: Json) -> bytes:
    body, encoding = response["body"], response["body_encoding"]
    if encoding == "base64":
        return base64.b64decode(body)
    if encoding == "sse-data-lines":  # a fixture without framing: {"<event>": {...}}
        events = (next(iter(json.loads(line).items())) for line in body)
        return b"".join(event_stream.event(name, payload) for name, payload in events)
    return json.dumps(body).encode()


class NotOpenAI(Exception):
    """The request uses what OpenAI's API cannot say: Amazon's own tools, guardrails, cached documents."""


def as_openai(request: Json) -> Json:
    """Return a recorded Converse request as a chat request. Raises NotOpenAI."""
    if "guardrailConfig" in request:
        raise NotOpenAI
    messages: list[Json] = []
    for block in request.get("system") or ():
        messages.append({"role": "system", "content": [_part(block)]})
    for turn in request["messages"]:
        messages += _assistant(turn) if turn["role"] == "assistant" else _user(turn)
    body: Json = {"model": "m", "messages": messages}
    config = request.get("toolConfig") or {}
    if config:
        body["tools"] = [_tool(tool) for tool in config["tools"]]
    if "any" in (config.get("toolChoice") or {}):
        body["tool_choice"] = "required"
    text_format = (request.get("outputConfig") or {}).get("textFormat")
    if text_format:
        schema = dict(text_format["structure"]["jsonSchema"])
        schema["schema"] = json.loads(schema["schema"])
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _part(block: Json) -> Json:
    if "text" in block:
        return {"type": "text", "text": block["text"]}
    document = block.get("document")
    if document and "bytes" in document["source"] and "citations" not in document:
        data = f"data:text/plain;base64,{document['source']['bytes']}"
        name = f"{document['name']}.{document['format']}"
        return {"type": "file", "file": {"filename": name, "file_data": data}}
    raise NotOpenAI


def _user(turn: Json) -> list[Json]:
    messages: list[Json] = []
    parts: list[Json] = []
    for block in turn["content"]:
        if "cachePoint" in block:
            parts[-1]["cache_control"] = {"type": "ephemeral"}
        elif result := block.get("toolResult"):
            content = [_part(part) for part in result["content"]]
            messages.append(
                {"role": "tool", "tool_call_id": result["toolUseId"], "content": content}
            )
        else:
            parts.append(_part(block))
    return [*messages, *([{"role": "user", "content": parts}] if parts else [])]


def _assistant(turn: Json) -> list[Json]:
    message: Json = {"role": "assistant", "content": None}
    for block in turn["content"]:
        if "text" in block:
            message["content"] = (message["content"] or "") + block["text"]
        elif use := block.get("toolUse"):
            function = {"name": use["name"], "arguments": json.dumps(use["input"])}
            call = {"id": use["toolUseId"], "type": "function", "function": function}
            message.setdefault("tool_calls", []).append(call)
        elif thought := (block.get("reasoningContent") or {}).get("reasoningText"):
            detail = {
                "type": "reasoning.text",
                **thought,
                "format": "anthropic-claude-v1",
                "index": 0,
            }
            message.setdefault("reasoning_details", []).append(detail)
        else:
            raise NotOpenAI
    return [message]


def _tool(tool: Json) -> Json:
    if "toolSpec" not in tool:
        raise NotOpenAI
    spec = tool["toolSpec"]
    function = {"name": spec["name"], "parameters": spec["inputSchema"]["json"]}
    if "description" in spec:
        function["description"] = spec["description"]
    return {"type": "function", "function": function}
