"""What a client of a stream reads, byte by byte."""

import gc
import json
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from billing.types import TokenUsage
from gateway import streaming
from gateway.dialects.chat import ChatDialect
from gateway.providers.base import ServeAs
from tests import factories
from tests.gateway import books
from tests.gateway.caller import Caller
from tests.upstream import Upstream


def events(answer):
    """Return the data of each event, comments left out; the stream must end with [DONE]."""
    assert answer.body.endswith(b"data: [DONE]\n\n")
    blocks = answer.body.removesuffix(b"data: [DONE]\n\n").split(b"\n\n")[:-1]
    assert all(block.startswith((b"data: {", b": ")) for block in blocks)
    return [json.loads(block[6:]) for block in blocks if block.startswith(b"data: ")]


def test_headers_keep_proxies_from_holding_a_stream_back(shop):
    answer = shop.chat(stream=True)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-ratelimit-limit-requests"] == "600"
    assert answer.headers["x-request-id"].startswith("req_")
    assert "x-exerati-cost-usd" not in answer.headers


def test_every_chunk_has_our_id_and_the_public_name(shop):
    answer = shop.chat(stream=True)

    chunks = events(answer)
    shown = "chatcmpl-" + answer.headers["x-request-id"].removeprefix("req_")
    assert {chunk["id"] for chunk in chunks} == {shown}
    assert {chunk["model"] for chunk in chunks} == {shop.model}
    assert b"upstream-77" not in answer.body


def test_public_name_hides_the_provider_s_own(shop):
    name = shop.add_route()
    shop.script(status=500)

    answer = shop.chat(stream=True)

    assert name.encode() not in answer.body
    assert {chunk["model"] for chunk in events(answer)} == {shop.model}


def test_unknown_fields_of_the_provider_are_kept(shop):
    shop.script(extra={"system_fingerprint": "fp_1", "x_new": {"a": [1, None]}})

    whole = shop.chat().json
    chunks = events(shop.chat(stream=True))

    assert whole["x_new"] == {"a": [1, None]}
    assert all(chunk["x_new"] == {"a": [1, None]} for chunk in chunks)
    assert all(chunk["system_fingerprint"] == "fp_1" for chunk in chunks)


def test_usage_comes_only_when_asked_for_though_we_always_ask(shop):
    without = events(shop.chat(stream=True))
    with_usage = events(shop.chat(stream=True, stream_options={"include_usage": True}))

    assert not any("usage" in chunk for chunk in without)
    assert [chunk["usage"] for chunk in with_usage[:-1]] == [None] * (len(with_usage) - 1)
    assert with_usage[-1]["choices"] == []
    assert with_usage[-1]["usage"]["total_tokens"] == 13
    for call in shop.upstream.calls:
        assert call.body["stream_options"] == {"include_usage": True}


def test_cost_in_the_stream_is_what_was_charged_to_the_nano_dollar(shop):
    answer = shop.chat(stream=True, stream_options={"include_usage": True})

    assert books.only(shop.organization).charge_nanousd == 2500
    assert b'"cost":0.0000025}' in answer.body


def test_stream_without_done_ends_as_one_should(shop):
    shop.script(done=False)

    chunks = events(shop.chat(stream=True))

    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert books.only(shop.organization).outcome == "finished"


def test_stream_that_ends_without_a_word_of_why_is_an_error(shop):
    shop.script(done=False, finish_reason=None, usage=[])

    chunks = events(shop.chat(stream=True))

    assert chunks[-1]["error"]["code"] == "provider_error"
    assert books.only(shop.organization).outcome == "failed"


def test_error_before_any_output_is_an_http_error(shop):
    shop.script(status=500)

    answer = shop.chat(stream=True)

    assert answer.status == 502
    assert answer.headers["content-type"] == "application/json"
    assert answer.error["code"] == "provider_error"


def test_error_inside_of_a_stream_before_any_output_is_an_http_error(shop):
    shop.script(raw=b'data: {"error": {"message": "overloaded", "code": 503}}\n\n')

    answer = shop.chat(stream=True)

    assert (answer.status, answer.error["code"]) == (503, "provider_overloaded")
    assert books.only(shop.organization).charge_nanousd == 0


def test_error_after_output_is_the_last_event_and_carries_the_request_id(shop):
    shop.script(abort_after=2)

    answer = shop.chat(stream=True)

    error = events(answer)[-1]["error"]
    assert answer.status == 200
    assert error["request_id"] == answer.headers["x-request-id"]


def test_first_piece_is_relayed_before_the_next_one_is_there(shop):
    shop.script(pieces=["a", "b"], stall_after=1)
    caller = Caller(shop)

    caller.read_until(b'"content":"a"')

    assert not shop.upstream.calls[0].finished
    caller.hang_up()


@pytest.mark.parametrize("stream", [False, True])
def test_connections_to_the_provider_are_used_again(shop, stream):
    model = f"fresh-{shop.model}"
    with Upstream() as fresh:  # to which no other test has left connections open
        factories.make_model(model, provider=factories.make_provider(base_url=fresh.base_url))
        shop.relearn()

        statuses = [shop.chat(model=model, stream=stream).status for _ in range(10)]

        assert statuses == [200] * 10
        # More than one where a stream's connection comes back only after the client's next call has begun.
        assert len({call.peer for call in fresh.calls}) <= (5 if stream else 1)


@pytest.mark.anyio
async def test_a_stream_that_is_over_is_freed_at_once(monkeypatch):
    async def answered(*_: Any, **__: Any) -> None:
        pass

    async def settle(*_: Any) -> None:
        pass

    shown = ServeAs(id="chatcmpl-1", model="m", created=1)
    translator = SimpleNamespace(usage=TokenUsage(), usage_extra={})
    call: Any = SimpleNamespace(translator=translator)
    stream = streaming.EventStream(answered, dict, call)
    known = weakref.ref(stream)
    monkeypatch.setattr(streaming, "_relay_routes", answered)
    monkeypatch.setattr(streaming, "shown_cost", lambda *_: 0)
    engine: Any = SimpleNamespace(settle=settle)
    gc.disable()  # what only the collector frees waits for it: 3 KB a stream
    try:
        await streaming.relay(
            engine,
            call,
            stream=stream,
            build=answered,  # type: ignore[arg-type]  # is not called
            serve_as=shown,
            writer=ChatDialect().stream(shown),
        )
        del stream
        assert known() is None
    finally:
        gc.enable()
