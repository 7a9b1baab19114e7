"""
The most tokens a call may use, for its reservation; and counts, where a provider reported none. Pure.

Bounds come from bytes: a token of a byte-level vocabulary is at least one byte, and an unknown character of a
SentencePiece vocabulary falls back to one token a byte. They are bounds for every provider, not estimates.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from billing.types import TokenBound
from gateway import media_bounds, provider_tools, spoken, vocabulary
from gateway.media_bounds import MediaBound
from gateway.serializers import ChatCall, EmbeddingsCall

# Templates add a preamble (gpt-oss about 70 tokens, some Mistral models about 130), role marks to each message,
# and a system text where there are tools (650 tokens for Llama 4 in recorded traffic, up to 804 for Claude by its
# own table, https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview, read 2026-11) or a schema for
# the answer (Claude gives no figure; its texts for tools are longer). The bytes of each message's own JSON,
# `{"role":"user","content":""}`, are counted besides.
_PER_CALL: Final = 256
_PER_MESSAGE: Final = 8
_FOR_TOOLS: Final = 1_024
_FOR_FORMAT: Final = 512
_PER_INPUT: Final = 8
_TIGHT_MARGIN: Final = 32
_TIGHT_FOR_TOOLS: Final = 256

_CONTEXT_MARGIN: Final = 128  # for the preamble that a template adds to the counted prompt
# Asked for even where the prompt seems to fill the context: the provider decides.
_OUTPUT_MIN: Final = 16
_OUTPUT_DEFAULT: Final = 4_096  # where neither the model's maximum nor its context is known

_SYSTEM_TEXTS: Final = (
    ("tools", _FOR_TOOLS),
    ("functions", _FOR_TOOLS),
    ("response_format", _FOR_FORMAT),
)
_NO_MEDIA: Final = MediaBound()
_MARK: Final = b'"cache_control"'
_LIFE: Final = b'"ttl"'

_encode: Final = msgspec.json.Encoder().encode


def chat_bound(
    call: ChatCall,
    *,
    model: str = "",
    context_tokens: int | None,
    max_output_tokens: int | None,
    key_max_output_tokens: int | None,
) -> TokenBound:
    """
    Return the most tokens the call may use; output is that of all choices.

    `model` is the public name of the one that may serve, if not the one asked for; `context_tokens` and
    `max_output_tokens` are its own, None where unknown. The output bound holds only
    if the request is sent as `bounded_body` writes it. Tools that the provider runs make `input_tokens` those of all
    prompts together; raises `provider_tools.Unbounded` where nothing bounds them.
    """
    prompt = _prompt_bound(call, model=model or call.model)
    input_bytes = prompt.tokens
    limits = (call.max_output_tokens, key_max_output_tokens, max_output_tokens or context_tokens)
    wanted = min((limit for limit in limits if limit is not None), default=_OUTPUT_DEFAULT)
    if context_tokens is not None:
        wanted = _fitting(call, wanted, input_bytes=input_bytes, context_tokens=context_tokens)
        input_bytes = min(input_bytes, context_tokens)
    input_bytes = provider_tools.prompt_bound(
        call.tools_run,
        input_tokens=input_bytes,
        output_tokens=wanted,
        context_tokens=context_tokens,
    )
    prediction = call.body.get("prediction")
    if prediction is not None:
        # OpenAI refuses an output limit beside a prediction, and bills its rejected tokens as output.
        wanted = (max_output_tokens or context_tokens or wanted) + _json_bound(prediction)
    return TokenBound(
        input_tokens=input_bytes,
        output_tokens=call.n * wanted,
        seconds=prompt.media.seconds,
        searches=call.tools_run.searches,
        cache_write_5m_tokens=None if prompt.is_cached else 0,
        cache_write_1h_tokens=None if prompt.is_cached_for_an_hour else 0,
        audio_input_tokens=prompt.media.audio_tokens,
        image_input_tokens=prompt.media.image_tokens,
        audio_output_tokens=None if spoken.is_wanted(call.body) else 0,
        image_output_tokens=0,
    )


def bounded_body(call: ChatCall, bound: TokenBound) -> dict[str, Any]:
    """Return the body to send, with the output bound of each choice and the service tier in it."""
    body = {**call.body, "max_completion_tokens": bound.output_tokens // call.n}
    if "prediction" in body:
        del body["max_completion_tokens"]
    if call.service_tier:
        body["service_tier"] = call.service_tier
    return body


def tighten(bound: TokenBound, *, call: ChatCall, model: str) -> TokenBound:
    """
    Return the bound with its input counted by the model's vocabulary plus a tenth.

    Holds for OpenAI's own models, and for text only (a test compares recorded counts); a call with images,
    audio, files, or reasoning of earlier turns, which may be encrypted, keeps its bound. Costs about 0.2 µs a byte.
    """
    messages = call.body["messages"]
    if _media_parts(messages) or any("reasoning_details" in message for message in messages):
        return bound
    counted = _counted_input(call, model=model)
    tight = counted + counted // 10 + _TIGHT_MARGIN + (_TIGHT_FOR_TOOLS if _has_tools(call) else 0)
    return replace(bound, input_tokens=min(bound.input_tokens, tight))


def embeddings_bound(call: EmbeddingsCall, *, context_tokens: int | None) -> TokenBound:
    """Return the most tokens of all inputs together, each at most the model's context."""
    sizes = (_input_size(item, model=call.model) + _PER_INPUT for item in call.inputs)
    if context_tokens is not None:
        sizes = (min(size, context_tokens) for size in sizes)
    return TokenBound(input_tokens=sum(sizes))


def count_text(text: str, *, model: str) -> int:
    """Return how many tokens a delivered text is; half surrogate pairs, which some providers send, count too."""
    try:
        return vocabulary.count_tokens(text, model=model)
    except UnicodeEncodeError:
        clean = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return vocabulary.count_tokens(clean, model=model)


def count_chat(call: ChatCall, *, model: str) -> int:
    """Return about how many input tokens the call is, where its provider reported no usage."""
    media = media_bounds.estimate(_media_parts(call.body["messages"]), model=call.model)
    return _counted_input(call, model=model) + media


def count_inputs(call: EmbeddingsCall, *, model: str) -> int:
    """Return about how many tokens the inputs are, where the provider reported no usage."""
    return sum(
        count_text(item, model=model) if isinstance(item, str) else len(item)
        for item in call.inputs
    )


def _fitting(call: ChatCall, wanted: int, *, input_bytes: int, context_tokens: int) -> int:
    """
    Return the output bound that leaves room for the prompt: many servers refuse prompt + maximum > context.

    By bytes where that is enough; the prompt is counted only where bytes would take away what the customer
    asked for, or more than half of the model's maximum.
    """
    room = context_tokens - input_bytes
    if wanted <= room:
        return wanted
    if call.max_output_tokens is not None or room < wanted // 2:
        margin = _CONTEXT_MARGIN + (_FOR_TOOLS if _has_tools(call) else 0)
        room = context_tokens - count_chat(call, model=call.model) - margin
    return min(wanted, max(_OUTPUT_MIN, room))


def _input_size(item: str | list[int], *, model: str) -> int:
    """Tokens are OpenAI's own; for another model they may be decoded, and are then bound by their bytes."""
    if isinstance(item, str):
        return _text_bound(item)
    if model.rpartition("/")[2].startswith("text-embedding-"):
        return len(item)
    try:
        return len(vocabulary.encoding("cl100k_base").decode_bytes(item))
    except (KeyError, OverflowError):
        return len(item)  # the provider will refuse it


def _has_tools(call: ChatCall) -> bool:
    return "tools" in call.body or "functions" in call.body


class _Prompt(NamedTuple):
    """The most that a prompt may be, before the model's context limits it, and whether it may go to a cache."""

    tokens: int
    media: MediaBound
    is_cached: bool
    is_cached_for_an_hour: bool


def _prompt_bound(call: ChatCall, *, model: str) -> _Prompt:
    body = call.body
    messages = body["messages"]
    total = _PER_CALL + _PER_MESSAGE * len(messages) + call.tools_run.prompt_tokens
    parts = _media_parts(messages)
    media = media_bounds.bound(parts, model=model) if parts else _NO_MEDIA
    if parts:
        messages = [_without_media(message) for message in messages]
    texts = [_encode(messages)]
    for name, extra in _SYSTEM_TEXTS:
        if name in body:
            total += extra
            texts.append(_encode(body[name]))
    for text in texts:
        total += vocabulary.bytes_bound(text)
    marks = [mark for part in parts if (mark := part.get("cache_control"))]
    if call.native is not None:
        marks += call.native.marks
    return _Prompt(total + media.tokens, media, *_cache_writes(model, texts, marks))


def _cache_writes(model: str, texts: list[bytes], marks: list[Any]) -> tuple[bool, bool]:
    """
    Return whether the prompt may be written to a cache, and whether for an hour.

    Claude writes only what is marked, and for an hour only what says so
    (https://platform.claude.com/docs/en/build-with-claude/prompt-caching, read 2026-11); others write unasked,
    and have one life. A text that only speaks of marks makes the bound larger than need be, no more.
    """
    if marks:
        texts = [*texts, _MARK, _encode(marks)]
    is_marked = is_long = False
    for text in texts:
        is_marked = is_marked or _MARK in text
        is_long = is_long or _LIFE in text
    return is_marked or not model.rpartition("/")[2].startswith("claude"), is_long


def _json_bound(value: object) -> int:
    """JSON in UTF-8 has at least the bytes of all texts in it: escapes only lengthen."""
    return vocabulary.bytes_bound(_encode(value))


def _text_bound(text: str) -> int:
    return len(text) if text.isascii() else vocabulary.bytes_bound(text.encode())


def _media_parts(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        part
        for message in messages
        if (content := message.get("content")).__class__ is list
        for part in content
        if part.get("type") in media_bounds.KINDS
    ]


def _without_media(message: Mapping[str, Any]) -> Mapping[str, Any]:
    content = message.get("content")
    if content.__class__ is not list:
        return message
    return {
        **message,
        "content": [part for part in content if part.get("type") not in media_bounds.KINDS],
    }


def _counted_input(call: ChatCall, *, model: str) -> int:
    """
    Return the tokens of all text by vocabulary, 4 more a message and 3 for the answer's start.

    The constants are OpenAI's (https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken).
    """
    messages = call.body["messages"]
    texts = [text for message in messages for text in _texts(_without_media(message))]
    for name in ("tools", "functions", "response_format"):
        if name in call.body:
            texts.append(_encode(call.body[name]).decode())
    return count_text("\n".join(texts), model=model) + 4 * len(messages) + 3


def _texts(value: Any) -> Iterable[str]:
    """Yield every string in a JSON value, but not the names of its fields."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
