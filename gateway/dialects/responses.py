"""
OpenAI's Responses API over chats, stateless: nothing is stored, so that the client sends the whole conversation.

Sources: OpenAI's specification 2.3.0 (2026-08-21) and Open Responses (2026-04-24); where the two differ in what an
answer must have, it has both.
"""

import time
from typing import Any, Final

from billing.types import TokenUsage
from gateway.dialects.responses_output import INCOMPLETE, Output, read_logprobs
from gateway.dialects.responses_request import Asked, read_request
from gateway.errors import ApiError
from gateway.providers import wire_json
from gateway.providers.base import ServeAs
from gateway.providers.openai.openai_usage import wire_usage
from gateway.wire_money import usd_number

Json = dict[str, Any]

_PREFIX: Final = "resp_"


class ResponsesDialect:
    """See `Dialect`. Remembers what the request asked for, which the answer repeats."""

    id_prefix = _PREFIX
    chunk_object = ""

    def __init__(self) -> None:
        self._asked: Asked | None = None

    @property
    def asked(self) -> Asked:
        """The request; read before anything is answered."""
        assert self._asked is not None  # noqa: S101  the view reads the request first
        return self._asked

    def chat_body(self, body: Json) -> Json:
        """Return the request as a chat. Raises InvalidRequest."""
        self._asked = read_request(body)
        return self._asked.chat

    def whole(self, answer: Json, *, cost_nanousd: int) -> Json:
        """Return the answer as a response."""
        output = Output(
            self.asked, request_id=answer["id"].removeprefix(_PREFIX), tell=lambda *_, **__: None
        )
        finish_reason = ""
        for choice in answer["choices"][:1]:
            finish_reason = choice.get("finish_reason") or ""
            output.add(choice["message"], logprobs=read_logprobs(choice))
        output.finish(finish_reason)
        usage = answer.get("usage")
        return {
            **_begun(self.asked, answer["id"], answer["model"], answer["created"]),
            **_ended(finish_reason, created=answer["created"]),
            "output": output.shown,
            "service_tier": answer.get("service_tier") or "default",
            "usage": _usage(usage, cost_nanousd=cost_nanousd) if usage else None,
        }

    def stream(self, serve_as: ServeAs) -> "ResponsesWriter":
        """Return the writer of one streamed answer."""
        return ResponsesWriter(self.asked, serve_as)


class ResponsesWriter:
    """See `StreamWriter`."""

    def __init__(self, asked: Asked, serve_as: ServeAs) -> None:
        self._created = serve_as.created
        self._begun = _begun(asked, serve_as.id, serve_as.model, serve_as.created)
        self._pending: list[bytes] = []
        self._sequence_number = 0
        self._finish_reason = ""
        self._output = Output(asked, request_id=serve_as.id.removeprefix(_PREFIX), tell=self._tell)

    def events(self, chunks: list[bytes]) -> bytes:
        """Return the events that the chunks make."""
        self._begin()
        for data in chunks:
            for choice in wire_json.decode(data)["choices"][:1]:
                self._output.add(choice.get("delta") or {}, logprobs=read_logprobs(choice))
                self._finish_reason = choice.get("finish_reason") or self._finish_reason
        return self._taken()

    def end(self, usage: TokenUsage | None, *, extra: Json, cost_nanousd: int) -> bytes:
        """Return the last events, with the whole response. There is no `[DONE]` in this API."""
        self._begin()
        self._output.finish(self._finish_reason)
        told = wire_usage(usage, extra=extra) if usage else None
        ended = _ended(self._finish_reason, created=self._created)
        response = {
            **self._begun,
            **ended,
            "output": self._output.shown,
            "service_tier": (usage.service_tier if usage else "") or "default",
            "usage": _usage(told, cost_nanousd=cost_nanousd) if told else None,
        }
        self._tell(f"response.{ended['status']}", response=response)
        return self._taken()

    def error(self, error: ApiError, *, request_id: str) -> bytes:
        """Return the event at which the SDKs raise, then the failed response, in OpenAI's order."""
        self._begin()
        shown = {
            "type": error.type,
            "code": error.code,
            "message": error.message,
            "param": error.param,
        }
        self._tell("error", error={**shown, "request_id": request_id})
        self._output.break_off()
        failed = {"code": error.code, "message": error.message}
        ended = {"status": "failed", "error": failed, "output": self._output.shown}
        self._tell("response.failed", response={**self._begun, **ended})
        return self._taken()

    def _begin(self) -> None:
        if self._sequence_number == 0:
            self._tell("response.created", response=self._begun)
            self._tell("response.in_progress", response=self._begun)

    def _tell(self, event: str, **fields: Any) -> None:
        data = wire_json.encode({"type": event, "sequence_number": self._sequence_number, **fields})
        self._pending.append(b"event: %b\ndata: %b\n\n" % (event.encode(), data))
        self._sequence_number += 1

    def _taken(self) -> bytes:
        data = b"".join(self._pending)
        self._pending.clear()
        return data


def _begun(asked: Asked, id: str, model: str, created: int) -> Json:
    """Return a response that has only begun."""
    return {
        "id": id,
        "object": "response",
        "created_at": created,
        "completed_at": None,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "usage": None,
        **asked.echo,
    }


def _ended(finish_reason: str, *, created: int) -> Json:
    reason = INCOMPLETE.get(finish_reason)
    if reason:
        return {"status": "incomplete", "incomplete_details": {"reason": reason}}
    return {"status": "completed", "completed_at": max(created, int(time.time()))}


def _usage(told: Json, *, cost_nanousd: int) -> Json:
    """Return a chat's usage under this API's names, with its cost."""
    details = told["prompt_tokens_details"]
    return {
        "input_tokens": told["prompt_tokens"],
        "input_tokens_details": {
            "cached_tokens": details["cached_tokens"],
            "cache_write_tokens": details.get("cache_write_tokens", 0),
        },
        "output_tokens": told["completion_tokens"],
        "output_tokens_details": {
            "reasoning_tokens": told["completion_tokens_details"]["reasoning_tokens"]
        },
        "total_tokens": told["total_tokens"],
        "cost": usd_number(cost_nanousd),
        **({"exerati": told["exerati"]} if "exerati" in told else {}),
    }
