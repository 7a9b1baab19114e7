"""
Reasoning with Anthropic: how much to think by model generation, and thinking blocks kept for the next turn. Pure.

Thinking blocks carry a signature and must come back unchanged. They travel in `reasoning_details`, OpenRouter's
field (https://openrouter.ai/docs/use-cases/reasoning-tokens, read 2026-11), one entry a block.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from gateway.providers.anthropic.anthropic_errors import invalid, unsupported

Json = dict[str, Any]

FORMAT: Final = "anthropic-claude-v1"
# Share of the output limit that may be thought, for models that take a budget: as OpenRouter rules.
_BUDGET_PERCENT: Final = {
    "minimal": 10,
    "low": 20,
    "medium": 50,
    "high": 80,
    "xhigh": 95,
    "max": 95,
}
BUDGET_MIN: Final = 1_024
# Adaptive models have no `minimal`; which of the others a model takes is the provider's to say.
_EFFORTS: Final = {"minimal": "low"}

# claude-opus-4-7, claude-sonnet-4-20250514, claude-3-7-sonnet-latest, claude-3-opus-20240229, claude-fable-5
_NEW_NAME: Final = re.compile(r"claude-([a-z]+)-(\d{1,2})(?:-(\d{1,2}))?(?!\d)")
_OLD_NAME: Final = re.compile(r"claude-(\d)(?:-(\d))?-([a-z]+)")


def generation(model: str) -> tuple[str, int, int]:
    """Return family, major and minor version in a model's name; a name without them is of the newest kind."""
    if found := _OLD_NAME.search(model):
        return found[3], int(found[1]), int(found[2] or 0)
    if found := _NEW_NAME.search(model):
        return found[1], int(found[2]), int(found[3] or 0)
    return "", 99, 0


def thinking(effort: str, *, model: str, max_tokens: int) -> Json:
    """
    Return the request fields that stand for `reasoning_effort`. Raises ProviderError.

    Up to 3.5 no model thinks; up to 4.5 they take a budget of tokens; from 4.6 on thinking is adaptive and
    `output_config.effort` guides it; from 5 on it is on unless switched off, which Sonnet 5.5 calls
    `between_tools` (https://platform.claude.com/docs/en/build-with-claude/thinking and the models' migration
    guides, read 2026-11). Models that cannot stop thinking refuse "none" themselves.
    """
    family, *version = generation(model)
    if effort == "none":
        if version < [5, 0]:
            return {}
        off = "between_tools" if family == "sonnet" and version >= [5, 5] else "disabled"
        return {"thinking": {"type": off}}
    if effort not in _BUDGET_PERCENT:
        known = ", ".join(("none", *_BUDGET_PERCENT))
        invalid("reasoning_effort", f"'{effort[:60]}' is unknown. Send one of {known}.")
    if version < [3, 7]:
        unsupported("reasoning_effort", "This model does not reason. Leave 'reasoning_effort' out.")
    if version < [4, 6]:
        return {"thinking": _budget(effort, max_tokens=max_tokens)}
    return {
        # Where it is not asked for, newer models leave the summary of their thoughts out.
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": _EFFORTS.get(effort, effort)},
    }


def _budget(effort: str, *, max_tokens: int) -> Json:
    """The budget is part of the output limit and must be less than it, and 1,024 tokens at least."""
    if max_tokens <= BUDGET_MIN:
        invalid(
            "max_completion_tokens",
            f"This model reasons with at least {BUDGET_MIN} tokens, which the limit of {max_tokens} "
            "does not leave. Send more, or leave 'reasoning_effort' out.",
        )
    return {
        "type": "enabled",
        "budget_tokens": max(BUDGET_MIN, max_tokens * _BUDGET_PERCENT[effort] // 100),
    }


def detail(block: Json, *, index: int, characters: int, tool_calls: int) -> Json:
    """
    Return the entry of `reasoning_details` for a thinking block, or for the beginning of one.

    `characters` of content and `tool_calls` came before the block; they are named where there are any, so
    that the blocks can be put back in order. SDKs join the pieces of a stream by `index` and add up what is
    text, so that constant fields stand in a block's first piece only.
    """
    if block["type"] == "redacted_thinking":
        entry = {"type": "reasoning.encrypted", "data": block.get("data") or ""}
    else:
        entry = {"type": "reasoning.text", "text": block.get("thinking") or ""}
        if signature := block.get("signature"):
            entry["signature"] = signature
    entry |= {"format": block.get("format", FORMAT), "index": index}
    if characters or tool_calls:
        entry |= {"after_characters": characters, "after_tool_calls": tool_calls}
    return entry


def blocks(
    details: Any, *, param: str, redacted_format: str = FORMAT
) -> Iterator[tuple[int, int, Json]]:
    """
    Yield the thinking blocks in a message's `reasoning_details`, each after (tool calls, characters).

    Pieces of a stream that a client only collected are joined. What another provider thought, or nobody
    signed, is left out: Anthropic would refuse it. So is what was redacted in another form than the one named;
    signatures are the same wherever Claude is served. Raises ProviderError.
    """
    for entry in _joined(details, param=param):
        is_redacted = entry.get("type") == "reasoning.encrypted"
        if entry.get("format") not in (redacted_format if is_redacted else FORMAT, None):
            continue
        place = (_offset(entry, "after_tool_calls"), _offset(entry, "after_characters"))
        if is_redacted and entry.get("data"):
            yield *place, {"type": "redacted_thinking", "data": entry["data"]}
        elif entry.get("type") == "reasoning.text" and entry.get("signature"):
            text, signature = entry.get("text") or "", entry["signature"]
            yield *place, {"type": "thinking", "thinking": text, "signature": signature}


def _joined(details: Any, *, param: str) -> list[Json]:
    if not isinstance(details, list):
        invalid(param, "expected an array of objects, as it came in the answer.")
    joined: list[Json] = []
    for position, entry in enumerate(details):
        if not isinstance(entry, dict):
            invalid(f"{param}[{position}]", "expected an object, as it came in the answer.")
        last = joined[-1] if joined else {}
        if entry.get("index") is None or entry["index"] != last.get("index"):
            joined.append(dict(entry))
            continue
        for name in ("text", "signature", "data"):
            if isinstance(piece := entry.get(name), str):
                last[name] = str(last.get(name) or "") + piece
    return joined


def _offset(entry: Json, name: str) -> int:
    value = entry.get(name)
    return value if isinstance(value, int) else 0
