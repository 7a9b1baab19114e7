"""
What a request of Anthropic's own API says beyond chats, carried unchanged to where Anthropic's API is spoken. Pure.

Nothing of it raises a price beyond its bound: `top_k` is free, thinking is output inside of its limit, and the bound
takes the rate of a written cache whether one is asked for or not.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.providers.anthropic.anthropic_reasoning import BUDGET_MIN

FIELD: Final = "anthropic"  # of a chat's body, for adapters of SPEAKING alone
SPEAKING: Final = frozenset({"anthropic", "vertex-claude"})
# Elsewhere it is left out and named; a budget of thinking has become an effort there, which says the same.
_LEFT_OUT: Final = ("top_k", "cache_control")


def add(sent: dict[str, Any], native: Mapping[str, Any]) -> None:
    """Write the fields into a request, in place; a budget only where the model thinks by budgets."""
    for name in _LEFT_OUT:
        if name in native:
            sent[name] = native[name]
    thinking = sent.get("thinking", {})
    if "budget_tokens" in native and thinking.get("type") == "enabled":
        budget = min(native["budget_tokens"], sent["max_tokens"] - 1)
        thinking["budget_tokens"] = max(BUDGET_MIN, budget)


def left_out(native: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the fields that another API has no word for."""
    return tuple(name for name in _LEFT_OUT if name in native)
