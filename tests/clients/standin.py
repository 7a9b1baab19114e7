"""
The stand-in provider for real clients: it calls the tools it is given, answers in the schema asked for, sees pictures.

It goes by what a call asks, not by the model's name, and its memory of answered calls is the ledger to compare ours
with. A model whose name starts with `busy-` turns its first call away.
"""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.upstream import USAGE, Received, Script, Upstream

ANSWER_TO_TOOLS = "It is 21 degrees in Paris."
ANSWER_TO_PICTURES = "I see a picture."
EMBEDDING_TOKENS = 5
CALL_ID = "call_weather_1"
# Longer than the gateway waits itself (`gateway.routes.retry.LONGEST_WAIT_SECONDS`), so that the client has to.
BUSY_SECONDS = 6


class ClientUpstream(Upstream):
    """An OpenAI-compatible provider with the wits that clients' scenarios need."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []

    def reset(self) -> None:
        """Forget scripts, calls and whom it turned away."""
        super().reset()
        self.refused.clear()

    @property
    def ledger(self) -> tuple[int, int, int]:
        """How many calls it has answered, with how many tokens in and out in all."""
        answered = [call for call in self.calls if call.finished]
        embeddings = sum("input" in call.body for call in answered)
        chats = len(answered) - embeddings - len(self.refused)
        tokens_in = chats * USAGE["prompt_tokens"] + embeddings * EMBEDDING_TOKENS
        return chats + embeddings, tokens_in, chats * USAGE["completion_tokens"]

    async def _received(self, request: web.Request) -> tuple[Received, Script]:
        call, script = await super()._received(request)
        if call.model.startswith("busy-") and call.model not in self.refused:
            self.refused.append(call.model)
            return call, Script(status=429, headers={"retry-after": str(BUSY_SECONDS)})
        return call, script if "input" in call.body else script_for(call.body)


def script_for(body: Mapping[str, Any]) -> Script:
    """Return what the stand-in answers to a chat call."""
    messages = body["messages"]
    if messages[-1]["role"] == "tool":
        return Script(pieces=[ANSWER_TO_TOOLS])
    if tool := _tool_to_call(body):
        return _tool_call(body, tool)
    schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
    if schema:
        return Script(pieces=[json.dumps(filled(schema, schema))])
    if _has_picture(messages):
        return Script(pieces=[ANSWER_TO_PICTURES])
    return Script()


def filled(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """Return the plainest value that a JSON schema allows; `root` holds its definitions."""
    if "$ref" in schema:
        found: Any = root
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return filled(found, root)
    for choices in ("enum", "anyOf", "oneOf", "allOf"):
        if choices in schema:
            first = schema[choices][0]
            return first if choices == "enum" else filled(first, root)
    if schema.get("type") == "object":
        wanted = schema.get("required", [])
        return {name: filled(schema["properties"][name], root) for name in wanted}
    plain = {"string": "Paris", "integer": 21, "number": 21.5, "boolean": True, "array": []}
    return plain.get(str(schema.get("type")))


def _tool_to_call(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the function that is to be called: one that must be, or one for a question about the weather."""
    choice = body.get("tool_choice")
    functions: list[dict[str, Any]] = [tool["function"] for tool in body.get("tools") or []]
    if not functions or choice == "none":
        return None
    if isinstance(choice, dict):
        return next(one for one in functions if one["name"] == choice["function"]["name"])
    asks = "weather" in json.dumps(body["messages"][-1]) and "weather" in functions[0]["name"]
    return functions[0] if choice == "required" or asks else None


def _tool_call(body: Mapping[str, Any], function: Mapping[str, Any]) -> Script:
    parameters = function.get("parameters") or {}
    called = {"name": function["name"], "arguments": json.dumps(filled(parameters, parameters))}
    call = {"id": CALL_ID, "type": "function", "function": called}
    if not body.get("stream"):
        return Script(message={"content": None, "tool_calls": [call]}, finish_reason="tool_calls")
    head = {**call, "index": 0, "function": {**called, "arguments": ""}}
    rest = {"index": 0, "function": {"arguments": called["arguments"]}}
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": None, "tool_calls": [head]},
        {"tool_calls": [rest]},
    ]
    frames = [_frame(body, choices=[_choice(delta)]) for delta in deltas]
    frames.append(_frame(body, choices=[_choice({}, finish_reason="tool_calls")]))
    frames.append(_frame(body, choices=[], usage=USAGE))
    return Script(raw="".join([*frames, "data: [DONE]\n\n"]).encode())


def _choice(delta: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _frame(body: Mapping[str, Any], **fields: Any) -> str:
    chunk = {"id": "upstream-78", "object": "chat.completion.chunk", "created": 1_700_000_000}
    return f"data: {json.dumps({**chunk, 'model': body['model'], **fields})}\n\n"


def _has_picture(messages: list[Any]) -> bool:
    """Return whether a picture came as a data URL, unharmed."""
    return any(
        part.get("type") == "image_url"
        and part["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
        for message in messages
        if isinstance(message.get("content"), list)
        for part in message["content"]
    )
