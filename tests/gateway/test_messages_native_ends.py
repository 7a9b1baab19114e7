"""Streams of Anthropic's that never came to their end: stopped, cut off, or lost with their process."""

import json
from typing import Any

import pytest
from django.db import connection

from billing.models import Reservation
from billing.price_book import Dated
from billing.types import AttemptRecord, Price, Rates, TokenBound
from gateway import upkeep
from gateway.models import Provider, Route
from gateway.providers.anthropic.anthropic_readings import Readings
from gateway.providers.anthropic.anthropic_stream import AnthropicStream
from gateway.sse import SseDecoder
from tests import factories, gateway_server
from tests.gateway import books, recorded, recorded_anthropic
from tests.gateway.caller import Caller
from tests.gateway.conftest import SEARCH_FEE
from tests.gateway.test_anthropic_stream import sse, start
from tests.gateway.test_messages import events_of
from tests.gateway.test_messages_native import SEARCH
from tests.gateway.test_messages_native_sdk import BLOCKS, message
from tests.gateway.test_messages_native_stream import OPEN, SERVED
from tests.gateway.test_settlement import make_call, settle
from tests.upstream import wait_until

Json = dict[str, Any]
RATE, OUTPUT_RATE, OUR_RATE = 100, 400, 50  # nano-USD a token
PROMPT: Json = {
    "input_tokens": 100,
    "cache_read_input_tokens": 900,
    "cache_creation_input_tokens": 0,
    "output_tokens": 1,
}
BOUND = TokenBound(10_000, 10_000, searches=5)
FOUND = "e" * 3_000  # a thousand tokens
ASKED: Json = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
}


def result(index: int, *found: str) -> Json:
    content = [{"type": "web_search_result", "encrypted_content": text} for text in found]
    block = {"type": "web_search_tool_result", "tool_use_id": "s", "content": content}
    return {"type": "content_block_start", "index": index, "content_block": block}


def stopped(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def said(*texts: str) -> list[Json]:
    return [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        for text in texts
    ]


def read(*events: Json) -> AnthropicStream:
    translator = AnthropicStream(serve_as=SERVED)
    for event in events:
        translator.feed(b"", json.dumps(event).encode())
    return translator


# stopped for the money


@pytest.mark.parametrize(
    ("quirks", "reason"), [([], "output_bound"), (["no_output_bound"], "budget")]
)
def test_a_stream_beyond_its_bound_ends_as_if_it_were_full(claude, quirks, reason):
    Provider.objects.filter(pk=claude.provider.pk).update(quirks=quirks)
    claude.relearn()
    words = said(*(f" word{number}" for number in range(500)))
    claude.script(raw=b"".join(sse(start(**PROMPT), OPEN, *words)), stall_after=0)
    body = {"model": claude.model, "stream": True, "max_tokens": 50}
    messages = [{"role": "user", "content": "long " * 1_000}]

    answer = claude.gateway.request(
        "POST", "/v1/messages", key=claude.secret, body={**body, "messages": messages}
    )

    *_, shut, delta, stop = events_of(answer.body)
    assert (shut["type"], stop["type"]) == ("content_block_stop", "message_stop")
    assert delta["delta"]["stop_reason"] == "max_tokens"
    usage = delta["usage"]
    assert usage["exerati"] == {"stop_reason": reason}
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (100, 900)
    assert usage["output_tokens"] == 50
    event = books.only(claude.organization)
    assert (event.basis, event.outcome) == ("counted", "finished")
    assert event.charge_nanousd == 1_000 * RATE + 50 * OUTPUT_RATE
    assert usage["cost"] == pytest.approx(event.charge_nanousd / 1e9)
    wait_until(lambda: claude.upstream.calls[-1].ended_at is not None)
    assert not claude.upstream.calls[-1].finished  # its connection was closed in the midst


# what was read


@pytest.mark.skipif(not recorded.SHARED.exists(), reason=recorded.MISSING)
def test_the_readings_of_a_recorded_stream_are_known_before_its_end():
    [item] = [one for one in recorded_anthropic.streams() if "builtin-citations-eef6" in one.name]
    translator, call = (
        AnthropicStream(serve_as=SERVED),
        make_call(bound=TokenBound(10**6, 10**6, searches=5)),
    )
    call.translator = translator
    decoder = SseDecoder()
    told: Json = {}
    for _, data in [*decoder.feed(item.data), *decoder.flush()]:
        event = json.loads(data)
        if event["type"] == "message_delta":
            told = event["usage"]
            break
        translator.feed(b"", data)

    usage = call.delivered_usage()

    assert told["input_tokens"] == 22_397
    assert usage.input_tokens == pytest.approx(told["input_tokens"], rel=0.1)
    assert usage.searches == told["server_tool_use"]["web_search_requests"] == 2


def test_each_result_is_one_more_reading_with_all_that_was_found():
    found = Readings()
    found.result(result(1, FOUND)["content_block"], said_tokens=5)
    found.result(result(2, FOUND, FOUND)["content_block"], said_tokens=5)  # read together
    found.said()
    page = {"source": {"type": "text", "data": "x" * 4_000}}
    found.result({"content": {"content": page}}, said_tokens=7)
    found.said()
    found.result({"content": {"error_code": "unavailable"}}, said_tokens=9)

    assert found.beyond == [3_005, 4_007, 4_009]


def test_what_the_start_told_of_the_prompt_is_charged_with_its_cache():
    call = make_call(bound=BOUND)
    call.translator = read(start(**PROMPT), OPEN, *said("Hi"))
    call.output_tokens = 0

    result = settle(call, reported=None, outcome="client_left")

    assert (result.basis, result.usage.input_tokens) == ("counted", 1_000)
    assert result.usage.cache_read_tokens == 900


def test_a_prompt_of_nothing_is_counted_by_us():
    call = make_call(bound=BOUND)
    call.translator = read(start(input_tokens=0, output_tokens=0), OPEN, *said("Hi"))

    assert call.delivered_usage().input_tokens == 7


# lost with its process


@pytest.mark.parametrize("has_begun", [False, True])
def test_before_any_output_the_loss_is_one_reading_once_the_stream_has_begun(has_begun):
    call = make_call(bound=BOUND, repeats=True, output_tokens=0)
    call.costs = (Dated(0.0, Price(2, Rates(OUR_RATE * 1_000, OUR_RATE * 4_000))),)
    call.attempts.append(AttemptRecord(1, "anthropic", "claude", call.started_at))
    if has_begun:
        call.translator = read(start(**PROMPT))

    told = upkeep.progress(call)

    assert told["progress_nanousd"] == 0
    assert told.get("provider_cost_nanousd") == (1_000 * OUR_RATE if has_begun else None)


def test_a_killed_search_is_charged_and_booked_by_what_its_stream_showed(
    claude, gateway_database_url, redis_url
):
    route = Route.objects.get(model__name=claude.model)
    factories.make_provider_cost(claude.provider, route.upstream_model)
    raw = b"".join(sse(start(**PROMPT), ASKED, stopped(0), result(1, FOUND), stopped(1)))
    claude.script(raw=raw, stall_after=0)
    fields: Any = {"path": "/v1/messages", "max_tokens": 50, "tools": [{**SEARCH, "max_uses": 3}]}

    quick = {"LEASE_RENEW_SECONDS": 0.2, "UPSTREAM_IDLE_SECONDS": 600}
    with gateway_server.running(
        database_url=gateway_database_url, redis_url=redis_url, **quick
    ) as doomed:
        doomed.learn(claude.model, key=claude.secret)
        caller = Caller(claude, gateway=doomed, **fields)
        caller.read_until(b"web_search_tool_result")
        open_calls = Reservation.objects.filter(organization=claude.organization, state="open")
        wait_until(lambda: open_calls.filter(progress_input_tokens__gt=2_000).exists())
        doomed.kill()
        caller.hang_up()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE billing_reservation SET lease_until = now() WHERE state = 'open'")
        cursor.execute("SELECT billing_sweep(100, 0)")

    event = books.only(claude.organization)
    assert (event.outcome, event.basis) == ("lost", "estimated")
    again = event.input_tokens - 2 * 1_000 - 1_000  # two readings, and what was found
    assert 0 < again < 10  # and what was said: the name of the tool
    paid = event.input_tokens * RATE + event.output_tokens * OUTPUT_RATE + SEARCH_FEE
    assert event.charge_nanousd == paid
    assert event.provider_cost_nanousd == event.input_tokens * OUR_RATE + event.output_tokens * 200


def test_a_killed_call_that_showed_nothing_is_booked_with_all_that_it_may_have_cost(claude):
    route = Route.objects.get(model__name=claude.model)
    factories.make_provider_cost(claude.provider, route.upstream_model)
    claude.relearn()
    claude.script(raw=message(*BLOCKS), delay_seconds=3)  # the reservation is looked at meanwhile
    caller = Caller(
        claude, path="/v1/messages", stream=False, max_tokens=50, tools=[{**SEARCH, "max_uses": 1}]
    )
    claude.upstream.wait_for(claude.model)

    reservation = Reservation.objects.get(organization=claude.organization, state="open")
    caller.hang_up()

    # One search of at most 40,000 tokens, read ten times.
    assert (reservation.input_cost_nanousd or 0) > 10 * 40_000 * OUR_RATE
    books.only(claude.organization)
