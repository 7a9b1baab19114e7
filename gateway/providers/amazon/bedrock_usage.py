"""
What an answer of Bedrock's says it used: Converse's `usage` in, Anthropic's out, which is read as theirs. Pure.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html (read 2026-11). Converse, as
Anthropic, leaves cached tokens out of `inputTokens`; a total that says otherwise is believed.
"""

from collections.abc import Mapping
from typing import Any, Final

from billing.types import TokenUsage
from gateway.providers.anthropic import anthropic_usage
from gateway.providers.openai import openai_usage

_TRANSLATED: Final = frozenset(
    {
        "inputTokens",
        "outputTokens",
        "totalTokens",
        "cacheReadInputTokens",
        "cacheWriteInputTokens",
        "cacheReadInputTokenCount",
        "cacheWriteInputTokenCount",
        "cacheDetails",
    }
)


def read_usage(raw: Mapping[str, Any]) -> TokenUsage | None:
    """Return the usage in Converse's `usage` object, None where it lacks input or output."""
    return anthropic_usage.read_usage(as_anthropic(raw))


def extra_usage(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the provider told beside the counts."""
    return {name: value for name, value in raw.items() if value and name not in _TRANSLATED}


def as_anthropic(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return Converse's counts under Anthropic's names, by which a bill tells cache writes of both lives apart."""
    count = openai_usage.count
    read, written = (
        count(raw.get(f"cache{word}InputTokens") or raw.get(f"cache{word}InputTokenCount"))
        for word in ("Read", "Write")
    )
    given, made = (
        openai_usage.told(raw.get("inputTokens")),
        openai_usage.told(raw.get("outputTokens")),
    )
    if given is not None and made is not None and read + written:
        if count(raw.get("totalTokens")) == given + made:
            given = max(0, given - read - written)
    details = raw.get("cacheDetails")
    hour = sum(
        count(detail.get("inputTokens"))
        for detail in (details if isinstance(details, list) else ())
        if isinstance(detail, dict) and detail.get("ttl") == "1h"
    )
    return {
        "input_tokens": given,
        "output_tokens": made,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "cache_creation": {"ephemeral_1h_input_tokens": min(hour, written)},
    }
