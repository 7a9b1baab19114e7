"""However a call ends, it is settled once, its reservation is gone, and what is charged is what was delivered."""

import json
import socket

import pytest

from billing.models import Reservation
from gateway.models import Route
from tests import factories
from tests.gateway import books
from tests.gateway.caller import Caller
from tests.upstream import wait_until


def price(event):
    """Return what the event's tokens cost by the factory's price, in nano-USD."""
    return event.input_tokens * 100 + event.output_tokens * 400


def chunks(answer):
    """Return the decoded chunks of a streamed answer."""
    lines = answer.body.split(b"\n\n")
    return [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]


@pytest.mark.parametrize("stream", [False, True])
def test_finished_call_costs_what_the_provider_reported(shop, stream):
    answer = shop.chat(stream=stream)

    event = books.only(shop.organization)
    assert answer.status == 200
    assert (event.outcome, event.basis, event.status) == ("finished", "reported", 200)
    assert (event.input_tokens, event.output_tokens) == (9, 4)
    assert event.charge_nanousd == 9 * 100 + 4 * 400
    assert event.upstream_id == "upstream-77"
    assert event.provider == shop.provider.name
    assert books.attempts(event) == [(shop.provider.name, 200, "")]


@pytest.mark.parametrize("stream", [False, True])
def test_client_that_leaves_before_the_first_byte_pays_for_its_input_alone(shop, stream):
    shop.script(delay_seconds=30)
    caller = Caller(shop, stream=stream)
    call = shop.upstream.wait_for(shop.model)

    caller.hang_up()

    event = books.only(shop.organization)
    assert (event.outcome, event.basis, event.output_tokens) == ("client_left", "counted", 0)
    assert event.input_tokens > 0
    assert event.charge_nanousd == price(event)
    wait_until(lambda: call.ended_at is not None)
    assert not call.finished


def test_client_that_leaves_mid_stream_pays_for_what_was_delivered(shop):
    shop.script(pieces=["one "] * 50, stall_after=3)
    caller = Caller(shop)
    caller.read_until(b"one ")
    call = shop.upstream.wait_for(shop.model)
    wait_until(lambda: call.pieces_sent == 3)

    caller.hang_up()

    event = books.only(shop.organization)
    assert (event.outcome, event.basis) == ("client_left", "counted")
    assert 1 <= event.output_tokens <= 4
    assert event.charge_nanousd == price(event)
    wait_until(lambda: call.ended_at is not None)
    assert call.pieces_sent == 3


def test_client_that_leaves_just_before_the_usage_chunk_pays_by_count(shop):
    shop.script(pieces=["one "] * 5, stall_after=5, finish_reason=None)
    caller = Caller(shop)
    caller.read_until(b"one ", times=5)

    caller.hang_up()

    event = books.only(shop.organization)
    assert (event.outcome, event.basis) == ("client_left", "counted")
    assert 5 <= event.output_tokens <= 6


def test_call_whose_key_drains_is_finished_behind_the_back_of_a_client_that_left(shop):
    shop.key = factories.make_api_key(shop.organization, drain_on_disconnect=True)
    shop.script(pieces=["one "] * 5, piece_seconds=0.1)
    caller = Caller(shop)
    caller.read_until(b"one ")

    caller.hang_up()

    event = books.only(shop.organization)
    assert (event.outcome, event.basis, event.output_tokens) == ("finished", "reported", 4)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [401, 402, 404, 429, 500, 503])
def test_failure_before_output_takes_the_next_route(shop, stream, status):
    shop.script(status=status)
    # At another provider: a refused account is of no use on another route of the same one.
    next_model = shop.add_route(provider=factories.make_provider(base_url=shop.upstream.base_url))

    answer = shop.chat(stream=stream)

    event = books.only(shop.organization)
    assert answer.status == 200
    assert (event.outcome, event.basis) == ("finished", "reported")
    assert event.upstream_model == next_model
    assert [row[1] for row in books.attempts(event)] == [status, 200]
    assert event.attempts == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "shown", "code"),
    [
        (400, 400, "invalid_request"),
        (401, 503, "provider_unavailable"),
        (403, 503, "provider_unavailable"),
        (429, 503, "provider_overloaded"),
        (500, 502, "provider_error"),
        (503, 503, "provider_overloaded"),
    ],
)
def test_failure_of_the_last_route_is_told_and_free(shop, stream, status, shown, code):
    shop.script(status=status)

    answer = shop.chat(stream=stream)

    event = books.only(shop.organization)
    assert (answer.status, answer.error["code"]) == (shown, code)
    assert (event.outcome, event.basis, event.charge_nanousd) == ("failed", "waived", 0)
    # What was refused unprocessed is asked for again, at most twice.
    tries = 3 if status in (429, 500, 503) else 1
    assert [row[1] for row in books.attempts(event)] == [status] * tries


def test_refusal_of_our_account_names_neither_account_nor_key(shop):
    error = {
        "message": "Incorrect API key provided: sk-proj-ABCDEFGH1234.",
        "code": "invalid_api_key",
    }
    shop.script(status=401, error=error)

    answer = shop.chat()

    assert answer.status == 503
    assert b"sk-proj" not in answer.body
    assert b"Incorrect" not in answer.body


@pytest.mark.parametrize("stream", [False, True])
def test_provider_that_refuses_connections_was_never_sent_the_call(shop, stream):
    nobody = factories.make_provider(base_url="http://127.0.0.1:9/v1")
    Route.objects.filter(model__name=shop.model).update(provider=nobody)
    shop.relearn()

    answer = shop.chat(stream=stream)

    event = books.only(shop.organization)
    assert (answer.status, answer.error["code"]) == (502, "provider_error")
    assert (event.outcome, event.basis, event.charge_nanousd) == ("failed", "waived", 0)
    assert (
        books.attempts(event) == [(nobody.name, None, "connection")] * 3
    )  # tried again: nothing was sent


@pytest.mark.parametrize("stream", [False, True])
def test_connection_that_dies_after_the_request_is_not_tried_again(shop, stream):
    shop.script(abort_at="request")

    answer = shop.chat(stream=stream)

    event = books.only(shop.organization)
    assert (answer.status, answer.error["code"]) == (502, "provider_error")
    assert (event.outcome, event.charge_nanousd) == ("failed", 0)
    assert len(shop.upstream.calls_of(shop.model)) == 1


def test_stream_that_breaks_before_any_text_takes_the_next_route(shop):
    shop.script(abort_after=0)  # the role chunk has come, no text
    next_model = shop.add_route()

    answer = shop.chat(stream=True)

    event = books.only(shop.organization)
    assert answer.status == 200
    assert b'"error"' not in answer.body
    assert answer.body.count(b'"role":') == 1
    assert event.upstream_model == next_model
    assert event.outcome == "finished"


def test_stream_that_falls_silent_before_any_text_takes_the_next_route(shop):
    shop.script(stall_after=0)  # the role chunk has come, no text
    next_model = shop.add_route()

    answer = shop.chat(stream=True)

    event = books.only(shop.organization)
    assert answer.status == 200
    assert b'"error"' not in answer.body
    assert event.upstream_model == next_model
    assert event.outcome == "finished"
    assert [row[1:] for row in books.attempts(event)] == [(200, "timeout"), (200, "")]


def test_stream_that_breaks_after_text_is_charged_as_far_as_it_came(shop):
    shop.script(pieces=["one "] * 10, abort_after=4)
    shop.add_route()

    answer = shop.chat(stream=True)

    event = books.only(shop.organization)
    assert answer.status == 200
    assert b'"error"' in answer.body
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert (event.outcome, event.basis, event.error_code) == ("failed", "counted", "provider_error")
    assert 4 <= event.output_tokens <= 5
    assert event.charge_nanousd == price(event) > 0
    assert len(books.attempts(event)) == 1


def test_whole_answer_that_breaks_off_is_free(shop):
    shop.script(raw=b'{"id": "x", "choices": [')

    answer = shop.chat()

    event = books.only(shop.organization)
    assert (answer.status, answer.error["code"]) == (502, "provider_bad_answer")
    assert (event.outcome, event.basis, event.charge_nanousd) == ("failed", "waived", 0)


@pytest.mark.parametrize("stream", [False, True])
def test_empty_answer_is_free(shop, stream):
    usage = {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9}
    shop.script(pieces=[], usage=[usage])

    answer = shop.chat(stream=stream)

    event = books.only(shop.organization)
    assert answer.status == 200
    assert (event.outcome, event.basis, event.charge_nanousd) == ("empty", "waived", 0)


@pytest.mark.parametrize("stream", [False, True])
def test_answer_without_usage_is_counted(shop, stream):
    shop.script(pieces=["one ", "two ", "three"], usage=[])

    shop.chat(stream=stream)

    event = books.only(shop.organization)
    assert (event.outcome, event.basis) == ("finished", "counted")
    assert event.output_tokens == 3
    assert 1 <= event.input_tokens <= 20
    assert event.charge_nanousd == price(event)


ABSURD = [
    {"prompt_tokens": -5, "completion_tokens": -7, "total_tokens": -12},
    {"prompt_tokens": 10**12, "completion_tokens": 10**12, "total_tokens": 2 * 10**12},
    {"prompt_tokens": 10**18, "completion_tokens": 10**18},
    {"prompt_tokens": 1e300, "completion_tokens": 1e300},
    {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 900}},
    {"prompt_tokens": "9", "completion_tokens": None},
    {"prompt_tokens": 9.7, "completion_tokens": True, "total_tokens": []},
    {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "completion_tokens_details": {"reasoning_tokens": 50},
    },
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("usage", ABSURD, ids=str)
def test_absurd_usage_is_held_between_nothing_and_what_was_reserved(shop, stream, usage):
    factories.make_provider_cost(shop.provider, shop.model)
    shop.relearn()
    shop.script(usage=[usage])

    answer = shop.chat(stream=stream, max_completion_tokens=50)

    event = books.only(shop.organization)
    assert answer.status == 200
    assert event.outcome == "finished"
    assert 0 <= event.charge_nanousd <= event.upper_nanousd
    assert event.output_tokens <= 50
    assert 0 <= event.cache_read_tokens <= event.input_tokens
    assert 0 <= event.reasoning_tokens <= event.output_tokens


CUMULATIVE = [
    {"prompt_tokens": 9, "completion_tokens": n, "total_tokens": 9 + n} for n in (1, 2, 3, 4)
]


@pytest.mark.parametrize("usage_on", ["own", "every", "finish", "before_finish", "x_groq"])
def test_usage_on_an_odd_frame_or_many_times_counts_once_and_the_last_one_holds(shop, usage_on):
    shop.script(usage=CUMULATIVE, usage_on=usage_on)

    answer = shop.chat(stream=True, stream_options={"include_usage": True})

    event = books.only(shop.organization)
    assert (event.basis, event.input_tokens, event.output_tokens) == ("reported", 9, 4)
    shown = [chunk["usage"] for chunk in chunks(answer) if chunk.get("usage")]
    assert [usage["completion_tokens"] for usage in shown] == [4]


@pytest.mark.parametrize("stream", [False, True])
def test_provider_that_overruns_its_bound_is_paid_by_us(shop, stream):
    usage = {"prompt_tokens": 9, "completion_tokens": 400, "total_tokens": 409}
    shop.script(pieces=["one "] * 400, usage=[usage])

    shop.chat(stream=stream, max_completion_tokens=20)

    event = books.only(shop.organization)
    assert event.output_tokens == 20
    assert event.charge_nanousd <= event.upper_nanousd
    assert shop.upstream.calls[0].body["max_completion_tokens"] == 20


@pytest.mark.parametrize("stream", [False, True])
def test_provider_that_stays_silent_is_given_up(shop, stream):
    shop.script(delay_seconds=30)

    answer = shop.chat(stream=stream)

    event = books.only(shop.organization)
    assert (answer.status, answer.error["code"]) == (504, "provider_timeout")
    assert (event.outcome, event.basis, event.charge_nanousd) == ("failed", "waived", 0)


def test_stream_that_goes_silent_is_cut_and_charged_as_far_as_it_came(shop):
    shop.script(pieces=["one "] * 10, stall_after=3)

    answer = shop.chat(stream=True)

    event = books.only(shop.organization)
    assert b'"code":"provider_timeout"' in answer.body
    assert (event.outcome, event.basis, event.error_code) == (
        "failed",
        "counted",
        "provider_timeout",
    )
    assert 3 <= event.output_tokens <= 4
    wait_until(lambda: shop.upstream.calls[0].ended_at is not None)


def test_reader_that_stops_reading_is_cut_and_charged_for_what_it_got(shop):
    # Long chunks of few tokens: many tokens would end at their bound before the connection is full.
    shop.script(pieces=["one "] * 5000, extra={"padding": "x" * 8000})
    caller = Caller(shop)
    caller.read_until(b"one ")

    event = books.only(shop.organization)

    caller.hang_up()
    assert (event.outcome, event.error_code) == ("failed", "request_timeout")
    assert event.charge_nanousd > 0
    call = shop.upstream.calls[0]
    assert call.pieces_sent < 5000  # back-pressure reached the provider


@pytest.mark.parametrize("text", ["a\x00b", "x" * 5000, "\ud83d"])
def test_odd_ids_of_the_provider_do_not_stop_the_settlement(shop, text):
    shop.script(id=text)

    answer = shop.chat()

    event = books.only(shop.organization)
    assert event.outcome in ("finished", "failed")
    assert answer.status == (200 if event.outcome == "finished" else 502)


def test_half_an_emoji_at_the_end_of_a_whole_answer_is_a_replacement_character(shop):
    shop.script(pieces=["Hi \ud83d"])

    answer = shop.chat()

    assert answer.json["choices"][0]["message"]["content"] == "Hi \ufffd"
    assert books.only(shop.organization).outcome == "finished"


def test_half_an_emoji_in_a_streams_usage_does_not_take_its_end_away(shop):
    shop.script(usage=[{"prompt_tokens": 5, "completion_tokens": 7, "kind": "\ud83d"}])

    answer = shop.chat(stream=True, stream_options={"include_usage": True})

    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert books.only(shop.organization).basis == "reported"


@pytest.mark.parametrize("stream", [False, True])
def test_a_finish_reason_that_is_no_word_does_not_stop_the_settlement(shop, stream):
    shop.script(finish_reason="\ud83d\x00")

    answer = shop.chat(stream=stream)

    assert answer.status == 200
    event = books.only(shop.organization)
    assert (event.outcome, event.finish_reason) == ("finished", "stop")


def test_provider_that_does_not_speak_http_is_a_bad_answer(shop):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        babel = factories.make_provider(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        Route.objects.filter(model__name=shop.model).update(provider=babel)
        shop.relearn()
        caller = Caller(shop, stream=False)
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            caller.read_until(b"}}")

    event = books.only(shop.organization)
    assert b" 502 " in caller.read.splitlines()[0]
    assert (event.outcome, event.charge_nanousd) == ("failed", 0)
    caller.hang_up()


def test_stream_that_breaks_off_has_cost_us_what_was_delivered(shop):
    factories.make_provider_cost(shop.provider, shop.model)
    shop.relearn()
    shop.script(pieces=["one "] * 10, abort_after=4)

    shop.chat(stream=True)

    event = books.only(shop.organization)
    assert event.provider_cost_nanousd == event.input_tokens * 50 + event.output_tokens * 200


def test_test_key_is_shown_a_price_and_charged_nothing(shop):
    secret = shop.make_key(mode="test")

    answer = shop.gateway.chat(secret, model=shop.model)

    assert answer.status == 200
    assert answer.json["usage"]["cost"] > 0
    event = books.only(shop.organization)
    assert (event.mode, event.charge_nanousd) == ("test", 0)
    assert event.price_nanousd > 0
    assert shop.upstream.calls == []
    assert not Reservation.objects.filter(state="open").exists()
