"""
Streams of Gemini: each event is a whole small answer; ours are OpenAI's chunks. Pure.

Usage grows from event to event and the last word of each count holds. There is no `[DONE]`, and older models name a
finish reason in every event, so that reasons are told at the end of the stream.
"""

from typing import Any

from gateway.providers import wire_json
from gateway.providers.base import ProviderError, ServeAs
from gateway.providers.chat_stream import ChatStream
from gateway.providers.google import gemini_errors, gemini_usage
from gateway.providers.google.gemini_answer import (
    CandidateReader,
    check_prompt,
    extra_choice_fields,
    extra_fields,
    logprobs,
)


class GeminiStream(ChatStream):
    """One streamed answer of Gemini; see `StreamTranslator`."""

    __slots__ = (
        "_has_output",
        "_names_reasons_early",
        "_readers",
        "_usage",
    )

    def __init__(self, *, serve_as: ServeAs) -> None:
        super().__init__(serve_as=serve_as)
        self._readers: dict[int, CandidateReader] = {}
        self._usage: dict[str, Any] = {}
        self._has_output = False
        self._names_reasons_early = False

    @property
    def is_complete(self) -> bool:
        """Whether every candidate has ended; where each event names a reason, none of them tells."""
        return self._all_ended and not self._names_reasons_early

    @property
    def _all_ended(self) -> bool:
        return bool(self._readers) and all(reader.reason for reader in self._readers.values())

    def feed(self, event: bytes, data: bytes) -> list[bytes]:
        """Return the chunk to send for one event, if it says anything. Raises ProviderError."""
        body = wire_json.decode(data)
        if body.get("error"):
            raise gemini_errors.error_of(body)
        check_prompt(body)
        self.upstream_id = self.upstream_id or str(body.get("responseId") or "")
        usage = body.get("usageMetadata")
        if isinstance(usage, dict):
            self._usage = gemini_usage.merged(self._usage, usage)
        candidates = body.get("candidates")
        if candidates and self._all_ended:
            self._names_reasons_early = True
        choices = [
            choice
            for position, candidate in enumerate(candidates if isinstance(candidates, list) else ())
            if (choice := self._choice(candidate, position=position)) is not None
        ]
        self._has_output = self._has_output or bool(self.output_text)
        return [self._chunk_of(choices, extra_fields(body))] if choices else []

    def finish(self) -> list[bytes]:
        """Return the chunk with the finish reasons, the usage being known. Raises ProviderError if cut short."""
        self.usage = gemini_usage.read_usage(self._usage, has_output=self._has_output)
        self.usage_extra = gemini_usage.extra_usage(self._usage)
        if not self._all_ended:
            raise ProviderError(
                "connection", "The provider's stream ended before its answer was complete."
            )
        choices = []
        for reader in self._readers.values():
            delta = reader.rest()
            self.finish_reason = reader.finish_reason()
            choices.append(
                {
                    "index": reader.index,
                    "delta": delta,
                    "logprobs": None,
                    "finish_reason": self.finish_reason,
                    "native_finish_reason": reader.reason,
                }
            )
        return [self._chunk_of(choices)]

    def _choice(self, candidate: Any, *, position: int) -> dict[str, Any] | None:
        """Return the choice of one candidate, or None where it tells nothing to a client."""
        if not isinstance(candidate, dict):
            raise ProviderError("bad_answer", "The provider's answer has a malformed candidate.")
        index = candidate.get("index")
        index = index if isinstance(index, int) else position
        reader = self._readers.get(index)
        is_first = reader is None
        if reader is None:
            reader = self._readers[index] = CandidateReader(
                answer_id=self._serve_as.id, index=index, output_text=self.output_text
            )
        delta = reader.read(candidate)
        extra = extra_choice_fields(candidate)
        if not (delta or extra or is_first):
            return None
        if is_first:
            delta = {"role": "assistant", **delta}
        return {
            "index": index,
            "delta": delta,
            "logprobs": logprobs(candidate),
            "finish_reason": None,
            **extra,
        }
