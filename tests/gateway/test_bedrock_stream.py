"""Streams of Bedrock come out as OpenAI's chunks, however they are cut, and say what the whole answer says."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from billing.types import TokenUsage
from gateway.providers import registry
from gateway.providers.base import ProviderError, ServeAs
from tests.gateway import recorded, recorded_bedrock
from tests.gateway.event_stream import event, exception, message

Json = dict[str, Any]
ADAPTER = registry.adapter("bedrock")
SERVE_AS = ServeAs(id="chatcmpl-ours", model="public/name", created=1_790_000_001)
STREAMS = recorded_bedrock.converse(streamed=True)
needs_recordings = pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)


def run(*pieces: bytes):
    """Return the chunks that go out for a stream, its translator, and the error it ended with."""
    decoder = ADAPTER.stream_decoder()
    translator = ADAPTER.chat_stream(serve_as=SERVE_AS)
    sent, error = [], None
    try:
        for piece in pieces:
            for name, data in decoder.feed(piece):
                sent += translator.feed(name, data)
        sent += translator.finish()
    except ProviderError as caught:
        error = caught
    chunks = [json.loads(chunk) for chunk in sent]
    return SimpleNamespace(sent=sent, chunks=chunks, translator=translator, error=error)


def deltas(chunks: list[Json]) -> list[Json]:
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def joined(chunks: list[Json], name: str) -> str:
    return "".join(delta.get(name) or "" for delta in deltas(chunks))


def arguments(chunks: list[Json]) -> list[str]:
    found: list[str] = []
    for delta in deltas(chunks):
        for call in delta.get("tool_calls", ()):
            if call["index"] == len(found):
                found.append("")
            found[call["index"]] += call["function"].get("arguments", "")
    return found


def fill(index: int, **delta: Any) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})


def stop(index: int) -> bytes:
    return event("contentBlockStop", {"contentBlockIndex": index})


START = event("messageStart", {"role": "assistant", "p": "abc"})
USAGE = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}


def end(reason: str = "end_turn", **usage: Any) -> bytes:
    return event("messageStop", {"stopReason": reason}) + event(
        "metadata", {"usage": usage or USAGE, "metrics": {"latencyMs": 1}}
    )


@needs_recordings
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_recorded_streams_come_out_as_openais_chunks(stream):
    result = run(stream.data)

    for chunk in result.chunks:
        ChatCompletionChunk.model_validate(chunk)
        assert (chunk["id"], chunk["model"]) == ("chatcmpl-ours", "public/name")
    assert result.error is None
    events = [(name, json.loads(data)) for name, data in ADAPTER.stream_decoder().feed(stream.data)]
    said = [data["delta"] for name, data in events if name == b"contentBlockDelta"]
    assert joined(result.chunks, "content") == "".join(delta.get("text") or "" for delta in said)
    thoughts = [delta["reasoningContent"] for delta in said if "reasoningContent" in delta]
    assert joined(result.chunks, "reasoning_content") == "".join(
        thought.get("text") or "" for thought in thoughts
    )
    signatures = [thought["signature"] for thought in thoughts if "signature" in thought]
    assert signatures == [
        detail["signature"]
        for delta in deltas(result.chunks)
        for detail in delta.get("reasoning_details", ())
        if "signature" in detail
    ]
    for text in arguments(result.chunks):
        json.loads(text)
    for name, data in events:
        if name == b"metadata" and "usage" in data:
            usage = result.translator.usage
            assert usage.input_tokens + usage.output_tokens == data["usage"]["totalTokens"]


@needs_recordings
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_a_recorded_stream_says_the_same_however_it_is_cut(stream):
    whole = run(stream.data)

    pieces = run(*(stream.data[at : at + 1] for at in range(len(stream.data))))

    assert pieces.sent == whole.sent
    assert pieces.translator.usage == whole.translator.usage


def test_thinking_tools_and_text_keep_their_places():
    begin = {
        "contentBlockIndex": 2,
        "start": {"toolUse": {"toolUseId": "t1", "name": "f"}},
    }
    result = run(
        START
        + fill(0, reasoningContent={"text": "Hm"})
        + fill(0, reasoningContent={"signature": "c2ln"})
        + stop(0)
        + fill(1, reasoningContent={"redactedContent": "cmVk"})
        + stop(1)
        + event("contentBlockStart", begin)
        + fill(2, toolUse={"input": '{"a"'})
        + fill(2, toolUse={"input": ":1}"})
        + stop(2)
        + end("tool_use")
    )

    details = [d for delta in deltas(result.chunks) for d in delta.get("reasoning_details", ())]
    assert [detail.get("signature") for detail in details if detail["index"] == 0][-1] == "c2ln"
    assert details[-1] == {
        "type": "reasoning.encrypted",
        "data": "cmVk",
        "format": "amazon-bedrock-v1",
        "index": 1,
    }
    assert arguments(result.chunks) == ['{"a":1}']
    assert result.chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert result.translator.usage == TokenUsage(input_tokens=5, output_tokens=7)
    assert result.translator.done


def test_a_tool_without_arguments_gets_an_empty_object():
    begin = {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t1", "name": "f"}}}

    result = run(
        START + event("contentBlockStart", begin) + fill(0, toolUse={"input": ""}) + stop(0) + end()
    )

    assert arguments(result.chunks) == ["{}"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttlingException", "rate_limited"),
        ("modelStreamErrorException", "server"),
        ("internalServerException", "server"),
        ("serviceUnavailableException", "overloaded"),
        ("validationException", "bad_request"),
        ("modelTimeoutException", "timeout"),
        ("somethingNew", "server"),
    ],
)
def test_an_exception_in_the_stream_is_its_error(name, kind):
    result = run(START + fill(0, text="Hi") + exception(name, "For arn:aws:iam::1:x, no."))

    assert joined(result.chunks, "content") == "Hi"
    assert result.error.kind == kind
    assert result.error.message == "For [removed], no."


def test_an_error_without_a_model_of_its_own_is_understood():
    headers = {
        ":message-type": "error",
        ":error-code": "InternalServerException",
        ":error-message": "Oh",
    }

    assert run(START + message(headers, b"")).error.kind == "server"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (START + fill(0, text="Hi"), "connection"),
        (
            event("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {}}}),
            "bad_answer",
        ),
        (fill(0, toolUse={"input": "{}"}), "bad_answer"),
        (event("contentBlockDelta", {"delta": {"text": 7}}), "bad_answer"),
        (START + event("messageStop", {"stopReason": "malformed_model_output"}), "server"),
    ],
)
def test_a_stream_that_is_broken_is_an_error(data, kind):
    assert run(data).error.kind == kind


def test_what_amazons_own_tools_did_goes_out_at_the_end():
    use = {"toolUseId": "t0", "name": "nova", "type": "server_tool_use"}
    result_start = {"toolUseId": "t0", "type": "nova_result", "status": "success"}
    result = run(
        START
        + event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": use}})
        + fill(0, toolUse={"input": '{"q":1}'})
        + stop(0)
        + event(
            "contentBlockStart", {"contentBlockIndex": 1, "start": {"toolResult": result_start}}
        )
        + fill(1, toolResult=[{"json": {"x": 1}}])
        + stop(1)
        + fill(2, text="Done")
        + end()
    )

    first, second = deltas(result.chunks)[-1]["provider_blocks"]
    assert first["input"] == {"q": 1}
    assert (second["name"], second["content"]) == ("nova_result", [{"json": {"x": 1}}])


def test_a_guardrails_trace_stays_with_us():
    trace = {"usage": USAGE, "trace": {"guardrail": {"inputAssessment": {"secret-id": {}}}}}

    result = run(
        START
        + fill(0, text="No.")
        + event("messageStop", {"stopReason": "guardrail_intervened"})
        + event("metadata", trace)
    )

    assert result.chunks[-1]["choices"][0]["finish_reason"] == "content_filter"
    assert b"secret-id" not in b"".join(result.sent)
    assert "secret-id" not in json.dumps(result.translator.usage_extra)
