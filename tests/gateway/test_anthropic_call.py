"""A call to Claude through a running gateway: what the provider gets, what the customer reads, what is charged."""

import json

import pytest

from gateway.models import Provider
from tests.gateway import books
from tests.gateway.test_anthropic_stream import end, sse, start, text_block

USAGE = {"input_tokens": 9, "cache_read_input_tokens": 0, "output_tokens": 4}
ANSWER = {"id": "msg_77", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}


@pytest.fixture
def claude(shop):
    """The shop, its provider now speaking Anthropic's API."""
    Provider.objects.filter(pk=shop.provider.pk).update(api="anthropic")
    shop.relearn()
    return shop


def test_a_whole_answer_is_translated_and_charged_as_reported(claude):
    claude.script(raw=json.dumps({**ANSWER, "usage": USAGE}).encode())

    answer = claude.chat()

    (call,) = claude.upstream.calls_of(claude.model)
    assert call.path == "/v1/messages"
    assert call.headers["anthropic-version"] == "2023-06-01"
    assert call.body["max_tokens"] > 0
    assert answer.json["choices"][0]["message"]["content"] == "Hi"
    assert answer.json["usage"]["total_tokens"] == 13
    event = books.only(claude.organization)
    assert (event.input_tokens, event.output_tokens, event.basis) == (9, 4, "reported")
    assert event.upstream_id == "msg_77"


def test_a_stream_is_translated_and_charged_as_reported(claude):
    (raw,) = sse(
        start(**USAGE | {"output_tokens": 1}), *text_block(0, "H", "i"), *end("end_turn", **USAGE)
    )
    claude.script(raw=raw)

    answer = claude.chat(stream=True, stream_options={"include_usage": True})

    blocks = answer.body.removesuffix(b"\n\n").split(b"\n\n")
    chunks = [json.loads(block[6:]) for block in blocks[:-1]]
    assert blocks[-1] == b"data: [DONE]"
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks[:-1]) == "Hi"
    assert chunks[-1]["usage"]["total_tokens"] == 13
    event = books.only(claude.organization)
    assert (event.input_tokens, event.output_tokens, event.basis) == (9, 4, "reported")


def test_what_claude_cannot_do_is_refused_without_a_call_or_a_charge(claude):
    answer = claude.chat(logprobs=True)

    assert answer.status == 400
    assert (answer.json["error"]["code"], answer.json["error"]["param"]) == (
        "unsupported_parameter",
        "logprobs",
    )
    assert not claude.upstream.calls_of(claude.model)
    assert books.only(claude.organization).charge_nanousd == 0


def test_an_error_in_a_stream_before_anything_was_delivered_costs_nothing(claude):
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    claude.script(raw=b"".join(sse(start(**USAGE), error)))

    answer = claude.chat(stream=True)

    assert (answer.status, answer.json["error"]["code"]) == (503, "provider_overloaded")
    assert books.only(claude.organization).basis == "waived"


NATIVE = {"top_k": 3, "cache_control": {"type": "ephemeral"}}


def send_message(shop, **fields):
    body = {"model": shop.model, "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
    return shop.gateway.request("POST", "/v1/messages", key=shop.secret, body={**body, **fields})


def test_what_only_anthropics_format_says_reaches_anthropic(claude):
    claude.script(raw=json.dumps({**ANSWER, "usage": USAGE}).encode())

    answer = send_message(claude, **NATIVE)

    (call,) = claude.upstream.calls_of(claude.model)
    assert answer.status == 200
    assert "x-exerati-ignored-params" not in answer.headers
    assert NATIVE.items() <= call.body.items()


def test_it_is_left_out_and_named_where_another_api_serves(shop):
    answer = send_message(shop, **NATIVE)

    (call,) = shop.upstream.calls_of(shop.model)
    assert answer.status == 200
    assert answer.headers["x-exerati-ignored-params"] == "top_k,cache_control"
    assert not {*NATIVE, "anthropic"} & set(call.body)


def test_nobody_sends_it_by_another_format(claude):
    claude.script(raw=json.dumps({**ANSWER, "usage": USAGE}).encode())

    answer = claude.chat(anthropic=NATIVE)

    (call,) = claude.upstream.calls_of(claude.model)
    assert answer.headers["x-exerati-ignored-params"] == "anthropic"
    assert not {*NATIVE, "anthropic"} & set(call.body)
