"""The client's side of media streams: bytes of audio, or events of which the last carries usage and cost."""

from collections.abc import Callable
from typing import Any

from billing.types import TokenUsage
from gateway.context import CallContext, Message
from gateway.errors import ApiError, stream_error
from gateway.open_call import OpenCall
from gateway.providers import wire_json
from gateway.sse import frame
from gateway.streaming import EventStream
from gateway.wire_money import usd_number

Headers = list[tuple[bytes, bytes]]
WriteUnits = Callable[[dict[str, Any], TokenUsage], dict[str, Any]]  # (told, usage) -> on the wire


class AudioStream(EventStream):
    """
    One stream of bytes as they are. It has no place for a comment or an error: a silent one stays silent, and one that
    fails is cut before its end, which every client can tell from a whole answer.
    """

    def __init__(
        self, context: CallContext, call: OpenCall, *, own_headers: Callable[[], Headers]
    ) -> None:
        """Its media type, among `own_headers`, is known once a provider has begun to speak."""

        def start() -> Message:
            headers = [
                *own_headers(),
                (b"cache-control", b"no-store"),
                (b"x-accel-buffering", b"no"),
                *context.common_headers(),
            ]
            return {"type": "http.response.start", "status": 200, "headers": headers}

        super().__init__(context.send, start, call)

    async def ping(self) -> None:
        """Send nothing."""

    async def fail(self, data: bytes) -> None:
        """Leave the answer without its end; the server then closes the connection."""


class AudioWriter:
    """Writes audio as it is; see `gateway.dialects.base.StreamWriter`."""

    def events(self, chunks: list[bytes]) -> bytes:
        """Return the bytes."""
        return b"".join(chunks)

    def end(self, usage: TokenUsage | None, *, extra: dict[str, Any], cost_nanousd: int) -> bytes:
        """Return nothing: audio has no place for usage."""
        return b""

    def error(self, error: ApiError, *, request_id: str) -> bytes:
        """Return nothing, likewise."""
        return b""


class MediaEvents:
    """Writes OpenAI's events of images and audio; the provider's last one gets the cost and goes out last."""

    def __init__(self, units: WriteUnits) -> None:
        self._units = units

    def events(self, chunks: list[bytes]) -> bytes:
        """Return the events."""
        return b"".join([frame(chunk) for chunk in chunks])

    def end(self, usage: TokenUsage | None, *, extra: dict[str, Any], cost_nanousd: int) -> bytes:
        """Return the last event, with usage and cost."""
        told = extra.get("usage")
        units = self._units(told if isinstance(told, dict) else {}, usage or TokenUsage())
        last = {**extra, "usage": {**units, "cost": usd_number(cost_nanousd)}}
        return frame(wire_json.encode_whole(last))

    def error(self, error: ApiError, *, request_id: str) -> bytes:
        """Return the event at which the SDKs raise."""
        return frame(stream_error(error, request_id=request_id))
