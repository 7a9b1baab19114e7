"""Anthropic's own streams as customers of `/v1/messages` read them, and what the meter read of them."""

import json
from typing import Any

import pytest

from billing.types import TokenUsage
from gateway.dialects.messages import MessagesDialect
from gateway.providers.anthropic.anthropic_native_stream import NativeStream
from gateway.providers.base import ServeAs
from tests.gateway.test_messages import events_of

Json = dict[str, Any]

SERVED = ServeAs(id="msg_ours", model="claude-ours", created=1, native=True)


def through(*events, cut=False):
    """Return what a client reads of a stream, and the translator that metered it."""
    translator, writer = NativeStream(serve_as=SERVED), MessagesDialect().stream(SERVED)
    out = b""
    for event in events:
        line = event if isinstance(event, bytes) else json.dumps(event).encode()
        out += writer.events(translator.feed(b"", line))
    if cut:
        out += writer.events([b'{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}'])
    else:
        out += writer.events(translator.finish())
    usage = translator.usage or TokenUsage(input_tokens=1, output_tokens=2)
    extra = {"exerati": {"stop_reason": "budget"}} if cut else {}
    out += writer.end(usage, extra=extra, cost_nanousd=7)
    return events_of(out), translator


BEGIN: Json = {
    "type": "message_start",
    "message": {"id": "msg_theirs", "model": "theirs", "usage": {"input_tokens": 9}, "new": 1},
}
OPEN: Json = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "text", "text": ""},
}
SAID: Json = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {"type": "text_delta", "text": "Hi"},
}
SHUT: Json = {"type": "content_block_stop", "index": 0}
DONE: Json = {
    "type": "message_delta",
    "delta": {"stop_reason": "pause_turn", "stop_sequence": None},
    "context_management": {"applied_edits": []},
    "usage": {"output_tokens": 4, "server_tool_use": {"web_search_requests": 1}},
}
STOP: Json = {"type": "message_stop"}


def test_a_stream_is_the_providers_but_for_id_model_and_cost():
    events, translator = through(BEGIN, OPEN, SAID, SHUT, DONE, STOP)

    begun = {**BEGIN["message"], "id": "msg_ours", "model": "claude-ours"}
    done = {**DONE, "usage": {**DONE["usage"], "cost": 7e-9}}
    assert events == [{**BEGIN, "message": begun}, OPEN, SAID, SHUT, done, STOP]
    assert translator.usage == TokenUsage(input_tokens=9, output_tokens=4, searches=1)


def test_what_is_new_goes_through_and_what_is_repeated_does_not():
    news: Json = {"type": "content_block_start", "index": 1, "content_block": {"type": "hologram"}}
    more: Json = {"type": "content_block_delta", "index": 1, "delta": {"type": "light_delta"}}
    events, _ = through(BEGIN, BEGIN, OPEN, SAID, SHUT, news, more, DONE, SAID, STOP)

    assert [event["type"] for event in events].count("message_start") == 1
    assert news in events
    assert more in events
    assert events.count(SAID) == 1


def test_a_stream_that_is_stopped_closes_its_blocks():
    events, _ = through(BEGIN, OPEN, SAID, cut=True)

    assert events[-3:] == [
        SHUT,
        {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
            "usage": events[-2]["usage"],
        },
        STOP,
    ]
    assert events[-2]["usage"]["output_tokens"] == 2
    assert events[-2]["usage"]["exerati"] == {"stop_reason": "budget"}


def test_usage_that_the_provider_did_not_tell_is_ours():
    silent = {**DONE, "usage": {}}
    events, _ = through(BEGIN, OPEN, SAID, SHUT, silent, STOP)

    assert events[-2]["usage"]["output_tokens"] == 2


@pytest.mark.parametrize("name", ["x\ndata: y", "X Y", ""])
def test_an_event_whose_name_would_break_the_stream_is_left_out(name):
    events, _ = through(BEGIN, OPEN, SAID, {"type": name}, SHUT, DONE, STOP)

    assert len(events) == 6


def test_lines_and_numbers_that_clients_cannot_read_are_written_anew():
    odd = b'{"type":"content_block_delta","index":0,\n"delta":{"type":"text_delta","text":"Hi"},"p":NaN}'
    events, translator = through(BEGIN, OPEN, odd, SHUT, DONE, STOP)

    assert events[2] == {**SAID, "p": None}
    assert translator.output_text == ["Hi"]


def test_a_search_that_was_begun_is_output_and_counted():
    asked: Json = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    }
    typed: Json = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": '{"query":"x"}'},
    }
    translator = NativeStream(serve_as=SERVED)
    for event in (BEGIN, asked, typed):
        translator.feed(b"", json.dumps(event).encode())

    assert translator.output_text == ["web_search", '{"query":"x"}']
    assert translator.searches == 1
