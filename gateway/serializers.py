"""
Request bodies of /v1: what we act on is checked, what OpenAI knows is passed on, the rest is set aside.

The checks are written by hand, not as DRF serializers: an ordinary body takes a few microseconds here and about
300 there, and every value must go on exactly as it came. A parameter that could raise the price in a way we do
not price is refused, never passed on.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from gateway import chat_messages, spoken, wire_checks
from gateway.provider_tools import NO_TOOLS, ProviderTools
from gateway.providers.anthropic.anthropic_native import Native
from gateway.wire_checks import Check, missing, unsupported_value, wrong_type, wrong_value

MAX_N: Final = 128
MAX_EMBEDDING_INPUTS: Final = 2_048
_MAX_TOKENS: Final = 2**31 - 1
_HEADER_SAFE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_IGNORED_NAMES: Final = 20


@dataclass(frozen=True, slots=True)
class ChatLimits:
    """The most that one chat request may hold."""

    max_messages: int = 5_000
    max_tools: int = 512


class ChatCall(msgspec.Struct, frozen=True):
    """
    A checked chat request.

    `body` holds only known fields, as the customer sent them, without what we answer for ourselves (model,
    stream, store, metadata, service_tier); the output limit stands in it as `max_completion_tokens`, whichever
    of its two names was used. `service_tier` is the one asked for by its own name, empty for the ordinary one.
    `ignored` are the names of unknown fields, fit for a header. `native` is the same request in Anthropic's own
    format, checked, for where that is spoken; `tools_run` what tools that a provider runs itself may add.
    """

    model: str
    body: dict[str, Any]
    stream: bool = False
    include_usage: bool = False
    n: int = 1
    max_output_tokens: int | None = None
    service_tier: str = ""
    metadata: Mapping[str, str] = msgspec.field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    native: Native | None = None
    tools_run: ProviderTools = NO_TOOLS


@dataclass(frozen=True, slots=True)
class EmbeddingsCall:
    """A checked embeddings request; each input is a text or the tokens of one."""

    model: str
    body: dict[str, Any]
    inputs: tuple[str | list[int], ...]
    encoding_format: str = "float"
    dimensions: int | None = None
    ignored: tuple[str, ...] = ()


def parse_chat(body: dict[str, Any], *, limits: ChatLimits) -> ChatCall:
    """Return the checked call of POST /v1/chat/completions. Raises InvalidRequest."""
    known, ignored = checked_fields(body, _CHAT_CHECKS)
    for name in ("model", "messages"):
        if name not in known:
            missing(name)
    chat_messages.check(known["messages"], max_messages=limits.max_messages)
    if "tools" in known or "functions" in known:
        _check_tools(known, limits=limits)
    options = known.get("stream_options")
    stream = known.pop("stream", False)
    if options is not None and not stream:
        wrong_value("stream_options", "it is only allowed when 'stream' is true.")
    max_output_tokens = _take_max_output(known)
    known.pop("store", None)
    if known.get("top_logprobs") and not known.get("logprobs"):
        wrong_value("top_logprobs", "it is only allowed when 'logprobs' is true.")
    if spoken.is_wanted(known) and "audio" not in known:
        missing("audio")
    if "audio" in known and not spoken.is_wanted(known):
        del known["audio"]  # how to speak, where nothing is spoken
        ignored += ("audio",)
    return ChatCall(
        model=known.pop("model"),
        body=known,
        stream=stream,
        include_usage=options is not None and options.get("include_usage") is True,
        n=known.get("n", 1),
        max_output_tokens=max_output_tokens,
        service_tier=_SERVICE_TIERS[known.pop("service_tier", "auto")],
        metadata=known.pop("metadata", None) or {},
        ignored=ignored,
    )


def parse_embeddings(body: dict[str, Any]) -> EmbeddingsCall:
    """Return the checked call of POST /v1/embeddings. Raises InvalidRequest."""
    known, ignored = checked_fields(body, _EMBEDDINGS_CHECKS)
    for name in ("model", "input"):
        if name not in known:
            missing(name)
    return EmbeddingsCall(
        model=known.pop("model"),
        body=known,
        inputs=_embedding_inputs(known["input"]),
        encoding_format=known.get("encoding_format", "float"),
        dimensions=known.get("dimensions"),
        ignored=ignored,
    )


def checked_fields(
    body: dict[str, Any], checks: Mapping[str, Check]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the known fields that were given (null means not given) and the names of the others."""
    known: dict[str, Any] = {}
    unknown: list[str] = []
    for name, value in body.items():
        check = checks.get(name)
        if check is None:
            unknown.append(name)
        elif value is not None:
            check(value, name)
            known[name] = value
    return known, header_names(unknown) if unknown else ()


def header_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of fields that nobody knows, fit for a header."""
    safe = [name if _HEADER_SAFE.fullmatch(name) else "?" for name in names]
    return tuple(dict.fromkeys(safe))[:_MAX_IGNORED_NAMES]


def _take_max_output(known: dict[str, Any]) -> int | None:
    """Leave one name for the output limit; of two different values the smaller one binds."""
    old = known.pop("max_tokens", None)
    new = known.get("max_completion_tokens")
    if old is not None:
        known["max_completion_tokens"] = new = old if new is None else min(old, new)
    return new


def _messages(value: Any, param: str) -> None:
    """Messages are checked by `chat_messages`, which needs the limits."""


def _service_tier(value: Any, param: str) -> None:
    wire_checks.text(value, param)
    if value not in _SERVICE_TIERS:
        known = ", ".join(f"'{name}'" for name in _SERVICE_TIERS)
        unsupported_value(param, f"'{value[:60]}' is not offered. Use one of {known}.")


def _store(value: Any, param: str) -> None:
    wire_checks.boolean(value, param)
    if value:
        unsupported_value(param, "answers are not stored here. Leave it out or send false.")


def _stop(value: Any, param: str) -> None:
    if value.__class__ is str:
        return
    if value.__class__ is not list:
        wrong_type(value, param, expected="a string or an array of strings")
    if len(value) > 16:
        wrong_value(param, f"expected at most 16 sequences, but got {len(value)}.")
    for position, item in enumerate(value):
        wire_checks.text(item, f"{param}[{position}]")


def _logit_bias(value: Any, param: str) -> None:
    wire_checks.mapping(value, param)
    for token, bias in value.items():
        if not (token.isascii() and token.isdecimal()):
            wrong_value(param, f"expected numbers of tokens as names, but got '{token[:60]}'.")
        _BIAS(bias, f"{param}.{token[:20]}")


def _stream_options(value: Any, param: str) -> None:
    wire_checks.mapping(value, param)
    for name in ("include_usage", "include_obfuscation"):
        if value.get(name) is not None:
            wire_checks.boolean(value[name], f"{param}.{name}")
    for name in value:
        if name not in ("include_usage", "include_obfuscation"):
            wrong_value(param, f"'{name[:60]}' is unknown. Send 'include_usage' only.")


def _response_format(value: Any, param: str) -> None:
    wire_checks.mapping(value, param)
    kind = value.get("type")
    if kind is None:
        missing(f"{param}.type")
    _FORMAT_TYPE(kind, f"{param}.type")
    if kind == "json_schema":
        wire_checks.mapping(value.get("json_schema"), f"{param}.json_schema")
        wire_checks.text(value["json_schema"].get("name"), f"{param}.json_schema.name")


def _tool_choice(value: Any, param: str) -> None:
    if value.__class__ is str:
        _TOOL_CHOICE(value, param)
    elif value.__class__ is not dict:
        wrong_type(value, param, expected="a string or an object")


def _function_call(value: Any, param: str) -> None:
    if value.__class__ is dict:
        wire_checks.name(value.get("name"), f"{param}.name")
    else:
        _FUNCTION_CALL(value, param)


def _list(value: Any, param: str) -> None:
    if value.__class__ is not list:
        wrong_type(value, param, expected="an array of objects")


def _check_tools(known: dict[str, Any], *, limits: ChatLimits) -> None:
    """Only tools that the customer's own code runs: a provider's tool would cost a fee per use."""
    for name in ("tools", "functions"):
        tools = known.get(name, ())
        if len(tools) > limits.max_tools:
            wrong_value(name, f"expected at most {limits.max_tools} tools, but got {len(tools)}.")
        for position, tool in enumerate(tools):
            path = f"{name}[{position}]"
            wire_checks.mapping(tool, path)
            if name == "tools":
                tool, path = _tool_definition(tool, path)
            wire_checks.name(tool.get("name"), f"{path}.name")


def _tool_definition(tool: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    kind = tool.get("type")
    if kind is None:
        missing(f"{path}.type")
    if kind not in ("function", "custom"):
        unsupported_value(
            f"{path}.type", f"'{str(kind)[:60]}' tools are not offered. Use 'function' or 'custom'."
        )
    definition: Any = tool.get(kind)
    wire_checks.mapping(definition, f"{path}.{kind}")
    return definition, f"{path}.{kind}"


def _prediction(value: Any, param: str) -> None:
    wire_checks.mapping(value, param)
    if value.get("type") != "content":
        wrong_value(f"{param}.type", "expected 'content'.")
    if value.get("content").__class__ not in (str, list):
        wrong_type(value.get("content"), f"{param}.content", expected="a string or an array")


def _metadata(value: Any, param: str) -> None:
    wire_checks.mapping(value, param)
    if len(value) > 16:
        wrong_value(param, f"expected at most 16 pairs, but got {len(value)}.")
    for key, item in value.items():
        if len(key) > 64 or "\x00" in key:
            wrong_value(param, "keys have at most 64 characters, without NUL.")
        wire_checks.text(item, f"{param}.{key[:64]}")
        if len(item) > 512 or "\x00" in item:
            wrong_value(f"{param}.{key}", "values have at most 512 characters, without NUL.")


def _input(value: Any, param: str) -> None:
    """Inputs are checked by `_embedding_inputs`, which also takes them apart."""


def _embedding_inputs(value: Any) -> tuple[str | list[int], ...]:
    """Return the texts or token arrays of `input`: one of either, or a list of either."""
    if value == "":
        wrong_value("input", "the text is empty. Send at least one character.")
    if value.__class__ is str:
        value = [value]
    if value.__class__ is not list:
        wrong_type(value, "input", expected="a string, an array of strings, or arrays of tokens")
    if value and value[0].__class__ is int:
        _check_tokens(value, "input")
        return (value,)
    if not 0 < len(value) <= MAX_EMBEDDING_INPUTS:
        wrong_value("input", f"expected 1 to {MAX_EMBEDDING_INPUTS} inputs, but got {len(value)}.")
    for position, item in enumerate(value):
        if item.__class__ is str and item:
            continue
        if item == "":
            wrong_value(f"input[{position}]", "the text is empty. Send at least one character.")
        if item.__class__ is not list or not item:
            wrong_type(
                item, f"input[{position}]", expected="a string or a non-empty array of tokens"
            )
        _check_tokens(item, f"input[{position}]")
    return tuple(value)


def _check_tokens(tokens: list[Any], param: str) -> None:
    for token in tokens:
        if token.__class__ is not int or not 0 <= token < 2**32:
            wrong_type(token, param, expected="token numbers, which are integers of 0 or more")


_FORMAT_TYPE: Final = wire_checks.choice("text", "json_object", "json_schema")
_TOOL_CHOICE: Final = wire_checks.choice("none", "auto", "required")
_FUNCTION_CALL: Final = wire_checks.choice("none", "auto")
# `fast` is the new name of `priority`, which answers go on to use; `auto` is what our accounts are set to.
_SERVICE_TIERS: Final = {
    "auto": "",
    "default": "",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
}
_PENALTY: Final = wire_checks.number(-2, 2)
_BIAS: Final = wire_checks.number(-100, 100)
EFFORT: Final = wire_checks.choice("none", "minimal", "low", "medium", "high", "xhigh", "max")
VERBOSITY: Final = wire_checks.choice("low", "medium", "high")
_OUTPUT_TOKENS: Final = wire_checks.integer(1, _MAX_TOKENS)

# Every parameter of CreateChatCompletionRequest in OpenAI's specification 2.3.0 (2026-08-21).
_CHAT_CHECKS: Final[Mapping[str, Check]] = {
    "model": wire_checks.name,
    "messages": _messages,
    "stream": wire_checks.boolean,
    "stream_options": _stream_options,
    "max_tokens": _OUTPUT_TOKENS,
    "max_completion_tokens": _OUTPUT_TOKENS,
    "temperature": wire_checks.number(0, 2),
    "top_p": wire_checks.number(0, 1),
    "n": wire_checks.integer(1, MAX_N),
    "stop": _stop,
    "frequency_penalty": _PENALTY,
    "presence_penalty": _PENALTY,
    "logit_bias": _logit_bias,
    "logprobs": wire_checks.boolean,
    "top_logprobs": wire_checks.integer(0, 20),
    "seed": wire_checks.integer(-(2**63), 2**63 - 1),
    "response_format": _response_format,
    "tools": _list,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": wire_checks.boolean,
    "functions": _list,
    "function_call": _function_call,
    "reasoning_effort": EFFORT,
    "verbosity": VERBOSITY,
    "prediction": _prediction,
    "modalities": spoken.modalities,
    "user": wire_checks.name,
    "safety_identifier": wire_checks.name,
    "prompt_cache_key": wire_checks.name,
    "prompt_cache_retention": wire_checks.choice("in_memory", "in-memory", "24h"),
    "prompt_cache_options": wire_checks.mapping,
    "metadata": _metadata,
    "store": _store,
    "service_tier": _service_tier,
    "audio": spoken.audio,
    "web_search_options": wire_checks.unsupported("Searches have a fee that is not priced yet."),
    "moderation": wire_checks.unsupported("Moderate with a call of its own."),
}
CHAT_FIELDS: Final = frozenset(_CHAT_CHECKS)

_EMBEDDINGS_CHECKS: Final[Mapping[str, Check]] = {
    "model": wire_checks.name,
    "input": _input,
    "encoding_format": wire_checks.choice("float", "base64"),
    "dimensions": wire_checks.integer(1, 65_536),
    "user": wire_checks.name,
}
