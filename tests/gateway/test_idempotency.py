"""One call for each `Idempotency-Key`: the same answer again, never a second charge; over real HTTP."""

import asyncio
import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from billing.models import Reservation, UsageEvent
from gateway import idempotency
from gateway.models import IdempotentCall
from tests import factories
from tests.gateway import books
from tests.gateway.caller import Caller
from tests.upstream import wait_until

MESSAGES = [{"role": "user", "content": "Hello"}]


def call(shop, name, *, key="", gateway=None, **fields):
    return (gateway or shop.gateway).request(
        "POST",
        "/v1/chat/completions",
        key=key or shop.secret,
        body={"model": shop.model, "messages": MESSAGES, **fields},
        headers={"idempotency-key": name},
    )


@pytest.mark.parametrize("stream", [False, True])
def test_a_repeated_request_gets_the_first_answer_and_is_charged_once(shop, stream):
    answers = [call(shop, "one", stream=stream) for _ in range(5)]

    assert {answer.body for answer in answers} == {answers[0].body}
    assert {answer.status for answer in answers} == {200}
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [
        None,
        *["true"] * 4,
    ]
    assert answers[1].headers["content-type"] == answers[0].headers["content-type"]
    assert answers[1].headers["x-exerati-route"] == shop.provider.name
    assert len(shop.upstream.calls) == 1
    books.only(shop.organization)


def test_another_body_under_the_same_name_is_refused(shop):
    call(shop, "one")

    answer = call(shop, "one", temperature=0.5)

    assert (answer.status, answer.error["code"]) == (422, "idempotency_key_reused")
    assert answer.headers["x-should-retry"] == "false"
    assert len(shop.upstream.calls) == 1


def test_another_key_has_names_of_its_own(shop):
    other = shop.make_key()

    answers = [call(shop, "one"), call(shop, "one", key=other)]

    assert answers[1].headers.get("idempotency-replayed") is None
    assert len(shop.upstream.calls) == 2
    books.settled(shop.organization, calls=2)


def test_a_request_that_comes_while_the_first_is_running_gets_its_answer(shop, second_gateway):
    second_gateway.learn(shop.model, key=shop.secret)
    shop.script(delay_seconds=1)
    answers = []
    threads = [
        threading.Thread(
            target=lambda gateway=gateway: answers.append(call(shop, "one", gateway=gateway))
        )
        for gateway in (shop.gateway, second_gateway) * 3
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert len(shop.upstream.calls) == 1
    books.only(shop.organization)


@pytest.mark.slow
def test_a_request_whose_first_runs_too_long_is_told_to_come_back(shop):
    call(shop, "one")
    IdempotentCall.objects.filter(key=shop.key.key).update(
        status=None, request_id="00000000-0000-0000-0000-000000000002", created_at=timezone.now()
    )

    answer = call(shop, "one")

    assert (answer.status, answer.error["code"]) == (409, "idempotency_in_flight")
    assert answer.headers["retry-after"] == "1"
    assert len(shop.upstream.calls) == 1


@pytest.mark.parametrize("status", [400, 503])
def test_a_call_that_cost_nothing_frees_its_name(shop, status):
    shop.script(status=status, headers={"retry-after": "60"})
    failed = call(shop, "one")
    shop.script()
    wait_until(lambda: not IdempotentCall.objects.filter(key=shop.key.key).exists(), seconds=30)

    answer = call(shop, "one")

    assert failed.status == status
    assert answer.status == 200
    assert answer.headers.get("idempotency-replayed") is None


def test_a_client_that_left_comes_back_for_the_answer(shop):
    shop.script(piece_seconds=0.1)
    caller = Caller(shop, headers={"idempotency-key": "one"})
    caller.read_until(b"Hel")
    caller.hang_up()

    answer = call(shop, "one", stream=True)

    event = books.only(shop.organization)
    assert answer.headers["idempotency-replayed"] == "true"
    assert b"[DONE]" in answer.body
    assert (event.outcome, event.basis, event.output_tokens) == ("finished", "reported", 4)
    assert len(shop.upstream.calls) == 1


def test_a_charged_call_without_a_stored_answer_is_not_made_again(shop):
    call(shop, "one")
    books.only(shop.organization)
    IdempotentCall.objects.filter(key=shop.key.key).update(status=None)
    Reservation.objects.filter(organization=shop.organization).update(
        settled_at=timezone.now() - timedelta(minutes=5)
    )

    answer = call(shop, "one")

    assert (answer.status, answer.error["code"]) == (409, "idempotency_answer_lost")
    assert UsageEvent.objects.filter(organization=shop.organization).count() == 1


def test_a_claim_of_a_process_that_died_before_admission_is_taken_over(shop):
    call(shop, "one")
    IdempotentCall.objects.filter(key=shop.key.key).update(
        status=None,
        request_id="00000000-0000-0000-0000-000000000001",
        created_at=timezone.now() - timedelta(minutes=5),
    )

    answer = call(shop, "one")

    assert answer.status == 200
    assert len(shop.upstream.calls) == 2


def test_a_name_is_free_again_when_it_has_expired_and_is_forgotten(shop):
    call(shop, "one")
    past = timezone.now() - timedelta(seconds=1)
    IdempotentCall.objects.filter(key=shop.key.key).update(expires_at=past)

    answer = call(shop, "one")
    kept = idempotency.prune(timezone.now())
    IdempotentCall.objects.filter(key=shop.key.key).update(expires_at=past)

    assert answer.headers.get("idempotency-replayed") is None
    assert kept == 0
    assert idempotency.prune(timezone.now()) == 1


@pytest.mark.parametrize("name", ["a b", "\u00e9", "x" * 256])
def test_a_name_that_is_none_is_refused(shop, name):
    answer = call(shop, name)

    assert (answer.status, answer.error["param"]) == (400, "Idempotency-Key")
    assert not shop.upstream.calls


def test_neither_prompts_nor_names_are_stored(shop):
    call(shop, "secret-name", messages=[{"role": "user", "content": "secret prompt"}])

    row = IdempotentCall.objects.get(key=shop.key.key)
    assert b"secret" not in bytes(row.name_hash) + bytes(row.body_hash) + bytes(row.body or b"")
    assert factories.LONG_AGO < row.created_at < row.expires_at


@pytest.mark.parametrize("charged", [True, False])
def test_a_name_is_given_back_only_by_a_call_that_cost_nothing(shop, charged):
    call(shop, "one")
    event = books.only(shop.organization)
    if not charged:
        Reservation.objects.filter(request_id=event.request_id).update(charge_nanousd=0)
    claim = idempotency.Claim(shop.key.key.pk, b"", b"", event.request_id)

    async def release():
        calls = idempotency.IdempotentCalls()
        await calls.release(claim)
        await calls.close()

    asyncio.run(release())

    assert IdempotentCall.objects.filter(key=shop.key.key).exists() == charged
