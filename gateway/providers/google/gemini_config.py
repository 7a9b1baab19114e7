"""
How Gemini is to answer: `generationConfig`, tools and `toolConfig` from OpenAI's parameters. Pure.

Source: https://ai.google.dev/api/generate-content (GenerationConfig, Tool, ToolConfig; read 2026-10). What Gemini
cannot do is refused, but for hints that only change speed (caching, the end user's id): those are left out.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.providers.google import gemini_schema
from gateway.providers.google.gemini_errors import refused

_MAX_STOPS: Final = 5
_MAX_CANDIDATES: Final = 8
_REFUSED: Final[Mapping[str, str]] = {
    "logit_bias": "This model takes no 'logit_bias'. Leave it out.",
    "prediction": "This model takes no 'prediction'. Leave it out.",
    "functions": "This model takes 'tools'; 'functions' is their deprecated form.",
    "function_call": "This model takes 'tool_choice'; 'function_call' is its deprecated form.",
}
# They only ask for best effort, so that leaving them out answers the same question; the customer is told.
_SET_ASIDE: Final = ("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options")
_SAME: Final[Mapping[str, str]] = {
    "max_completion_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}
_MODES: Final[Mapping[str, str]] = {"none": "NONE", "auto": "AUTO", "required": "ANY"}

# Thinking as Google's own OpenAI endpoint maps it (https://ai.google.dev/gemini-api/docs/openai, read 2026-10):
# tokens for Gemini 2.5, a level from Gemini 3 on, which Pro models have no `minimal` of.
_BUDGETS: Final[Mapping[str, int]] = {
    "none": 0,
    "minimal": 1_024,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
}
_LEVELS: Final = ("minimal", "low", "medium", "high", "xhigh")
_THINKS_FROM: Final = (2, 5)
_LEVELS_FROM: Final = (3, 0)
_GENERATION: Final = re.compile(r"gemini-(\d{1,2})(?:\.(\d{1,2}))?(?![\d.])")


def generation(model: str) -> tuple[int, int]:
    """Return a model's generation, (2, 5) for gemini-2.5-pro; (0, 0) for others, a high one for `-latest` names."""
    found = _GENERATION.search(model)
    if found:
        return int(found[1]), int(found[2] or 0)
    return (99, 0) if model.startswith("gemini-") else (0, 0)


def set_aside(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the parameters that are left out though they were given."""
    return tuple(name for name in _SET_ASIDE if name in body)


def check(body: Mapping[str, Any]) -> None:
    """Refuse what Gemini has no word for. Raises ProviderError."""
    for name, message in _REFUSED.items():
        if body.get(name):
            raise refused(message, param=name)
    if body.get("verbosity") not in (None, "medium"):
        raise refused("This model takes no 'verbosity'. Ask for it in words.", param="verbosity")
    if body.get("parallel_tool_calls") is False and body.get("tools"):
        raise refused(
            "This model cannot be kept from calling several tools at once. Leave it out.",
            param="parallel_tool_calls",
        )


def generation_config(body: Mapping[str, Any], *, model: str) -> dict[str, Any]:
    """Return the `generationConfig`. Raises ProviderError."""
    config = {theirs: body[ours] for ours, theirs in _SAME.items() if ours in body}
    if "seed" in body:
        config["seed"] = body["seed"] % 2**31  # theirs has 32 bits; the same seed stays the same
    if body.get("n", 1) > _MAX_CANDIDATES:
        raise refused(f"This model gives at most {_MAX_CANDIDATES} choices.", param="n")
    if body.get("n", 1) > 1:
        config["candidateCount"] = body["n"]
    if stops := body.get("stop"):
        config["stopSequences"] = _stops(stops)
    if body.get("logprobs"):
        config["responseLogprobs"] = True
        if body.get("top_logprobs"):
            config["logprobs"] = body["top_logprobs"]
    config.update(_format(body.get("response_format") or {}))
    if "reasoning_effort" in body:
        config.update(_thinking(str(body["reasoning_effort"]), model=model))
    return config


def tools(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return `tools` and `toolConfig`, empty where there are none. Raises ProviderError."""
    given = body.get("tools") or ()
    choice = body.get("tool_choice", "auto")
    if not given:
        if choice not in ("none", "auto"):
            raise refused("There are no 'tools' to choose from.", param="tool_choice")
        return {}
    declarations = [_declaration(tool, position=at) for at, tool in enumerate(given)]
    strict = any((tool.get("function") or {}).get("strict") for tool in given)
    return {
        "tools": [{"functionDeclarations": declarations}],
        "toolConfig": {"functionCallingConfig": _calling(choice, strict=strict)},
    }


def _stops(stops: Any) -> list[str]:
    sequences = [stops] if isinstance(stops, str) else list(stops)
    if len(sequences) > _MAX_STOPS:
        raise refused(f"This model takes at most {_MAX_STOPS} stop sequences.", param="stop")
    return sequences


def _format(wanted: Mapping[str, Any]) -> dict[str, Any]:
    kind = wanted.get("type", "text")
    if kind == "text":
        return {}
    schema = (wanted.get("json_schema") or {}).get("schema") if kind == "json_schema" else None
    config: dict[str, Any] = {"responseMimeType": "application/json"}
    if schema:
        config["responseJsonSchema"] = gemini_schema.cleaned(schema)
    return config


def _thinking(effort: str, *, model: str) -> dict[str, Any]:
    """Return the `thinkingConfig`; thoughts are shown, in summary, where thinking was asked for."""
    born, is_pro = generation(model), "-pro" in model
    if born < _THINKS_FROM:
        if effort != "none":
            raise refused("This model does not reason.", param="reasoning_effort")
        return {}
    known = _BUDGETS.keys() if born < _LEVELS_FROM else _LEVELS
    if effort not in known or (effort == "none" and is_pro):
        words = ", ".join(word for word in known if word != "none" or not is_pro)
        raise refused(f"This model takes {words}.", param="reasoning_effort")
    config: dict[str, Any] = {"includeThoughts": effort != "none"}
    if born < _LEVELS_FROM:
        config["thinkingBudget"] = _BUDGETS[effort]
    else:
        config["thinkingLevel"] = "low" if effort == "minimal" and is_pro else effort
    return {"thinkingConfig": config}


def _declaration(tool: Mapping[str, Any], *, position: int) -> dict[str, Any]:
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict):
        raise refused(
            "This model takes tools of type 'function' only.", param=f"tools[{position}].type"
        )
    declaration = {"name": function["name"], "description": function.get("description") or ""}
    schema = function.get("parameters")
    if gemini_schema.has_parameters(schema):
        declaration["parametersJsonSchema"] = gemini_schema.cleaned(schema)
    return declaration


def _calling(choice: Any, *, strict: bool) -> dict[str, Any]:
    """Return the `functionCallingConfig`; VALIDATED is AUTO with arguments held to their schema."""
    auto = "VALIDATED" if strict else "AUTO"
    if isinstance(choice, str):
        return {"mode": auto if choice == "auto" else _MODES[choice]}
    kind = choice.get("type")
    if kind == "function":
        named, mode = [choice], "ANY"
    elif kind == "allowed_tools":
        allowed = choice.get("allowed_tools") or {}
        # AUTO takes no list of names.
        named, mode = (
            allowed.get("tools") or [],
            ("ANY" if allowed.get("mode") == "required" else "VALIDATED"),
        )
    else:
        raise refused("This model can choose tools of type 'function' only.", param="tool_choice")
    names = [_chosen_name(item) for item in named]
    return {"mode": mode, "allowedFunctionNames": names}


def _chosen_name(item: Any) -> str:
    function = item.get("function") if isinstance(item, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise refused("Each function to choose needs its name.", param="tool_choice")
    return name
