"""Recorded traffic of Gemini and Vertex (the same bodies), for the tests of the Gemini translator."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.gateway.recorded import SHARED

APIS = ("generateContent", "streamGenerateContent", "embeddings")


class Exchange(NamedTuple):
    """One answer: `bodies` are its JSON objects, one of a whole answer and one an event of a stream."""

    name: str
    api: str
    streamed: bool
    status: int
    bodies: list[Any]
    request: Any
    model: str

    @property
    def data(self) -> bytes:
        """A whole answer's bytes."""
        return json.dumps(self.bodies[0]).encode()

    @property
    def sse(self) -> bytes:
        """A stream's bytes, framed as Google does."""
        return b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in self.bodies)


def exchanges() -> Iterator[Exchange]:
    """Yield every recorded exchange of generateContent, streamGenerateContent and the embeddings methods."""
    for provider in ("gemini", "vertex"):
        for path in sorted((SHARED / provider).glob("*.json")):
            case = json.loads(path.read_text())
            if case["api"] not in APIS:
                continue
            for number, found in enumerate(case["interactions"]):
                yield _exchange(f"{provider}/{path.stem}/{number}", case, found)


def _exchange(name: str, case: dict[str, Any], found: dict[str, Any]) -> Exchange:
    request, response = found["request"] or {}, found["response"]
    url = request.get("url", "")
    streamed = response["status"] == 200 and (
        "streamGenerateContent" in url or (not url and bool(case["stream"]))
    )
    return Exchange(
        name,
        case["api"],
        streamed,
        response["status"],
        list(_bodies(response)),
        request.get("body"),
        url.partition("/models/")[2].partition(":")[0],
    )


def _bodies(response: dict[str, Any]) -> Iterator[Any]:
    """Without `alt=sse` a stream is a JSON list; we always ask for events, so its items become events."""
    body, encoding = response["body"], response["body_encoding"]
    if encoding == "json":
        yield from body if isinstance(body, list) else [body]
        return
    lines = body if encoding == "sse-data-lines" else body.replace("\r\n", "\n").split("\n")
    for line in lines:
        text = line.removeprefix("data:").strip() if encoding == "text" else line
        if text.startswith("{"):
            yield json.loads(text)


def as_chat(body: Any) -> dict[str, Any]:
    """Return a recorded request in OpenAI's form, as a customer would have sent it (text and tools only)."""
    messages: list[dict[str, Any]] = []
    for part in (field(body, "systemInstruction") or {}).get("parts", ()):
        messages.append({"role": "system", "content": part["text"]})
    ids: list[str] = []
    for content in body["contents"]:
        messages += _messages(content, ids)
    chat: dict[str, Any] = {"messages": messages}
    declarations = [
        declaration
        for tool in body.get("tools") or ()
        for declaration in tool.get("functionDeclarations") or ()
    ]
    if declarations:
        chat["tools"] = [{"type": "function", "function": _function(item)} for item in declarations]
    config = body.get("generationConfig") or {}
    if "responseJsonSchema" in config:
        schema = {"name": "answer", "schema": config["responseJsonSchema"]}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    return chat


def has_only_text_and_functions(body: Any) -> bool:
    """Whether a recorded request holds nothing whose tokens the byte bound leaves to others."""
    text = json.dumps(body)
    words = ("fileData", "file_data", "inlineData", "inline_data", "cachedContent", "toolCall")
    tools = body.get("tools") or ()
    return not any(word in text for word in words) and all(
        set(tool) == {"functionDeclarations"} for tool in tools
    )


def field(holder: Any, name: str) -> Any:
    """Return a field in either spelling: Google reads both, and recordings hold both."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return holder.get(name, holder.get(snake))


def _function(declaration: Any) -> dict[str, Any]:
    schema = field(declaration, "parametersJsonSchema") or declaration.get("parameters")
    function = {"name": declaration["name"], "description": declaration.get("description", "")}
    return {**function, "parameters": schema} if schema else function


def _messages(content: Any, ids: list[str]) -> Iterator[dict[str, Any]]:
    text = "".join(part.get("text", "") for part in content["parts"])
    calls = []
    for part in content["parts"]:
        call, result = field(part, "functionCall"), field(part, "functionResponse")
        if call:
            ids.append(call.get("id") or f"call_{len(ids)}")
            arguments = json.dumps(call.get("args") or {})
            calls.append(
                {
                    "id": ids[-1],
                    "type": "function",
                    "function": {"name": call["name"], "arguments": arguments},
                }
            )
            if signature := field(part, "thoughtSignature"):
                calls[-1]["extra_content"] = {"google": {"thought_signature": signature}}
        if result:
            output = json.dumps(result["response"])
            yield {"role": "tool", "tool_call_id": ids.pop(0), "content": output}
    if content.get("role") == "model":
        yield {"role": "assistant", "content": text or None, "tool_calls": calls}
    elif text:
        yield {"role": "user", "content": text}
