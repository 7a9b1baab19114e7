"""Gemini's streams come out as OpenAI's chunks, however their bytes were cut."""

import json
import random
from types import SimpleNamespace
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from billing.types import TokenUsage
from gateway.providers import registry
from gateway.providers.base import ProviderError, ServeAs
from gateway.sse import SseDecoder
from tests.gateway import recorded, recorded_gemini

Json = dict[str, Any]
ADAPTER = registry.adapter("gemini")
SERVE_AS = ServeAs(id="chatcmpl-ours", model="public/name", created=1_790_000_001)
STREAMS = [item for item in recorded_gemini.exchanges() if item.streamed]
# Streams that are no whole answer, and what they are: a prompt refused, an object of nothing we know, and a
# recording of the time before Gemini that names no finish reason.
FAILED = {
    "gemini/fx-streaming-failure-prompt-blocked-safety-ab03/0": "content_policy",
    "vertex/fx-streaming-failure-invalid-json-ffab/0": "connection",
    "vertex/fx-streaming-success-quotes-escaped-6186/0": "connection",
}
needs_recordings = pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)


def run(pieces: list[bytes], *, serve_as: ServeAs = SERVE_AS):
    """Return the chunks that go out for a stream, its translator, and the error it ended with."""
    decoder, translator = SseDecoder(), ADAPTER.chat_stream(serve_as=serve_as)
    sent, error = [], None
    try:
        for piece in pieces:
            for event, payload in decoder.feed(piece):
                sent += translator.feed(event, payload)
        for event, payload in decoder.flush():
            sent += translator.feed(event, payload)
        sent += translator.finish()
    except ProviderError as caught:
        error = caught
    return SimpleNamespace(
        chunks=[json.loads(chunk) for chunk in sent], translator=translator, error=error
    )


def events(*bodies: Json) -> list[bytes]:
    return [b"data: " + json.dumps(body).encode() + b"\r\n\r\n" for body in bodies]


def said(*parts: Json, **fields: Any) -> Json:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **fields}]}


def joined(chunks: list[Json], name: str) -> str:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return "".join(delta.get(name) or "" for delta in deltas)


def calls_in(chunks: list[Json]) -> list[Json]:
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return [call for delta in deltas for call in delta.get("tool_calls", ())]


@needs_recordings
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_recorded_streams_come_out_as_openai_chunks(stream):
    parts = [
        part
        for body in stream.bodies
        for candidate in body.get("candidates", ())
        for part in candidate.get("content", {}).get("parts", ())
    ]

    result = run([stream.sse])

    assert (result.error.kind if result.error else None) == FAILED.get(stream.name)
    for name, thought in (("content", False), ("reasoning_content", True)):
        assert joined(result.chunks, name) == "".join(
            part.get("text", "") for part in parts if bool(part.get("thought")) == thought
        )
    names = [part["functionCall"].get("name") for part in parts if "functionCall" in part]
    calls = calls_in(result.chunks)
    assert [call["function"]["name"] for call in calls] == [name for name in names if name]
    assert [call["index"] for call in calls] == list(range(len(calls)))
    for chunk in result.chunks:
        ChatCompletionChunk.model_validate(chunk)
        assert (chunk["id"], chunk["model"]) == ("chatcmpl-ours", "public/name")
        assert "usage" not in chunk


@needs_recordings
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_signatures_of_recorded_streams_survive_byte_for_byte(stream):
    theirs = [
        part["thoughtSignature"]
        for body in stream.bodies
        for candidate in body.get("candidates", ())
        for part in candidate.get("content", {}).get("parts", ())
        if "thoughtSignature" in part
    ]

    chunks = run([stream.sse]).chunks

    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    holders = [*calls_in(chunks), *deltas]
    ours = [holder.get("extra_content", {}).get("google", {}) for holder in holders]
    found = [google["thought_signature"] for google in ours if "thought_signature" in google]
    kept = [
        part["thoughtSignature"]
        for google in ours
        for part in google.get("parts", ())
        if "thoughtSignature" in part
    ]
    assert set(theirs) == set(found + kept)


@needs_recordings
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_usage_of_recorded_streams_is_the_last_word(stream):
    usage: Json = {}
    for body in stream.bodies:
        usage |= body.get("usageMetadata") or {}

    reported = run([stream.sse]).translator.usage

    if "totalTokenCount" not in usage:
        assert reported is None
    else:
        assert reported.input_tokens + reported.output_tokens == usage["totalTokenCount"]


@needs_recordings
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_recorded_streams_are_the_same_however_they_are_cut(stream, newline):
    data = stream.sse.replace(b"\n", newline)
    whole = run([data])

    for pieces in cuts(data):
        result = run(pieces)

        assert result.chunks == whole.chunks
        assert result.translator.usage == whole.translator.usage
        assert result.translator.output_text == whole.translator.output_text


def cuts(data: bytes) -> list[list[bytes]]:
    """Single bytes; every cut in two for small streams, and seeded random pieces for large ones."""
    single = [data[at : at + 1] for at in range(len(data))]
    if len(data) < 4_096:
        return [single, *([data[:at], data[at:]] for at in range(len(data)))]
    chance = random.Random(17)
    found = [single]
    for _ in range(5):
        at = sorted(chance.sample(range(1, len(data)), 9))
        found.append([data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)])
    return found


def test_a_stream_tells_its_finish_reason_once_and_at_the_end():
    body = events(
        said({"text": "Grüße "}, finishReason="STOP"), said({"text": "🙂"}, finishReason="STOP")
    )

    result = run(body)

    assert joined(result.chunks, "content") == "Grüße 🙂"
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in result.chunks]
    assert reasons == [None, None, "stop"]
    assert [chunk["choices"][0]["delta"].get("role") for chunk in result.chunks] == [
        "assistant",
        None,
        None,
    ]
    assert result.translator.finish_reason == "stop"


def test_two_choices_keep_apart():
    body = {
        "candidates": [
            {"index": index, "content": {"parts": [{"text": text}]}, "finishReason": reason}
            for index, text, reason in ((0, "a", "STOP"), (1, "b", "MAX_TOKENS"))
        ]
    }

    result = run(events(body))

    assert [choice["index"] for choice in result.chunks[0]["choices"]] == [0, 1]
    assert [c["finish_reason"] for c in result.chunks[-1]["choices"]] == ["stop", "length"]


def test_usage_of_a_stream_grows_and_the_last_word_holds():
    result = run(
        events(
            {**said({"text": "a"}), "usageMetadata": {"promptTokenCount": 5}},
            {
                **said({"text": "b"}, finishReason="STOP"),
                "usageMetadata": {
                    "promptTokenCount": 5,
                    "candidatesTokenCount": 2,
                    "thoughtsTokenCount": 7,
                    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}],
                },
            },
            {"usageMetadata": {"trafficType": "ON_DEMAND"}},
        ),
        serve_as=ServeAs(id="x", model="m", created=1, include_usage=True),
    )

    assert result.translator.usage == TokenUsage(
        input_tokens=5, output_tokens=9, reasoning_tokens=7
    )
    assert result.translator.usage_extra["prompt_tokens_details"] == {"text_tokens": 5}
    assert all(chunk["usage"] is None for chunk in result.chunks)


def test_arguments_in_pieces_become_one_call():
    def piece(*partial: Json, **fields: Any) -> Json:
        return said({"functionCall": {"partialArgs": list(partial), **fields}})

    result = run(
        events(
            piece(name="f", willContinue=True),
            piece({"jsonPath": "$.a.b[0]", "stringValue": "x"}, willContinue=True),
            piece({"jsonPath": "$.a.b[0]", "stringValue": "y"}, willContinue=True),
            piece({"jsonPath": "$['a'].c", "numberValue": 2}, willContinue=True),
            piece({"jsonPath": "$.d", "nullValue": "NULL_VALUE"}),
            said(finishReason="STOP"),
        )
    )

    (call,) = calls_in(result.chunks)
    assert json.loads(call["function"]["arguments"]) == {"a": {"b": ["xy"], "c": 2}, "d": None}
    assert result.translator.output_text == ["f", call["function"]["arguments"]]
    assert result.translator.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("bodies", "kind"),
    [
        ([], "connection"),
        ([said({"text": "a"})], "connection"),
        ([said({"text": "a"}), {"error": {"code": 503, "status": "UNAVAILABLE"}}], "overloaded"),
        ([{"error": {"status": "RESOURCE_EXHAUSTED", "message": "slow"}}], "rate_limited"),
        ([{"promptFeedback": {"blockReason": "OTHER"}}], "content_policy"),
        ([said(finishReason="MALFORMED_FUNCTION_CALL")], "server"),
        ([{"candidates": ["x"]}], "bad_answer"),
        (
            [said({"functionCall": {"name": "f", "partialArgs": [{"jsonPath": "$[5]"}]}})],
            "bad_answer",
        ),
        ([said({"functionCall": {"name": "f", "partialArgs": [7]}})], "bad_answer"),
    ],
)
def test_a_broken_stream_is_an_error(bodies, kind):
    assert run(events(*bodies)).error.kind == kind


def test_a_broken_event_is_a_bad_answer():
    assert run([b"data: nonsense\n\n"]).error.kind == "bad_answer"


def test_an_image_alone_counts_as_output():
    image = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}

    result = run(events(said(image, finishReason="STOP")))

    assert result.translator.output_text
    assert result.chunks[0]["choices"][0]["delta"]["images"]


def test_a_stream_is_complete_when_its_candidate_has_ended():
    assert run(events(said({"text": "a"}), said(finishReason="STOP"))).translator.is_complete


def test_where_every_event_names_a_reason_none_tells_that_the_answer_is_complete():
    named = [said({"text": word}, finishReason="STOP") for word in ("a", "b")]

    assert not run(events(*named)).translator.is_complete
