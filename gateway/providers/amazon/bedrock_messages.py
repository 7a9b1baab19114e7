"""
OpenAI's messages as Converse's: Anthropic's blocks, which mean the same, written in Converse's words. Pure.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (read 2026-11). Thinking goes
back with its signature unchanged; a mark of the cache becomes a block of its own after what is to be cached.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from gateway.providers import wire_json
from gateway.providers.amazon import bedrock_media
from gateway.providers.anthropic import anthropic_messages
from gateway.providers.anthropic.anthropic_messages import Target

Json = dict[str, Any]

# What was redacted comes as bytes here and as text from Anthropic, so that neither understands the other's.
REDACTED_FORMAT: Final = "amazon-bedrock-v1"
_TARGET: Final = Target(bedrock_media.PARTS, REDACTED_FORMAT)


def translate(messages: list[Json], *, may_call_tools: bool) -> tuple[list[Json], list[Json]]:
    """
    Return Converse's `system` and `messages`. Raises ProviderError.

    Without tools in the request Converse refuses calls and results in the history, so these are then told as text:
    the model knows what happened and cannot call anything.
    """
    system, turns = anthropic_messages.translate(messages, target=_TARGET)
    names: dict[str, int] = {}
    written = []
    for turn in turns:
        blocks = turn["content"] if may_call_tools else _told(turn["content"])
        content = [block for given in blocks for block in _written(given)]
        _number_documents(content, names)
        written.append({"role": turn["role"], "content": content})
    return [block for given in system for block in _written(given)], written


def cache_point(mark: object) -> Json:
    """Return the block that stands for a `cache_control`."""
    ttl = mark.get("ttl") if isinstance(mark, dict) else None
    return {"cachePoint": {"type": "default", **({"ttl": ttl} if isinstance(ttl, str) else {})}}


def _written(block: Json) -> Iterator[Json]:
    yield _WRITERS[block["type"]](block)
    if mark := block.get("cache_control"):
        yield cache_point(mark)


def _text(block: Json) -> Json:
    return {"text": block["text"]}


def _thinking(block: Json) -> Json:
    text = {"text": block["thinking"], "signature": block["signature"]}
    return {"reasoningContent": {"reasoningText": text}}


def _redacted(block: Json) -> Json:
    return {"reasoningContent": {"redactedContent": block["data"]}}


def _tool_use(block: Json) -> Json:
    return {"toolUse": {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}}


def _tool_result(block: Json) -> Json:
    content = block.get("content") or []
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    parts = [_WRITERS[part["type"]](part) for part in content]
    return {"toolResult": {"toolUseId": block["tool_use_id"], "content": parts}}


def _native(block: Json) -> Json:
    native: Json = block[bedrock_media.NATIVE]
    return native


_WRITERS: Final = {
    "text": _text,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    bedrock_media.NATIVE: _native,
}


def _told(blocks: Iterable[Json]) -> Iterator[Json]:
    """Yield the blocks with calls and results as text; media in a result follow it."""
    for block in blocks:
        mark = {name: block[name] for name in ("cache_control",) if name in block}
        if block["type"] == "tool_use":
            arguments = wire_json.encode(block["input"]).decode()
            yield {"type": "text", "text": f"[Called {block['name']} with {arguments}]", **mark}
        elif block["type"] == "tool_result":
            content = block.get("content") or ""
            parts = [] if isinstance(content, str) else content
            texts = [part["text"] for part in parts if part["type"] == "text"]
            result = content if isinstance(content, str) else "\n".join(texts)
            yield {"type": "text", "text": f"[Result: {result}]", **mark}
            yield from (part for part in parts if part["type"] != "text")
        else:
            yield block


def _number_documents(content: list[Json], names: dict[str, int]) -> None:
    """Give each document of a request a name of its own, which Converse asks for, in place."""
    results = [block["toolResult"]["content"] for block in content if "toolResult" in block]
    for block in [*content, *(part for parts in results for part in parts)]:
        if document := block.get("document"):
            name = document["name"]
            names[name] = names.get(name, 0) + 1
            if names[name] > 1:
                document["name"] = f"{name} {names[name]}"
