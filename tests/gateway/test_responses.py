"""Answers of the Responses API: made of chat answers whole and streamed, which must come to the same."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.types import TokenUsage
from gateway.dialects.responses import ResponsesDialect
from gateway.errors import ApiError
from gateway.providers.base import ServeAs
from gateway.providers.openai.openai_usage import wire_usage
from tests.gateway.open_responses import (
    assert_told,
    assert_valid_events,
    assert_valid_response,
    events_of,
)

CREATED = 1_700_000_000
ID = "resp_1"
SERVE_AS = ServeAs(id=ID, model="m", created=CREATED)
USAGE = TokenUsage(input_tokens=9, output_tokens=4, cache_read_tokens=3, reasoning_tokens=2)
REPLAY = {"include": ["reasoning.encrypted_content"]}
TIMES = ("created_at", "completed_at")


def dialect(**fields):
    """Return a dialect that has read a request."""
    asked = ResponsesDialect()
    asked.chat_body({"model": "m", "input": "Hi", **fields})
    return asked


def whole(message, *, finish_reason="stop", logprobs=None, **fields):
    """Return the response made of one chat message, as a client reads it."""
    choice = {"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": logprobs}
    answer = {
        "id": ID,
        "model": "m",
        "created": CREATED,
        "choices": [choice],
        "usage": wire_usage(USAGE),
    }
    response = dialect(**fields).whole(answer, cost_nanousd=2500)
    return as_read(response)


def as_read(response):
    """Return what a client decodes."""
    return json.loads(msgspec.json.encode(response))


def streamed(deltas, *, finish_reason="stop", **fields):
    """Return the events made of chat deltas."""
    writer = dialect(**fields).stream(SERVE_AS)
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish_reason})
    data = b"".join(
        writer.events([json.dumps({"choices": [choice]}).encode()]) for choice in choices
    )
    return events_of(data + writer.end(USAGE, extra={}, cost_nanousd=2500))


def timeless(response):
    """Return a response without its times, which a whole one takes from its provider."""
    return {name: value for name, value in response.items() if name not in TIMES}


def kinds(events):
    return [event["type"].removeprefix("response.") for event in events]


def test_usage_has_every_count_and_the_cost():
    response = whole({"content": "Hello"})

    assert response["usage"] == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 13,
        "cost": 0.0000025,
    }


def test_items_come_in_the_order_reasoning_message_calls():
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"reasoning_content": "Hm.", "content": "Yes.", "tool_calls": [call]}

    response = whole(message, finish_reason="tool_calls")

    assert_valid_response(response)
    assert [item["type"] for item in response["output"]] == [
        "reasoning",
        "message",
        "function_call",
    ]
    assert [item["id"] for item in response["output"]] == ["rs_1_0", "msg_1_1", "fc_1_2"]
    assert response["output"][0]["summary"] == [{"type": "summary_text", "text": "Hm."}]
    assert response["output"][2]["call_id"] == "c1"


def test_answer_repeats_what_was_asked():
    schema = {"type": "object"}
    response = whole(
        {"content": "Hello"},
        instructions="Be brief.",
        temperature=0.5,
        max_output_tokens=99,
        metadata={"a": "b"},
        text={"format": {"type": "json_schema", "name": "n", "schema": schema}, "verbosity": "low"},
        reasoning={"effort": "low", "summary": "auto"},
        tools=[{"type": "function", "name": "f"}],
        tool_choice={"type": "function", "name": "f"},
        truncation="auto",
    )

    assert_valid_response(response)
    assert response["instructions"] == "Be brief."
    assert (response["temperature"], response["max_output_tokens"]) == (0.5, 99)
    assert response["metadata"] == {"a": "b"}
    assert response["text"]["format"]["schema"] == schema
    assert response["reasoning"] == {"effort": "low", "summary": "auto"}
    assert response["tools"][0]["parameters"] is None
    assert response["tool_choice"] == {"type": "function", "name": "f"}
    assert response["truncation"] == "disabled"


@pytest.mark.parametrize(
    ("finish_reason", "status", "details"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_status_follows_from_the_finish_reason(finish_reason, status, details):
    response = whole({"content": "Hello"}, finish_reason=finish_reason)
    events = streamed([{"content": "Hello"}], finish_reason=finish_reason)

    assert_valid_response(response)
    assert_valid_events(events)
    assert (response["status"], response["incomplete_details"]) == (status, details)
    assert response["output"][0]["status"] == status
    assert events[-1]["type"] == f"response.{status}"


def test_refusal_is_a_part_of_its_own():
    response = whole({"content": None, "refusal": "No."})
    events = streamed([{"refusal": "N"}, {"refusal": "o."}])

    assert_valid_events(events)
    assert response["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]
    assert [event["delta"] for event in events if event["type"] == "response.refusal.delta"] == [
        "N",
        "o.",
    ]


def test_logprobs_and_citations_are_kept():
    token = {"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    cited = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
    message = {"content": "Hi", "annotations": [{"type": "url_citation", "url_citation": cited}]}

    response = whole(message, logprobs={"content": [token]}, top_logprobs=1)

    assert_valid_response(response)
    [part] = response["output"][0]["content"]
    assert part["logprobs"] == [{**token, "bytes": []}]
    assert part["annotations"] == [{"type": "url_citation", **cited}]


def test_parallel_calls_may_come_in_turns():
    deltas = [
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "}"}}]},
    ]

    events = streamed(deltas, finish_reason="tool_calls")

    assert_valid_events(events)
    output = events[-1]["response"]["output"]
    assert [(item["call_id"], item["arguments"]) for item in output] == [("a", "{}"), ("b", "{}")]
    deltas_of = [
        (event["output_index"], event["delta"])
        for event in events
        if "arguments.delta" in event["type"]
    ]
    assert deltas_of == [(1, "{"), (0, "{}"), (1, "}")]


def test_custom_tool_call_has_events_of_its_own():
    custom = {"name": "sql", "input": "SELECT"}
    delta = {"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": custom}]}

    events = streamed([delta], finish_reason="tool_calls")

    assert kinds(events)[2:-1] == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]
    assert events[-1]["response"]["output"][0]["input"] == "SELECT"


def test_call_in_a_namespace_is_told_by_its_own_name():
    tools = [
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f"}]},
    ]
    call = {"id": "c1", "type": "function", "function": {"name": "n__f", "arguments": "{}"}}

    response = whole({"content": None, "tool_calls": [call]}, tools=tools)

    [item] = response["output"]
    assert (item["namespace"], item["name"]) == ("n", "f")


def test_call_without_an_id_gets_one():
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}

    response = whole({"content": None, "tool_calls": [call]})

    assert response["output"][0]["call_id"] == "call_1_0"


def test_empty_answer_has_no_items():
    response = whole({"content": ""})
    events = streamed([{"role": "assistant", "content": ""}])

    assert_valid_events(events)
    assert response["output"] == events[-1]["response"]["output"] == []


def test_stream_that_fails_says_why_and_what_came_until_then():
    writer = dialect().stream(SERVE_AS)
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}]}
    data = writer.events([json.dumps(chunk).encode()])

    events = events_of(
        data + writer.error(ApiError("provider_error", "Broke."), request_id="req_1")
    )

    assert_valid_events(events)
    assert kinds(events)[-2:] == ["error", "failed"]
    assert events[-2]["error"]["code"] == "provider_error"
    assert events[-1]["response"]["error"] == {"code": "provider_error", "message": "Broke."}
    assert events[-1]["response"]["usage"] is None


texts = st.lists(st.text(max_size=6), max_size=4)


@given(
    reasoning=texts,
    content=texts,
    refusal=texts,
    calls=st.lists(texts, max_size=3),
    signed=st.booleans(),
    finish_reason=st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
    with_replay=st.booleans(),
)
def test_stream_and_whole_answer_come_to_the_same(
    reasoning, content, refusal, calls, signed, finish_reason, with_replay
):
    fields = REPLAY if with_replay else {}
    named = [{"id": f"c{number}", "type": "function"} for number in range(len(calls))]
    signature = {"extra_content": {"google": {"thought_signature": "s"}}} if signed else {}
    message = {
        "reasoning_content": "".join(reasoning),
        "content": "".join(content),
        "refusal": "".join(refusal),
        "tool_calls": [
            {**call, **signature, "function": {"name": "f", "arguments": "".join(pieces)}}
            for call, pieces in zip(named, calls, strict=True)
        ],
    }
    deltas = [
        *({"reasoning_content": piece} for piece in reasoning),
        *({"content": piece} for piece in content),
        *({"refusal": piece} for piece in refusal),
    ]
    for index, pieces in enumerate(calls):
        begun = {**named[index], **signature, "index": index, "function": {"name": "f"}}
        deltas.append({"tool_calls": [begun]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces
        ]

    response = whole(message, finish_reason=finish_reason, **fields)
    events = streamed(deltas, finish_reason=finish_reason, **fields)

    assert timeless(events[-1]["response"]) == timeless(response)
    assert_told(events)
