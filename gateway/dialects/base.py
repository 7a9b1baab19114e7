"""
What a wire format of chats must offer. Everything behind it (admission, routes, relay, settlement) knows only
OpenAI's chat format; a dialect is pure and stands between the client and that.
"""

from typing import Any, Protocol

from billing.types import TokenUsage
from gateway.errors import ApiError
from gateway.providers.base import ServeAs


class StreamWriter(Protocol):
    """
    Writes one streamed answer; one object per answer.

    `events` takes OpenAI chunks (the JSON of each) and returns the bytes to send for them. `end` returns the last
    bytes, with usage (None: the provider told nothing) and cost in nano-USD. `error` returns the last bytes of a
    stream that failed after it had begun.
    """

    def events(self, chunks: list[bytes]) -> bytes: ...

    def end(
        self, usage: TokenUsage | None, *, extra: dict[str, Any], cost_nanousd: int
    ) -> bytes: ...

    def error(self, error: ApiError, *, request_id: str) -> bytes: ...


class Dialect(Protocol):
    """
    One wire format, for one request.

    `id_prefix` goes before our request id; `chunk_object` is the `object` of a stream's chunks, "" where events have
    types instead. `chat_body` returns the request as a body of OpenAI's chat completions, to be checked like any
    other; raises InvalidRequest. `whole` returns the answer made of a chat completion.
    """

    id_prefix: str
    chunk_object: str

    def chat_body(self, body: dict[str, Any]) -> dict[str, Any]: ...

    def whole(self, answer: dict[str, Any], *, cost_nanousd: int) -> dict[str, Any]: ...

    def stream(self, serve_as: ServeAs) -> StreamWriter: ...
