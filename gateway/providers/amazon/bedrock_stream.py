"""
Streams of ConverseStream as OpenAI's chunks. Pure, and on the hot path.

The events are Anthropic's in other words (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html,
read 2026-11), so that their meaning is told by `AnthropicStream`. Blocks of text and thinking begin unannounced, and
usage comes after the end.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gateway.providers import wire_json
from gateway.providers.amazon import bedrock_answer, bedrock_errors, bedrock_frames, bedrock_usage
from gateway.providers.anthropic import anthropic_usage
from gateway.providers.anthropic.anthropic_stream import AnthropicStream, Delta, Event
from gateway.providers.base import ProviderError, ServeAs

Json = dict[str, Any]


class _Input(msgspec.Struct):
    input: str = ""


class _Reasoning(msgspec.Struct, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Delta(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_use: _Input | None = None
    reasoning_content: _Reasoning | None = None
    citation: Json | None = None
    tool_result: list[Json] | None = None


class _Event(msgspec.Struct, rename="camel"):
    """Every event of the API; what we do not act on (`p` is padding) is not decoded."""

    content_block_index: int = 0
    start: Json | None = None
    delta: _Delta | None = None
    stop_reason: str | None = None
    additional_model_response_fields: Json | None = None
    usage: Json | None = None


_DECODER: Final = msgspec.json.Decoder(_Event)


class BedrockStream(AnthropicStream):
    """One answer of Bedrock's; see `StreamTranslator`."""

    def __init__(self, *, serve_as: ServeAs) -> None:
        super().__init__(serve_as=serve_as)
        self._results: dict[int, Json] = {}
        self._converse: Mapping[bytes, Callable[[_Event], list[bytes]]] = {
            b"messageStart": lambda event: self._message_start(Event(type="message_start")),
            b"contentBlockStart": self._start,
            b"contentBlockDelta": self._fill,
            b"contentBlockStop": self._stop,
            b"messageStop": self._end,
            b"metadata": self._metadata,
        }

    def feed(self, event: bytes, data: bytes) -> list[bytes]:
        """Return the chunks to send for one event of the provider. Raises ProviderError."""
        if bedrock_frames.is_failure(event):
            raise bedrock_errors.streamed(event.decode("latin-1"), data)
        handle = self._converse.get(event)
        if handle is None or (self.finish_reason and event != b"metadata"):
            return []
        try:
            decoded = _DECODER.decode(data)
        except wire_json.UNREADABLE:
            decoded = _decode_unusual(data)
        return handle(decoded)

    def _start(self, event: _Event) -> list[bytes]:
        start, index = event.start or {}, event.content_block_index
        if isinstance(raw := start.get("toolUse"), dict):
            return self._begin(index, bedrock_answer.tool_use(raw))
        if isinstance(raw := start.get("toolResult"), dict):
            self._results[index] = bedrock_answer.tool_result(raw)
            return self._begin(index, self._results[index])
        if start:
            raise ProviderError(
                "bad_answer", "The provider's answer has content of an unknown kind."
            )
        return []  # text, as its first delta shows

    def _begin(self, index: int, block: Json) -> list[bytes]:
        return self._block_start(Event(type="", index=index, content_block=block))

    def _fill(self, event: _Event) -> list[bytes]:
        delta, index = event.delta, event.content_block_index
        if delta is None:
            return []
        if delta.text is not None:
            return self._put(index, {"type": "text"}, Delta(type="text_delta", text=delta.text))
        if delta.tool_use is not None:
            piece = Delta(type="input_json_delta", partial_json=delta.tool_use.input)
            return self._put(index, None, piece)
        if delta.reasoning_content is not None:
            return self._think(index, delta.reasoning_content)
        if delta.citation is not None:
            source = bedrock_answer.citation(delta.citation)
            return self._put(
                index, {"type": "text"}, Delta(type="citations_delta", citation=source)
            )
        if delta.tool_result is not None and index in self._results:
            self._results[index]["content"] = [
                *self._results[index]["content"],
                *delta.tool_result,
            ]
        return []

    def _think(self, index: int, thought: _Reasoning) -> list[bytes]:
        if thought.redacted_content is not None:
            return self._begin(index, bedrock_answer.redacted(thought.redacted_content))
        begin = {"type": "thinking"}
        if thought.signature is not None:
            return self._put(
                index, begin, Delta(type="signature_delta", signature=thought.signature)
            )
        return self._put(index, begin, Delta(type="thinking_delta", thinking=thought.text))

    def _put(self, index: int, begin: Json | None, delta: Delta) -> list[bytes]:
        """Fill a block, which begins now if it has not yet."""
        begun = [] if begin is None or index in self._blocks else self._begin(index, begin)
        return begun + self._block_delta(Event(type="", index=index, delta=delta))

    def _stop(self, event: _Event) -> list[bytes]:
        return self._block_stop(Event(type="", index=event.content_block_index))

    def _end(self, event: _Event) -> list[bytes]:
        bedrock_answer.check_reason(event.stop_reason)
        more = event.additional_model_response_fields or {}
        stop_sequence = more.get("stop_sequence")
        delta = Delta(
            stop_reason=event.stop_reason or "end_turn",
            stop_sequence=stop_sequence if isinstance(stop_sequence, str) else None,
        )
        return self._message_delta(Event(type="", delta=delta))

    def _metadata(self, event: _Event) -> list[bytes]:
        """The last event; the trace of a guardrail in it names our configuration, so it stays here."""
        self.done = True
        if event.usage:
            raw = bedrock_usage.as_anthropic(event.usage)
            self.usage = anthropic_usage.read_usage(raw)
            self.usage_extra = bedrock_usage.extra_usage(event.usage)
        return []


def _decode_unusual(data: bytes) -> _Event:
    try:
        return msgspec.convert(wire_json.decode(data), _Event)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise ProviderError("bad_answer", f"The provider's event is malformed: {error}.") from None
