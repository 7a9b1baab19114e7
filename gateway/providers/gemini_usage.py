"""
What a Gemini answer says it used: `usageMetadata` in, `TokenUsage` and OpenAI's details out. Pure.

Source: https://ai.google.dev/api/generate-content#UsageMetadata (read 2026-10). The total is the sum of prompt,
tool use, candidates and thoughts; cached tokens are inside the prompt, thoughts beside the candidates.
"""

from collections.abc import Mapping
from typing import Any, Final

from billing.types import TokenUsage

_MOST: Final = 10**12  # no count is true above it


def read_usage(raw: Mapping[str, Any], *, has_output: bool) -> TokenUsage | None:
    """
    Return the usage, or None where the provider left out what the bill needs.

    Both happen in recorded traffic: no prompt at all (files by address), and no output beside delivered text.
    """
    prompt = _count(raw.get("promptTokenCount"))
    thoughts = _count(raw.get("thoughtsTokenCount"))
    output = _count(raw.get("candidatesTokenCount")) + thoughts
    if not prompt or (has_output and not output):
        return None
    given = _by_modality(raw.get("promptTokensDetails"))
    cached = _by_modality(raw.get("cacheTokensDetails"))
    made = _by_modality(raw.get("candidatesTokensDetails"))
    cache_read = min(_count(raw.get("cachedContentTokenCount")), prompt)
    fresh = prompt - cache_read
    # Cached audio and images are priced as cached, so that they are not also counted as audio and images.
    audio = min(max(0, given.get("AUDIO", 0) - cached.get("AUDIO", 0)), fresh)
    image = min(max(0, given.get("IMAGE", 0) - cached.get("IMAGE", 0)), fresh - audio)
    return TokenUsage(
        input_tokens=prompt + _count(raw.get("toolUsePromptTokenCount")),
        output_tokens=output,
        cache_read_tokens=cache_read,
        reasoning_tokens=thoughts,
        audio_input_tokens=audio,
        image_input_tokens=image,
        audio_output_tokens=min(made.get("AUDIO", 0), output - thoughts),
        image_output_tokens=min(made.get("IMAGE", 0), output - thoughts),
    )


def extra_usage(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the counts by modality under OpenAI's names, for `openai_usage.wire_usage`."""
    prompt = _named(raw.get("promptTokensDetails"))
    if tool_use := _count(raw.get("toolUsePromptTokenCount")):
        prompt["tool_use_tokens"] = tool_use
    return {
        "prompt_tokens_details": prompt,
        "completion_tokens_details": _named(raw.get("candidatesTokensDetails")),
    }


def _by_modality(details: object) -> dict[str, int]:
    counts: dict[str, int] = {}
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            modality = str(detail.get("modality"))
            counts[modality] = counts.get(modality, 0) + _count(detail.get("tokenCount"))
    return counts


def _named(details: object) -> dict[str, Any]:
    return {
        f"{modality.lower()}_tokens": count for modality, count in _by_modality(details).items()
    }


def _count(value: object) -> int:
    """Counts of 64 bits come as strings in some of Google's JSON."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value[:15])
    return min(int(value), _MOST) if isinstance(value, int | float) and value > 0 else 0
