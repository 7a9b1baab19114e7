"""
Anthropic's Messages API over chats: requests in, messages and their event streams out. Pure.

Sources: https://platform.claude.com/docs/en/api/messages, .../build-with-claude/streaming and .../api/errors (read
2026-11).
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from billing.types import TokenUsage
from gateway import errors
from gateway.dialects import messages_relay
from gateway.dialects.messages_blocks import Blocks, Collected
from gateway.dialects.messages_request import read_request
from gateway.dialects.responses_reasoning import PLAIN
from gateway.errors import ApiError
from gateway.providers import wire_json
from gateway.providers.anthropic.anthropic_reasoning import FORMAT
from gateway.providers.base import ServeAs
from gateway.providers.openai import openai_usage
from gateway.wire_money import usd_number

Json = dict[str, Any]

_PREFIX: Final = "msg_"
_REASONS: Final[Mapping[str, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_OWN_REASONS: Final = frozenset(
    {
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
    }
)
_ERROR_TYPES: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'


# What Anthropic's SDK goes on without (`lib/threads` of 2.12): its tool runner sends whole conversations then.
_THREAD: Final = "thread"
_NO_THREADS: Final[Json] = {"error_code": "thread_unsupported_request", "unsupported": [_THREAD]}


def error_body(error: ApiError, *, request_id: str) -> Json:
    """Return the JSON body of an error in Anthropic's envelope, with our code and link beside its own fields."""
    known: Json = errors.body(error, request_id=request_id)["error"]
    known.pop("request_id")
    kind = _ERROR_TYPES.get(error.status, "invalid_request_error")
    if error.param == _THREAD:
        known["details"] = _NO_THREADS
    return {"type": "error", "error": {**known, "type": kind}, "request_id": request_id}


class MessagesDialect:
    """See `Dialect`. `count_input` tells about how many tokens the prompt has, for the start of a stream."""

    id_prefix = _PREFIX
    chunk_object = ""

    def __init__(self) -> None:
        self.count_input: Callable[[], int] = lambda: 0

    def chat_body(self, body: Json) -> Json:
        """Return the request as a chat. Raises InvalidRequest."""
        return read_request(body)

    def whole(self, answer: Json, *, cost_nanousd: int) -> Json:
        """Return the chat completion as a message."""
        usage = openai_usage.read_usage(answer.get("usage") or {}) or TokenUsage()
        if theirs := messages_relay.take(answer):
            return messages_relay.whole(
                theirs,
                public_id=answer["id"],
                model=answer["model"],
                counted=_usage(usage, cost_nanousd=None),
                cost=usd_number(cost_nanousd),
            )
        collected = Collected()
        blocks = Blocks(
            model=answer["model"],
            request_id=answer["id"].removeprefix(_PREFIX),
            tell=collected.tell,
        )
        choice: Json = next(iter(answer.get("choices") or ()), {})
        message = choice.get("message") or {}
        explanation = _explanation(choice, message)
        for delta in _in_order(message):
            blocks.add(delta)
        blocks.finish()
        return {
            **_begun(answer["id"], answer["model"]),
            "content": collected.content,
            **_ending(choice, blocks, explanation=explanation),
            "usage": _usage(usage, cost_nanousd=cost_nanousd),
        }

    def stream(self, serve_as: ServeAs) -> "MessagesWriter":
        """Return the writer of one streamed answer."""
        return MessagesWriter(serve_as, count_input=self.count_input)


class MessagesWriter:
    """See `StreamWriter`."""

    def __init__(self, serve_as: ServeAs, *, count_input: Callable[[], int]) -> None:
        self._serve_as = serve_as
        self._count_input = count_input
        self._pending: list[bytes] = []
        self._relay: messages_relay.Relay | None = None
        self._began = False
        self._choice: Json = {}
        self._explanation: str | None = None
        self._blocks = Blocks(
            model=serve_as.model, request_id=serve_as.id.removeprefix(_PREFIX), tell=self._tell
        )

    def events(self, chunks: list[bytes]) -> bytes:
        """Return the events that the chunks stand for."""
        if self._relay is not None or (chunks and messages_relay.is_native(chunks[0])):
            return self._relayed(chunks)
        self._begin()
        for chunk in chunks:
            for choice in wire_json.decode(chunk).get("choices") or ():
                if choice.get("index", 0) == 0:
                    self._add(choice)
        return self._taken()

    def end(self, usage: TokenUsage | None, *, extra: dict[str, Any], cost_nanousd: int) -> bytes:
        """Return what ends the answer; its usage is cumulative and final."""
        if self._relay is not None:
            return self._relay.end(
                _usage(usage or TokenUsage(), cost_nanousd=None),
                cost=usd_number(cost_nanousd),
                extra={name: extra[name] for name in ("exerati",) if name in extra},
            )
        self._begin()
        self._blocks.finish()
        ending = _ending(self._choice, self._blocks, explanation=self._explanation)
        told = _usage(usage or TokenUsage(), cost_nanousd=cost_nanousd)
        if "exerati" in extra:
            told["exerati"] = extra["exerati"]
        self._tell("message_delta", delta=ending, usage=told)
        self._tell("message_stop")
        return self._taken()

    def error(self, error: ApiError, *, request_id: str) -> bytes:
        """Return the event at which the SDKs raise."""
        return _event(error_body(error, request_id=request_id))

    def _relayed(self, chunks: list[bytes]) -> bytes:
        """Return Anthropic's own events; a chunk of a chat between them is our own stop."""
        if self._relay is None:
            self._relay = messages_relay.Relay(self._serve_as)
        relay = self._relay
        return b"".join(
            relay.event(chunk) if messages_relay.is_native(chunk) else relay.cut()
            for chunk in chunks
        )

    def _begin(self) -> None:
        if self._began:
            return
        self._began = True
        usage = TokenUsage(input_tokens=self._count_input(), output_tokens=0)
        message = {
            **_begun(self._serve_as.id, self._serve_as.model),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": _usage(usage, cost_nanousd=None),
        }
        self._tell("message_start", message=message)
        self._pending.append(_PING)

    def _add(self, choice: Json) -> None:
        delta = choice.get("delta") or {}
        if choice.get("finish_reason"):
            self._choice = choice
            self._explanation = _explanation(choice, delta)
        self._blocks.add(delta)

    def _tell(self, kind: str, **fields: Any) -> None:
        self._pending.append(_event({"type": kind, **fields}))

    def _taken(self) -> bytes:
        data = b"".join(self._pending)
        self._pending.clear()
        return data


def _event(payload: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (payload["type"].encode(), wire_json.encode(payload))


def _begun(public_id: str, model: str) -> Json:
    return {"id": public_id, "type": "message", "role": "assistant", "model": model}


def _in_order(message: Json) -> Iterator[Json]:
    """
    Yield a whole message in the order in which it was said, as deltas.

    Without another word that is thinking, text, tools; Claude's `reasoning_details` name other places, by the
    characters and tool calls before them.
    """
    content = message.get("content") or ""
    details = message.get("reasoning_details") or []
    calls = message.get("tool_calls") or []
    placed = [
        entry for entry in details if entry.get("after_characters") or entry.get("after_tool_calls")
    ]
    plain = () if any(entry.get("format") == FORMAT for entry in details) else PLAIN
    rest: Json = {name: message[name] for name in (*plain, "extra_content") if name in message}
    yield {**rest, "reasoning_details": [entry for entry in details if entry not in placed]}
    said = called = 0
    for entry in placed:
        upto = max(said, entry.get("after_characters") or 0)
        yield {"content": content[said:upto]}
        said = upto
        for number in range(called, min(entry.get("after_tool_calls") or 0, len(calls))):
            yield {"content": content[said:], "tool_calls": [{**calls[number], "index": number}]}
            said, called = len(content), number + 1
        yield {"reasoning_details": [entry]}
    yield {"content": content[said:], "refusal": message.get("refusal")}
    for number, call in itertools.islice(enumerate(calls), called, None):
        yield {"tool_calls": [{**call, "index": number}]}


def _explanation(choice: Json, said: Json) -> str | None:
    """Take the refusal out of what was said where it is the provider's word about it, not the model's answer."""
    if choice.get("native_finish_reason") != "refusal":
        return None
    explanation: str | None = said.pop("refusal", None)
    return explanation


def _ending(choice: Json, blocks: Blocks, *, explanation: str | None) -> Json:
    """Return why the answer ended."""
    native, reason = choice.get("native_finish_reason"), choice.get("finish_reason")
    if native in _OWN_REASONS:
        stop_reason = native
    elif blocks.refused:
        stop_reason = "refusal"
    elif blocks.tools_called and reason in (None, "stop"):
        stop_reason = "tool_use"
    else:
        stop_reason = _REASONS.get(reason or "stop", "end_turn")
    ending: Json = {"stop_reason": stop_reason, "stop_sequence": choice.get("stop_sequence")}
    if explanation is not None:
        ending["stop_details"] = {
            "type": "refusal",
            "category": None,
            "explanation": explanation,
        }
    return ending


def _usage(usage: TokenUsage, *, cost_nanousd: int | None) -> Json:
    """Return Anthropic's `usage`, whose `input_tokens` leave out what was read from or written to a cache."""
    written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    told: Json = {
        "input_tokens": usage.input_tokens - usage.cache_read_tokens - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
        "service_tier": "standard",
    }
    return told if cost_nanousd is None else {**told, "cost": usd_number(cost_nanousd)}
