"""
What the sandbox says in a chat: the same answer to the same request, in OpenAI's form. Pure.

A reply is made whole first (text or tool calls, finish reason, token counts); it is then written as one JSON
body or as the pieces of a stream.
"""

import hashlib
import math
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from gateway import sse, vocabulary
from gateway.providers.sandbox import sandbox_logprobs, sandbox_sound

_PIECES: Final = re.compile(r"\s*\S+|\s+")
_FACTS: Final = (
    (re.compile(r"capital of france", re.IGNORECASE), "The capital of France is Paris."),
    (re.compile(r"this is a test", re.IGNORECASE), "This is a test."),
    (re.compile(r"^\W*(hello|hi|hey)\b", re.IGNORECASE), "Hello! How can I help you today?"),
)
_QUOTED_CHARACTERS: Final = 200
_LONG_TEXT: Final = "one two three four five six seven eight nine ten "
_LENGTH_TOKENS: Final = 16
_SLOW_TOKENS: Final = 20
_MAX_SLOW_TOKENS: Final = 10_000
_AUDIO_TOKENS_PER_SECOND: Final = 20
_SOUND_PIECES: Final = 8

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer before it is written; `tool_calls` are pairs of name and arguments as JSON."""

    text: str = ""
    tool_calls: tuple[tuple[str, str], ...] = ()
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    audio: bytes = b""
    audio_tokens: int = 0


def reply_to(body: Mapping[str, Any]) -> Reply:
    """Return the answer to a chat request: to `sandbox/...` models what their name says."""
    model = body["model"]
    behaviour = model.removeprefix("sandbox/") if model.startswith("sandbox/") else ""
    reply = _content(body, behaviour)
    reply = _limited(reply, body, behaviour)
    spoken = reply.text + "".join(name + arguments for name, arguments in reply.tool_calls)
    reply = replace(
        reply,
        prompt_tokens=_prompt_tokens(body),
        completion_tokens=vocabulary.count_tokens(spoken, model=model),
    )
    return _spoken(reply, body) if "audio" in body and reply.text else reply


def _spoken(reply: Reply, body: Mapping[str, Any]) -> Reply:
    """Return the answer with its words as sound, as long as the output limit lets it be."""
    seconds = len(reply.text) / sandbox_sound.CHARACTERS_PER_SECOND
    wanted = math.ceil(seconds * _AUDIO_TOKENS_PER_SECOND)
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    made = wanted if limit is None else max(0, min(wanted, limit - reply.completion_tokens))
    return replace(
        reply,
        audio=sandbox_sound.MAKERS[body["audio"]["format"]](made / _AUDIO_TOKENS_PER_SECOND),
        audio_tokens=made,
        completion_tokens=reply.completion_tokens + made,
        finish_reason="length" if made < wanted else reply.finish_reason,
    )


def whole(reply: Reply, body: Mapping[str, Any], *, now: int, with_usage: bool) -> bytes:
    """Return the answer as one JSON body."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.tool_calls:
        message["content"] = None
        message["tool_calls"] = _tool_calls(reply, body)
    if reply.audio:
        message["content"] = None
        message["audio"] = {
            "id": f"audio_{_fingerprint(body)}",
            "expires_at": now,
            "data": b64encode(reply.audio).decode(),
            "transcript": reply.text,
        }
    answer = {
        **_head(body, now=now, kind="chat.completion"),
        "choices": [
            {
                "index": index,
                "message": message,
                "logprobs": _logprobs(reply.text, body),
                "finish_reason": reply.finish_reason,
            }
            for index in range(_choices(body))
        ],
    }
    if with_usage:
        answer["usage"] = _usage(reply, body)
    return _encode(answer)


def events(reply: Reply, body: Mapping[str, Any], *, now: int, with_usage: bool) -> Iterator[bytes]:
    """Yield the answer as server-sent events, one word or piece of arguments in each."""
    head = _head(body, now=now, kind="chat.completion.chunk")
    options = body.get("stream_options") or {}
    usage = {"usage": None} if options.get("include_usage") and with_usage else {}
    for delta, finish_reason in _deltas(reply, body):
        logprobs = _logprobs(delta.get("content") or "", body)
        for index in range(_choices(body)):
            choice = {
                "index": index,
                "delta": delta,
                "logprobs": logprobs,
                "finish_reason": finish_reason,
            }
            yield sse.frame(_encode({**head, "choices": [choice], **usage}))
    if usage:
        yield sse.frame(_encode({**head, "choices": [], "usage": _usage(reply, body)}))
    yield sse.DONE


def last_text(body: Mapping[str, Any]) -> str:
    """Return the text of the last message."""
    content = body["messages"][-1].get("content")
    return "".join(_texts(content))


def options_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options in the last message of `sandbox/slow`, such as {"delay_ms": 50, "tokens": 30}."""
    try:
        found = msgspec.json.decode(last_text(body))
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def whole_number(value: object, *, default: int, most: int) -> int:
    """Return an option's value in [0, most], or the default when it is no integer."""
    return max(0, min(value, most)) if isinstance(value, int) else default


def _content(body: Mapping[str, Any], behaviour: str) -> Reply:
    if behaviour == "empty":
        return Reply()
    if behaviour == "echo":
        return Reply(text=last_text(body))
    if behaviour == "slow":
        options = options_of(body)
        return Reply(
            text=_long_text(
                whole_number(options.get("tokens"), default=_SLOW_TOKENS, most=_MAX_SLOW_TOKENS)
            )
        )
    if calls := _called_tools(body, all_of_them=behaviour == "tools"):
        return Reply(tool_calls=calls, finish_reason="tool_calls")
    kind = (body.get("response_format") or {}).get("type", "text")
    if kind == "json_schema":
        schema = body["response_format"]["json_schema"].get("schema") or {}
        return Reply(text=_encode(_example(schema, root=schema)).decode())
    if kind == "json_object":
        return Reply(text=_encode({"answer": _said(body)}).decode())
    return Reply(text=_said(body))


def _limited(reply: Reply, body: Mapping[str, Any], behaviour: str) -> Reply:
    """Apply stop sequences and the output limit, as a provider would (or, for two models, would not)."""
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if behaviour == "overrun":
        return Reply(text=_long_text(2 * (limit or _LENGTH_TOKENS)))
    if behaviour == "length":
        limit = min(limit or _LENGTH_TOKENS, _LENGTH_TOKENS)
        reply = Reply(text=_long_text(2 * limit))
    stops = body.get("stop") or ()
    for stop in (stops,) if isinstance(stops, str) else stops:
        reply = replace(reply, text=reply.text.partition(stop)[0] if stop else reply.text)
    if limit is None or reply.tool_calls or len(reply.text) <= limit:
        return reply
    encoding = vocabulary.encoding(vocabulary.encoding_for(body["model"]))
    tokens = encoding.encode_ordinary(reply.text)
    if len(tokens) <= limit:
        return reply
    return replace(
        reply, text=encoding.decode(tokens[:limit], errors="ignore"), finish_reason="length"
    )


def _said(body: Mapping[str, Any]) -> str:
    asked = last_text(body).strip()
    for pattern, answer in _FACTS:
        if pattern.search(asked):
            return answer
    quoted = asked[:_QUOTED_CHARACTERS]
    return f'This is a simulated answer of {body["model"]}, since a test key asked. You said: "{quoted}"'


def _long_text(words: int) -> str:
    """Return so many words, each of them one token."""
    return (_LONG_TEXT * (words // 10 + 1)).rsplit(" ", 11 - words % 10)[0] if words else ""


def _called_tools(body: Mapping[str, Any], *, all_of_them: bool) -> tuple[tuple[str, str], ...]:
    """
    Return the calls to answer with: none after a tool's result or by choice `none`.

    The named tool, or the first; `sandbox/tools` calls all of them where parallel calls are allowed.
    """
    choice = body.get("tool_choice", "auto")
    tools = [tool["function"] for tool in body.get("tools") or () if tool.get("type") == "function"]
    if not tools or choice == "none" or body["messages"][-1].get("role") == "tool":
        return ()
    if isinstance(choice, dict) and isinstance(choice.get("function"), dict):
        tools = [tool for tool in tools if tool["name"] == choice["function"].get("name")][:1]
    elif not all_of_them or body.get("parallel_tool_calls") is False:
        tools = tools[:1]
    return tuple((tool["name"], _arguments(tool)) for tool in tools)


def _arguments(tool: Mapping[str, Any]) -> str:
    schema = tool.get("parameters") or {"type": "object"}
    return _encode(_example(schema, root=schema)).decode()


def _example(schema: Any, *, root: Mapping[str, Any], depth: int = 0) -> Any:
    """Return a value that fits a JSON schema: the first of each choice, the least of each size."""
    if not isinstance(schema, dict) or depth > 16:
        return None
    if isinstance(schema.get("$ref"), str):
        return _example(_resolved(schema["$ref"], root), root=root, depth=depth + 1)
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return _example(schema[name][0], root=root, depth=depth + 1)
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties") or {}
        return {
            name: _example(item, root=root, depth=depth + 1) for name, item in properties.items()
        }
    if kind == "array":
        item = _example(schema.get("items"), root=root, depth=depth + 1)
        return [item] * whole_number(schema.get("minItems"), default=1, most=16)
    examples = {"string": "example", "integer": 1, "number": 1.5, "boolean": True}
    least = schema.get("minimum")
    return least if isinstance(least, int | float) else examples.get(str(kind))


def _resolved(reference: str, root: Mapping[str, Any]) -> Any:
    target: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        target = target.get(step) if isinstance(target, dict) and step else target
    return target


def _deltas(reply: Reply, body: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
    yield {"role": "assistant", "content": None if reply.tool_calls else "", "refusal": None}, None
    for index, call in enumerate(_tool_calls(reply, body)):
        arguments = call["function"]["arguments"]
        started = {**call["function"], "arguments": ""}
        yield {"tool_calls": [{"index": index, **call, "function": started}]}, None
        for start in range(0, len(arguments), 12):
            piece = {"arguments": arguments[start : start + 12]}
            yield {"tool_calls": [{"index": index, "function": piece}]}, None
    for piece in _PIECES.findall(reply.text):
        yield {"audio": {"transcript": piece}} if reply.audio else {"content": piece}, None
    for sound in sandbox_sound.pieces(reply.audio, most=_SOUND_PIECES) if reply.audio else ():
        yield {"audio": {"data": b64encode(sound).decode()}}, None
    yield {}, reply.finish_reason


def _logprobs(text: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
    if not text or not body.get("logprobs"):
        return None
    return sandbox_logprobs.chat(text, model=body["model"], top=body.get("top_logprobs") or 0)


def _tool_calls(reply: Reply, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    seed = _fingerprint(body)
    return [
        {
            "id": f"call_{seed[:20]}{position:04d}",
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        for position, (name, arguments) in enumerate(reply.tool_calls)
    ]


def _head(body: Mapping[str, Any], *, now: int, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{_fingerprint(body)}",
        "object": kind,
        "created": now,
        "model": body["model"],
        "system_fingerprint": "fp_sandbox",
    }


def _fingerprint(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_encode((body["model"], body["messages"]))).hexdigest()[:24]


def _choices(body: Mapping[str, Any]) -> int:
    return int(body.get("n") or 1)


def _usage(reply: Reply, body: Mapping[str, Any]) -> dict[str, Any]:
    completion = reply.completion_tokens * _choices(body)
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": reply.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": reply.audio_tokens * _choices(body),
        },
    }


def _prompt_tokens(body: Mapping[str, Any]) -> int:
    """Count as OpenAI's cookbook does: the texts, 4 a message, 3 for the answer; media count 85 each."""
    messages = body["messages"]
    texts = [text for message in messages for text in _texts(message.get("content"))]
    if body.get("tools"):
        texts.append(_encode(body["tools"]).decode())
    media: int = sum(
        part.get("type") != "text"
        for message in messages
        if isinstance(message.get("content"), list)
        for part in message["content"]
    )
    counted = vocabulary.count_tokens("\n".join(texts), model=body["model"])
    return counted + 4 * len(messages) + 3 + 85 * media


def _texts(content: Any) -> Iterable[str]:
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [part["text"] for part in parts if isinstance(part.get("text"), str)]
