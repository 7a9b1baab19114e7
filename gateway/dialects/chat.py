"""OpenAI's chat completions: the format everything else is translated to, so there is next to nothing to do."""

from typing import Any, ClassVar

from billing.types import TokenUsage
from gateway.errors import ApiError, stream_error
from gateway.providers import wire_json
from gateway.providers.base import ServeAs
from gateway.providers.openai.openai_usage import wire_usage
from gateway.sse import DONE, frame
from gateway.wire_money import usd_number


def with_cost(answer: dict[str, Any], *, cost_nanousd: int) -> dict[str, Any]:
    """Return the answer with its cost beside its usage."""
    usage = answer.get("usage")
    if isinstance(usage, dict):
        usage["cost"] = usd_number(cost_nanousd)
    return answer


class ChatDialect:
    """See `Dialect`."""

    id_prefix = "chatcmpl-"
    chunk_object = "chat.completion.chunk"

    def chat_body(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the request as it is."""
        return body

    def whole(self, answer: dict[str, Any], *, cost_nanousd: int) -> dict[str, Any]:
        """Return the answer with its cost."""
        return with_cost(answer, cost_nanousd=cost_nanousd)

    def stream(self, serve_as: ServeAs) -> "ChatWriter":
        """Return the writer of one streamed answer."""
        return ChatWriter(serve_as)


class ChatWriter:
    """See `StreamWriter`. On the hot path: a chunk is framed and nothing else."""

    __slots__ = ("_serve_as",)
    object: ClassVar[str] = "chat.completion.chunk"

    def __init__(self, serve_as: ServeAs) -> None:
        self._serve_as = serve_as

    def events(self, chunks: list[bytes]) -> bytes:
        """Return the chunks as events."""
        return b"".join([frame(chunk) for chunk in chunks])

    def end(self, usage: TokenUsage | None, *, extra: dict[str, Any], cost_nanousd: int) -> bytes:
        """Return the usage chunk, where it was asked for, and the end mark."""
        if not self._serve_as.include_usage:
            return DONE
        told = wire_usage(usage, extra=extra) if usage else {}
        chunk = {
            "id": self._serve_as.id,
            "object": self.object,
            "created": self._serve_as.created,
            "model": self._serve_as.model,
            "choices": [],
            "usage": {**told, "cost": usd_number(cost_nanousd)},
        }
        return frame(wire_json.encode_whole(chunk)) + DONE

    def error(self, error: ApiError, *, request_id: str) -> bytes:
        """Return the event at which the SDKs raise, and the end mark."""
        return frame(stream_error(error, request_id=request_id)) + DONE
