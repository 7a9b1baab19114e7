"""
What an answer of Anthropic's says it used, as `TokenUsage` and as extra fields of OpenAI's `usage`. Pure.

Anthropic's `input_tokens` leave out what was read from or written to the cache; ours hold both
(https://platform.claude.com/docs/en/build-with-claude/prompt-caching, read 2026-11). In streams every count is
cumulative, and `message_delta` leaves out what has not changed since `message_start`.

Where Anthropic runs tools, the model reads its prompt again with their results, and the counts are sums.
`iterations` tell each reading (types of Anthropic's SDK 2.12); the longest decides on rates that depend on the prompt's
size, such as those of Haiku 5.5 "for prompts over 100,000 tokens". No page says what decides for such sums; when
Sonnet 4.5 had such rates, the fields of `usage` were to be added up, which holds where nothing is told of readings
(https://platform.claude.com/docs/en/about-claude/pricing, of 2026-10, and long context pricing, of 2025-10).
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import structs

from billing.types import TokenUsage
from gateway.providers import wire_json
from gateway.providers.openai import openai_usage

# Told in OpenAI's own fields.
_TRANSLATED: Final = frozenset({"input_tokens", "output_tokens", "output_tokens_details"})
_CACHED: Final = ("cache_read_input_tokens", "cache_creation_input_tokens")


def read_usage(raw: Mapping[str, Any]) -> TokenUsage | None:
    """Return the usage in Anthropic's `usage` object, None where it lacks input or output; see `openai_usage`."""
    details = raw.get("output_tokens_details")
    cached = sum(openai_usage.count(raw.get(name)) for name in _CACHED)
    fresh = openai_usage.told(raw.get("input_tokens"))
    usage = openai_usage.read_usage(
        {
            "prompt_tokens": None if fresh is None else fresh + cached,
            "completion_tokens": raw.get("output_tokens"),
            "reasoning_tokens": details.get("thinking_tokens") if isinstance(details, dict) else 0,
            **{
                name: raw.get(name)
                for name in (
                    "cache_read_input_tokens",
                    "cache_creation_input_tokens",
                    "cache_creation",
                    "server_tool_use",
                )
            },
        }
    )
    longest = _longest_prompt(raw.get("iterations"))
    if usage is None or not 0 < longest < usage.input_tokens:
        return usage
    return structs.replace(usage, longest_prompt_tokens=longest)


def read_prompt(raw: Mapping[str, Any]) -> TokenUsage | None:
    """Return the input that a stream's start tells, None where it tells none: proxies fill in a 0."""
    usage = read_usage({**raw, "output_tokens": 0})
    return usage if usage is not None and usage.input_tokens else None


def extra_usage(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of Anthropic's `usage` that OpenAI's has no place for."""
    return {name: value for name, value in raw.items() if name not in _TRANSLATED}


def merged(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the usage of a stream so far: the last word wins; silence, and what cannot be a count, change nothing.

    Counts are cumulative, so that a 0 after more is no word either: proxies fill in what they do not know.
    """
    return {
        **before,
        **{name: value for name, value in now.items() if _says(value, before.get(name))},
    }


def is_final(now: Mapping[str, Any]) -> bool:
    """Say whether an event's usage tells the output; that of `message_start` only fills the place."""
    return openai_usage.told(now.get("output_tokens")) is not None


def _longest_prompt(iterations: object) -> int:
    """Return the tokens of the longest prompt that was read, 0 where that is not told."""
    if not isinstance(iterations, list):
        return 0
    read = [found for found in map(wire_json.mapping, iterations) if found.get("type") == "message"]
    if any(openai_usage.told(one.get("input_tokens")) is None for one in read):
        return 0
    names = ("input_tokens", *_CACHED)
    return max(
        (sum(openai_usage.count(one.get(name)) for name in names) for one in read), default=0
    )


def _says(value: object, before: object) -> bool:
    if value is None or openai_usage.told(before) is None:
        return value is not None
    found = openai_usage.told(value)
    return found is not None and (found > 0 or before == 0)
