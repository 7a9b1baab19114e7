"""
What an answer of Cohere's says it used. Pure.

`billed_units` are what Cohere charges, `tokens` what the model saw with Cohere's own preamble, which is free and
mostly cached (https://docs.cohere.com/docs/how-does-cohere-pricing-work, read 2026-11). We bill the former.
"""

from collections.abc import Mapping
from typing import Any

from billing.types import TokenUsage
from gateway.providers.openai import openai_usage


def read_usage(raw: Mapping[str, Any]) -> TokenUsage | None:
    """Return the usage that is billed, or None where the provider told of none."""
    seen, billed = _mapping(raw.get("tokens")), _mapping(raw.get("billed_units"))
    counts = billed if "input_tokens" in billed else seen
    if "input_tokens" not in counts:
        return None
    count = openai_usage.count
    input_tokens, output_tokens = (
        count(counts.get("input_tokens")),
        count(counts.get("output_tokens")),
    )
    return TokenUsage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        reasoning_tokens=min(count(seen.get("reasoning_tokens")), output_tokens),
        image_input_tokens=min(count(seen.get("image_tokens")), input_tokens),
    )


def extra_usage(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return Cohere's own counts."""
    return dict(raw)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
