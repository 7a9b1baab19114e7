"""
Anthropic's answers in OpenAI's form: content blocks become a message, reasons to stop become OpenAI's. Pure.

Fields that OpenAI has not: `reasoning_content` and `reasoning_details` (see `anthropic_reasoning`), `citations`
as Anthropic wrote them, `provider_blocks` for what its own tools did, `native_finish_reason`.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.providers import wire_json
from gateway.providers.anthropic import anthropic_reasoning
from gateway.providers.base import ProviderError

Json = dict[str, Any]

# https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons (read 2026-11). A paused turn
# (of Anthropic's own tools) is one the customer may go on with; a reason nobody knows counts as an end.
_REASONS: Final[Mapping[str, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    # Bedrock's own
    # (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, read 2026-11).
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_KINDS: Final[Mapping[str, str]] = {
    "text": "text",
    "thinking": "reasoning",
    "redacted_thinking": "reasoning",
    "tool_use": "tool_use",
    "server_tool_use": "provider",
    "mcp_tool_use": "provider",
    "container_upload": "provider",
}


def known_kind(block: object) -> str:
    """Return what a content block is: text, reasoning, tool_use or provider. Raises ProviderError."""
    word = block.get("type") if isinstance(block, dict) else None
    if isinstance(word, str):
        if word in _KINDS:
            return _KINDS[word]
        if word.endswith("_tool_result"):
            return "provider"
    raise ProviderError("bad_answer", "The provider's answer has content of an unknown kind.")


def any_kind(block: object) -> str:
    """Return what a block is where nothing is lost of it: what nobody knows is the provider's. Raises ProviderError."""
    try:
        return known_kind(block)
    except ProviderError:
        if isinstance(block, dict) and isinstance(block.get("type"), str):
            return "provider"
        raise


def message(blocks: list[Any], *, lossless: bool = False) -> Json:
    """
    Return OpenAI's message for the content blocks of a whole answer. Raises ProviderError.

    `lossless` says that the blocks go on as they are beside it, so that those of unknown kinds are no loss.
    """
    text: list[str] = []
    calls: list[Json] = []
    thoughts: list[str] = []
    details: list[Json] = []
    others: list[Json] = []
    sources: Json = {}
    for block in blocks:
        kind = any_kind(block) if lossless else known_kind(block)
        if kind == "text":
            start = len("".join(text))
            text.append(_string(block, "text"))
            if citations := block.get("citations"):
                extend(sources, cited(citations, start=start, end=start + len(text[-1])))
        elif kind == "tool_use":
            calls.append(_tool_call(block))
        elif kind == "reasoning":
            characters = len("".join(text))
            details.append(
                anthropic_reasoning.detail(
                    block, index=len(details), characters=characters, tool_calls=len(calls)
                )
            )
            thoughts.append(_string(block, "thinking"))
        else:
            others.append(block)
    written: Json = {"role": "assistant", "content": "".join(text) if text else None}
    written |= {"refusal": None, **sources}
    extra = {
        "tool_calls": calls,
        "reasoning_content": "".join(thoughts),
        "reasoning_details": details,
        "provider_blocks": others,
    }
    return written | {name: value for name, value in extra.items() if value}


def cited(citations: list[Any], *, start: int, end: int) -> Json:
    """Return the fields that tell of the sources of content[start:end]; OpenAI has a form for web pages only."""
    pages = [
        {
            "type": "url_citation",
            "url_citation": {
                "url": citation["url"],
                "title": citation.get("title") or citation["url"],
                "start_index": start,
                "end_index": end,
            },
        }
        for citation in citations
        if isinstance(citation, dict) and isinstance(citation.get("url"), str)
    ]
    return {"citations": citations, **({"annotations": pages} if pages else {})}


def extend(sources: Json, more: Json) -> None:
    """Add the lists in `more` to those of the same names in `sources`, in place."""
    for name, items in more.items():
        sources.setdefault(name, []).extend(items)


def ending(reason: object, *, stop_sequence: object, tools_called: bool) -> Json:
    """Return the fields of a choice that tell why it ended."""
    if not isinstance(reason, str):
        return {"finish_reason": "tool_calls" if tools_called else "stop"}
    fields: Json = {
        "finish_reason": _REASONS.get(reason, "stop"),
        "native_finish_reason": reason,
    }
    return fields if stop_sequence is None else {**fields, "stop_sequence": stop_sequence}


def refusal(reason: object, details: object) -> str | None:
    """Return why the provider refused, in its words where it gave some (`stop_details` holds ids of ours too)."""
    if reason != "refusal":
        return None
    explanation = details.get("explanation") if isinstance(details, dict) else None
    return explanation if isinstance(explanation, str) and explanation else "The model refused."


def output_text(written: Json) -> str:
    """Return all that a message says."""
    parts = [written["content"] or "", written.get("reasoning_content") or ""]
    for call in written.get("tool_calls") or ():
        parts += call["function"].values()
    for block in written.get("provider_blocks") or ():
        if asked := block.get("input"):  # of a tool that the provider ran: the model wrote it
            parts += [str(block.get("name") or ""), wire_json.encode({"": asked}).decode()]
    return "".join(parts)


def _tool_call(block: Json) -> Json:
    arguments = block.get("input")
    return {
        "id": _string(block, "id"),
        "type": "function",
        "function": {
            "name": _string(block, "name"),
            "arguments": wire_json.encode(
                arguments if isinstance(arguments, dict) else {}
            ).decode(),
        },
    }


def _string(block: Json, name: str) -> str:
    value = block.get(name, "")
    if not isinstance(value, str):
        raise ProviderError("bad_answer", f"The provider's answer has a malformed '{name}'.")
    return value
