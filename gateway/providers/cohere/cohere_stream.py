"""
Streams of Cohere as OpenAI's chunks. Pure, and on the hot path.

https://docs.cohere.com/docs/streaming (read 2026-11): content parts, the plan before tool calls and the calls come
piece by piece, citations whole; these go out with the last chunk. `message-end` has the reason and the usage.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gateway.providers import wire_json
from gateway.providers.base import ProviderError, ServeAs
from gateway.providers.chat_stream import ChatStream
from gateway.providers.cohere import cohere_answer, cohere_usage

Json = dict[str, Any]


class _Content(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: _Content | list[Json] | None = None
    tool_plan: str | None = None
    tool_calls: _Call | list[Json] | None = None
    citations: Json | list[Json] | None = None


class _Delta(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None
    error: str | None = None
    usage: Json | None = None


class _Event(msgspec.Struct):
    type: str = ""
    id: str | None = None
    index: int = 0
    delta: _Delta | None = None
    message: str | None = None


_DECODER: Final = msgspec.json.Decoder(_Event)


class CohereStream(ChatStream):
    """One answer of Cohere's; see `StreamTranslator`."""

    def __init__(self, *, serve_as: ServeAs) -> None:
        super().__init__(serve_as=serve_as)
        self._calls = 0
        self._said_arguments = False
        self._thoughts: dict[int, int] = {}
        self._citations: list[Json] = []
        self._events: Mapping[str, Callable[[_Event, _Message], list[bytes]]] = {
            "message-start": self._start,
            "content-start": self._content,
            "content-delta": self._content,
            "tool-plan-delta": self._plan,
            "tool-call-start": self._call_start,
            "tool-call-delta": self._call_delta,
            "tool-call-end": self._call_end,
            "citation-start": self._citation,
        }

    @property
    def is_complete(self) -> bool:
        """Whether the answer is all there."""
        return bool(self.finish_reason)

    def feed(self, event: bytes, data: bytes) -> list[bytes]:
        """Return the chunks to send for one event of the provider. Raises ProviderError."""
        if data.startswith(b"[DONE]"):
            self.done = True
            return []
        if self.done:
            return []  # a repeated end
        decoded = _decode(data)
        delta = decoded.delta
        if decoded.type == "message-end":
            return self._end(delta or _Delta())
        handle = self._events.get(decoded.type)
        if handle is not None:
            return handle(decoded, (delta and delta.message) or _Message())
        if not decoded.type and decoded.message:
            raise ProviderError("server", "The provider broke off its answer.")
        return []

    def finish(self) -> list[bytes]:
        """Raise ProviderError where the stream was cut short."""
        if not self.finish_reason:
            raise ProviderError(
                "connection", "The provider's stream ended before its answer was complete."
            )
        return []

    def _start(self, event: _Event, message: _Message) -> list[bytes]:
        self.upstream_id = event.id or ""
        return [self._chunk({"role": "assistant", "content": ""})]

    def _content(self, event: _Event, message: _Message) -> list[bytes]:
        content = message.content
        if not isinstance(content, _Content):
            return []
        if content.type not in (None, "text", "thinking"):
            cohere_answer.content_kind({"type": content.type})
        if content.thinking:
            return [self._thinking(event.index, content.thinking)]
        return [self._text(content.text)] if content.text else []

    def _plan(self, event: _Event, message: _Message) -> list[bytes]:
        return [self._text(message.tool_plan)] if message.tool_plan else []

    def _text(self, text: str) -> bytes:
        self.output_text.append(text)
        return self._chunk({"content": text})

    def _thinking(self, place: int, text: str) -> bytes:
        """Constant fields stand in a thought's first piece only, as SDKs add up what is text."""
        self.output_text.append(text)
        number = self._thoughts.get(place)
        if number is None:
            number = self._thoughts[place] = len(self._thoughts)
            entry = cohere_answer.detail(text, index=number)
        else:
            entry = {"type": "reasoning.text", "text": text, "index": number}
        return self._chunk({"reasoning_content": text, "reasoning_details": [entry]})

    def _call_start(self, event: _Event, message: _Message) -> list[bytes]:
        call = message.tool_calls
        if not isinstance(call, _Call) or call.function is None:
            raise cohere_answer.malformed()
        self._calls += 1
        name, arguments = call.function.name or "", call.function.arguments or ""
        self._said_arguments = bool(arguments)
        self.output_text += (name, arguments)
        told = {
            "index": self._calls - 1,
            "id": call.id,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        return [self._chunk({"tool_calls": [told]})]

    def _call_delta(self, event: _Event, message: _Message) -> list[bytes]:
        call = message.tool_calls
        piece = call.function.arguments if isinstance(call, _Call) and call.function else None
        if not piece or (piece == "null" and not self._said_arguments):
            return []
        return [self._arguments(piece)]

    def _call_end(self, event: _Event, message: _Message) -> list[bytes]:
        """A tool without parameters gets no arguments, or `null`, which are no object."""
        return [] if self._said_arguments else [self._arguments("{}")]

    def _arguments(self, piece: str) -> bytes:
        self._said_arguments = True
        self.output_text.append(piece)
        call = {"index": self._calls - 1, "function": {"arguments": piece}}
        return self._chunk({"tool_calls": [call]})

    def _citation(self, event: _Event, message: _Message) -> list[bytes]:
        if isinstance(message.citations, dict):
            self._citations.append(message.citations)
        return []

    def _end(self, delta: _Delta) -> list[bytes]:
        self.done = True
        raw = delta.usage or {}
        self.usage = cohere_usage.read_usage(raw)
        self.usage_extra = cohere_usage.extra_usage(raw)
        ending = cohere_answer.ending(delta.finish_reason, tools_called=bool(self._calls))
        self.finish_reason = ending["finish_reason"]
        told = {"citations": self._citations} if self._citations else {}
        return [self._chunk(told, **ending)]


def _decode(data: bytes) -> _Event:
    try:
        return _DECODER.decode(data)
    except wire_json.UNREADABLE:
        pass
    try:
        return msgspec.convert(wire_json.decode(data), _Event)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise ProviderError("bad_answer", f"The provider's event is malformed: {error}.") from None
