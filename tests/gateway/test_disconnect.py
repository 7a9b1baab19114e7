"""Clients that leave at any moment, and processes that are told to stop: nothing stays open, nothing is lost."""

import random
import socket
import time

import pytest

from tests import gateway_server
from tests.gateway import books
from tests.gateway.caller import Caller
from tests.upstream import wait_until

CALLERS = 60


@pytest.mark.slow
def test_clients_that_leave_at_random_moments_are_each_settled_once(shop):
    dice = random.Random(11)
    shop.script(pieces=["x "] * 10, piece_seconds=0.03)
    leaving = []
    for n in range(CALLERS):
        caller = Caller(shop, stream=n % 3 != 0)
        leaving.append((time.monotonic() + dice.random() * 0.5, caller))
    wait_until(lambda: shop.upstream.calls)  # on a slow machine all might leave before
    for moment, caller in sorted(leaving, key=lambda pair: pair[0]):
        time.sleep(max(0.0, moment - time.monotonic()))
        caller.hang_up()

    # One that left before its request was read is no call; one that left before it was sent, not the provider's.
    wait_until(lambda: all(call.ended_at for call in shop.upstream.calls))
    seen = len(shop.upstream.calls)
    events = books.settled(shop.organization, calls=seen, at_least=True)
    assert seen
    assert {event.outcome for event in events} <= {"finished", "client_left"}
    assert all(event.charge_nanousd > 0 or event.basis == "waived" for event in events)
    secret = shop.make_key(concurrency=1)
    assert shop.gateway.chat(secret, model=shop.model).status == 200


def test_provider_is_cancelled_soon_after_the_client_has_left(shop):
    shop.script(pieces=["x "] * 3000, piece_seconds=0.1)
    caller = Caller(shop)
    caller.read_until(b"x ")

    caller.hang_up()

    call = shop.upstream.calls[0]
    wait_until(lambda: call.ended_at is not None)
    assert not call.finished


def test_client_that_says_it_has_sent_all_and_waits_is_answered_or_settled(shop):
    caller = Caller(shop, stream=False)
    caller.socket.shutdown(socket.SHUT_WR)

    event = books.only(shop.organization)
    assert event.outcome in ("finished", "client_left")
    caller.hang_up()


def test_process_that_is_told_to_stop_finishes_what_it_has_begun(
    shop, gateway_database_url, redis_url
):
    shop.script(pieces=["x "] * 8, piece_seconds=0.1)
    with gateway_server.running(
        database_url=gateway_database_url, redis_url=redis_url, DRAIN_SECONDS=60
    ) as leaving:
        caller = Caller(shop, gateway=leaving)
        caller.read_until(b"x ")
        assert leaving.end() in (0, -15)
    caller.read_until(b"data: [DONE]\n\n")
    caller.hang_up()

    assert books.only(shop.organization).outcome == "finished"


def test_what_does_not_end_in_time_is_settled_by_the_process_before_it_goes(
    shop, gateway_database_url, redis_url
):
    shop.script(pieces=["x "] * 3000, piece_seconds=0.1)
    with gateway_server.running(
        database_url=gateway_database_url, redis_url=redis_url, DRAIN_SECONDS=1
    ) as leaving:
        caller = Caller(shop, gateway=leaving)
        caller.read_until(b"x ")
        leaving.end()

    event = books.only(shop.organization)
    assert (event.outcome, event.basis, event.error_code) == (
        "failed",
        "counted",
        "service_unavailable",
    )
    assert event.charge_nanousd > 0
    caller.hang_up()
