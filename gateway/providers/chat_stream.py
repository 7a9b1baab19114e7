"""What translators of streamed chats have in common: what is known of the answer so far, and how chunks are written."""

from collections.abc import Mapping
from typing import Any, Final

from billing.types import TokenUsage
from gateway.providers import odd_answers, wire_json
from gateway.providers.base import ServeAs

CHUNK: Final = "chat.completion.chunk"
_NOTHING: Final[Mapping[str, Any]] = {}


class ChatStream:
    """One streamed answer before anything of it has come; its attributes are those of `StreamTranslator`."""

    __slots__ = (
        "_serve_as",
        "done",
        "finish_reason",
        "output_text",
        "upstream_id",
        "usage",
        "usage_extra",
    )

    def __init__(self, *, serve_as: ServeAs) -> None:
        self.usage: TokenUsage | None = None
        self.usage_extra: dict[str, Any] = {}
        self.finish_reason = ""
        self.upstream_id = ""
        self.done = False
        self.output_text: list[str] = []
        self._serve_as = serve_as

    def _head(self) -> dict[str, Any]:
        """Return what every chunk begins with."""
        served = self._serve_as
        return {
            "id": served.id,
            "object": CHUNK,
            "created": served.created,
            "model": served.model,
        }

    def _chunk(self, delta: dict[str, Any], **fields: Any) -> bytes:
        """Return a chunk of one choice. Raises ProviderError for values of wrong types."""
        return self._chunk_of([{"index": 0, "delta": delta, "finish_reason": None, **fields}])

    def _chunk_of(
        self, choices: list[dict[str, Any]], extra: Mapping[str, Any] = _NOTHING
    ) -> bytes:
        """Return a chunk of these choices. Raises ProviderError for values of wrong types."""
        for choice in choices:
            odd_answers.check_choice(choice)
        chunk = {**extra, **self._head(), "choices": choices}
        if self._serve_as.include_usage:
            chunk["usage"] = None
        return wire_json.encode(chunk)
