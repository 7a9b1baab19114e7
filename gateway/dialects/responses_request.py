"""A request of the Responses API to the body of a chat, and what the answer must tell of it again. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway import wire_checks
from gateway.dialects.responses_input import read_input
from gateway.dialects.responses_tools import Tools, read_tools
from gateway.serializers import EFFORT, VERBOSITY
from gateway.wire_checks import Check, InvalidRequest, missing, wrong_type

Json = dict[str, Any]

_REPLAY: Final = "reasoning.encrypted_content"
_LOGPROBS: Final = "message.output_text.logprobs"
_FORMATS: Final = wire_checks.choice("text", "json_object", "json_schema")
_OUTPUT_TOKENS: Final = wire_checks.integer(1, 2**31 - 1)
_SUMMARY: Final = wire_checks.choice("auto", "concise", "detailed", "none")
_TRUNCATION: Final = wire_checks.choice("auto", "disabled")

# Read here, each by a function of its own.
_OWN: Final = frozenset(
    "input instructions tools tool_choice text reasoning include max_output_tokens max_tool_calls top_logprobs"
    " truncation background stream_options parallel_tool_calls".split()
)
_NOT_STORED: Final = wire_checks.unsupported(
    "Answers are not stored here. Send the whole conversation in 'input'."
)
_REFUSED: Final[Mapping[str, Check]] = {
    "previous_response_id": _NOT_STORED,
    "conversation": _NOT_STORED,
    "prompt": wire_checks.unsupported("Prompts are not stored here. Send the text itself."),
    # Chat parameters of another name in this API: they would act unseen if they were let through.
    "messages": wire_checks.unsupported("Send 'input' instead."),
    "max_tokens": wire_checks.unsupported("Send 'max_output_tokens' instead."),
    "max_completion_tokens": wire_checks.unsupported("Send 'max_output_tokens' instead."),
    "response_format": wire_checks.unsupported("Send 'text.format' instead."),
    "reasoning_effort": wire_checks.unsupported("Send 'reasoning.effort' instead."),
    "verbosity": wire_checks.unsupported("Send 'text.verbosity' instead."),
    "logprobs": wire_checks.unsupported("Send 'top_logprobs' instead."),
    "functions": wire_checks.unsupported("Send 'tools' instead."),
    "function_call": wire_checks.unsupported("Send 'tool_choice' instead."),
    "n": wire_checks.unsupported("A response is one answer. Ask several times, or use chat."),
    "modalities": wire_checks.unsupported("Responses are text only for now."),
    "audio": wire_checks.unsupported("Responses are text only for now."),
    "prediction": wire_checks.unsupported("Predictions are a parameter of chat completions."),
    "web_search_options": wire_checks.unsupported("Searches have a fee that is not priced yet."),
}


@dataclass(slots=True)
class Asked:
    """What a request asked for: the chat to be had, and what the answer needs of the request."""

    chat: Json
    tools: Tools
    echo: Json = field(default_factory=dict)
    model: str = ""
    with_replay: bool = False


def read_request(body: Json) -> Asked:
    """
    Return the request as a chat; unknown fields stay in it, to be named as ignored. Raises InvalidRequest.
    """
    for name, check in _REFUSED.items():
        if body.get(name) is not None:
            check(body[name], name)
    chat = {name: value for name, value in body.items() if name not in _OWN | _REFUSED.keys()}
    tools = read_tools(body.get("tools"), body.get("tool_choice"))
    include = _include(body.get("include"), chat)
    _read_switches(body, chat)
    _read_text(body.get("text"), chat)
    _read_reasoning(body.get("reasoning"), chat)
    _read_limits(body, chat, with_logprobs=_LOGPROBS in include)
    _write_tools(body, tools, chat)
    model = body.get("model")
    chat["messages"] = _messages(body, model=model if isinstance(model, str) else "")
    return Asked(
        chat=chat,
        tools=tools,
        echo=_echo(body, tools),
        model=str(model),
        with_replay=_REPLAY in include,
    )


def _messages(body: Json, *, model: str) -> list[Json]:
    instructions = body.get("instructions")
    if instructions is not None:
        wire_checks.text(instructions, "instructions")
    if body.get("input") is None:
        missing("input")
    return read_input(body["input"], instructions=instructions, model=model)


def _include(value: Any, chat: Json) -> frozenset[str]:
    """Return what to add to the answer; what we have not is named as ignored."""
    if value is None:
        return frozenset()
    if value.__class__ is not list:
        wrong_type(value, "include", expected="an array of strings")
    for position, item in enumerate(value):
        wire_checks.name(item, f"include[{position}]")
        if item not in (_REPLAY, _LOGPROBS):
            chat[f"include.{item}"] = True
    return frozenset(value)


def _read_switches(body: Json, chat: Json) -> None:
    if body.get("background") is not None:
        wire_checks.boolean(body["background"], "background")
        if body["background"]:
            raise InvalidRequest(
                "Unsupported parameter: 'background' is not supported. Wait for the answer, or stream it.",
                param="background",
                code="unsupported_parameter",
            )
    if body.get("truncation") is not None:
        _TRUNCATION(body["truncation"], "truncation")
        if body["truncation"] == "auto":
            chat["truncation"] = True  # named as ignored: nothing is cut out of a conversation here
    if body.get("stream_options") is not None:
        wire_checks.mapping(body["stream_options"], "stream_options")


def _read_text(value: Any, chat: Json) -> None:
    if value is None:
        return
    wire_checks.mapping(value, "text")
    if value.get("verbosity") is not None:
        VERBOSITY(value["verbosity"], "text.verbosity")
        chat["verbosity"] = value["verbosity"]
    if value.get("format") is not None:
        _read_format(value["format"], chat)
    _name_others(value, "text", ("format", "verbosity"), chat)


def _read_format(value: Any, chat: Json) -> None:
    wire_checks.mapping(value, "text.format")
    kind = value.get("type")
    if kind is None:
        missing("text.format.type")
    _FORMATS(kind, "text.format.type")
    if kind == "json_schema":
        wire_checks.name(value.get("name"), "text.format.name")
        wire_checks.mapping(value.get("schema"), "text.format.schema")
        names = ("name", "description", "schema", "strict")
        schema = {name: value[name] for name in names if value.get(name) is not None}
        chat["response_format"] = {"type": kind, kind: schema}
    elif kind == "json_object":
        chat["response_format"] = {"type": kind}


def _read_reasoning(value: Any, chat: Json) -> None:
    """Summaries need no asking here: whatever reasoning a provider shows is passed on."""
    if value is None:
        return
    wire_checks.mapping(value, "reasoning")
    for name in ("summary", "generate_summary"):
        if value.get(name) is not None:
            _SUMMARY(value[name], f"reasoning.{name}")
    if value.get("effort") is not None:
        EFFORT(value["effort"], "reasoning.effort")
        chat["reasoning_effort"] = value["effort"]
    _name_others(value, "reasoning", ("effort", "summary", "generate_summary"), chat)


def _name_others(value: Json, param: str, known: tuple[str, ...], chat: Json) -> None:
    """Let the fields that nobody reads be named as ignored."""
    for name, inner in value.items():
        if name not in known and inner is not None:
            chat[f"{param}.{name}"] = True


def _read_limits(body: Json, chat: Json, *, with_logprobs: bool) -> None:
    for name in ("max_output_tokens", "max_tool_calls"):
        if body.get(name) is not None:
            _OUTPUT_TOKENS(body[name], name)
    if body.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = body["max_output_tokens"]
    top = body.get("top_logprobs")
    if top is not None:
        wire_checks.integer(0, 20)(top, "top_logprobs")
    if with_logprobs or top:
        chat["logprobs"] = True
        chat["top_logprobs"] = top or 0


def _write_tools(body: Json, tools: Tools, chat: Json) -> None:
    parallel = body.get("parallel_tool_calls")
    if parallel is not None:
        wire_checks.boolean(parallel, "parallel_tool_calls")
    chat.update(dict.fromkeys(tools.left_out, True))
    if tools.choice is not None:
        chat["tool_choice"] = tools.choice
    if tools.chat:
        chat["tools"] = tools.chat
        if parallel is not None:
            chat["parallel_tool_calls"] = parallel


def _echo(body: Json, tools: Tools) -> Json:
    """Return the fields of the answer that repeat the request, with OpenAI's defaults."""

    def given(name: str, default: Any) -> Any:
        value = body.get(name)
        return default if value is None else value

    reasoning = given("reasoning", {})
    return {
        "background": False,
        "frequency_penalty": given("frequency_penalty", 0.0),
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "metadata": given("metadata", {}),
        "parallel_tool_calls": given("parallel_tool_calls", True),
        "presence_penalty": given("presence_penalty", 0.0),
        "previous_response_id": None,
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {
            "effort": reasoning.get("effort"),
            "summary": reasoning.get("summary") or reasoning.get("generate_summary"),
        },
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": "default",
        "store": False,
        "temperature": given("temperature", 1.0),
        "text": _echo_text(given("text", {})),
        "tool_choice": given("tool_choice", "auto"),
        "tools": tools.echo,
        "top_logprobs": given("top_logprobs", 0),
        "top_p": given("top_p", 1.0),
        "truncation": "disabled",
        "user": body.get("user"),
    }


def _echo_text(text: Json) -> Json:
    wanted = text.get("format") or {"type": "text"}
    shown: Json = {"format": {"type": wanted["type"]}}
    if wanted["type"] == "json_schema":
        shown["format"] |= {
            "name": wanted["name"],
            "description": wanted.get("description"),
            "schema": wanted["schema"],
            "strict": wanted.get("strict") or False,
        }
    if text.get("verbosity") is not None:
        shown["verbosity"] = text["verbosity"]
    return shown
