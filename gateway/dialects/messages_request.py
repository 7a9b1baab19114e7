"""
Anthropic's Messages request as a chat: parameters, tools, output format and reasoning. Pure.

What Anthropic's API knows and chats have no word for goes on to Anthropic where that serves (`messages_native`). What
nobody knows is left in the chat under its own name, where it is set aside and named
(https://platform.claude.com/docs/en/api/messages, read 2026-11).
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from gateway import wire_checks
from gateway.dialects import messages_input, messages_native, messages_native_tools
from gateway.serializers import CHAT_FIELDS, ChatCall
from gateway.snapshot import ModelSnapshot
from gateway.wire_checks import missing, unsupported_value, wrong_type, wrong_value

Json = dict[str, Any]

# Thinking tokens as a share of the output limit, up to which an effort stands for them (in percent).
_EFFORT_BY_PERCENT: Final = ((35, "low"), (65, "medium"))
_MOST_EFFORT: Final = "high"
_ADAPTIVE_EFFORT: Final = "high"  # Anthropic's own default
_DEARER_EFFORTS: Final = frozenset({"xhigh", "max"})
_EFFORT: Final = wire_checks.choice("low", "medium", "high", "xhigh", "max")
_BUDGET: Final = wire_checks.integer(1, 2**31 - 1)
_CHOICES: Final[Mapping[str, str]] = {"auto": "auto", "any": "required", "none": "none"}
_FORMAT_NAME: Final = "answer"


def read_request(body: Json) -> Json:
    """Return the chat that a request to create a message stands for. Raises InvalidRequest."""
    if body.get("max_tokens") is None:
        missing("max_tokens")
    return read_prompt(body)


def read_prompt(body: Json) -> Json:
    """Return the chat of a request to create a message or to count its tokens. Raises InvalidRequest."""
    chat: Json = {}
    for name, value in body.items():
        if name not in _TRANSLATED and value is not None:
            _set_aside(name, value, chat)
    if body.get("messages") is None:
        missing("messages")
    chat["messages"] = messages_input.translate(
        body["messages"], system=body.get("system"), model=body.get("model")
    )
    for name, write in _WRITERS.items():
        if body.get(name) is not None:
            write(body, chat)
    return chat


def fitted(call: ChatCall, *, model: ModelSnapshot) -> ChatCall:
    """
    Return the call with no more reasoning asked for than its model knows of.

    Coding agents send `thinking` and an effort whatever the model. One that does not reason would refuse the call,
    and few but Anthropic's can be told not to think at all, or to think harder than `high`.
    """
    effort = call.body.get("reasoning_effort")
    if effort is None or model.owned_by == "anthropic":
        return call
    body = {name: value for name, value in call.body.items() if name != "reasoning_effort"}
    if "reasoning" in model.features and effort != "none":
        body["reasoning_effort"] = _MOST_EFFORT if effort in _DEARER_EFFORTS else effort
    return replace(call, body=body)


def _set_aside(name: str, value: Any, chat: Json) -> None:
    """Keep a field to be named; one that chats know must not have its effect there unseen, nor its price."""
    if name in CHAT_FIELDS:
        unsupported_value(name, "it belongs to /v1/chat/completions. Call that, or leave it out.")
    chat[name] = value


def _same(name: str, chat_name: str = "") -> Any:
    def write(body: Json, chat: Json) -> None:
        chat[chat_name or name] = body[name]

    return write


def _temperature(body: Json, chat: Json) -> None:
    wire_checks.number(0, 1)(body["temperature"], "temperature")
    chat["temperature"] = body["temperature"]


def _stop(body: Json, chat: Json) -> None:
    if body["stop_sequences"].__class__ is not list:
        wrong_type(body["stop_sequences"], "stop_sequences", expected="an array of strings")
    if body["stop_sequences"]:
        chat["stop"] = body["stop_sequences"]


def _metadata(body: Json, chat: Json) -> None:
    wire_checks.mapping(body["metadata"], "metadata")
    for name, value in body["metadata"].items():
        if name != "user_id":
            chat[f"metadata.{name}"] = value
        elif value is not None:
            wire_checks.name(value, "metadata.user_id")
            chat["safety_identifier"] = value


def _service_tier(body: Json, chat: Json) -> None:
    """Both of Anthropic's words mean the ordinary price to those without a contract for more."""
    wire_checks.choice("auto", "standard_only")(body["service_tier"], "service_tier")


def _thinking(body: Json, chat: Json) -> None:
    """Thinking becomes an effort, unless `output_config` names one itself."""
    thinking = body["thinking"]
    wire_checks.mapping(thinking, "thinking")
    kind = thinking.get("type")
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        if budget is None:
            missing("thinking.budget_tokens")
        _BUDGET(budget, "thinking.budget_tokens")
        chat.setdefault("reasoning_effort", _effort_of(budget, body.get("max_tokens")))
    elif kind == "adaptive":
        chat.setdefault("reasoning_effort", _ADAPTIVE_EFFORT)
    elif kind in ("disabled", "between_tools"):
        chat["reasoning_effort"] = "none"
    else:
        wrong_value("thinking.type", "expected 'enabled', 'adaptive' or 'disabled'.")


def _effort_of(budget: int, max_tokens: Any) -> str:
    percent = 100 * budget // max_tokens if max_tokens.__class__ is int and max_tokens > 0 else 0
    return next((effort for most, effort in _EFFORT_BY_PERCENT if percent < most), _MOST_EFFORT)


def _output_config(body: Json, chat: Json) -> None:
    config = body["output_config"]
    wire_checks.mapping(config, "output_config")
    for name, value in config.items():
        if value is None:
            continue
        if name == "effort":
            _EFFORT(value, "output_config.effort")
            chat["reasoning_effort"] = value
        elif name == "format":
            _format(value, chat, param="output_config.format")
        elif name != "task_budget":
            chat[f"output_config.{name}"] = value


def _output_format(body: Json, chat: Json) -> None:
    """The name of `output_config.format` while it was in beta."""
    _format(body["output_format"], chat, param="output_format")


def _format(wanted: Any, chat: Json, *, param: str) -> None:
    wire_checks.mapping(wanted, param)
    if wanted.get("type") != "json_schema":
        wrong_value(f"{param}.type", "expected 'json_schema'.")
    schema = wanted.get("schema")
    wire_checks.mapping(schema, f"{param}.schema")
    chat["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": _FORMAT_NAME, "schema": schema, "strict": _is_strict(schema)},
    }


def _is_strict(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes the schema: each object closed, all of its properties required."""
    if isinstance(schema, list):
        return all(_is_strict(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict):
        required = schema.get("required")
        names = (
            {name for name in required if isinstance(name, str)}
            if required.__class__ is list
            else set()
        )
        if schema.get("additionalProperties") is not False or names != set(properties):
            return False
    return all(_is_strict(item) for item in schema.values())


def _tools(body: Json, chat: Json) -> None:
    tools = body["tools"]
    if tools.__class__ is not list:
        wrong_type(tools, "tools", expected="an array of objects")
    written = [_tool(tool, f"tools[{position}]") for position, tool in enumerate(tools)]
    if known := [tool for tool in written if tool is not None]:
        chat["tools"] = known


def _tool(tool: Any, path: str) -> Json | None:
    """
    Return a tool with a schema of its own, which the client runs.

    Anthropic's own have their schema at Anthropic (`messages_native_tools`): one that the client runs is told by its
    name here, and None stands for one that runs there.
    """
    wire_checks.mapping(tool, path)
    kind = tool.get("type")
    if kind is not None:
        wire_checks.text(kind, f"{path}.type")
    if messages_native_tools.is_native(kind):
        if not messages_native_tools.is_run_by_client(kind):
            return None
        return {"type": "function", "function": {"name": str(tool.get("name") or kind)}}
    wire_checks.name(tool.get("name"), f"{path}.name")
    schema = tool.get("input_schema")
    if schema is None:
        missing(f"{path}.input_schema")
    wire_checks.mapping(schema, f"{path}.input_schema")
    function = {"name": tool["name"], "parameters": schema}
    for name in ("description", "strict"):
        if tool.get(name) is not None:
            function[name] = tool[name]
    return {"type": "function", "function": function, **messages_input.mark(tool)}


def _tool_choice(body: Json, chat: Json) -> None:
    """Without tools that a chat knows there is nothing to choose, and OpenAI refuses the mere name."""
    choice = body["tool_choice"]
    wire_checks.mapping(choice, "tool_choice")
    kind = choice.get("type")
    if kind == "tool":
        wire_checks.name(choice.get("name"), "tool_choice.name")
        chosen: Any = {"type": "function", "function": {"name": choice["name"]}}
    elif kind.__class__ is str and kind in _CHOICES:
        chosen = _CHOICES[kind]
    else:
        wrong_value("tool_choice.type", "expected 'auto', 'any', 'tool' or 'none'.")
    if not chat.get("tools") or (kind == "tool" and choice["name"] in _run_by_provider(body)):
        return
    chat["tool_choice"] = chosen
    if choice.get("disable_parallel_tool_use") is not None:
        param = "tool_choice.disable_parallel_tool_use"
        wire_checks.boolean(choice["disable_parallel_tool_use"], param)
        chat["parallel_tool_calls"] = not choice["disable_parallel_tool_use"]


def _run_by_provider(body: Json) -> set[Any]:
    return {tool.get("name") for tool in body["tools"] if _tool(tool, "tools") is None}


# In this order: an effort that is named wins over thinking, but thinking that is switched off over both.
_WRITERS: Final[Mapping[str, Any]] = {
    "model": _same("model"),
    "max_tokens": _same("max_tokens"),
    "stream": _same("stream"),
    "temperature": _temperature,
    "top_p": _same("top_p"),
    "stop_sequences": _stop,
    "metadata": _metadata,
    "service_tier": _service_tier,
    "output_format": _output_format,
    "output_config": _output_config,
    "thinking": _thinking,
    "tools": _tools,
    "tool_choice": _tool_choice,
}
_TRANSLATED: Final = frozenset({"messages", "system", *_WRITERS, *messages_native.KNOWN})
