"""
Anthropic's own answers as customers of `/v1/messages` read them: nothing changed but id, model and the cost. Pure.

The last event but one waits for the settlement, which its usage tells the cost of.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.providers import wire_json
from gateway.providers.anthropic import anthropic_usage
from gateway.providers.anthropic.anthropic_native import FIELD
from gateway.providers.anthropic.anthropic_native_stream import HEAD, TAIL
from gateway.providers.base import ServeAs

Json = dict[str, Any]

_NAME: Final = re.compile(r"[a-z0-9_.]{1,60}")
_STOP: Final = b'{"type":"message_stop"}'


class _Event(msgspec.Struct):
    type: str
    index: int = 0


_DECODER: Final = msgspec.json.Decoder(_Event)


def is_native(chunk: bytes) -> bool:
    """Whether a chunk is an event of Anthropic's."""
    return chunk.startswith(HEAD)


def take(answer: Json) -> Json | None:
    """Take Anthropic's own message out of a chat completion, if there is one."""
    found: Json | None = answer.pop(FIELD, None)
    return found


def whole(theirs: Json, *, public_id: str, model: str, counted: Json, cost: object) -> Json:
    """Return a whole answer; `counted` is the usage to tell where the provider told none."""
    return {
        "type": "message",
        "role": "assistant",
        **theirs,
        "id": public_id,
        "model": model,
        "usage": {**_told(theirs.get("usage"), counted), "cost": cost},
    }


class Relay:
    """One streamed answer."""

    def __init__(self, serve_as: ServeAs) -> None:
        self._serve_as = serve_as
        self._open: set[int] = set()
        self._ending: Json = {}
        self._stop = _STOP

    def event(self, chunk: bytes) -> bytes:
        """Return what to send for an event; its end waits for `end`."""
        data = chunk[len(HEAD) : -len(TAIL)]
        event = _DECODER.decode(data)
        if event.type == "message_start":
            return self._start(wire_json.decode(data))
        if event.type == "message_stop":
            self._stop = data
            return b""
        if event.type == "message_delta":
            before = self._ending
            self._ending = wire_json.decode(data)
            return _framed("message_delta", wire_json.encode(before)) if before else b""
        if event.type == "content_block_start":
            self._open.add(event.index)
        elif event.type == "content_block_stop":
            self._open.discard(event.index)
        return _framed(event.type, data)

    def cut(self) -> bytes:
        """Return what closes an answer that was stopped before its end: it is as long as it may be."""
        closing = b"".join(
            _framed("content_block_stop", b'{"type":"content_block_stop","index":%d}' % index)
            for index in sorted(self._open)
        )
        self._open.clear()
        self._ending = {"delta": {"stop_reason": "max_tokens", "stop_sequence": None}}
        return closing

    def end(self, counted: Json, *, cost: object, extra: Mapping[str, Any]) -> bytes:
        """Return the last events; `counted` is the usage to tell where the provider told none."""
        usage = {**_told(self._ending.get("usage"), counted), "cost": cost, **extra}
        delta = self._ending.get("delta") or {"stop_reason": "end_turn", "stop_sequence": None}
        event = {"type": "message_delta", **self._ending, "delta": delta, "usage": usage}
        return _framed("message_delta", wire_json.encode(event)) + _framed(
            "message_stop", self._stop
        )

    def _start(self, event: Json) -> bytes:
        message = {
            **wire_json.mapping(event.get("message")),
            "id": self._serve_as.id,
            "model": self._serve_as.model,
        }
        return _framed("message_start", wire_json.encode({**event, "message": message}))


def _told(usage: object, counted: Json) -> Json:
    told = wire_json.mapping(usage)
    return told if anthropic_usage.is_final(told) else {**counted, **told}


def _framed(kind: str, data: bytes) -> bytes:
    """Return an event; a name that would break the stream belongs to none that a client knows."""
    if not _NAME.fullmatch(kind):
        return b""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
