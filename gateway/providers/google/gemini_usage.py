"""
What a Gemini answer says it used: `usageMetadata` in, `TokenUsage` and OpenAI's details out. Pure.

Source: https://ai.google.dev/api/generate-content#UsageMetadata (read 2026-10). The total is the sum of prompt,
tool use, candidates and thoughts; cached tokens are inside the prompt, thoughts beside the candidates.
"""

from collections.abc import Mapping
from typing import Any

from billing.types import TokenUsage
from gateway.providers.openai.openai_usage import count as _count
from gateway.providers.openai.openai_usage import told


def read_usage(raw: Mapping[str, Any], *, has_output: bool) -> TokenUsage | None:
    """
    Return the usage, or None where the provider left out what the bill needs.

    Both happen in recorded traffic: no prompt at all (files by address), and no output beside delivered text.
    """
    prompt = told(raw.get("promptTokenCount"))
    thoughts = _count(raw.get("thoughtsTokenCount"))
    said = told(raw.get("candidatesTokenCount"))
    if prompt is None or (has_output and said is None and not thoughts):
        return None
    output = (said or 0) + thoughts
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


def merged(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the usage of a stream so far: the last word of each count, where it can be a count."""
    return {**before, **{name: value for name, value in now.items() if _says(value)}}


def _says(value: object) -> bool:
    return isinstance(value, list) or told(value) is not None
