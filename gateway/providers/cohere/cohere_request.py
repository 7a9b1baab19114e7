"""
OpenAI's chat request as Cohere's: every parameter translated or refused. Pure.

https://docs.cohere.com/reference/chat (read 2026-11). Cohere's reflection before tool calls (`tool_plan`) is the
content beside them; its thinking goes back from `reasoning_details`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from gateway.providers.anthropic.anthropic_errors import invalid, unsupported

Json = dict[str, Any]

REASONING_FORMAT: Final = "cohere-v2"

_REFUSED: Final[Mapping[str, str]] = {
    "logprobs": "Probabilities of this model's tokens are not told here.",
    "top_logprobs": "Probabilities of this model's tokens are not told here.",
    "logit_bias": "This model cannot be biased by tokens.",
    "prediction": "This model takes no predicted output.",
    "functions": "This model has no 'functions'. Send 'tools' instead.",
    "function_call": "This model has no 'function_call'. Send 'tool_choice' instead.",
}
_SET_ASIDE: Final = ("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options")
_SAME: Final[Mapping[str, str]] = {
    "max_completion_tokens": "max_tokens",
    "top_p": "p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
_MAX_STOPS: Final = 5
# Share of the output limit that may be thought, as for Claude.
_BUDGET_PERCENT: Final = {"minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 95}
_ROLES: Final = {"developer": "system"}


def translate(body: Json, *, model: str, stream: bool) -> Json:
    """Return the body for POST /v2/chat. Raises ProviderError."""
    _refuse(body)
    sent: Json = {
        "model": model,
        "messages": [
            _message(message, f"messages[{position}]")
            for position, message in enumerate(body["messages"])
        ],
        "stream": stream,
        **{theirs: body[ours] for ours, theirs in _SAME.items() if ours in body},
        **_tools(body),
        **_format(body),
        **_thinking(body),
    }
    if "temperature" in body:
        sent["temperature"] = min(body["temperature"], 1)
    if "seed" in body:
        sent["seed"] = body["seed"] % 2**63  # theirs is not below 0; the same seed stays the same
    if stops := body.get("stop"):
        sent["stop_sequences"] = _stops(stops)
    return sent


def set_aside(body: Json) -> tuple[str, ...]:
    """Return the names of the parameters that are left out though they were given."""
    return tuple(name for name in _SET_ASIDE if name in body)


def _refuse(body: Json) -> None:
    for name, reason in _REFUSED.items():
        if body.get(name):
            unsupported(name, reason)
    if body.get("n", 1) != 1:
        unsupported("n", "This model gives one answer a call. Send 'n' as 1, or ask several times.")
    if body.get("verbosity", "medium") != "medium":
        unsupported("verbosity", "This model has no 'verbosity'. Ask for it in the prompt.")
    if body.get("parallel_tool_calls") is False and body.get("tools"):
        unsupported(
            "parallel_tool_calls",
            "This model cannot be kept from calling several tools at once. Leave it out.",
        )
    for name in ("frequency_penalty", "presence_penalty"):
        if not 0 <= body.get(name, 0) <= 1:
            unsupported(name, "This model takes penalties from 0 to 1.")


def _stops(stops: Any) -> list[str]:
    sequences = [stops] if isinstance(stops, str) else list(stops)
    if len(sequences) > _MAX_STOPS:
        unsupported("stop", f"This model takes at most {_MAX_STOPS} stop sequences.")
    return sequences


def _message(message: Json, path: str) -> Json:
    role = message["role"]
    if role == "function" or message.get("function_call"):
        unsupported(f"{path}.role", "Send 'tool_calls' and messages of role 'tool'.")
    if role == "assistant":
        return _assistant(message, path)
    written: Json = {"role": _ROLES.get(role, role)}
    written["content"] = _content(message.get("content"), f"{path}.content", images=role == "user")
    if role == "tool":
        written["tool_call_id"] = message["tool_call_id"]
    return written


def _content(content: Any, path: str, *, images: bool) -> Any:
    if not isinstance(content, list):
        return content or ""
    return [_part(part, f"{path}[{at}]", images=images) for at, part in enumerate(content)]


def _part(part: Json, path: str, *, images: bool) -> Json:
    """An image's address is fetched by Cohere, never by us."""
    kind = part["type"]
    if kind in ("text", "refusal"):
        return {"type": "text", "text": part.get(kind) or ""}
    if kind == "image_url" and images:
        image = part["image_url"]
        return {
            "type": "image_url",
            "image_url": {name: image[name] for name in ("url", "detail") if image.get(name)},
        }
    unsupported(f"{path}.type", f"This model takes no '{str(kind)[:60]}' parts here.")


def _assistant(message: Json, path: str) -> Json:
    parts = list(_thoughts(message.get("reasoning_details")))
    text = "".join(_texts(message, path))
    calls = [
        _call(call, f"{path}.tool_calls[{at}]")
        for at, call in enumerate(message.get("tool_calls") or ())
    ]
    written: Json = {"role": "assistant"}
    if calls:
        written["tool_calls"] = calls
        if text:
            written["tool_plan"] = text
    elif text or not parts:
        parts.append({"type": "text", "text": text})
    if parts:
        written["content"] = parts
    return written


def _texts(message: Json, path: str) -> Iterator[str]:
    content = message.get("content") or message.get("refusal") or ""
    if isinstance(content, str):
        yield content
        return
    for at, part in enumerate(content):
        if part["type"] != "thinking":
            yield _part(part, f"{path}.content[{at}]", images=False)["text"]


def _thoughts(details: Any) -> Iterator[Json]:
    """Yield what the model itself thought, whole again where a stream brought it in pieces."""
    texts: dict[Any, str] = {}
    ours = False
    for entry in details if isinstance(details, list) else ():
        if isinstance(entry, dict) and entry.get("type") == "reasoning.text":
            ours = ours or entry.get("format") == REASONING_FORMAT
            texts[entry.get("index")] = texts.get(entry.get("index"), "") + str(
                entry.get("text") or ""
            )
    if ours:
        yield from ({"type": "thinking", "thinking": text} for text in texts.values() if text)


def _call(call: Json, path: str) -> Json:
    if call.get("type") == "custom":
        unsupported(f"{path}.type", "This model has no 'custom' tools. Use 'function'.")
    function = call["function"]
    try:
        msgspec.json.decode(function["arguments"] or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError):
        invalid(f"{path}.function.arguments", "expected a JSON object.")
    told = {"name": function["name"], "arguments": function["arguments"] or "{}"}
    return {"id": call["id"], "type": "function", "function": told}


def _tools(body: Json) -> Json:
    """Cohere can be told to call some tool, not which: one that is named stands alone among the tools."""
    given = body.get("tools") or []
    choice = body.get("tool_choice", "auto")
    mode, names = _choice(choice)
    if not given:
        if mode == "required":
            invalid("tool_choice", "a tool is asked for, but the request has no 'tools'.")
        return {}
    tools = [_tool(tool, f"tools[{position}]") for position, tool in enumerate(given)]
    if names is not None:
        tools = [tool for tool in tools if tool["function"]["name"] in names]
    sent: Json = {"tools": tools}
    if mode != "auto":
        sent["tool_choice"] = mode.upper()
    if any(tool["function"].get("strict") for tool in given):
        sent["strict_tools"] = True
    return sent


def _choice(choice: Any) -> tuple[str, frozenset[str] | None]:
    """Return auto, none or required, and the names of the tools that may be called (None: all)."""
    if isinstance(choice, str):
        return choice, None
    if choice.get("type") == "function":
        return "required", frozenset({_name(choice)})
    allowed = choice.get("allowed_tools")
    if choice.get("type") != "allowed_tools" or not isinstance(allowed, dict):
        unsupported("tool_choice.type", "This model knows 'function' and 'allowed_tools' only.")
    tools = allowed.get("tools")
    if allowed.get("mode") not in ("auto", "required") or not isinstance(tools, list):
        invalid("tool_choice.allowed_tools", "expected 'mode' (auto or required) and 'tools'.")
    return allowed["mode"], frozenset(_name(tool) for tool in tools)


def _name(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        invalid("tool_choice", "expected a function with a 'name'.")
    return name


def _tool(tool: Json, path: str) -> Json:
    if tool["type"] != "function":
        unsupported(f"{path}.type", "This model has no 'custom' tools. Use 'function'.")
    function = tool["function"]
    told = {name: function[name] for name in ("name", "description") if function.get(name)}
    told["parameters"] = function.get("parameters") or {"type": "object", "properties": {}}
    return {"type": "function", "function": told}


def _format(body: Json) -> Json:
    wanted = body.get("response_format") or {"type": "text"}
    if wanted["type"] == "text":
        return {}
    told: Json = {"type": "json_object"}
    if wanted["type"] == "json_schema":
        schema = wanted["json_schema"].get("schema")
        if not isinstance(schema, dict):
            invalid("response_format.json_schema.schema", "expected a JSON schema.")
        told["json_schema"] = schema
    return {"response_format": told}


def _thinking(body: Json) -> Json:
    """Models that cannot reason refuse `thinking` themselves."""
    effort = body.get("reasoning_effort")
    if not effort:
        return {}
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    if effort not in _BUDGET_PERCENT:
        known = ", ".join(("none", *_BUDGET_PERCENT))
        invalid("reasoning_effort", f"'{effort[:60]}' is unknown. Send one of {known}.")
    told: Json = {"type": "enabled"}
    if limit := body.get("max_completion_tokens"):
        told["token_budget"] = max(1, limit * _BUDGET_PERCENT[effort] // 100)
    return {"thinking": told}
