"""
Streams of images and audio from OpenAI and its compatible servers; one translator object per answer. Pure.

A provider that was asked for a stream may answer whole: its answer then becomes the stream's last event.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from billing.types import TokenUsage
from gateway.providers import wire_json
from gateway.providers.base import ProviderError, ServeAs, WholeAnswer
from gateway.providers.openai import openai_errors, openai_media
from gateway.sse import SseDecoder

MAX_EVENT_BYTES: Final = 64 * 1024 * 1024  # an image of 4k in base64 has some 30 MB
Tell = Callable[[TokenUsage | None], TokenUsage | None]
ReadImages = Callable[..., WholeAnswer]  # (data, *, serve_as) -> the images of a whole answer

WHOLE: Final = b"(whole)"  # the name of the event that a whole answer becomes

_encode: Final = msgspec.json.Encoder().encode


def is_events(headers: Mapping[str, str]) -> bool:
    """Whether an answer is a stream of events."""
    return headers.get("content-type", "").startswith("text/event-stream")


class WholeDecoder:
    """Keeps all bytes and gives them as one event at the end."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Keep the bytes; raises ProviderError when they become too many."""
        self._parts.append(data)
        self._size += len(data)
        if self._size > MAX_EVENT_BYTES:
            raise ProviderError("bad_answer", "The provider's answer is too large.")
        return []

    def flush(self) -> list[tuple[bytes, bytes]]:
        """Return everything."""
        return [(WHOLE, b"".join(self._parts))]


class BytesDecoder:
    """Passes bytes as they come."""

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Return the bytes."""
        return [(b"", data)] if data else []

    def flush(self) -> list[tuple[bytes, bytes]]:
        """Return nothing: nothing was kept."""
        return []


def event_decoder(headers: Mapping[str, str]) -> SseDecoder | WholeDecoder:
    """Return what cuts an answer into events."""
    if is_events(headers):
        return SseDecoder(max_event_bytes=MAX_EVENT_BYTES)
    return WholeDecoder()


class MediaStream:
    """
    What the streams below have in common; see `StreamTranslator`. `usage_extra` holds the last event, which goes out
    with usage and cost in it; `tell` turns a provider's usage into the units of the price.
    """

    def __init__(self, *, serve_as: ServeAs, tell: Tell) -> None:
        self.serve_as = serve_as
        self._tell = tell
        self._usage: TokenUsage | None = None
        self.usage_extra: dict[str, Any] = {}
        self.finish_reason = ""
        self.upstream_id = ""
        self.done = False
        self.output_text: list[str] = []

    @property
    def usage(self) -> TokenUsage | None:
        """What the provider told, in the units of the price; None where that is nothing."""
        return self._tell(self._usage)

    @usage.setter
    def usage(self, usage: TokenUsage | None) -> None:
        self._usage = usage

    @property
    def is_complete(self) -> bool:
        """Whether the answer is all there: what has not said its last word may lack any part."""
        return False

    def feed(self, event: bytes, data: bytes) -> list[bytes]:
        """Return the events to send for one of the provider's. Raises ProviderError."""
        if data == b"[DONE]":
            return []
        if event == WHOLE:
            return self.whole(data)
        body = wire_json.decode(data)
        if event == b"error" or body.get("error"):
            raise openai_errors.error_of(body if body.get("error") else {"error": body})
        return self.event(body, data)

    def event(self, body: dict[str, Any], data: bytes) -> list[bytes]:
        """Return the events to send for one event."""
        raise NotImplementedError

    def whole(self, data: bytes) -> list[bytes]:
        """Return the events to send for a whole answer."""
        raise NotImplementedError

    def finish(self) -> list[bytes]:
        """Raise ProviderError when the stream has ended without its last event."""
        if not self.usage_extra:
            raise ProviderError("connection", "The provider broke off its answer.")
        return []


class TranscriptStream(MediaStream):
    """A transcript as it is written: `transcript.text.delta` ..., `transcript.text.done`."""

    def __init__(self, *, serve_as: ServeAs, tell: Tell, quirks: frozenset[str]) -> None:
        super().__init__(serve_as=serve_as, tell=tell)
        self._quirks = quirks

    def event(self, body: dict[str, Any], data: bytes) -> list[bytes]:
        """Hold the last event back, pass the others."""
        if str(body.get("type", "")).endswith(".done"):
            self._end(body)
            return []
        if isinstance(body.get("delta"), str):
            self.output_text.append(body["delta"])
        elif isinstance(body.get("text"), str):  # a segment, with its speaker
            self.output_text.append(body["text"])
        return [data]

    def whole(self, data: bytes) -> list[bytes]:
        """Send the text as one piece."""
        answer = openai_media.transcript(data, quirks=self._quirks)
        self._end({"type": "transcript.text.done", **answer.body})
        if not answer.has_output:
            return []
        self.output_text.append(answer.output_text)
        return [_encode({"type": "transcript.text.delta", "delta": answer.output_text})]

    def _end(self, body: dict[str, Any]) -> None:
        self.usage = openai_media.transcript_usage(body, quirks=self._quirks)
        kept = ("type", "text", "logprobs", "languages", "usage")
        self.usage_extra = {name: body[name] for name in kept if name in body}


class ImageStream(MediaStream):
    """Images as they are drawn: `<kind>.partial_image` ..., and `<kind>.completed` for each."""

    def __init__(
        self,
        *,
        serve_as: ServeAs,
        tell: Tell,
        kind: str,
        read: ReadImages = openai_media.image_answer,
    ) -> None:
        super().__init__(serve_as=serve_as, tell=tell)
        self._kind = kind
        self._read = read

    def event(self, body: dict[str, Any], data: bytes) -> list[bytes]:
        """Hold the last event back, pass the others."""
        if body.get("b64_json"):
            self.output_text.append(str(len(body["b64_json"])))
        if not str(body.get("type", "")).endswith(".completed"):
            return [data]
        return self._completed(body)

    def whole(self, data: bytes) -> list[bytes]:
        """Send each image as completed; all of the usage is in the last."""
        answer = self._read(data, serve_as=self.serve_as)
        shared = {name: value for name, value in answer.body.items() if name not in _IMAGE_OWN}
        shared["created_at"] = answer.body["created"]
        out = []
        for image in answer.body["data"]:
            self.output_text.append(str(len(image.get("b64_json") or image["url"])))
            out += self._completed({"type": f"{self._kind}.completed", **shared, **image})
        self.usage_extra.update({"usage": answer.body["usage"]} if answer.usage else {})
        self.usage = answer.usage
        return out

    def _completed(self, body: dict[str, Any]) -> list[bytes]:
        before = [_encode(self.usage_extra)] if self.usage_extra else []
        self.usage_extra = body
        raw = body.get("usage")
        if isinstance(raw, dict) and openai_media.has_tokens(raw):
            found = openai_media.image_usage(raw, images=1)
            self.usage = _sum(self._usage, found) if self._usage else found
        return before


_IMAGE_OWN: Final = frozenset({"data", "created", "usage"})


class SpeechStream(MediaStream):
    """
    Speech as it is spoken, from events or from bytes, to either.

    `output_text` holds the number of bytes of each piece: they are all that can be counted.
    """

    def __init__(
        self, *, serve_as: ServeAs, tell: Tell, from_events: bool, to_events: bool
    ) -> None:
        super().__init__(serve_as=serve_as, tell=tell)
        self._from_events = from_events
        self._to_events = to_events

    def feed(self, event: bytes, data: bytes) -> list[bytes]:
        """Return the events or bytes to send. Raises ProviderError."""
        if self._from_events:
            return super().feed(event, data)
        self.output_text.append(str(len(data)))
        self.usage_extra = {"type": "speech.audio.done"}
        if not self._to_events:
            return [data]
        return [_encode({"type": "speech.audio.delta", "audio": b64encode(data).decode()})]

    def event(self, body: dict[str, Any], data: bytes) -> list[bytes]:
        """Hold the last event back, pass the audio of the others."""
        if str(body.get("type", "")).endswith(".done"):
            self.usage = openai_media.speech_usage(body.get("usage"))
            self.usage_extra = body
            return []
        encoded = body.get("audio")
        if not isinstance(encoded, str) or not encoded:
            return []
        try:
            audio = b64decode(encoded, validate=True)
        except ValueError:
            raise ProviderError("bad_answer", "The provider's audio is not base64.") from None
        self.output_text.append(str(len(audio)))
        return [data] if self._to_events else [audio]


def _sum(one: TokenUsage, other: TokenUsage) -> TokenUsage:
    return TokenUsage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cache_read_tokens=one.cache_read_tokens + other.cache_read_tokens,
        image_input_tokens=one.image_input_tokens + other.image_input_tokens,
        image_output_tokens=one.image_output_tokens + other.image_output_tokens,
        images=one.images + other.images,
    )
