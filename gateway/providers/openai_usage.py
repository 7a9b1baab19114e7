"""
What an OpenAI-compatible answer says it used: many spellings in, one `TokenUsage` and one wire form out.

Pure. The spellings were counted in recorded traffic of 18 providers (autumn 2026); each rule below names the
provider that needs it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from billing.types import TokenUsage

# Cached input besides `prompt_tokens_details.cached_tokens`: DeepSeek; Anthropic and Bedrock through proxies;
# Together, Moonshot and Hugging Face; Mistral (2025); Gemini through proxies.
_CACHED: Final = (
    "prompt_cache_hit_tokens",
    "cache_read_input_tokens",
    "cacheReadInputTokens",
    "cached_tokens",
    "num_cached_tokens",
    "cachedContentTokenCount",
)
# What the provider charges us (OpenRouter, Perplexity, xAI): told of our account, and `cost` is our own field.
_OUR_COST: Final = frozenset({"cost", "cost_details", "is_byok", "cost_in_usd_ticks"})
_CORE: Final = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
_MOST: Final = (
    10**12
)  # no count is true above it, and the database would not take one above 64 bits
_DETAILS: Final = ("prompt_tokens_details", "completion_tokens_details")


def read_usage(raw: Mapping[str, Any]) -> TokenUsage:
    """Return the usage in a provider's `usage` object; counts that contradict each other are clamped."""
    prompt_details = _mapping(raw.get("prompt_tokens_details"))
    completion_details = _mapping(raw.get("completion_tokens_details"))
    cached = _first((prompt_details.get("cached_tokens"), *(raw.get(name) for name in _CACHED)))
    written_1h = count(_mapping(raw.get("cache_creation")).get("ephemeral_1h_input_tokens"))
    written = _first(
        (prompt_details.get("cache_write_tokens"), raw.get("cache_creation_input_tokens"))
    )
    reasoning = _first((completion_details.get("reasoning_tokens"), raw.get("reasoning_tokens")))
    audio = count(prompt_details.get("audio_tokens"))
    input_tokens, output_tokens = _totals(raw, reasoning=reasoning, audio=audio, cached=cached)
    # Grok on Azure reports more cached than prompt tokens.
    cached = min(cached, input_tokens)
    written = min(max(written, written_1h), input_tokens - cached)
    return TokenUsage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cached,
        cache_write_5m_tokens=written - min(written, written_1h),
        cache_write_1h_tokens=min(written, written_1h),
        reasoning_tokens=min(reasoning, output_tokens),
        audio_input_tokens=min(audio, input_tokens),
        audio_output_tokens=min(count(completion_details.get("audio_tokens")), output_tokens),
        image_input_tokens=min(count(prompt_details.get("image_tokens")), input_tokens),
        image_output_tokens=min(count(completion_details.get("image_tokens")), output_tokens),
        searches=_searches(raw),
    )


def extra_usage(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a provider's `usage` that `wire_usage` does not write itself, but for our cost."""
    extra = {
        name: value
        for name, value in raw.items()
        if name not in _CORE and name not in _OUR_COST and name not in _DETAILS
    }
    extra.update({name: dict(raw[name]) for name in _DETAILS if _mapping(raw.get(name))})
    return extra


def wire_usage(usage: TokenUsage, *, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return OpenAI's `usage` object for a chat answer; fields of `extra` stay where they do not collide."""
    extra = extra or {}
    prompt_details = {
        **_mapping(extra.get("prompt_tokens_details")),
        "cached_tokens": usage.cache_read_tokens,
        "audio_tokens": usage.audio_input_tokens,
    }
    if written := usage.cache_write_5m_tokens + usage.cache_write_1h_tokens:
        prompt_details["cache_write_tokens"] = written
    return {
        **extra,
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": prompt_details,
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
            **_mapping(extra.get("completion_tokens_details")),
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.audio_output_tokens,
        },
    }


def _totals(raw: Mapping[str, Any], *, reasoning: int, audio: int, cached: int) -> tuple[int, int]:
    """
    Return input and output tokens with everything inside them that `total_tokens` says is there.

    xAI leaves reasoning out of `completion_tokens`, Mistral audio out of `prompt_tokens`, and proxies of
    Anthropic cached tokens; each shows as exactly that gap in the total.
    """
    input_tokens = _first((raw.get("prompt_tokens"), raw.get("input_tokens")))
    output_tokens = _first((raw.get("completion_tokens"), raw.get("output_tokens")))
    gap = count(raw.get("total_tokens")) - input_tokens - output_tokens
    if gap > 0 and gap == reasoning:
        return input_tokens, output_tokens + gap
    if gap > 0 and gap in (audio, cached):
        return input_tokens + gap, output_tokens
    return input_tokens, output_tokens


def _searches(raw: Mapping[str, Any]) -> int:
    """Perplexity counts `num_search_queries`, OpenRouter `server_tool_use_details.web_search_requests`."""
    tools = _mapping(raw.get("server_tool_use_details") or raw.get("server_tool_use"))
    return _first((raw.get("num_search_queries"), tools.get("web_search_requests")))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def count(value: object) -> int:
    """Return a reported count: 0 for what is none or negative, and never more than the database takes."""
    return min(int(value), _MOST) if isinstance(value, int | float) and value > 0 else 0


def _first(values: Iterable[object]) -> int:
    """Return the first count above 0."""
    return next((found for value in values if (found := count(value))), 0)
