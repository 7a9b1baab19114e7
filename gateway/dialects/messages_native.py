"""
What a request of Anthropic's own API may carry to where that API is spoken: an allow-list, field by field. Pure.

Read after `messages_request` has checked what chats know. Fields that nobody knows stay behind and are named; what
has a price that we cannot bound is refused with what to do (https://platform.claude.com/docs/en/api/messages and the
types of Anthropic's SDK 2.12, read 2026-11).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gateway import wire_checks
from gateway.dialects import messages_native_blocks, messages_native_tools
from gateway.dialects.messages_native_blocks import Found
from gateway.provider_tools import ProviderTools
from gateway.providers.anthropic.anthropic_native import Native
from gateway.wire_checks import Check, unsupported_value, wrong_type

Json = dict[str, Any]

# Beta features without a price of their own, or whose price is bounded whether they are on or not. The name of a
# feature stands before its date.
BETAS: Final = frozenset(
    {
        "cache-diagnosis",
        "computer-use",
        "context-management",
        "dev-full-thinking",
        "effort",
        "extended-cache-ttl",
        "fine-grained-tool-streaming",
        "inline-tools",
        "interleaved-thinking",
        "mid-conversation-output-config",
        "mid-conversation-system-clear-at",
        "mid-conversation-tool-changes",
        "model-context-window-exceeded",
        "output-128k",
        "output-300k",
        "pdfs",
        "prompt-caching",
        "prompt-caching-scope",
        "search-results",
        "structured-outputs",
        "task-budgets",
        "thinking-binding-controls",
        "thinking-display-updates",
        "thinking-token-count",
        "token-counting",
        "token-efficient-tools",
        "tool-examples",
        "tool-search-tool",
        "advanced-tool-use",
        "web-fetch",
        "web-search",
    }
)
_BETA: Final = re.compile(r"([a-z0-9][a-z0-9-]{1,60})-20\d\d-\d\d-\d\d")
_UNCOUNTED: Final = frozenset({"url", *messages_native_blocks.NATIVE_KINDS}) - {
    "tool_reference",
    "browser_state",
    *messages_native_blocks.TOOL_CHANGES,
}
_BUDGET: Final = wire_checks.integer(1, 2**31 - 1)
_MAX_BETAS: Final = 50
_BUDGET_TOKENS: Final = 256  # Claude is told of its budget
_FREE_EDITS: Final = frozenset({"clear_tool_uses_20250919", "clear_thinking_20251015"})


class Read(msgspec.Struct, frozen=True):
    """
    A request's native side: what goes out, what its provider's tools may add, and the names that stay behind, of
    fields that nobody knows and of beta features.
    """

    native: Native
    tools: ProviderTools
    unknown: tuple[str, ...]
    ignored_betas: tuple[str, ...]


def read(body: Json, *, beta_header: str = "") -> Read:
    """Return what goes to Anthropic. Raises InvalidRequest."""
    for name, refuse in _REFUSED.items():
        if body.get(name) is not None:
            refuse(body[name], name)
    found = Found()
    passed_betas, ignored_betas = betas(beta_header)
    sent: Json = {}
    for name, check in _FIELDS.items():
        if body.get(name) is not None:
            check(body[name], name)
            sent[name] = body[name]
            if name in _LOST:
                found.lost.append(name)
    if "cache_control" in sent:
        found.marks.append(sent["cache_control"])
    _output(body, sent, found)
    if body.get("system"):
        sent["system"] = messages_native_blocks.content(body["system"], found)
    sent["messages"] = [messages_native_blocks.turn(turn, found) for turn in body["messages"]]
    if body.get("tools"):
        sent["tools"] = messages_native_tools.tools(body["tools"], found)
        if body.get("tool_choice") is not None:
            names = ("type", "name", "disable_parallel_tool_use")
            sent["tool_choice"] = messages_native_blocks.pick(
                body["tool_choice"], names, found, path="tool_choice"
            )
    return Read(
        Native(
            body=sent,
            betas=passed_betas,
            needs=tuple(found.needs),
            lost=tuple(dict.fromkeys(found.lost)),
            marks=tuple(found.marks),
        ),
        tools=found.tools(),
        unknown=tuple(dict.fromkeys(found.unknown)),
        ignored_betas=ignored_betas,
    )


def is_counted(found: Read) -> bool:
    """
    Whether Anthropic counts such a prompt: not where tools of its own run, nor what it would have to fetch
    (https://platform.claude.com/docs/en/build-with-claude/token-counting, of 2026-09-26).
    """
    if found.tools.repeats:
        return False
    return not any(
        part.get("type") in _UNCOUNTED for part in messages_native_blocks.objects(found.native.body)
    )


def betas(header: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the beta features of a header that go out, and those that stay behind."""
    names = [name for part in header.split(",") if (name := part.strip())][:_MAX_BETAS]
    passed = [name for name in names if (m := _BETA.fullmatch(name)) and m[1] in BETAS]
    return tuple(dict.fromkeys(passed)), tuple(n for n in names if n not in passed)


def _output(body: Json, sent: Json, found: Found) -> None:
    """`output_format` is the name that `output_config.format` had in beta."""
    config = dict(body.get("output_config") or {})
    if body.get("output_format") is not None:
        config["format"] = body["output_format"]
    known = {
        name: config[name]
        for name in ("effort", "format", "task_budget")
        if config.get(name) is not None
    }
    if "task_budget" in known:
        wire_checks.mapping(known["task_budget"], "output_config.task_budget")
        found.reads(known["task_budget"])
        found.prompt_tokens += _BUDGET_TOKENS
        found.lost.append("output_config.task_budget")
    if known:
        sent["output_config"] = known


def _cache_control(value: Any, param: str) -> None:
    """Of the whole prompt: https://platform.claude.com/docs/en/build-with-claude/prompt-caching (read 2026-11)."""
    wire_checks.mapping(value, param)
    wire_checks.choice("ephemeral")(value.get("type"), f"{param}.type")
    if value.get("ttl") is not None:
        wire_checks.choice("5m", "1h")(value["ttl"], f"{param}.ttl")


def _known_to_chats(value: Any, param: str) -> None:
    """The check is that of the chat, which comes first."""


def _thinking(value: Any, param: str) -> None:
    """Its type is checked as what chats know."""
    if value.get("budget_tokens") is not None:
        _BUDGET(value["budget_tokens"], f"{param}.budget_tokens")


def _context_management(value: Any, param: str) -> None:
    """Edits that only leave out old content; compaction samples the model once more, beside `usage`."""
    wire_checks.mapping(value, param)
    edits = value.get("edits") or []
    if edits.__class__ is not list:
        wrong_type(edits, f"{param}.edits", expected="an array of objects")
    for position, edit in enumerate(edits):
        path = f"{param}.edits[{position}]"
        wire_checks.mapping(edit, path)
        if edit.get("type") not in _FREE_EDITS:
            unsupported_value(
                f"{path}.type",
                f"'{str(edit.get('type'))[:60]}' makes calls of its own, which are not bounded. Use "
                f"{' or '.join(sorted(_FREE_EDITS))}, or summarize with a call of your own.",
            )


def _inference_geo(value: Any, param: str) -> None:
    """
    One place costs a tenth more: 1.1 times every rate from Claude 4.6 on, older models refuse the field
    (https://platform.claude.com/docs/en/about-claude/pricing#data-residency-pricing, of 2026-10).
    """
    wire_checks.text(value, param)
    if value != "global":
        unsupported_value(
            param,
            f"inference in '{value[:60]}' has a price of its own, which is not offered. Leave it out; to choose where "
            "a model runs, send 'provider': {\"region\": ...}.",
        )


def _refuse(reason: str) -> Callable[[Any, str], None]:
    def refuse(value: Any, param: str) -> None:
        if value not in ([], {}):
            unsupported_value(param, reason)

    return refuse


def _speed(value: Any, param: str) -> None:
    if value != "standard":
        unsupported_value(
            param, "only 'standard' speed is offered; others have prices of their own."
        )


_FIELDS: Final[Mapping[str, Check]] = {
    "top_k": wire_checks.integer(0, 2**31 - 1),
    "cache_control": _cache_control,
    "context_management": _context_management,
    "inference_geo": _inference_geo,
    "service_tier": wire_checks.choice("auto", "standard_only"),
    "temperature": wire_checks.number(0, 1),
    "top_p": wire_checks.number(0, 1),
    "stop_sequences": lambda value, param: (
        None
    ),  # checked as what chats know, as is all of `thinking`
    "thinking": _thinking,
}
# What chats have no word for; the rest is translated.
_LOST: Final = frozenset({"top_k", "cache_control", "context_management"})
_REFUSED: Final[Mapping[str, Callable[[Any, str], None]]] = {
    "container": _refuse(
        "containers belong to code execution, which is not offered. Leave it out, and run code yourself."
    ),
    "mcp_servers": _refuse(
        "servers of tools are not called from here. Connect to them yourself and describe their tools."
    ),
    "fallbacks": _refuse("name models to try after this one in 'models' instead."),
    "compaction": _refuse("it is not offered. Summarize with a call of your own."),
    "thread": _refuse("conversations are not stored here. Send all messages of the conversation."),
    "speed": _speed,
}
KNOWN: Final = frozenset({*_FIELDS, *_REFUSED})
