"""
The content blocks of one answer, made from what a chat says, in order: thinking, text and tool calls. Pure.

One writer for whole and streamed answers, so that both say the same: it tells the events of a stream, and what they
add up to. A thinking block of Claude's keeps its signature; what any other model wants to see again is packed
into the signature of the block, or into a `redacted_thinking` block where there is nothing to read.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from gateway.dialects.responses_reasoning import PLAIN, Replay
from gateway.providers.anthropic.anthropic_reasoning import FORMAT

Json = dict[str, Any]
Tell = Callable[..., None]  # (event type, **fields)

_OPEN_TEXT: Final = "text"
_OPEN_THINKING: Final = "thinking"


class _Call:
    """A tool call: its block's number (None until its name is known), and its arguments so far."""

    __slots__ = ("arguments", "id", "is_open", "name", "number")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.number: int | None = None
        self.arguments = ""
        self.is_open = False


class Blocks:
    """The blocks of one answer. `tell` hears of each event."""

    def __init__(self, *, model: str, request_id: str, tell: Tell) -> None:
        self.count = 0
        self.refused = False
        self._tell = tell
        self._request_id = request_id
        self._open = ""
        self._calls: dict[int, _Call] = {}
        self._replay = Replay(model=model)
        self._native: Any = None  # the index of the thinking block of Claude's that is open
        self._signature = ""

    @property
    def tools_called(self) -> bool:
        """Whether there is a tool call."""
        return bool(self._calls)

    def add(self, delta: Json) -> None:
        """Take a delta of a stream, or a part of a whole message."""
        if not self._add_native(delta):
            self._add_plain(delta)
        if text := delta.get("content"):
            self._text(text)
        if text := delta.get("refusal"):
            self.refused = True
            self._text(text)
        for call in delta.get("tool_calls") or ():
            self._call(call)

    def finish(self) -> None:
        """Close what is open."""
        self._close()
        for call in self._calls.values():
            self._end_call(call)
        if packed := self._replay.take():
            self._start({"type": "redacted_thinking", "data": packed})
            self._stop(self.count - 1)

    def _add_native(self, delta: Json) -> bool:
        """Take the pieces of Claude's thinking; return whether there were any."""
        found = False
        for entry in delta.get("reasoning_details") or ():
            if entry.get("format") == FORMAT:
                self._begin_native(entry)
            elif self._native is None or entry.get("index") != self._native:
                continue
            found = True
            if entry["type"] == "reasoning.text":
                self._signature += entry.get("signature") or ""
                self._thinking(entry.get("text") or "")
        return found

    def _begin_native(self, entry: Json) -> None:
        if self._open == _OPEN_THINKING and entry.get("index") == self._native:
            return  # a stream that repeats what is constant
        self._close()
        if entry["type"] == "reasoning.encrypted":
            self._start({"type": "redacted_thinking", "data": entry.get("data") or ""})
            self._stop(self.count - 1)
            return
        self._start_thinking()
        self._native = entry.get("index")

    def _add_plain(self, delta: Json) -> None:
        """Take another model's reasoning: what people may read, and what it wants to see again."""
        name = next((name for name in PLAIN if isinstance(delta.get(name), str)), PLAIN[0])
        text = delta.get(name) or ""
        self._replay.add(delta, plain_name=name, plain_text=text)
        if not text:
            text = "".join(
                str(entry.get("text") or entry.get("summary") or "")
                for entry in delta.get("reasoning_details") or ()
                if isinstance(entry, dict)
            )
        if text:
            if self._open != _OPEN_THINKING or self._native is not None:
                self._close()
                self._start_thinking()
            self._thinking(text)

    def _start_thinking(self) -> None:
        self._start({"type": "thinking", "thinking": "", "signature": ""})
        self._open = _OPEN_THINKING

    def _thinking(self, text: str) -> None:
        if text:
            self._delta(self.count - 1, {"type": "thinking_delta", "thinking": text})

    def _text(self, text: str) -> None:
        if self._open != _OPEN_TEXT:
            self._close()
            self._start({"type": "text", "text": ""})
            self._open = _OPEN_TEXT
        self._delta(self.count - 1, {"type": "text_delta", "text": text})

    def _call(self, piece: Json) -> None:
        """Take a piece of a tool call; pieces of parallel calls may come between each other."""
        function = piece.get("function") or piece.get("custom") or {}
        call = self._calls.setdefault(piece.get("index", len(self._calls)), _Call())
        call.id = call.id or piece.get("id") or ""
        call.name = call.name or function.get("name") or ""
        arguments = function.get("arguments") or ""
        if call.number is None:
            call.arguments += arguments
            if call.name:
                self._start_call(call)
        elif arguments:
            call.arguments += arguments
            self._delta(call.number, {"type": "input_json_delta", "partial_json": arguments})
        self._replay.add_call(call.id, piece.get("extra_content"))

    def _start_call(self, call: _Call) -> None:
        self._close()
        for other in self._calls.values():
            if other.is_open and _is_complete(other.arguments):
                self._end_call(other)
        call.id = call.id or f"toolu_{self._request_id}_{self.count}"
        call.number, call.is_open = self.count, True
        self._start({"type": "tool_use", "id": call.id, "name": call.name, "input": {}})
        if call.arguments:
            self._delta(call.number, {"type": "input_json_delta", "partial_json": call.arguments})

    def _end_call(self, call: _Call) -> None:
        if call.is_open and call.number is not None:
            call.is_open = False
            self._stop(call.number)

    def _close(self) -> None:
        """End the open text or thinking."""
        if not self._open:
            return
        if self._open == _OPEN_THINKING:
            signature = self._replay.take() if self._native is None else self._signature
            if signature:
                delta = {"type": "signature_delta", "signature": signature}
                self._delta(self.count - 1, delta)
            self._native, self._signature = None, ""
        self._stop(self._last)
        self._open = ""

    @property
    def _last(self) -> int:
        return self.count - 1

    def _start(self, block: Json) -> None:
        self._tell("content_block_start", index=self.count, content_block=block)
        self.count += 1

    def _delta(self, index: int, delta: Json) -> None:
        self._tell("content_block_delta", index=index, delta=delta)

    def _stop(self, index: int) -> None:
        self._tell("content_block_stop", index=index)


def _is_complete(arguments: str) -> bool:
    """Whether nothing can follow: only then may a block end before the stream does."""
    try:
        return isinstance(msgspec.json.decode(arguments), dict)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False


class Collected:
    """What the events of an answer add up to: the content of a whole one."""

    def __init__(self) -> None:
        self.content: list[Json] = []
        self._inputs: dict[int, str] = {}

    def tell(self, kind: str, **fields: Any) -> None:
        """Take one event."""
        if kind == "content_block_start":
            self.content.append(dict(fields["content_block"]))
        elif kind == "content_block_delta":
            self._add(fields["index"], fields["delta"])
        elif fields["index"] in self._inputs:
            self.content[fields["index"]]["input"] = _read_input(self._inputs[fields["index"]])

    def _add(self, index: int, delta: Json) -> None:
        if delta["type"] == "input_json_delta":
            self._inputs[index] = self._inputs.get(index, "") + delta["partial_json"]
            return
        name = delta["type"].removesuffix("_delta")
        self.content[index][name] += delta[name]


def _read_input(text: str) -> Json:
    """Return a call's input; JSON that is none goes into Anthropic's own wrapper for that (fine-grained streaming)."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        found = None
    return found if isinstance(found, dict) else {"INVALID_JSON": text}
