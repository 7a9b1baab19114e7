"""
Cohere's answers in OpenAI's form: content parts become a message, finish reasons become OpenAI's. Pure.

Fields that OpenAI has not: `reasoning_content` and `reasoning_details` for thinking, `citations` as Cohere wrote them
(places in the content, with their sources), `native_finish_reason`.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.providers.base import ErrorKind, ProviderError
from gateway.providers.cohere.cohere_request import REASONING_FORMAT

Json = dict[str, Any]

# https://docs.cohere.com/reference/chat (read 2026-11); a reason nobody knows counts as an end.
_REASONS: Final[Mapping[str, str]] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "ERROR_LIMIT": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}
_FAILED: Final[Mapping[str, ErrorKind]] = {"ERROR": "server", "TIMEOUT": "timeout"}


def message(theirs: Json) -> Json:
    """Return OpenAI's message for a whole answer's. Raises ProviderError."""
    text: list[str] = []
    thoughts: list[str] = []
    for part in parts(theirs.get("content")):
        kind = content_kind(part)
        (text if kind == "text" else thoughts).append(string(part, kind))
    calls = [tool_call(call) for call in parts(theirs.get("tool_calls"))]
    if calls:
        text.insert(0, string(theirs, "tool_plan"))
    told = "".join(text)
    written: Json = {"role": "assistant", "content": told or (None if calls else "")}
    written["refusal"] = None
    if calls:
        written["tool_calls"] = calls
    if thoughts:
        written["reasoning_content"] = "".join(thoughts)
        written["reasoning_details"] = [
            detail(thought, index=index) for index, thought in enumerate(thoughts)
        ]
    if citations := theirs.get("citations"):
        written["citations"] = citations
    return written


def detail(text: str, *, index: int) -> Json:
    """Return the entry of `reasoning_details` for a thought."""
    return {"type": "reasoning.text", "text": text, "format": REASONING_FORMAT, "index": index}


def tool_call(call: Json) -> Json:
    """Return OpenAI's form of a call; a tool without parameters is called with `null`, which is no object."""
    function = call.get("function")
    if not isinstance(function, dict):
        raise malformed()
    arguments = string(function, "arguments")
    return {
        "id": string(call, "id"),
        "type": "function",
        "function": {
            "name": string(function, "name"),
            "arguments": "{}" if arguments in ("", "null") else arguments,
        },
    }


def content_kind(part: Json) -> str:
    """Return text or thinking. Raises ProviderError for content of another kind."""
    kind = part.get("type")
    if kind not in ("text", "thinking"):
        raise ProviderError("bad_answer", "The provider's answer has content of an unknown kind.")
    return str(kind)


def ending(reason: object, *, tools_called: bool) -> Json:
    """Return the fields of a choice that tell why it ended. Raises ProviderError where it broke off."""
    if not isinstance(reason, str):
        return {"finish_reason": "tool_calls" if tools_called else "stop"}
    if kind := _FAILED.get(reason):
        raise ProviderError(kind, "The provider broke off its answer.", code=reason.lower())
    return {"finish_reason": _REASONS.get(reason, "stop"), "native_finish_reason": reason}


def parts(value: object) -> list[Json]:
    """Return a list of objects, which may be absent. Raises ProviderError."""
    found = value if value is not None else []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise malformed()
    return found


def string(holder: Mapping[str, Any], name: str) -> str:
    """Return a text, "" where there is none. Raises ProviderError."""
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise malformed()
    return value


def malformed() -> ProviderError:
    """Return the error for an answer that Cohere's reference does not describe."""
    return ProviderError("bad_answer", "The provider's answer is malformed.")
