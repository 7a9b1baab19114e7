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
_DIGITS: Final = 9
_MOST: Final = 10**_DIGITS  # no count is true from here on: no context is a hundredth of it
_TIERS: Final = frozenset({"flex", "priority"})
_DETAILS: Final = ("prompt_tokens_details", "completion_tokens_details")
# A usage that names nothing else is read on a short way: what nearly every answer has.
_ORDINARY: Final = frozenset({*_CORE, *_DETAILS})
_ORDINARY_PROMPT: Final = frozenset({"cached_tokens", "audio_tokens"})
_ORDINARY_COMPLETION: Final = frozenset(
    {
        "reasoning_tokens",
        "audio_tokens",
        "accepted_prediction_tokens",
        "rejected_prediction_tokens",
    }
)


def read_usage(raw: Mapping[str, Any], *, service_tier: object = None) -> TokenUsage | None:
    """
    Return the usage in a provider's `usage` object; counts that contradict each other are clamped.

    None where it does not tell what was used: no input or no output, or counts that cannot be true (negative,
    not a number, beyond any model). An explicit zero is the provider's word. `service_tier` is what the answer
    names beside its usage.
    """
    prompt_details = _mapping(raw.get("prompt_tokens_details"))
    completion_details = _mapping(raw.get("completion_tokens_details"))
    if _is_plain(raw, prompt_details, completion_details):
        return TokenUsage(
            input_tokens=raw["prompt_tokens"],
            output_tokens=raw["completion_tokens"],
            service_tier=_tier(service_tier),
        )
    cached = _first((prompt_details.get("cached_tokens"), *(raw.get(name) for name in _CACHED)))
    written_1h = count(_mapping(raw.get("cache_creation")).get("ephemeral_1h_input_tokens"))
    written = _first(
        (prompt_details.get("cache_write_tokens"), raw.get("cache_creation_input_tokens"))
    )
    reasoning = _first((completion_details.get("reasoning_tokens"), raw.get("reasoning_tokens")))
    audio = count(prompt_details.get("audio_tokens"))
    totals = _totals(raw, reasoning=reasoning, audio=audio, cached=cached)
    if totals is None:
        return None
    input_tokens, output_tokens = totals
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
        seconds=count(raw.get("prompt_audio_seconds")),  # Mistral
        searches=_searches(raw),
        service_tier=_tier(service_tier or raw.get("service_tier")),
    )


def _tier(value: object) -> str:
    return value if isinstance(value, str) and value in _TIERS else ""


def _is_plain(
    raw: Mapping[str, Any],
    prompt_details: Mapping[str, Any],
    completion_details: Mapping[str, Any],
) -> bool:
    """Say whether a usage is two sound counts and their sum, with no class of tokens above 0 besides."""
    given, made = raw.get("prompt_tokens"), raw.get("completion_tokens")
    return (
        given.__class__ is int
        and made.__class__ is int
        and 0 <= given < _MOST
        and 0 <= made < _MOST
        and raw.get("total_tokens") == given + made
        and raw.keys() <= _ORDINARY
        and not any(prompt_details.values())
        and not any(completion_details.values())
        and prompt_details.keys() <= _ORDINARY_PROMPT
        and completion_details.keys() <= _ORDINARY_COMPLETION
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


class UsageByChoice:
    """The usage of a stream whose provider tells it with each choice; the prompt is the same for all."""

    def __init__(self) -> None:
        self._told: dict[int, dict[str, Any]] = {}

    def read(self, choices: object) -> dict[str, Any] | None:
        """Take the usage out of the choices of a chunk; return that of all so far, None where they tell none."""
        found = None
        for position, choice in enumerate(choices if isinstance(choices, list) else ()):
            found = choice.pop("usage", None) if isinstance(choice, dict) else None
            if isinstance(found, dict):
                index = choice.get("index")
                self._told[index if isinstance(index, int) else position] = found
        if not isinstance(found, dict) or len(self._told) == 1:
            return found if isinstance(found, dict) else None
        made = [told(usage.get("completion_tokens")) for usage in self._told.values()]
        known = [number for number in made if number is not None]
        whole = {name: value for name, value in found.items() if name != "total_tokens"}
        return {**whole, "completion_tokens": sum(known) if len(known) == len(made) else None}


def is_silent(usage: TokenUsage) -> bool:
    """Say whether a usage tells of nothing, as in the first chunks of some streams, or in a last one to fill a form."""
    return not usage.input_tokens and not usage.output_tokens


def _totals(
    raw: Mapping[str, Any], *, reasoning: int, audio: int, cached: int
) -> tuple[int, int] | None:
    """
    Return input and output tokens with everything inside them that `total_tokens` says is there.

    One of them that is not told is what the other leaves of the total; None where that is not told either.

    xAI leaves reasoning out of `completion_tokens`, Mistral audio out of `prompt_tokens`, and proxies of
    Anthropic cached tokens; each shows as exactly that gap in the total.
    """
    given = _told_first(raw, ("prompt_tokens", "input_tokens"))
    made = _told_first(raw, ("completion_tokens", "output_tokens"))
    total = told(raw.get("total_tokens"))
    if given is None and made is not None and total is not None:
        given = total - made
    elif made is None and given is not None and total is not None:
        made = total - given
    if given is None or made is None or given < 0 or made < 0:
        return None
    input_tokens, output_tokens = given, made
    gap = (total or 0) - input_tokens - output_tokens
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


def told(value: object) -> int | None:
    """
    Return a reported count, None for what cannot be one.

    Counts of 64 bits come as strings in some of Google's JSON, and as floats from some servers.
    """
    if isinstance(value, str) and value.isdecimal() and len(value) <= _DIGITS:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST:
        return None
    return int(value)


def count(value: object) -> int:
    """Return a reported count, 0 for what cannot be one."""
    return told(value) or 0


def _told_first(raw: Mapping[str, Any], names: Iterable[str]) -> int | None:
    """Return the first count above 0 under these names, else a 0 that was told."""
    found = [number for name in names if (number := told(raw.get(name))) is not None]
    return next((number for number in found if number), 0 if found else None)


def _first(values: Iterable[object]) -> int:
    """Return the first count above 0."""
    return next((found for value in values if (found := count(value))), 0)
