"""
A request of Anthropic's own API that goes on to Anthropic as it came, but for what is ours. Pure.

`gateway.dialects.messages_native` has left in it only what may go out. Ours are the model, the output limit that was
reserved, and what the design forbids to tell (names of users). The customer's words for the rest stand.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from gateway.providers.anthropic import anthropic_reasoning
from gateway.providers.anthropic.anthropic_reasoning import BUDGET_MIN

Json = dict[str, Any]

FIELD: Final = "anthropic"  # of a chat's body, for adapters of SPEAKING alone
ANTHROPIC: Final = "anthropic"
VERTEX: Final = "vertex-claude"
SPEAKING: Final = frozenset({ANTHROPIC, VERTEX})
# Vertex has no tiers of Anthropic's, and its address is the place
# (https://platform.claude.com/docs/en/manage-claude/data-residency: `inference_geo` is of the Claude API alone;
# https://platform.claude.com/docs/en/api/service-tiers; read 2026-11-28).
NOT_ON_VERTEX: Final = ("service_tier", "inference_geo")
# From here on a system message may stand between turns, but not with Sonnet 5
# (https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages, of 2026-09-26).
_SYSTEM_TURNS_FROM: Final = (4, 8)
_NO_SYSTEM_TURNS: Final = ("sonnet", 5, 0)
# What the endpoint that counts takes (parameters of Anthropic's SDK 2.12).
_COUNTED: Final = (
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "context_management",
)


class Need(NamedTuple):
    """What only Anthropic's API can say: where it stands, why it is refused elsewhere, and which APIs have it."""

    param: str
    reason: str
    apis: frozenset[str] = SPEAKING


class Native(msgspec.Struct, frozen=True):
    """
    A checked request: its `body` with the fields that may go out, and the beta features that it names.

    `needs` are what no other API can say; `lost` the names of what is left out elsewhere, in the order of the request;
    `marks` all of its `cache_control`.
    """

    body: Mapping[str, Any]
    betas: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    lost: tuple[str, ...] = ()
    marks: tuple[Any, ...] = ()


def can_say(native: Native, api: str) -> bool:
    """Whether an API can say all of a request."""
    return api in SPEAKING and all(api in need.apis for need in native.needs)


def written(native: Native, *, model: str, max_tokens: int, user_id: str | None) -> Json:
    """Return the body to send, without `stream`."""
    sent: Json = {**native.body, "model": model, "max_tokens": max_tokens}
    thinking = sent.get("thinking")
    if thinking and thinking.get("budget_tokens"):
        budget = min(thinking["budget_tokens"], max_tokens - 1)
        sent["thinking"] = {**thinking, "budget_tokens": max(BUDGET_MIN, budget)}
    if user_id:
        sent["metadata"] = {"user_id": user_id}
    _fit_system_turns(sent, model)
    return sent


def counted(native: Native, *, model: str) -> Json:
    """Return the body that asks for the tokens of a prompt."""
    sent = {name: native.body[name] for name in _COUNTED if name in native.body}
    sent["model"] = model
    _fit_system_turns(sent, model)
    return sent


def headers(native: Native | None) -> tuple[tuple[str, str], ...]:
    """Return the header that switches beta features on, if any are."""
    return (("anthropic-beta", ",".join(native.betas)),) if native and native.betas else ()


def _fit_system_turns(sent: Json, model: str) -> None:
    found = anthropic_reasoning.generation(model)
    if found[1:] < _SYSTEM_TURNS_FROM or found == _NO_SYSTEM_TURNS:
        _hoist_system_turns(sent)


def _hoist_system_turns(sent: Json) -> None:
    """Put what system messages say into the system prompt, in place: coding agents send such to every model."""
    turns = sent["messages"]
    hoisted = [turn for turn in turns if turn["role"] == "system"]
    if not hoisted:
        return
    system = _blocks(sent.get("system") or [])
    for turn in hoisted:
        system += _blocks(turn.get("content") or [])
    sent["messages"] = [turn for turn in turns if turn["role"] != "system"]
    if system:
        sent["system"] = system


def _blocks(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
