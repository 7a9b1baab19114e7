"""Streams of Anthropic come out as OpenAI's chunks, however they are cut, at Anthropic's own words."""

import json
import random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from openai.lib.streaming._deltas import accumulate_delta
from openai.types.chat import ChatCompletionChunk

from billing.types import TokenUsage
from gateway.providers import registry
from gateway.providers.base import ProviderError, ServeAs
from gateway.sse import SseDecoder
from tests.gateway import recorded, recorded_anthropic

Json = dict[str, Any]
ADAPTER = registry.adapter("anthropic")
SERVE_AS = ServeAs(id="chatcmpl-ours", model="public/name", created=1_790_000_001)
WITH_USAGE = ServeAs(id="chatcmpl-ours", model="public/name", created=1, include_usage=True)
STREAMS = recorded_anthropic.streams()
# A proxy spliced two answers into one; and Anthropic broke one off.
BROKEN = {"fx-messages-spliced-message-start-stream-d6e3/0": "bad_answer"}
BROKEN["rp-in-stream-overloaded-b272/0"] = "overloaded"
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
        sent=sent,
        chunks=[json.loads(chunk) for chunk in sent],
        translator=translator,
        error=error,
    )


def sse(*events: Json) -> list[bytes]:
    frames = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return ["".join(frames).encode()]


def start(**usage: int) -> Json:
    message = {"id": "msg_1", "role": "assistant", "content": [], "usage": usage}
    return {"type": "message_start", "message": message}


def block(index: int, content: Json, *deltas: Json) -> list[Json]:
    return [
        {"type": "content_block_start", "index": index, "content_block": content},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text_block(index: int, *texts: str) -> list[Json]:
    deltas = ({"type": "text_delta", "text": text} for text in texts)
    return block(index, {"type": "text", "text": ""}, *deltas)


def end(reason: str = "end_turn", **usage: int) -> list[Json]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]


def deltas(chunks: list[Json]) -> list[Json]:
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def joined(chunks: list[Json], name: str) -> str:
    return "".join(delta.get(name) or "" for delta in deltas(chunks))


def calls(chunks: list[Json]) -> list[Json]:
    """Return the tool calls as a client puts them together."""
    found: list[Json] = []
    for delta in deltas(chunks):
        for call in delta.get("tool_calls", ()):
            if call["index"] == len(found):
                found.append({"id": call["id"], "name": call["function"]["name"], "arguments": ""})
            found[call["index"]]["arguments"] += call["function"]["arguments"]
    return found


def reasoning(chunks: list[Json]) -> list[Json]:
    """Return `reasoning_details` as a client has them at the end."""
    details: list[Json] = as_the_sdk_joins(chunks).get("reasoning_details", [])
    return details


def as_the_sdk_joins(chunks: list[Json]) -> Json:
    """Return the message as the official SDK's stream helper puts it together."""
    message: dict[object, object] = {}
    for delta in deltas(chunks):
        message = accumulate_delta(message, json.loads(json.dumps(delta)))
    return cast(Json, message)


def as_answered(events: list[Json]) -> Json:
    """Return the whole message that a stream's events amount to, by Anthropic's own rules."""
    blocks: list[Json] = []
    message: Json = {}
    for event in events:
        if event["type"] == "message_start":
            message = dict(event["message"])
        elif event["type"] == "content_block_start":
            blocks.append({**event["content_block"], "_input": ""})
        elif event["type"] == "content_block_delta":
            add(blocks[-1], event["delta"])
        elif event["type"] == "message_delta":
            message |= {name: value for name, value in event["delta"].items() if value is not None}
            said = {name: value for name, value in event["usage"].items() if value is not None}
            message["usage"] = {**message["usage"], **said}
    for item in blocks:
        if piece := item.pop("_input"):
            item["input"] = json.loads(piece)
    return {**message, "content": blocks}


def add(content: Json, delta: Json) -> None:
    if delta["type"] == "citations_delta":
        content["citations"] = [*(content.get("citations") or ()), delta["citation"]]
    elif delta["type"] == "input_json_delta":
        content["_input"] += delta["partial_json"]
    else:
        name = delta["type"].removesuffix("_delta")
        content[name] = content.get(name, "") + delta[name]


@needs_recordings
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_recorded_streams_come_out_as_openais_chunks(stream):
    result = run([stream.data], serve_as=WITH_USAGE)

    assert (result.error and result.error.kind) == BROKEN.get(stream.name)
    for chunk in result.chunks:
        ChatCompletionChunk.model_validate(chunk)
        assert (chunk["id"], chunk["model"]) == ("chatcmpl-ours", "public/name")
        assert chunk["usage"] is None
    if result.error is None:
        assert result.translator.done
        assert result.chunks[-1]["choices"][0]["finish_reason"] == result.translator.finish_reason
        assert all(chunk["choices"][0]["finish_reason"] is None for chunk in result.chunks[:-1])


@needs_recordings
@pytest.mark.parametrize(
    "stream",
    [item for item in STREAMS if item.name not in BROKEN and "incomplete" not in item.name],
    ids=lambda stream: stream.name,
)
def test_a_recorded_stream_says_and_costs_what_the_whole_answer_would(stream):
    message = as_answered(recorded_anthropic.events_of(stream.data))
    whole = ADAPTER.chat_answer(json.dumps(message).encode(), serve_as=SERVE_AS)
    (choice,) = whole.body["choices"]

    result = run([stream.data])

    assert joined(result.chunks, "content") == (choice["message"]["content"] or "")
    assert joined(result.chunks, "refusal") == (choice["message"]["refusal"] or "")
    assert joined(result.chunks, "reasoning_content") == choice["message"].get(
        "reasoning_content", ""
    )
    assert reasoning(result.chunks) == choice["message"].get("reasoning_details", [])
    for name in ("citations", "annotations", "provider_blocks"):
        assert as_the_sdk_joins(result.chunks).get(name) == choice["message"].get(name)
    assert [(call["id"], json.loads(call["arguments"])) for call in calls(result.chunks)] == [
        (call["id"], json.loads(call["function"]["arguments"]))
        for call in choice["message"].get("tool_calls", ())
    ]
    assert result.translator.usage == whole.usage
    assert result.translator.upstream_id == whole.upstream_id
    assert result.translator.finish_reason == choice["finish_reason"]


@needs_recordings
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_cuts_and_line_ends_change_nothing(stream, line_end):
    expected = run([stream.data])
    data = stream.data.replace(b"\n", line_end)
    choose = random.Random(stream.name)  # seeded, so that a failure comes again
    cuts = [[data[at : at + 1] for at in range(len(data))]]
    for _ in range(20):
        places = sorted(choose.sample(range(len(data)), min(9, len(data))))
        cuts.append([data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)])

    for pieces in cuts:
        result = run(pieces)

        assert result.sent == expected.sent
        assert result.translator.usage == expected.translator.usage
        assert result.translator.output_text == expected.translator.output_text
        assert repr(result.error) == repr(expected.error)


@needs_recordings
@pytest.mark.parametrize(
    "stream", [item for item in STREAMS if len(item.data) < 4_096], ids=lambda stream: stream.name
)
def test_a_small_stream_may_be_cut_in_two_at_every_byte(stream):
    expected = run([stream.data])

    for place in range(1, len(stream.data)):
        result = run([stream.data[:place], stream.data[place:]])

        assert result.sent == expected.sent
        assert result.translator.usage == expected.translator.usage


def test_text_reaches_the_customer_byte_for_byte():
    result = run(sse(start(), *text_block(0, 'Grüße "世界"', " 🙂\u2028"), *end(output_tokens=7)))

    assert deltas(result.chunks) == [
        {"role": "assistant", "content": ""},
        {"content": 'Grüße "世界"'},
        {"content": " 🙂\u2028"},
        {},
    ]
    assert result.translator.output_text == ['Grüße "世界"', " 🙂\u2028"]
    assert {chunk["created"] for chunk in result.chunks} == {SERVE_AS.created}
    assert not any("usage" in chunk for chunk in result.chunks)


def test_usage_is_cumulative_and_the_last_word_wins():
    usage = {"input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 1}
    creation = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 8}
    begin = start(**usage)
    begin["message"]["usage"] |= {"cache_creation_input_tokens": 8, "cache_creation": creation}
    final = end(output_tokens=40)
    final[0]["usage"] |= {"input_tokens": 6, "cache_read_input_tokens": None, "iterations": []}

    translator = run(sse(begin, *text_block(0, "Hi"), *final)).translator

    assert translator.usage == TokenUsage(
        input_tokens=114, output_tokens=40, cache_read_tokens=100, cache_write_1h_tokens=8
    )
    assert translator.usage_extra["iterations"] == []


def test_usage_is_not_known_before_the_last_word():
    translator = run(sse(start(input_tokens=5, output_tokens=1), *text_block(0, "Hi"))).translator

    assert translator.usage is None


def test_parallel_tool_calls_keep_their_indexes_and_an_empty_input_is_json():
    first = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    pieces = [{"type": "input_json_delta", "partial_json": text} for text in ("", '{"a"', ":1}")]

    result = run(
        sse(
            start(),
            *text_block(0, "Let me"),
            *block(1, first, *pieces),
            *block(2, {**first, "id": "toolu_2", "name": "g"}, pieces[0]),
            *end("tool_use"),
        )
    )

    assert calls(result.chunks) == [
        {"id": "toolu_1", "name": "f", "arguments": '{"a":1}'},
        {"id": "toolu_2", "name": "g", "arguments": "{}"},
    ]
    assert result.translator.finish_reason == "tool_calls"
    assert result.translator.output_text == ["Let me", "f", '{"a"', ":1}", "g", "{}"]


def test_thinking_is_told_with_its_signature_and_place():
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    pieces = [
        {"type": "thinking_delta", "thinking": "H"},
        {"type": "thinking_delta", "thinking": "mm"},
        {"type": "signature_delta", "signature": "Eq/+=="},
    ]
    secret = {"type": "redacted_thinking", "data": "EmwK"}

    result = run(
        sse(
            start(),
            *block(0, thinking, *pieces),
            *text_block(1, "Hi"),
            *block(2, secret),
            *end(),
        )
    )

    assert joined(result.chunks, "reasoning_content") == "Hmm"
    assert reasoning(result.chunks) == [
        {
            "type": "reasoning.text",
            "text": "Hmm",
            "signature": "Eq/+==",
            "format": "anthropic-claude-v1",
            "index": 0,
        },
        {
            "type": "reasoning.encrypted",
            "data": "EmwK",
            "format": "anthropic-claude-v1",
            "index": 1,
            "after_characters": 2,
            "after_tool_calls": 0,
        },
    ]
    assert result.translator.output_text == ["H", "mm", "Hi"]


def test_a_refusal_is_told_and_its_ids_are_not():
    details = {"type": "refusal", "explanation": None, "fallback_credit_token": "tok_1"}
    final = end("refusal")
    final[0]["delta"]["stop_details"] = details

    result = run(sse(start(), *final))

    assert result.translator.finish_reason == "content_filter"
    assert joined(result.chunks, "refusal") == "The model refused."
    assert b"tok_1" not in b"".join(result.sent)
    assert result.translator.output_text == []


def test_an_error_event_ends_the_stream_as_what_it_is():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

    result = run(sse(start(), *text_block(0, "Hi"), error))

    assert (result.error.kind, result.error.status) == ("overloaded", 529)
    assert result.translator.output_text == ["Hi"]


def test_a_stream_cut_short_is_an_error_after_what_was_delivered():
    result = run(sse(start(), *text_block(0, "Hi")))

    assert result.error.kind == "connection"
    assert joined(result.chunks, "content") == "Hi"


def test_a_stream_that_ends_without_a_reason_gets_one():
    result = run(sse(start(), *text_block(0, "Hi"), {"type": "message_stop"}))

    assert result.chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_events_nobody_knows_are_passed_over():
    news = {"type": "content_block_gossip", "index": 0, "delta": {"type": "whisper"}}
    (begin, middle, stop) = block(0, {"type": "text", "text": "Hi"}, {"type": "aura_delta"})

    result = run(sse(start(), {"type": "ping"}, news, begin, middle, stop, *end()))

    assert joined(result.chunks, "content") == "Hi"
    assert result.error is None


@pytest.mark.parametrize(
    "events",
    [
        block(0, {"type": "hologram"}),
        text_block(0, "Hi")[1:],
        [*text_block(0, "Hi"), start()],
        [{"type": "content_block_delta", "index": "zero"}],
    ],
)
def test_broken_streams_end_as_bad_answers(events):
    assert run(sse(start(), *events, *end())).error.kind == "bad_answer"


@pytest.mark.parametrize("data", [b"not json", b"[1]", b'{"no":"type"}'])
def test_broken_events_end_the_stream(data):
    with pytest.raises(ProviderError) as caught:
        ADAPTER.chat_stream(serve_as=SERVE_AS).feed(b"", data)

    assert caught.value.kind == "bad_answer"


def test_half_a_surrogate_pair_does_not_break_the_stream():
    (data,) = sse(start(), *text_block(0, "\ud83d"), *end())

    assert joined(run([data]).chunks, "content") == "\ud83d"
