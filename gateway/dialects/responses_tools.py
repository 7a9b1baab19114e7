"""Tools of the Responses API to chat's: functions, custom tools and namespaces of either. Pure."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from gateway import wire_checks
from gateway.wire_checks import InvalidRequest, missing, wrong_type, wrong_value

Json = dict[str, Any]

_NAME_MAX: Final = 64  # of a function in chat completions
_MODES: Final = wire_checks.choice("none", "auto", "required")
_ALLOWED_MODES: Final = wire_checks.choice("auto", "required")
_DEFINITION: Final = ("description", "parameters", "strict")


@dataclass(slots=True)
class Tools:
    """
    The tools of a request, `chat` and `choice` in chat's form, `echo` as the answer shows them.

    `namespaced` tells of each chat name that stands for a tool in a namespace: the namespace and the tool's
    own name. `left_out` are tools that the model is not told of, fit to be named among ignored parameters.
    """

    chat: list[Json] = field(default_factory=list)
    choice: str | Json | None = None
    echo: list[Json] = field(default_factory=list)
    namespaced: dict[str, tuple[str, str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def read_tools(tools: Any, choice: Any) -> Tools:
    """Return the request's `tools` (a list or None) and `tool_choice`. Raises InvalidRequest."""
    found = Tools()
    if tools is not None and tools.__class__ is not list:
        wrong_type(tools, "tools", expected="an array of objects")
    for position, tool in enumerate(tools or ()):
        _add(found, tool, param=f"tools[{position}]")
    if choice is not None:
        _choose(found, choice)
    if not found.chat and found.choice in ("auto", "none"):
        found.choice = None  # chat completions refuse a choice among no tools
    return found


def chat_name(name: str, namespace: object) -> str:
    """Return the one name that a tool has in chat completions, which know no namespaces."""
    if not isinstance(namespace, str) or not namespace:
        return name
    joined = f"{namespace}__{name}"
    if len(joined) <= _NAME_MAX:
        return joined
    digest = hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{joined[: _NAME_MAX - 9]}_{digest}"


def _add(found: Tools, tool: Any, *, param: str) -> None:
    wire_checks.mapping(tool, param)
    kind = tool.get("type")
    if kind is None:
        missing(f"{param}.type")
    if kind == "web_search" and tool.get("external_web_access") is False:
        # Codex offers this with every request. Without the network it searches nothing that we could pay for.
        found.left_out.append("tools.web_search")
        return
    if kind == "namespace":
        _add_namespace(found, tool, param=param)
    elif kind in ("function", "custom"):
        found.chat.append(_chat_tool(tool, "", param=param))
        found.echo.append(_echo(tool) if kind == "function" else tool)
    else:
        _not_offered(str(kind), param=f"{param}.type")


def _not_offered(kind: str, *, param: str) -> NoReturn:
    raise InvalidRequest(
        f"Unsupported parameter: '{kind[:60]}' tools are not offered: what runs at a provider has a fee that is not "
        "priced yet. Use 'function' or 'custom' tools, which your own code runs.",
        param=param,
        code="unsupported_parameter",
    )


def _add_namespace(found: Tools, tool: Json, *, param: str) -> None:
    wire_checks.name(tool.get("name"), f"{param}.name")
    inner = tool.get("tools")
    if inner.__class__ is not list:
        wrong_type(inner, f"{param}.tools", expected="an array of objects")
    for position, one in enumerate(inner):
        path = f"{param}.tools[{position}]"
        wire_checks.mapping(one, path)
        if one.get("type") not in ("function", "custom"):
            _not_offered(str(one.get("type")), param=f"{path}.type")
        found.chat.append(_chat_tool(one, tool["name"], param=path))
        found.namespaced[chat_name(one["name"], tool["name"])] = (tool["name"], one["name"])
    found.echo.append(tool)


def _chat_tool(tool: Json, namespace: str, *, param: str) -> Json:
    wire_checks.name(tool.get("name"), f"{param}.name")
    definition: Json = {"name": chat_name(tool["name"], namespace)}
    if tool["type"] == "function":
        definition |= {key: tool[key] for key in _DEFINITION if tool.get(key) is not None}
        return {"type": "function", "function": definition}
    if tool.get("description") is not None:
        definition["description"] = tool["description"]
    if tool.get("format") is not None:
        definition["format"] = _chat_format(tool["format"], param=f"{param}.format")
    return {"type": "custom", "custom": definition}


def _chat_format(value: Any, *, param: str) -> Json:
    """A grammar has an object of its own in chat completions."""
    wire_checks.mapping(value, param)
    if value.get("type") != "grammar":
        return {"type": "text"}
    grammar = {name: value.get(name) for name in ("syntax", "definition")}
    return {"type": "grammar", "grammar": grammar}


def _echo(tool: Json) -> Json:
    return {"type": "function", "name": tool["name"], **{key: tool.get(key) for key in _DEFINITION}}


def _choose(found: Tools, choice: Any) -> None:
    if choice.__class__ is str:
        _MODES(choice, "tool_choice")
        found.choice = choice
    elif choice.__class__ is not dict:
        wrong_type(choice, "tool_choice", expected="a string or an object")
    elif choice.get("type") == "allowed_tools":
        # Only OpenAI knows this form; to offer nothing but the allowed ones says the same to every model.
        _ALLOWED_MODES(choice.get("mode"), "tool_choice.mode")
        allowed = set(_allowed(choice.get("tools")))
        found.chat = [tool for tool in found.chat if _name(tool) in allowed]
        found.choice = choice["mode"]
    elif choice.get("type") in ("function", "custom"):
        wire_checks.name(choice.get("name"), "tool_choice.name")
        name = chat_name(choice["name"], choice.get("namespace"))
        found.choice = {"type": choice["type"], choice["type"]: {"name": name}}
    else:
        _not_offered(str(choice.get("type")), param="tool_choice.type")


def _allowed(tools: Any) -> Iterator[str]:
    if tools.__class__ is not list or not tools:
        wrong_value("tool_choice.tools", "expected an array of tools, one at least.")
    for position, tool in enumerate(tools):
        path = f"tool_choice.tools[{position}]"
        wire_checks.mapping(tool, path)
        wire_checks.name(tool.get("name"), f"{path}.name")
        yield chat_name(tool["name"], tool.get("namespace"))


def _name(tool: Mapping[str, Any]) -> object:
    return tool[tool["type"]]["name"]
