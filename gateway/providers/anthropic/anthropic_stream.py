"""
Streams of Anthropic's Messages API as OpenAI's chunks. Pure, and on the hot path.

Content comes in numbered blocks, each started, filled and stopped
(https://platform.claude.com/docs/en/build-with-claude/streaming, read 2026-11). Text, thinking and tool calls
become deltas at once; what OpenAI has no form for goes out whole, with the last chunk.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from billing.types import TokenUsage
from gateway.providers import wire_json
from gateway.providers.anthropic import (
    anthropic_answer,
    anthropic_errors,
    anthropic_reasoning,
    anthropic_usage,
)
from gateway.providers.anthropic.anthropic_readings import Readings
from gateway.providers.base import ProviderError, ServeAs
from gateway.providers.chat_stream import ChatStream

Json = dict[str, Any]

_encode: Final = msgspec.json.Encoder().encode


class Delta(msgspec.Struct):
    """What an event adds to a block or to the message."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: Json | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Json | None = None


class Event(msgspec.Struct):
    """Every event of the API; what we do not act on is not decoded."""

    type: str
    index: int = 0
    delta: Delta | None = None
    content_block: Json | None = None
    message: Json | None = None
    usage: Json | None = None


DECODER: Final = msgspec.json.Decoder(Event)
AFTER_END: Final = frozenset({"message_delta", "message_stop"})  # usage may follow the last chunk
_SEARCH: Final = "web_search"
_RESULT: Final = "_tool_result"
_CHARACTERS_PER_TOKEN: Final = 4
_TEXTS: Final = ("text", "thinking", "signature", "data", "id", "name")


class _Block:
    """An open content block: how it began, its kind and number among these, and what came since."""

    __slots__ = ("begin", "citations", "kind", "number", "pieces", "raw")

    def __init__(self, raw: Json, *, kind: str, number: int, begin: int) -> None:
        self.raw = raw
        self.kind = kind
        self.number = number
        self.begin = begin
        self.pieces: list[str] = []
        self.citations: list[Json] = []


class AnthropicStream(ChatStream):
    """One answer of Anthropic's; see `StreamTranslator`."""

    def __init__(self, *, serve_as: ServeAs) -> None:
        super().__init__(serve_as=serve_as)
        self.searches = 0  # begun by the provider's own tool, each with a fee
        self.prompt: TokenUsage | None = None  # as far as the start tells
        self.readings = Readings()
        self.counted_tokens = 0  # of output that is no longer in `output_text`
        self._usage: Json = {}
        self._blocks: dict[int, _Block] = {}
        self._counts: dict[str, int] = {}
        # Lists without a place for an index go out once: official SDKs fail when they have to join such.
        self._at_end: Json = {}
        self._characters = 0
        self._began = False
        self._before, self._after = self._text_frame()
        self._events: Mapping[str, Callable[[Event], list[bytes]]] = {
            "message_start": self._message_start,
            "content_block_start": self._block_start,
            "content_block_delta": self._block_delta,
            "content_block_stop": self._block_stop,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
        }
        self._deltas: Mapping[str, Callable[[_Block, Delta], list[bytes]]] = {
            "text_delta": self._text,
            "thinking_delta": self._thinking,
            "signature_delta": self._signature,
            "input_json_delta": self._input,
            "citations_delta": self._citation,
        }

    @property
    def is_complete(self) -> bool:
        """Whether the answer is all there."""
        return bool(self.finish_reason)

    def feed(self, event: bytes, data: bytes) -> list[bytes]:
        """Return the chunks to send for one event of the provider. Raises ProviderError."""
        decoded = self._decoded(data)
        if decoded.type == "error" or event == b"error":
            raise anthropic_errors.error_of(wire_json.decode(data))
        if self.is_repeated(decoded):
            return []
        handle = self._events.get(decoded.type)
        return handle(decoded) if handle is not None else []  # ping, and what is new

    def _decoded(self, data: bytes) -> Event:
        try:
            return DECODER.decode(data)
        except wire_json.UNREADABLE:
            return _decode_unusual(data)

    def is_repeated(self, event: Event) -> bool:
        """Whether an event comes when all has been said."""
        return bool(self.finish_reason) and event.type not in AFTER_END

    def finish(self) -> list[bytes]:
        """Return a last chunk where the provider named no reason to stop. Raises ProviderError if cut short."""
        if self.finish_reason:
            return []
        if not self.done:
            raise ProviderError(
                "connection", "The provider's stream ended before its answer was complete."
            )
        return [self._last(None)] if self._counts else []

    def _message_start(self, event: Event) -> list[bytes]:
        """A proxy may send the start twice; one in the middle of an answer belongs to another answer."""
        if self._counts:
            raise ProviderError("bad_answer", "The provider's stream began again in its middle.")
        message = event.message or {}
        self.upstream_id = str(message.get("id") or "")
        self._usage = _mapping(message.get("usage"))
        self.prompt = anthropic_usage.read_prompt(self._usage)
        if self._began:
            return []
        self._began = True
        return [self._chunk({"role": "assistant", "content": ""})]

    def _block_start(self, event: Event) -> list[bytes]:
        raw = event.content_block or {}
        kind = self._kind(raw)
        if any(not isinstance(raw.get(name, ""), str | None) for name in _TEXTS):
            raise ProviderError("bad_answer", "The provider's block has values of wrong types.")
        number = self._counts.get(kind, 0)
        self._counts[kind] = number + 1
        block = _Block(raw, kind=kind, number=number, begin=self._characters)
        self._blocks[event.index] = block
        if kind == "provider" and str(raw["type"]).endswith(_RESULT):
            said = "".join(self.output_text)
            said_tokens = self.counted_tokens + len(said) // _CHARACTERS_PER_TOKEN
            self.readings.result(raw, said_tokens=said_tokens)
            return []
        self.readings.said()
        if kind == "reasoning":
            return [self._reasoning_start(block)]
        if kind == "tool_use":
            return [self._tool_start(block)]
        if kind == "provider":
            self._provider_start(raw)
        if text := raw.get("text"):
            return self._text(block, Delta(text=text))
        return []

    def _kind(self, raw: Json) -> str:
        return anthropic_answer.known_kind(raw)

    def _provider_start(self, raw: Json) -> None:
        """A call of the provider's own tool is output that the model made, though chats have no form for it."""
        if raw["type"] == "server_tool_use":
            self.output_text.append(str(raw.get("name") or ""))
            self.searches += raw.get("name") == _SEARCH

    def _reasoning_start(self, block: _Block) -> bytes:
        detail = anthropic_reasoning.detail(
            block.raw,
            index=block.number,
            characters=self._characters,
            tool_calls=self._counts.get("tool_use", 0),
        )
        delta: Json = {"reasoning_details": [detail]}
        if text := block.raw.get("thinking"):
            self.output_text.append(text)
            delta["reasoning_content"] = text
        return self._chunk(delta)

    def _tool_start(self, block: _Block) -> bytes:
        name = str(block.raw.get("name") or "")
        self.output_text.append(name)
        call = {
            "index": block.number,
            "id": block.raw.get("id"),
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        return self._chunk({"tool_calls": [call]})

    def _block_delta(self, event: Event) -> list[bytes]:
        delta = event.delta
        block = self._blocks.get(event.index)
        if delta is None or block is None:
            raise ProviderError("bad_answer", "The provider's stream fills a block it never began.")
        handle = self._deltas.get(delta.type)
        return handle(block, delta) if handle is not None else []

    def _text(self, block: _Block, delta: Delta) -> list[bytes]:
        text = delta.text or ""
        if not text:
            return []
        self.output_text.append(text)
        self._characters += len(text)
        return [b"".join((self._before, b'"content":', _json(text), self._after))]

    def _thinking(self, block: _Block, delta: Delta) -> list[bytes]:
        text = delta.thinking or ""
        if not text:
            return []
        self.output_text.append(text)
        detail = {"type": "reasoning.text", "text": text, "index": block.number}
        return [self._chunk({"reasoning_content": text, "reasoning_details": [detail]})]

    def _signature(self, block: _Block, delta: Delta) -> list[bytes]:
        detail = {"type": "reasoning.text", "signature": delta.signature, "index": block.number}
        return [self._chunk({"reasoning_details": [detail]})]

    def _input(self, block: _Block, delta: Delta) -> list[bytes]:
        piece = delta.partial_json or ""
        if not piece:
            return []
        block.pieces.append(piece)
        if block.kind != "tool_use":
            self.output_text.append(piece)
            return []
        return [self._arguments(block, piece)]

    def _arguments(self, block: _Block, piece: str) -> bytes:
        self.output_text.append(piece)
        call = {"index": block.number, "function": {"arguments": piece}}
        return self._chunk({"tool_calls": [call]})

    def _citation(self, block: _Block, delta: Delta) -> list[bytes]:
        if delta.citation is not None:
            block.citations.append(delta.citation)
        return []

    def _block_stop(self, event: Event) -> list[bytes]:
        block = self._blocks.pop(event.index, None)
        if block is None:
            return []
        if block.kind == "provider":
            anthropic_answer.extend(self._at_end, {"provider_blocks": [_completed(block)]})
        if block.citations:
            sources = anthropic_answer.cited(
                block.citations, start=block.begin, end=self._characters
            )
            anthropic_answer.extend(self._at_end, sources)
        if block.kind == "tool_use" and not block.pieces:
            # A tool without parameters gets no input at all, which is not JSON.
            return [self._arguments(block, _dumped(block.raw.get("input")))]
        return []

    def _message_delta(self, event: Event) -> list[bytes]:
        """Usage here is cumulative and final; what it leaves out stood in `message_start`."""
        if event.usage:
            self._usage = anthropic_usage.merged(self._usage, event.usage)
            if anthropic_usage.is_final(event.usage):
                self.usage = anthropic_usage.read_usage(self._usage)
            self.usage_extra = anthropic_usage.extra_usage(self._usage)
        if event.delta is None or event.delta.stop_reason is None or self.finish_reason:
            return []
        return [self._last(event.delta)]

    def _message_stop(self, event: Event) -> list[bytes]:
        self.done = True
        return []

    def _last(self, delta: Delta | None) -> bytes:
        """Return the chunk with the finish reason."""
        reason = delta.stop_reason if delta else None
        ending = anthropic_answer.ending(
            reason,
            stop_sequence=delta.stop_sequence if delta else None,
            tools_called="tool_use" in self._counts,
        )
        self.finish_reason = ending["finish_reason"]
        refusal = anthropic_answer.refusal(reason, delta.stop_details if delta else None)
        told = {"refusal": refusal} if refusal else {}
        return self._chunk({**self._at_end, **told}, **ending)

    def _text_frame(self) -> tuple[bytes, bytes]:
        """Return what stands before and after the text in a chunk of nothing but text, the common case."""
        usage = b',"usage":null' if self._serve_as.include_usage else b""
        return (
            _encode(self._head())[:-1] + b',"choices":[{"index":0,"delta":{',
            b'},"finish_reason":null}]' + usage + b"}",
        )


def _json(text: str) -> bytes:
    """Return a JSON string; half surrogate pairs, which UTF-8 cannot hold, stay escaped."""
    try:
        return _encode(text)
    except UnicodeEncodeError:
        return wire_json.encode({"": text})[4:-1]


def _decode_unusual(data: bytes) -> Event:
    try:
        return msgspec.convert(wire_json.decode(data), Event)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise ProviderError("bad_answer", f"The provider's event is malformed: {error}.") from None


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _dumped(value: object) -> str:
    return wire_json.encode(_mapping(value)).decode()


def _completed(block: _Block) -> Json:
    """Return a block of the provider's own tools with its input, as text where that was broken off."""
    if not block.pieces:
        return block.raw
    text = "".join(block.pieces)
    try:
        return {**block.raw, "input": wire_json.decode(text.encode())}
    except ProviderError:
        return {**block.raw, "input": text}
