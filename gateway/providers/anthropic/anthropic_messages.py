"""
OpenAI's messages as Anthropic's: a system prompt and turns of content blocks. Pure.

Whatever has no counterpart is refused with its path; `cache_control` on parts, messages and tools is kept
(https://platform.claude.com/docs/en/api/messages, read 2026-11).
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import msgspec

from gateway.providers.anthropic import anthropic_media, anthropic_reasoning
from gateway.providers.anthropic.anthropic_errors import invalid, unsupported

Json = dict[str, Any]

_SYSTEM: Final = frozenset({"system", "developer"})
PartWriter = Callable[[Json, str], Json]


@dataclass(frozen=True, slots=True)
class Target:
    """Who gets the blocks: how parts of each kind are written, and whose redacted thinking is understood."""

    parts: Mapping[str, PartWriter]
    redacted_format: str


ANTHROPIC: Final = Target(anthropic_media.PARTS, anthropic_reasoning.FORMAT)


def translate(messages: list[Json], *, target: Target = ANTHROPIC) -> tuple[list[Json], list[Json]]:
    """
    Return Anthropic's `system` blocks and `messages`. Raises ProviderError.

    All system and developer messages are hoisted, as Anthropic's own OpenAI endpoint does. Neighbours of one
    role become one turn, so that results of parallel tool calls stand together as Anthropic wants them.
    """
    system: list[Json] = []
    turns: list[Json] = []
    for position, message in enumerate(messages):
        path = f"messages[{position}]"
        role = message["role"]
        if role == "function":
            unsupported(f"{path}.role", "Send results of tools in messages of role 'tool'.")
        blocks = _marked(_spoken(_BLOCKS[role](message, path, target)), message)
        if role in _SYSTEM:
            system += blocks
        elif blocks:
            _add(turns, "assistant" if role == "assistant" else "user", blocks)
    if not turns and not system:
        invalid("messages", "there is nothing to answer. Send at least one text.")
    if not turns:
        # Instructions alone are answered by OpenAI; Anthropic wants a turn to answer.
        return [], [{"role": "user", "content": system}]
    return system, turns


def _add(turns: list[Json], role: str, blocks: list[Json]) -> None:
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    else:
        turns.append({"role": role, "content": blocks})


def _spoken(blocks: list[Json]) -> list[Json]:
    """Anthropic refuses texts that are empty or white space; OpenAI's clients send them beside tool calls."""
    return [block for block in blocks if block["type"] != "text" or block["text"].strip()]


def _marked(blocks: list[Json], message: Json) -> list[Json]:
    """A mark on the message means the end of its content, and the prompt up to there is cached."""
    if blocks and (mark := message.get("cache_control")):
        blocks[-1] = {**blocks[-1], "cache_control": mark}
    return blocks


def _system_blocks(message: Json, path: str, target: Target) -> list[Json]:
    return list(_text_blocks(message.get("content"), f"{path}.content"))


def _user_blocks(message: Json, path: str, target: Target) -> list[Json]:
    return _content_blocks(message.get("content"), f"{path}.content", target)


def _tool_blocks(message: Json, path: str, target: Target) -> list[Json]:
    """Anthropic knows no role `tool`: a result is a block of the user's turn."""
    block = {"type": "tool_result", "tool_use_id": message["tool_call_id"]}
    content = message.get("content")
    if isinstance(content, list):
        block["content"] = _content_blocks(content, f"{path}.content", target)
    elif content:
        block["content"] = content
    return [block]


def _assistant_blocks(message: Json, path: str, target: Target) -> list[Json]:
    """
    Return thinking, text and tool calls in the order in which the model said them.

    Without another word that is thinking, text, tools; `reasoning_details` name other places.
    """
    if message.get("function_call"):
        unsupported(f"{path}.function_call", "Send 'tool_calls' instead of 'function_call'.")
    details = message.get("reasoning_details") or []
    # Sort keys: tool calls before, characters before, and at one place thinking first and tools last.
    placed: list[tuple[int, float, int, Json]] = [
        (tools, characters, 0, block)
        for tools, characters, block in anthropic_reasoning.blocks(
            details,
            param=f"{path}.reasoning_details",
            redacted_format=target.redacted_format,
        )
    ]
    cuts = sorted({int(characters) for tools, characters, _, _ in placed if tools == 0})
    start = 0
    for block in _text_blocks(message.get("content"), f"{path}.content"):
        for piece in _cut(block, [cut - start for cut in cuts]):
            placed.append((0, start, 1, piece))
            start += len(piece.get("text", ""))
    for number, call in enumerate(message.get("tool_calls") or ()):
        placed.append((number, math.inf, 2, _tool_use(call, f"{path}.tool_calls[{number}]")))
    return [block for *_, block in sorted(placed, key=lambda item: item[:3])]


def _cut(block: Json, cuts: list[int]) -> Iterable[Json]:
    """Yield a text block in pieces, cut where thinking came between; only the last keeps a cache mark."""
    text = block.get("text", "")
    edges = [0, *(cut for cut in cuts if 0 < cut < len(text)), len(text)]
    for start, end in itertools.pairwise(edges):
        yield block if end == len(text) and start == 0 else _piece(block, start, end)


def _piece(block: Json, start: int, end: int) -> Json:
    text = block["text"]
    marked = {} if end < len(text) or "cache_control" not in block else block
    return {**marked, "type": "text", "text": text[start:end]}


def _tool_use(call: Json, path: str) -> Json:
    if call.get("type") == "custom":
        unsupported(f"{path}.type", "This model has no 'custom' tools. Use 'function'.")
    function = call["function"]
    try:
        arguments = msgspec.json.decode(function["arguments"] or "{}")
    except (msgspec.DecodeError, UnicodeEncodeError):
        arguments = None
    if not isinstance(arguments, dict):
        invalid(
            f"{path}.function.arguments",
            "expected a JSON object, which this model needs to be told its earlier calls.",
        )
    return {
        "type": "tool_use",
        "id": call["id"],
        "name": function["name"],
        "input": arguments,
        **_mark(call),
    }


def _text_blocks(content: Any, path: str) -> Iterable[Json]:
    """Yield the text of system and assistant messages; refusals of earlier turns are what was said."""
    if not isinstance(content, list):
        content = [{"type": "text", "text": content or ""}]
    for position, part in enumerate(content):
        kind = part["type"]
        if kind == "thinking":
            continue  # another provider's: unsigned, so that Anthropic would refuse it
        if kind not in ("text", "refusal"):
            _refuse_kind(kind, f"{path}[{position}]")
        yield {"type": "text", "text": part.get(kind) or "", **_mark(part)}


def _content_blocks(content: Any, path: str, target: Target) -> list[Json]:
    if not isinstance(content, list):
        return [{"type": "text", "text": content or ""}]
    blocks = []
    for position, part in enumerate(content):
        kind, place = part["type"], f"{path}[{position}]"
        if kind not in target.parts:
            _refuse_kind(kind, place)
        blocks.append({**target.parts[kind](part, f"{place}.{kind}"), **_mark(part)})
    return _spoken(blocks)


def _refuse_kind(kind: str, path: str) -> NoReturn:
    unsupported(f"{path}.type", f"This model takes no '{kind[:60]}' parts here.")


def _mark(part: Mapping[str, Any]) -> Json:
    mark = part.get("cache_control")
    return {"cache_control": mark} if mark else {}


_BLOCKS: Final = {
    "system": _system_blocks,
    "developer": _system_blocks,
    "user": _user_blocks,
    "assistant": _assistant_blocks,
    "tool": _tool_blocks,
}
