"""What every provider translator offers, and the errors it may tell of. Pure: no Django, no network."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from billing.types import TokenUsage
from gateway.sse import SseDecoder

ErrorKind = Literal[
    "bad_request",
    "context_length",
    "content_policy",
    "not_found",
    "auth",
    "rate_limited",
    "quota",
    "overloaded",
    "server",
    "timeout",
    "connection",
    "bad_answer",
]


@dataclass(frozen=True, slots=True)
class Upstream:
    """
    A provider as a call needs it, through one of our accounts: one row of the snapshot.

    `credential` is the account's secret, `account` its name ("" for the provider's own), `weight` its share of the
    calls, `requests_per_minute` its quota (None: none known). `max_open` calls at once go to the provider.
    """

    name: str
    api: str
    base_url: str
    credential: str = field(default="", repr=False)
    quirks: frozenset[str] = frozenset()
    account: str = ""
    weight: int = 1
    requests_per_minute: int | None = None
    max_open: int = 1_000
    no_training: bool = False
    zero_retention: bool = False


class UpstreamRequest(msgspec.Struct, frozen=True):
    """One HTTP request to a provider, ready to be sent. Headers hold the credential, so they are not shown."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "POST"
    ignored: tuple[str, ...] = ()  # parameters of the customer's that this provider has not

    def __repr__(self) -> str:
        return f"UpstreamRequest({self.method} {self.url})"


class UpstreamResponse(Protocol):
    """What a provider answers; `close` gives the connection back or drops it."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes: ...

    def chunks(self) -> AsyncIterator[bytes]: ...

    async def close(self) -> None: ...


class ProviderError(Exception):
    """
    A provider refused or failed.

    `message` is safe to show to a customer (no account ids, keys or addresses of ours); `sent` says whether
    the provider may have begun to work on the request; `retry_after_seconds` is what it asked for.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        param: str | None = None,
        retry_after_seconds: float | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.retry_after_seconds = retry_after_seconds
        self.sent = sent

    @property
    def retryable(self) -> bool:
        """Whether another route (or the same one later) may succeed with the same request."""
        return self.kind in RETRYABLE


RETRYABLE: frozenset[ErrorKind] = frozenset(
    {
        "auth",
        "rate_limited",
        "quota",
        "overloaded",
        "server",
        "timeout",
        "connection",
        "bad_answer",
        "not_found",
    }
)


class ServeAs(msgspec.Struct, frozen=True):
    """
    What the customer must see in an answer: our id, the model's public name, and what was asked of streams.

    `native` asks for Anthropic's own words where Anthropic's API serves, beside (whole) or in the place of (streams)
    their translation: `anthropic_native`.
    """

    id: str
    model: str
    created: int
    include_usage: bool = False
    native: bool = False


@dataclass(slots=True)
class WholeAnswer:
    """
    A translated answer: the body in OpenAI's form, and what it tells about usage (None: nothing).

    `output_text` is all that was answered (text, reasoning, tool calls), for counting when no usage came, and
    `audio_characters` the size of what was spoken in base64.
    """

    body: dict[str, Any]
    usage: TokenUsage | None
    upstream_id: str = ""
    finish_reason: str = ""
    has_output: bool = True
    output_text: str = ""
    audio_characters: int = 0


class StreamDecoder(Protocol):
    """
    Cuts a provider's bytes, however they are split, into events: pairs of name and data.

    `flush` returns the last event of a stream that ended without completing it. Both raise ProviderError, or
    `gateway.sse.EventTooLarge`.
    """

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]: ...

    def flush(self) -> list[tuple[bytes, bytes]]: ...


class StreamTranslator(Protocol):
    """
    Turns a provider's events into OpenAI's chunks; one object per answer.

    `feed` takes one event's name and data and returns the payloads to send (each the JSON of one `data:`
    line, our id and model in it; usage held back). `finish` returns what is left to send when the provider's
    stream has ended, without the usage chunk and `[DONE]`, which `gateway.streaming` adds. `output_text` is
    what was delivered so far (text, reasoning, tool arguments), for counting when no usage came.
    `done` is true once the provider has said its last word, `is_complete` once the whole answer is there: only usage
    and the end may be missing then. Both methods raise ProviderError.
    """

    usage: TokenUsage | None
    usage_extra: dict[str, Any]
    finish_reason: str
    upstream_id: str
    done: bool
    output_text: list[str]

    @property
    def is_complete(self) -> bool: ...

    def feed(self, event: bytes, data: bytes) -> list[bytes]: ...

    def finish(self) -> list[bytes]: ...


class Adapter(Protocol):
    """
    One provider API. Methods are pure; `body` is the customer's checked request in OpenAI's form.

    What most of them share stands here for those that derive from it: streams are server-sent events, and an API
    without embeddings refuses them.
    """

    def chat_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any], stream: bool
    ) -> UpstreamRequest: ...

    def chat_answer(self, data: bytes, *, serve_as: ServeAs) -> WholeAnswer: ...

    def chat_stream(self, *, serve_as: ServeAs) -> StreamTranslator:
        """Return a translator for one stream."""
        ...

    def stream_decoder(self) -> StreamDecoder:
        """Return what cuts a stream into events."""
        return SseDecoder()

    def embeddings_request(
        self, upstream: Upstream, *, upstream_model: str, body: dict[str, Any]
    ) -> UpstreamRequest:
        """Return the request for embeddings. Raises ProviderError."""
        raise _no_embeddings()

    def embeddings_answer(self, data: bytes, *, serve_as: ServeAs) -> WholeAnswer:
        """Return embeddings in OpenAI's form. Raises ProviderError."""
        raise _no_embeddings()

    def error(self, status: int, headers: Mapping[str, str], data: bytes) -> ProviderError: ...


def _no_embeddings() -> ProviderError:
    return ProviderError(
        "bad_request",
        "This model makes no embeddings. GET /v1/models lists those that do.",
        status=400,
        code="unsupported_parameter",
        param="model",
        sent=False,
    )
