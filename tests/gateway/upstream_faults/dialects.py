"""
What a good answer looks like in each provider's API, cut into the moments at which a fault may come.

One answer everywhere: "one two three four", 9 tokens in and 4 out. Streams are a list of pieces of bytes, so that a
fault can be put between any two.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.gateway import event_stream

TOKENS_IN, TOKENS_OUT = 9, 4
WORDS = ("one ", "two ", "three ", "four")
DELIVERED_WORDS = 2  # when a fault comes in the middle


@dataclass(frozen=True, slots=True)
class Dialect:
    """
    One API. `events` are a stream's pieces by moment: `start` has no text, `words` is one piece a word, `finish` says
    why the answer ends, `usage` what it used, `end` is the last word. `usage` may be empty where `finish` has it.
    """

    api: str
    credential: str
    event_type: str
    start: bytes
    words: tuple[bytes, ...]
    finish: bytes
    usage: bytes
    end: bytes
    whole: Mapping[str, Any]
    usage_name: str
    failure: bytes  # an event that tells of an overload
    failure_whole: bytes  # a whole answer of status 200 that does; b"" where the API has none
    refusal: Callable[[int, str], bytes]
    statuses: frozenset[int]  # with which it refuses
    refusal_headers: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    finish_has_usage: bool = False

    @property
    def whole_body(self) -> bytes:
        """The whole answer, its usage last."""
        return json.dumps(self.whole).encode()

    @property
    def whole_before_usage(self) -> bytes:
        """The whole answer up to its usage."""
        return self.whole_body.partition(f'"{self.usage_name}"'.encode())[0]

    @property
    def whole_without_usage(self) -> bytes:
        """The whole answer of a provider that tells no usage."""
        kept = {name: value for name, value in self.whole.items() if name != self.usage_name}
        return json.dumps(kept).encode()

    @property
    def stream(self) -> bytes:
        """The whole stream."""
        return b"".join((self.start, *self.words, self.finish, self.usage, self.end))

    @property
    def stream_without_usage(self) -> bytes:
        """The stream of a provider that tells no usage."""
        finish = without(self.finish, self.usage_name) if self.finish_has_usage else self.finish
        return b"".join((self.start, *self.words, finish, self.end))


def sse(payload: Mapping[str, Any], *, name: str = "") -> bytes:
    """Return one event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(payload)}\n\n".encode()


def without(event: bytes, name: str) -> bytes:
    """Return an event without one field of its JSON."""
    head, _, data = event.partition(b"data: ")
    body = json.loads(data)
    del body[name]
    return head + b"data: " + json.dumps(body).encode() + b"\n\n"


def _openai() -> Dialect:
    usage = {
        "prompt_tokens": TOKENS_IN,
        "completion_tokens": TOKENS_OUT,
        "total_tokens": TOKENS_IN + TOKENS_OUT,
    }

    def chunk(choices: list[dict[str, Any]], **fields: Any) -> bytes:
        head = {"id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": "theirs"}
        return sse({**head, "choices": choices, **fields})

    def delta(finish_reason: str | None = None, **fields: str) -> bytes:
        return chunk([{"index": 0, "delta": fields, "finish_reason": finish_reason}])

    message = {"role": "assistant", "content": "".join(WORDS)}
    failure = {"error": {"message": "At capacity.", "type": "overloaded", "code": 503}}
    return Dialect(
        api="openai",
        credential="sk-canary-OURS-1234567890",
        event_type="text/event-stream",
        start=delta(role="assistant", content=""),
        words=tuple(delta(content=word) for word in WORDS),
        finish=delta("stop"),
        usage=chunk([], usage=usage),
        end=b"data: [DONE]\n\n",
        whole={
            "id": "up-1",
            "object": "chat.completion",
            "created": 1,
            "model": "theirs",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage,
        },
        usage_name="usage",
        failure=sse(failure),
        failure_whole=json.dumps(failure).encode(),
        refusal=lambda status, text: json.dumps(
            {"error": {"message": text, "type": "theirs", "param": None, "code": None}}
        ).encode(),
        statuses=frozenset({400, 401, 402, 403, 404, 408, 409, 413, 422, 429})
        | {500, 502, 503, 504, 529},
    )


def _anthropic() -> Dialect:
    types = {
        400: "invalid_request_error",
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        500: "api_error",
        504: "timeout_error",
        529: "overloaded_error",
    }

    def event(name: str, **fields: Any) -> bytes:
        return sse({"type": name, **fields}, name=name)

    def error(word: str, text: str) -> dict[str, Any]:
        return {"type": "error", "error": {"type": word, "message": text}}

    usage = {"input_tokens": TOKENS_IN, "output_tokens": TOKENS_OUT}
    message = {"id": "msg_up", "type": "message", "role": "assistant", "model": "theirs"}
    begun = {**message, "content": [], "usage": {"input_tokens": TOKENS_IN, "output_tokens": 1}}
    return Dialect(
        api="anthropic",
        credential="sk-ant-canary-OURS-1234567890",
        event_type="text/event-stream",
        start=event("message_start", message=begun)
        + event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        words=tuple(
            event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
            for word in WORDS
        ),
        finish=event("message_delta", delta={"stop_reason": "end_turn"}, usage=usage),
        usage=b"",
        end=event("message_stop"),
        whole={
            **message,
            "content": [{"type": "text", "text": "".join(WORDS)}],
            "stop_reason": "end_turn",
            "usage": usage,
        },
        usage_name="usage",
        failure=sse(error("overloaded_error", "Overloaded"), name="error"),
        failure_whole=json.dumps(error("overloaded_error", "Overloaded")).encode(),
        refusal=lambda status, text: json.dumps(
            error(types.get(status, "api_error"), text)
        ).encode(),
        statuses=frozenset(types),
        finish_has_usage=True,
    )


def _gemini() -> Dialect:
    names = {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        429: "RESOURCE_EXHAUSTED",
        500: "INTERNAL",
        503: "UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
    }

    def answer(text: str, **fields: Any) -> dict[str, Any]:
        content = {"role": "model", "parts": [{"text": text}] if text else []}
        return {"content": content, "index": 0, **fields}

    def event(text: str, reason: str = "", **fields: Any) -> bytes:
        ending = {"finishReason": reason} if reason else {}
        return sse({"responseId": "up-1", "candidates": [answer(text, **ending)], **fields})

    def error(status: int, text: str) -> dict[str, Any]:
        return {"error": {"code": status, "message": text, "status": names.get(status, "UNKNOWN")}}

    usage = {
        "promptTokenCount": TOKENS_IN,
        "candidatesTokenCount": TOKENS_OUT,
        "totalTokenCount": TOKENS_IN + TOKENS_OUT,
    }
    return Dialect(
        api="gemini",
        credential="AIzaCanaryOURS1234567890abcdef",
        event_type="text/event-stream",
        start=sse({"responseId": "up-1"}),
        words=tuple(event(word) for word in WORDS),
        finish=event("", "STOP", usageMetadata=usage),
        usage=b"",
        end=b"",
        whole={
            "responseId": "up-1",
            "candidates": [answer("".join(WORDS), finishReason="STOP")],
            "usageMetadata": usage,
        },
        usage_name="usageMetadata",
        failure=sse(error(503, "The model is overloaded.")),
        failure_whole=json.dumps(error(503, "The model is overloaded.")).encode(),
        refusal=lambda status, text: json.dumps(error(status, text)).encode(),
        statuses=frozenset(names),
        finish_has_usage=True,
    )


def _bedrock() -> Dialect:
    names = {
        400: "ValidationException",
        403: "AccessDeniedException",
        404: "ResourceNotFoundException",
        408: "ModelTimeoutException",
        429: "ThrottlingException",
        500: "InternalServerException",
        503: "ServiceUnavailableException",
    }
    usage = {
        "inputTokens": TOKENS_IN,
        "outputTokens": TOKENS_OUT,
        "totalTokens": TOKENS_IN + TOKENS_OUT,
    }
    content = [{"text": "".join(WORDS)}]
    return Dialect(
        api="bedrock",
        credential=json.dumps(
            {
                "region": "us-east-1",
                "access_key_id": "AKIACANARYOURS123456",
                "secret_access_key": "canary/OURS/1234567890",
            }
        ),
        event_type="application/vnd.amazon.eventstream",
        start=event_stream.event("messageStart", {"role": "assistant"}),
        words=tuple(
            event_stream.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": w}})
            for w in WORDS
        ),
        finish=event_stream.event("contentBlockStop", {"contentBlockIndex": 0})
        + event_stream.event("messageStop", {"stopReason": "end_turn"}),
        usage=event_stream.event("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}),
        end=b"",
        whole={
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": "end_turn",
            "usage": usage,
        },
        usage_name="usage",
        failure=event_stream.exception("serviceUnavailableException", "At capacity."),
        failure_whole=b"",
        refusal=lambda status, text: json.dumps({"message": text}).encode(),
        statuses=frozenset(names),
        refusal_headers={status: (f"x-amzn-errortype: {name}",) for status, name in names.items()},
    )


DIALECTS = {made.api: made for made in (_openai(), _anthropic(), _gemini(), _bedrock())}
