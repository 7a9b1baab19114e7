"""What is wrong with how a cell went, as sentences; none if all is as it must be."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from billing.models import UsageEvent
from tests.gateway import books
from tests.gateway.upstream_faults.cells import Expected
from tests.gateway.upstream_faults.dialects import TOKENS_IN, TOKENS_OUT, WORDS
from tests.gateway.upstream_faults.matrix import Run
from tests.gateway_server import Answer

ENVELOPE = {"message", "type", "param", "code", "docs_url", "request_id"}
SECRETS = re.compile(rb"canary|us-east-1|127\.0\.0\.1:(?!8000/docs)", re.IGNORECASE)


def problems(run: Run, events: Mapping[str, UsageEvent]) -> Iterator[str]:
    """Yield what is wrong; `events` are the organization's by the id that its answers show."""
    expected, answer = run.cell.expected, run.answer
    if answer is None:
        yield f"no answer: {run.hung}"
        return
    yield from _told(answer, expected, stream=run.cell.stream)
    yield from _secrets(answer)
    event = events.get(answer.headers.get("x-request-id", ""))
    if event is None:
        yield "no usage event"
        return
    yield from _billed(event, expected)
    yield from _sent(run, event)
    if run.second is not None:
        yield from _second(run.second, expected, stream=run.cell.stream)


def _told(answer: Answer, expected: Expected, *, stream: bool) -> Iterator[str]:
    if answer.status != expected.status:
        yield f"status {answer.status}: {answer.body[:300]!r}"
        return
    if expected.code and not expected.after_output:
        yield from _envelope(answer.json, expected.code)
        yield from _retry_after(answer, expected)
        return
    if not stream:
        if answer.json["choices"][0]["message"]["content"] != "".join(WORDS):
            yield f"not the answer: {answer.body[:300]!r}"
        return
    yield from _stream(answer.body, expected)


def _stream(body: bytes, expected: Expected) -> Iterator[str]:
    frames = [frame for frame in body.split(b"\n\n") if frame and not frame.startswith(b":")]
    if frames[-1] != b"data: [DONE]":
        yield f"the stream ends with {frames[-1][:100]!r}"
        return
    chunks = [json.loads(frame.removeprefix(b"data: ")) for frame in frames[:-1]]
    errors = [chunk for chunk in chunks if "error" in chunk]
    text = "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        for choice in chunk.get("choices", ())
    )
    if not "".join(WORDS).startswith(text):
        yield f"another text than the provider's: {text!r}"
    if expected.after_output:
        if len(errors) != 1 or errors[0] != chunks[-1]:
            yield f"{len(errors)} error events"
            return
        yield from _envelope(errors[0], expected.code)
    elif errors:
        yield f"an error event: {errors[0]}"
    elif text != "".join(WORDS):
        yield f"not the whole text: {text!r}"


def _envelope(body: Any, code: str) -> Iterator[str]:
    error = body.get("error", {})
    if missing := ENVELOPE - set(error):
        yield f"the envelope has no {missing}"
        return
    if error["code"] != code:
        yield f"code {error['code']}: {error['message'][:200]}"
    if not error["request_id"].startswith("req_") or not error["message"]:
        yield "an empty message or a strange request id"


def _retry_after(answer: Answer, expected: Expected) -> Iterator[str]:
    told = answer.headers.get("retry-after")
    if expected.status == 503 and told is None:
        yield "503 without Retry-After"
    if expected.retry_after is not None and told is not None:
        least, most = expected.retry_after
        if not least <= int(told) <= most:
            yield f"Retry-After {told}"


def _secrets(answer: Answer) -> Iterator[str]:
    shown = answer.body + json.dumps(answer.headers).encode()
    if found := SECRETS.search(shown):
        start = max(0, found.start() - 60)
        yield f"it shows {shown[start : found.end() + 60]!r}"
    if "set-cookie" in answer.headers or "location" in answer.headers:
        yield "it passes headers of the provider on"


def _billed(event: UsageEvent, expected: Expected) -> Iterator[str]:
    price = event.input_tokens * 100 + event.output_tokens * 400
    outcome = "failed" if expected.code else "finished"
    basis = {"free": "waived"}.get(expected.bill, expected.bill)
    if (event.outcome, event.basis) != (outcome, basis):
        yield f"settled as {event.outcome}, {event.basis} ({event.error_code})"
        return
    if event.charge_nanousd != (0 if expected.bill == "free" else price):
        yield f"charged {event.charge_nanousd} for {event.input_tokens}+{event.output_tokens}"
    tokens = (event.input_tokens, event.output_tokens)
    if expected.bill == "reported" and tokens != (TOKENS_IN, TOKENS_OUT):
        yield f"charged for {tokens}"
    if expected.bill == "counted" and not (event.input_tokens and 1 <= event.output_tokens <= 5):
        yield f"counted {tokens}"


def _sent(run: Run, event: UsageEvent) -> Iterator[str]:
    rows = books.attempts(event)
    if len(rows) != run.cell.expected.tries or event.attempts != len(rows):
        yield f"{len(rows)} tries: {rows}"
    if not run.cell.address and len(run.exchanges) != len(rows):
        yield f"the provider got {len(run.exchanges)} requests"
    if any(exchange.used_again for exchange in run.exchanges):
        yield "a connection was used again after a broken answer"


def _second(answer: Answer, expected: Expected, *, stream: bool) -> Iterator[str]:
    """The provider works again: its place, the key's place, and a connection are there."""
    if expected.rests:
        if answer.status not in (200, 503):
            yield f"second call: {answer.status} {answer.body[:200]!r}"
        return
    if answer.status != 200:
        yield f"second call: {answer.status} {answer.body[:200]!r}"
        return
    yield from (f"second call: {found}" for found in _told(answer, Expected(), stream=stream))
