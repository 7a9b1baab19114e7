"""
Anthropic's turns of content blocks as chat messages. Pure.

Results of tools become messages of their own; thinking blocks travel in `reasoning_details`, as translators read
them, so that their signatures are kept. `cache_control` stays on what it marks. What Anthropic's own tools did is
the text of its JSON, to be bounded: only Anthropic is asked with it, in its own form (`messages_native`).
"""

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import msgspec

from gateway import wire_checks
from gateway.dialects import responses_reasoning
from gateway.dialects.messages_native_blocks import NATIVE_KINDS, TOOL_CHANGES
from gateway.providers import wire_json
from gateway.providers.anthropic import anthropic_reasoning
from gateway.wire_checks import missing, unsupported_value, wrong_type, wrong_value

Json = dict[str, Any]

_PLAIN: Final = frozenset({"type", "text"})  # a part of nothing but text may be written as a string
_encode: Final = msgspec.json.Encoder().encode


def translate(messages: Any, *, system: Any, model: Any) -> list[Json]:
    """Return the chat messages of a system prompt and turns. Raises InvalidRequest."""
    if messages.__class__ is not list:
        wrong_type(messages, "messages", expected="an array of objects")
    written: list[Json] = []
    if system is not None and system != "" and system != []:
        written.append(_system(system, "system"))
    for position, message in enumerate(messages):
        path = f"messages[{position}]"
        wire_checks.mapping(message, path)
        role = message.get("role")
        if role == "user":
            written += _user(message, f"{path}.content")
        elif role == "assistant":
            written += _assistant(message, f"{path}.content", model=model)
        elif role == "system":
            written.append(_system(message.get("content"), f"{path}.content", also=TOOL_CHANGES))
        elif role is None:
            missing(f"{path}.role")
        else:
            wrong_value(f"{path}.role", "expected 'user' or 'assistant'.")
    return written


def mark(block: Mapping[str, Any]) -> Json:
    """Return the mark of a block that ends a part of the prompt to be cached, or nothing."""
    found = block.get("cache_control")
    return {"cache_control": found} if isinstance(found, dict) else {}


def _blocks(content: Any, path: str) -> list[Json]:
    """Return content as blocks; a string is one block of text."""
    if content is None:
        missing(path)
    if content.__class__ is str:
        return [{"type": "text", "text": content}]
    if content.__class__ is not list:
        wrong_type(content, path, expected="a string or an array of content blocks")
    for position, block in enumerate(content):
        wire_checks.mapping(block, f"{path}[{position}]")
        wire_checks.text(block.get("type"), f"{path}[{position}].type")
    blocks: list[Json] = content
    return blocks


def _system(content: Any, path: str, *, also: frozenset[str] = frozenset()) -> Json:
    """Return a system message: texts, and between turns what `also` names, which is of Anthropic's."""
    parts = []
    for position, block in enumerate(_blocks(content, path)):
        place = f"{path}[{position}]"
        if block["type"] in also:
            parts.append(_as_text(block))
        elif block["type"] == "text":
            parts.append(_text(block, place))
        else:
            _refuse(block, place)
    return {"role": "system", "content": _shortest(parts, separator="\n\n")}


def _user(message: Json, path: str) -> list[Json]:
    """Results of tools come first: chats want them right behind the calls, before anything else is said."""
    results: list[Json] = []
    parts: list[Json] = []
    for position, block in enumerate(_blocks(message.get("content"), path)):
        place = f"{path}[{position}]"
        if block["type"] == "tool_result":
            result, media = _tool_result(block, place)
            results.append(result)
            parts += media
        else:
            parts += _part(block, place)
    if parts or not results:
        return [*results, {"role": "user", "content": _shortest(parts, separator="\n\n")}]
    return results


def _tool_result(block: Json, path: str) -> tuple[Json, list[Json]]:
    """Return a result's message, and its media to follow in the user's: few providers take those from tools."""
    wire_checks.text(block.get("tool_use_id"), f"{path}.tool_use_id")
    parts: list[Json] = []
    for position, inner in enumerate(_blocks(block.get("content") or "", f"{path}.content")):
        parts += _part(inner, f"{path}.content[{position}]")
    text = "\n\n".join(part["text"] for part in parts if part["type"] == "text")
    media = [part for part in parts if part["type"] != "text"]
    if block.get("is_error"):
        text = f"Error: {text}"
    if media:
        note = f"Files in the result of tool call {block['tool_use_id']}:"
        media.insert(0, {"type": "text", "text": note})
    result = {"role": "tool", "tool_call_id": block["tool_use_id"], "content": text}
    return result | mark(block), media


def _assistant(message: Json, path: str, *, model: Any) -> list[Json]:
    """Return one message: text, calls, and thinking with its place between them."""
    parts: list[Json] = []
    calls: list[Json] = []
    thoughts: Json = {}
    for position, block in enumerate(_blocks(message.get("content"), path)):
        kind, place = block["type"], f"{path}[{position}]"
        if kind == "text":
            parts.append(_text(block, place))
        elif kind == "tool_use":
            calls.append(_call(block, place))
        elif kind in NATIVE_KINDS:
            parts.append(_as_text(block))
        elif kind in _SIGNED:
            characters = sum(len(part["text"]) for part in parts)
            _think(block, place, thoughts, model=model, before=(characters, len(calls)))
        else:
            _refuse(block, place)
    for call in calls:
        if extra := thoughts.get("calls", {}).get(call["id"]):
            call["extra_content"] = extra
    thoughts.pop("calls", None)
    if not parts and not calls and not thoughts:
        return []
    written: Json = {"role": "assistant", "content": _shortest(parts) or None, **thoughts}
    return [written | ({"tool_calls": calls} if calls else {})]


_SIGNED: Final = {"thinking": "signature", "redacted_thinking": "data"}


def _think(block: Json, path: str, thoughts: Json, *, model: Any, before: tuple[int, int]) -> None:
    """
    Add what a thinking block carries; `before` are the characters and tool calls before it.

    What another provider's model thought was packed into the signature by us. A block without one is of no use
    to anybody.
    """
    param = f"{path}.{_SIGNED[block['type']]}"
    signed = block.get(_SIGNED[block["type"]])
    if not signed:
        return
    wire_checks.text(signed, param)
    if block["type"] == "thinking":
        wire_checks.text(block.get("thinking"), f"{path}.thinking")
    if signed.startswith(responses_reasoning.MARK):
        fields = responses_reasoning.unpack(signed, model=str(model), param=param)
        responses_reasoning.merge(thoughts, fields)
        return
    details = thoughts.setdefault("reasoning_details", [])
    characters, calls = before
    entry = anthropic_reasoning.detail(
        block, index=len(details), characters=characters, tool_calls=calls
    )
    details.append(entry)


def _call(block: Json, path: str) -> Json:
    wire_checks.text(block.get("id"), f"{path}.id")
    wire_checks.name(block.get("name"), f"{path}.name")
    arguments = block.get("input")
    wire_checks.mapping(arguments, f"{path}.input")
    function = {"name": block["name"], "arguments": _encode(arguments).decode()}
    return {"id": block["id"], "type": "function", "function": function, **mark(block)}


def _shortest(parts: list[Json], *, separator: str = "") -> Any:
    """Return a string where there is only text without marks, which every provider takes; else the parts."""
    if all(part.keys() == _PLAIN for part in parts):
        return separator.join(part["text"] for part in parts)
    return parts


def _text(block: Json, path: str) -> Json:
    wire_checks.text(block.get("text"), f"{path}.text")
    return {"type": "text", "text": block["text"], **mark(block)}


def _as_text(block: Json) -> Json:
    return {"type": "text", "text": wire_json.encode(block).decode(), **mark(block)}


def _part(block: Json, path: str) -> list[Json]:
    kind = block["type"]
    if kind == "text":
        return [_text(block, path)]
    if kind == "search_result":
        return [_search_result(block, path)]
    if kind in NATIVE_KINDS:
        return [_as_text(block)]
    if kind not in ("image", "document"):
        _refuse(block, path)
    source: Any = block.get("source")
    wire_checks.mapping(source, f"{path}.source")
    written = _image(source, path) if kind == "image" else _document(block, source, path)
    return [{**written, **mark(block)}]


def _image(source: Json, path: str) -> Json:
    return {"type": "image_url", "image_url": {"url": _address(source, f"{path}.source")}}


def _document(block: Json, source: Json, path: str) -> Json:
    """A document of plain text is text; others are files."""
    title = block.get("title")
    title = title if isinstance(title, str) else ""
    if source.get("type") == "text":
        wire_checks.text(source.get("data"), f"{path}.source.data")
        return {"type": "text", "text": "\n\n".join(filter(None, (title, source["data"])))}
    if source.get("type") == "content":
        inner = _blocks(source.get("content"), f"{path}.source.content")
        texts = [_text(item, f"{path}.source.content")["text"] for item in inner]
        return {"type": "text", "text": "\n\n".join(filter(None, (title, *texts)))}
    file = {"file_data": _address(source, f"{path}.source")}
    return {"type": "file", "file": file | ({"filename": title} if title else {})}


def _search_result(block: Json, path: str) -> Json:
    inner = _blocks(block.get("content"), f"{path}.content")
    head = [str(block[name]) for name in ("title", "source") if block.get(name)]
    texts = [_text(item, f"{path}.content")["text"] for item in inner]
    return {"type": "text", "text": "\n\n".join((*head, *texts)), **mark(block)}


def _address(source: Json, path: str) -> str:
    """Return the https or data: URL of a source; what it names is never fetched by us."""
    kind = source.get("type")
    if kind == "base64":
        for name in ("media_type", "data"):
            wire_checks.text(source.get(name), f"{path}.{name}")
        return f"data:{source['media_type']};base64,{source['data']}"
    if kind == "url":
        wire_checks.text(source.get("url"), f"{path}.url")
        return str(source["url"])
    unsupported_value(f"{path}.type", "files are not stored here. Send 'base64' or 'url'.")


def _refuse(block: Json, path: str) -> NoReturn:
    unsupported_value(
        f"{path}.type",
        f"content of type '{block['type'][:60]}' is not served here. "
        "Leave it out, or send what it says as text.",
    )
