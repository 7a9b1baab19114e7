"""
Where OpenAI-compatible providers differ from OpenAI: one small named function each. Pure.

Request quirks are switched on by name (the `quirks` of a provider); answer quirks show themselves in the answer
and need no switch. Facts were read from recorded traffic and the providers' references in autumn 2026.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gateway import vocabulary
from gateway.providers.base import ProviderError

Body = dict[str, Any]

NO_OUTPUT_BOUND: Final = "no_output_bound"
FINISH_REASONS: Final = frozenset(
    {"stop", "length", "tool_calls", "content_filter", "function_call"}
)
# Reasons outside OpenAI's list, which strict clients refuse: Together and TGI (eos), vLLM (abort), Mistral
# (model_length), Z.ai (sensitive), Anthropic's words through proxies.
_FINISH_WORDS: Final[Mapping[str, str]] = {
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "sensitive": "content_filter",
    "refusal": "content_filter",
    "tool_use": "tool_calls",
}
# Reasons that mean the answer broke off: OpenRouter, DeepSeek, Z.ai, vLLM.
FAILED_REASONS: Final = frozenset(
    {"error", "insufficient_system_resource", "network_error", "abort"}
)


def write_max_tokens_only(body: Body) -> None:
    """Mistral, DeepSeek, Together, Ollama and others know `max_tokens`, not `max_completion_tokens`."""
    if "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")


def write_system_for_developer(body: Body) -> None:
    """The role `developer` is OpenAI's own; elsewhere it is refused or left out of the prompt."""
    messages = body["messages"]
    if any(message.get("role") == "developer" for message in messages):
        body["messages"] = [
            {**message, "role": "system"} if message.get("role") == "developer" else message
            for message in messages
        ]


# Anthropic's, Google's and OpenRouter's extensions of messages, their parts, tools and tool calls.
_EXTENSIONS: Final = frozenset(
    {"cache_control", "reasoning_details", "extra_content", "provider_blocks"}
)


def write_without_extensions(body: Body) -> None:
    """
    OpenAI and others refuse fields they do not know with 400. Clients that also speak to Claude or Gemini send
    `cache_control` with every request and give signatures back; only OpenRouter (quirk `keeps_extensions`) takes them.
    """
    body["messages"] = [_plain_message(message) for message in body["messages"]]
    if "tools" in body:
        body["tools"] = [_without_extensions(tool) for tool in body["tools"]]


def _plain_message(message: Body) -> Body:
    plain = _without_extensions(message)
    for name in ("content", "tool_calls"):
        entries = plain.get(name)
        if isinstance(entries, list) and any(
            not _EXTENSIONS.isdisjoint(entry) for entry in entries
        ):
            plain = {**plain, name: [_without_extensions(entry) for entry in entries]}
    return plain


def _without_extensions(entry: Body) -> Body:
    if _EXTENSIONS.isdisjoint(entry):
        return entry
    return {name: value for name, value in entry.items() if name not in _EXTENSIONS}


def write_no_stream_options(body: Body) -> None:
    """Mistral refuses unknown fields with 422 and sends usage unasked."""
    body.pop("stream_options", None)


def write_texts_for_tokens(body: Body) -> None:
    """
    Only OpenAI and its equals take arrays of tokens as input; clients that send them cut by cl100k_base.

    Raises ProviderError for a token that the vocabulary has not.
    """
    inputs = body["input"]
    if isinstance(inputs, str):
        return
    if isinstance(inputs[0], int):
        inputs = [inputs]
    body["input"] = [item if isinstance(item, str) else _decoded(item) for item in inputs]


def _decoded(tokens: list[int]) -> str:
    try:
        return vocabulary.encoding("cl100k_base").decode(tokens)
    except (KeyError, OverflowError):
        raise ProviderError(
            "bad_request", "The input has a token that cl100k_base has not.", sent=False
        ) from None


def write_no_output_bound(body: Body) -> None:
    """Some servers refuse every limit of output; the relay then watches the output itself (`gateway.money_stop`)."""
    body.pop("max_completion_tokens", None)
    body.pop("max_tokens", None)


EMBEDDINGS_QUIRKS: Final[Mapping[str, Callable[[Body], None]]] = {
    "no_token_inputs": write_texts_for_tokens,
}
CHAT_QUIRKS: Final[Mapping[str, Callable[[Body], None]]] = {
    "max_tokens_only": write_max_tokens_only,
    "no_developer_role": write_system_for_developer,
    "no_stream_options": write_no_stream_options,
    NO_OUTPUT_BOUND: write_no_output_bound,
}


def finish_reason(reason: str) -> str:
    """Return OpenAI's word for a finish reason; a word that nobody knows stays as it is, what is no word is none."""
    if not (reason.isascii() and reason.isprintable()):
        return "stop"
    return _FINISH_WORDS.get(reason, reason)


def repair_message(message: Body) -> None:
    """Bring a message or delta into OpenAI's form, in place."""
    if isinstance(message.get("content"), list):
        split_thinking(message)
    tool_calls = message.get("tool_calls")
    if isinstance(tool_calls, list):
        for call in tool_calls:
            if isinstance(call, dict):
                repair_tool_call(call)


def split_thinking(message: Body) -> None:
    """
    Mistral's reasoning models send content as parts; OpenAI's clients want a string.

    Text goes to `content`, thinking to `reasoning_content` (DeepSeek's field, which most clients read); parts of
    another kind (references) stay whole in `content_parts`.
    """
    parts = [part for part in message["content"] if isinstance(part, dict)]
    text = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    thinking = [_thinking_text(part) for part in parts if part.get("type") == "thinking"]
    if any(part.get("type") not in ("text", "thinking") for part in parts):
        message["content_parts"] = message["content"]
    message["content"] = "".join(text) if text or not thinking else None
    if thinking:
        message["reasoning_content"] = "".join(thinking)


def _thinking_text(part: Body) -> str:
    inner = part.get("thinking")
    if isinstance(inner, list):
        return "".join(item.get("text") or "" for item in inner if isinstance(item, dict))
    return inner if isinstance(inner, str) else ""


def repair_tool_call(call: Body) -> None:
    """Mistral leaves out `type`, and clients know two; older Ollama sends `arguments` as an object."""
    if call.get("id") and call.get("type") not in ("function", "custom"):
        call["type"] = "custom" if call.get("custom") else "function"
    function = call.get("function")
    if isinstance(function, dict) and isinstance(function.get("arguments"), dict | list):
        function["arguments"] = msgspec.json.encode(function["arguments"]).decode()


def number_tool_calls(delta: Body) -> None:
    """Mistral sends whole tool calls in one delta without `index`, which clients join pieces by."""
    for position, call in enumerate(delta.get("tool_calls") or ()):
        if isinstance(call, dict) and not isinstance(call.get("index"), int):
            call["index"] = position


def usage_in_x_groq(chunk: Body) -> Body | None:
    """Groq puts a stream's usage under `x_groq` (https://console.groq.com/docs/api-reference)."""
    x_groq = chunk.get("x_groq")
    usage = x_groq.get("usage") if isinstance(x_groq, dict) else None
    return usage if isinstance(usage, dict) else None
