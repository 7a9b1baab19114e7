"""
OpenAI's chat request as Anthropic's: every parameter translated, left out where it is a hint, or refused. Pure.
A request that came in Anthropic's own form goes out as it came (`anthropic_native`).

Where a model itself refuses a value with a clear 400 (temperature from Claude 4.7 on, forced tools with some),
that answer is passed on, so that no list of models has to be kept here.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.providers.anthropic import anthropic_messages, anthropic_native, anthropic_reasoning
from gateway.providers.anthropic.anthropic_errors import invalid, unsupported
from gateway.providers.anthropic.anthropic_native import Native

Json = dict[str, Any]

# They change what comes back, so that leaving them out would answer another question. A value that asks for
# nothing (0, false, {}) is let through.
_REFUSED: Final[Mapping[str, str]] = {
    "logprobs": "This model does not tell probabilities of tokens.",
    "top_logprobs": "This model does not tell probabilities of tokens.",
    "logit_bias": "This model cannot be biased by tokens.",
    "frequency_penalty": "This model has no penalties.",
    "presence_penalty": "This model has no penalties.",
    "prediction": "This model takes no predicted output.",
    "functions": "This model has no 'functions'. Send 'tools' instead.",
    "function_call": "This model has no 'function_call'. Send 'tool_choice' instead.",
}
# They only ask for best effort, so that leaving them out answers the same question; the customer is told.
_SET_ASIDE: Final = ("seed", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options")

# A user id goes out only if it can be nobody's name, address or number: Anthropic forbids those.
_OPAQUE: Final = re.compile(r"(?=[^0-9]*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_-]{16,256}")


def translate(body: Json, *, model: str, stream: bool) -> Json:
    """Return the body for POST /v1/messages; `max_completion_tokens` must be in it. Raises ProviderError."""
    if native := body.get(anthropic_native.FIELD):
        return _as_it_came(native, body, model=model, stream=stream)
    refuse(body)
    system, messages = anthropic_messages.translate(body["messages"])
    sent: Json = {
        "model": model,
        "max_tokens": body["max_completion_tokens"],
        "messages": messages,
        **_sampling(body),
        **_reasoning(body, model=model),
        **tools(body),
    }
    if system:
        sent["system"] = system
    if output_format := _format(body):
        sent["output_config"] = {**sent.get("output_config", {}), "format": output_format}
    if stop := body.get("stop"):
        sent["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if user_id := _user_id(body):
        sent["metadata"] = {"user_id": user_id}
    if stream:
        sent["stream"] = True
    return sent


def _as_it_came(native: Native, body: Json, *, model: str, stream: bool) -> Json:
    sent = anthropic_native.written(
        native, model=model, max_tokens=body["max_completion_tokens"], user_id=_user_id(body)
    )
    return {**sent, "stream": True} if stream else sent


def set_aside(body: Json) -> tuple[str, ...]:
    """Return the names of the parameters that are left out though they were given."""
    if anthropic_native.FIELD in body:
        return ()
    return tuple(name for name in _SET_ASIDE if name in body)


def refuse(body: Json) -> None:
    """Refuse what no model of this kind can do. Raises ProviderError."""
    for name, reason in _REFUSED.items():
        if body.get(name):
            unsupported(name, reason)
    if body.get("n", 1) != 1:
        unsupported("n", "This model gives one answer a call. Send 'n' as 1, or ask several times.")
    if body.get("verbosity", "medium") != "medium":
        unsupported("verbosity", "This model has no 'verbosity'. Ask for it in the prompt.")


def _sampling(body: Json) -> Json:
    """
    Return temperature and top_p where they differ from Anthropic's own default, 1.

    Temperature ends at 1: more is capped, as Anthropic's own OpenAI endpoint does
    (https://platform.claude.com/docs/en/cli-sdks-libraries/libraries/openai-sdk, read 2026-11). A default is
    left out because newer models refuse the mere name.
    """
    values = {name: min(body.get(name, 1), 1) for name in ("temperature", "top_p")}
    return {name: value for name, value in values.items() if value != 1}


def _reasoning(body: Json, *, model: str) -> Json:
    effort = body.get("reasoning_effort")
    if not effort:
        return {}
    return anthropic_reasoning.thinking(
        effort, model=model, max_tokens=body["max_completion_tokens"]
    )


def _format(body: Json) -> Json | None:
    """Return `output_config.format` (https://platform.claude.com/docs/en/build-with-claude/structured-outputs)."""
    wanted = schema(body)
    return None if wanted is None else {"type": "json_schema", "schema": wanted}


def schema(body: Json) -> Json | None:
    """Return the JSON schema that the answer must follow. Raises ProviderError."""
    wanted = body.get("response_format") or {"type": "text"}
    if wanted["type"] == "text":
        return None
    if wanted["type"] == "json_object":
        unsupported(
            "response_format.type",
            "This model has no mode for JSON without a schema. Send 'json_schema'.",
        )
    found = wanted["json_schema"].get("schema")
    if not isinstance(found, dict):
        invalid("response_format.json_schema.schema", "expected a JSON schema, which is an object.")
    return found


def tools(body: Json) -> Json:
    """Return the fields `tools` and `tool_choice`, those that are needed. Raises ProviderError."""
    given = body.get("tools") or []
    choice, allowed = _choice(body.get("tool_choice"))
    if not given:
        if choice["type"] not in ("auto", "none"):
            invalid("tool_choice", "a tool is asked for, but the request has no 'tools'.")
        return {}
    written = [_tool(tool, f"tools[{position}]") for position, tool in enumerate(given)]
    if allowed is not None:
        written = [tool for tool in written if tool["name"] in allowed]
    if body.get("parallel_tool_calls") is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return {"tools": written, **({"tool_choice": choice} if choice != {"type": "auto"} else {})}


_CHOICES: Final = {"auto": "auto", "none": "none", "required": "any"}


def _choice(choice: Any) -> tuple[Json, frozenset[str] | None]:
    """Return Anthropic's `tool_choice`, and the names of the tools that may be used (None: all)."""
    if choice is None or isinstance(choice, str):
        return {"type": _CHOICES[choice or "auto"]}, None
    kind = choice.get("type")
    if kind == "function":
        return {"type": "tool", "name": _function_name(choice, "tool_choice")}, None
    allowed = choice.get("allowed_tools")
    if kind != "allowed_tools" or not isinstance(allowed, dict):
        unsupported("tool_choice.type", "This model knows 'function' and 'allowed_tools' only.")
    tools = allowed.get("tools")
    if allowed.get("mode") not in ("auto", "required") or not isinstance(tools, list):
        invalid("tool_choice.allowed_tools", "expected 'mode' (auto or required) and 'tools'.")
    names = (_function_name(tool, "tool_choice.allowed_tools.tools") for tool in tools)
    return {"type": _CHOICES[allowed["mode"]]}, frozenset(names)


def _function_name(tool: Any, path: str) -> str:
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        invalid(path, "expected a function with a 'name'.")
    return name


def _tool(tool: Json, path: str) -> Json:
    if tool["type"] != "function":
        unsupported(f"{path}.type", "This model has no 'custom' tools. Use 'function'.")
    function = tool["function"]
    schema = function.get("parameters") or {"properties": {}}
    if not isinstance(schema, dict):
        invalid(f"{path}.function.parameters", "expected a JSON schema, which is an object.")
    written = {"name": function["name"], "input_schema": {"type": "object", **schema}}
    if function.get("description"):
        written["description"] = function["description"]
    if function.get("strict"):
        written["strict"] = True
    if mark := tool.get("cache_control") or function.get("cache_control"):
        written["cache_control"] = mark
    return written


def _user_id(body: Json) -> str | None:
    user = body.get("safety_identifier") or body.get("user")
    return user if user and _OPAQUE.fullmatch(user) else None
