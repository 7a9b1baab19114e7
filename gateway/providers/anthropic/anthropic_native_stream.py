"""
A stream of Anthropic's for a customer who reads Anthropic's API: its events go on as they are. Pure.

Everything else (usage, output, the end, faults) is read by the translator of chats, which this is, so that there is
one way to meter. Each payload is `{"anthropic": <the event>}`, for the writer of `/v1/messages` alone.
"""

from typing import Final

from gateway.providers import wire_json
from gateway.providers.anthropic import anthropic_answer
from gateway.providers.anthropic.anthropic_native import FIELD
from gateway.providers.anthropic.anthropic_stream import (
    AFTER_END,
    DECODER,
    AnthropicStream,
    Event,
    Json,
)
from gateway.providers.base import ServeAs

HEAD: Final = b'{"%b":' % FIELD.encode()
TAIL: Final = b"}"
_START: Final = b'"message_start"'


class NativeStream(AnthropicStream):
    """See `StreamTranslator`."""

    def __init__(self, *, serve_as: ServeAs) -> None:
        super().__init__(serve_as=serve_as)
        self._is_unusual = False

    def feed(self, event: bytes, data: bytes) -> list[bytes]:
        """Return the event, unless it is said again. Raises ProviderError."""
        has_begun, has_ended = self._began, bool(self.finish_reason)
        self._is_unusual = b"\n" in data or b"\r" in data
        super().feed(event, data)
        if has_ended or (has_begun and _START in data):
            kind = self._decoded(data).type
            if kind == "message_start" or (has_ended and kind not in AFTER_END):
                return []
        line = wire_json.encode(wire_json.decode(data)) if self._is_unusual else data
        return [HEAD + line + TAIL]

    def finish(self) -> list[bytes]:
        """Return nothing: the writer ends what the provider left open. Raises ProviderError if cut short."""
        super().finish()
        return []

    def _decoded(self, data: bytes) -> Event:
        try:
            return DECODER.decode(data)
        except wire_json.UNREADABLE:
            self._is_unusual = (
                True  # broken characters or numbers, which clients could not read either
            )
            return super()._decoded(data)

    def _kind(self, raw: Json) -> str:
        return anthropic_answer.any_kind(raw)
