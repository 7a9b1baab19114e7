"""
Streams of OpenAI-compatible providers, chunk by chunk. Pure, and the hottest path of the product.

An ordinary chunk is decoded into the few fields that we act on, and its id and model are exchanged in the bytes;
only a chunk that needs repair or carries usage is taken apart and written anew.
"""

from typing import Any, Final, Literal

import msgspec

from gateway.providers import wire_json
from gateway.providers.base import ProviderError, ServeAs
from gateway.providers.chat_stream import CHUNK, ChatStream
from gateway.providers.openai import openai_audio, openai_errors, openai_usage, quirks

_USAGE_NULL: Final = b',"usage":null'


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    index: int
    id: str | None = None
    type: str | None = None
    function: _Function | None = None
    custom: dict[str, Any] | None = None


class _Audio(msgspec.Struct):
    data: str | None = None
    transcript: str | None = None


class _Delta(msgspec.Struct):
    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    audio: _Audio | None = None


class _Choice(msgspec.Struct):
    index: int
    delta: _Delta
    finish_reason: str | None
    usage: Any = msgspec.UNSET


class _Chunk(msgspec.Struct):
    """An ordinary chunk; whatever does not fit takes the slow way."""

    id: str
    object: str
    created: int
    model: str
    choices: list[_Choice]
    error: Any = None
    usage: Any = msgspec.UNSET
    x_groq: Any = None


_DECODER: Final = msgspec.json.Decoder(_Chunk)


class OpenAIStream(ChatStream):
    """One answer of an OpenAI-compatible provider; see `StreamTranslator`."""

    __slots__ = (
        "_by_choice",
        "_early",
        "_ended",
        "_id_ours",
        "_id_theirs",
        "_last_index",
        "_model_ours",
        "_model_theirs",
        "_names",
        "_tools_called",
        "audio_characters",
    )

    def __init__(self, *, serve_as: ServeAs) -> None:
        super().__init__(serve_as=serve_as)
        self.audio_characters = 0
        self._by_choice = openai_usage.UsageByChoice()
        self._tools_called = False
        self._ended: set[int] = set()
        self._last_index = 0
        self._early: dict[str, Any] = {}
        self._names = ("", "")
        self._id_theirs = self._model_theirs = b""
        self._id_ours = b'"id":' + msgspec.json.encode(serve_as.id)
        self._model_ours = b'"model":' + msgspec.json.encode(serve_as.model)

    @property
    def is_complete(self) -> bool:
        """Whether every choice of the answer has ended."""
        return len(self._ended) > self._last_index

    def feed(self, event: bytes, data: bytes) -> list[bytes]:
        """Return the chunks to send for one event of the provider. Raises ProviderError."""
        if data.startswith(b"[DONE]"):
            self.done = True
            return []
        if event == b"error":
            raise openai_errors.error_of(wire_json.decode(data))
        try:
            chunk = _DECODER.decode(data)
        except wire_json.UNREADABLE:
            return self._feed_unusual(data)
        if self._early or not self._is_ordinary(chunk):
            return self._feed_unusual(data)
        relabelled = self._relabelled(chunk, data)
        if relabelled is None:
            return self._feed_unusual(data)
        for choice in chunk.choices:
            self._note(choice)
        return [relabelled]

    def finish(self) -> list[bytes]:
        """Return a last chunk where the provider named no finish reason. Raises ProviderError if cut short."""
        if self.is_complete or (self.done and self.finish_reason):
            return []
        if not self.done:
            raise ProviderError(
                "connection", "The provider's stream ended before its answer was complete."
            )
        if not self.output_text:
            return []
        self.finish_reason = "tool_calls" if self._tools_called else "stop"
        return [self._chunk({}, finish_reason=self.finish_reason)]

    def _is_ordinary(self, chunk: _Chunk) -> bool:
        """Whether the chunk needs nothing but our names."""
        if (
            chunk.object != CHUNK
            or (chunk.usage is not None and chunk.usage is not msgspec.UNSET)
            or chunk.error is not None
            or chunk.x_groq is not None
            or not chunk.created
        ):
            return False
        for choice in chunk.choices:
            reason, calls = choice.finish_reason, choice.delta.tool_calls
            if reason is not None and reason not in quirks.FINISH_REASONS:
                return False
            if choice.usage is not msgspec.UNSET:
                return False
            if calls and any(call.id and not call.type for call in calls):
                return False
            if choice.delta.audio is not None:
                return False
        return bool(chunk.choices)

    def _relabelled(self, chunk: _Chunk, data: bytes) -> bytes | None:
        """
        Return the chunk with our id and model, or None where bytes alone cannot tell.

        Quotes inside JSON strings are escaped, so that what is found is a key with its value; found exactly
        once, it is the chunk's own.
        """
        if (chunk.id, chunk.model) != self._names:
            self._learn(chunk)
        if data.count(self._id_theirs) != 1 or data.count(self._model_theirs) != 1:
            return None
        data = data.replace(self._id_theirs, self._id_ours)
        data = data.replace(self._model_theirs, self._model_ours)
        if chunk.usage is msgspec.UNSET:
            is_wanted = self._serve_as.include_usage
            return data.rstrip()[:-1] + _USAGE_NULL + b"}" if is_wanted else data
        if self._serve_as.include_usage:
            return data
        return data.replace(_USAGE_NULL, b"") if data.count(_USAGE_NULL) == 1 else None

    def _learn(self, chunk: _Chunk) -> None:
        self._names = (chunk.id, chunk.model)
        self.upstream_id = self.upstream_id or chunk.id
        self._id_theirs = b'"id":' + msgspec.json.encode(chunk.id)
        self._model_theirs = b'"model":' + msgspec.json.encode(chunk.model)

    def _note(self, choice: _Choice) -> None:
        """Remember what was delivered, and how it ended."""
        delta = choice.delta
        if delta.content:
            self.output_text.append(delta.content)
        if not delta.content or delta.tool_calls or delta.reasoning or delta.reasoning_content:
            self._note_unseen(delta)
        if delta.audio is not None:
            self._note_audio(delta.audio)
        if choice.index > self._last_index:
            self._last_index = choice.index
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
            self._ended.add(choice.index)

    def _note_unseen(self, delta: _Delta) -> None:
        """Remember output that is not the answer's text; reasoning sent under two names counts once."""
        text = self.output_text
        if reasoning := delta.reasoning_content or delta.reasoning:
            text.append(reasoning)
        elif delta.reasoning_details:
            text.extend(str(part.get("text") or "") for part in delta.reasoning_details)
        if delta.refusal:
            text.append(delta.refusal)
        for call in delta.tool_calls or ():
            self._note_function(call.function)
            if call.custom:
                text.extend(str(call.custom.get(name) or "") for name in ("name", "input"))
        self._note_function(delta.function_call)

    def _note_audio(self, audio: _Audio) -> None:
        """Remember what was spoken: its words, and how much sound; sound alone is output, too."""
        if audio.data or audio.transcript:
            self.output_text.append(audio.transcript or "")
            self.audio_characters += len(audio.data or "")

    def _note_function(self, function: _Function | None) -> None:
        if function is None:
            return
        self._tools_called = True
        self.output_text.extend(part for part in (function.name, function.arguments) if part)

    def _feed_unusual(self, data: bytes) -> list[bytes]:
        """Take a chunk apart: usage is held back, quirks are repaired, and it is written anew."""
        chunk = wire_json.decode(data)
        if chunk.get("error"):
            raise openai_errors.error_of(chunk)
        self.upstream_id = self.upstream_id or str(chunk.get("id") or "")
        usage = chunk.pop("usage", None)
        choices = chunk.get("choices")
        self._read_usage(usage or quirks.usage_in_x_groq(chunk), chunk)
        if not choices:
            # Azure begins with the results of its filter alone. Clients that want a choice in each chunk get them
            # with the first one that has any.
            if usage is None:
                self._early.update(chunk)
            return []
        if self._early:
            chunk, self._early = {**self._early, **chunk}, {}
        chunk["choices"] = [
            self._repaired(choice, position=position)
            for position, choice in enumerate(choices or ())
            if isinstance(choice, dict)
        ]
        if self._serve_as.include_usage:
            chunk["usage"] = None
        return [wire_json.encode(self._labelled(chunk))]

    def _read_usage(self, raw: object, chunk: dict[str, Any]) -> None:
        """
        Take the usage of a chunk: the provider's last word that tells something holds.

        Moonshot puts it into the choices (https://github.com/earendil-works/pi/issues/2017), each with its own output.
        """
        if not isinstance(raw, dict):
            raw = self._by_choice.read(chunk.get("choices"))
        if not isinstance(raw, dict):
            return
        usage = openai_usage.read_usage(raw, service_tier=chunk.get("service_tier"))
        if usage is None or (self.usage is not None and openai_usage.is_silent(usage)):
            return
        self.usage = usage
        self.usage_extra = openai_usage.extra_usage(raw)

    def _repaired(self, choice: dict[str, Any], *, position: int) -> dict[str, Any]:
        if not isinstance(choice.get("index"), int):
            choice["index"] = position
        delta = choice.get("delta")
        delta = choice["delta"] = delta if isinstance(delta, dict) else {}
        quirks.repair_message(delta)
        if delta.get("role") is not None:
            delta["role"] = "assistant"
        openai_audio.relabel_delta(delta, serve_as=self._serve_as, index=choice["index"])
        quirks.number_tool_calls(delta)
        reason = choice.setdefault("finish_reason", None)
        if reason in quirks.FAILED_REASONS:
            raise ProviderError("server", "The provider broke off its answer.", code=str(reason))
        if isinstance(reason, str):
            choice["finish_reason"] = quirks.finish_reason(reason) or None
        try:
            self._note(msgspec.convert(choice, _Choice))
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            raise ProviderError(
                "bad_answer", f"The provider's chunk is malformed: {error}."
            ) from None
        return choice

    def _labelled(self, chunk: dict[str, Any]) -> dict[str, Any]:
        created = chunk.get("created")
        return {
            **chunk,
            **self._head(),
            "created": created if isinstance(created, int) and created else self._serve_as.created,
        }
