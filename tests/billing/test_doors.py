"""What the doors to the money say when they refuse, what they pass on, and that they close behind the last call."""

import asyncio

import psycopg
import pytest

from billing import metering
from billing.budgets import (
    BillingUnavailable,
    BudgetExceeded,
    Budgets,
    KeyInactive,
    Verdict,
    json_array,
)
from billing.metering import Metering, Settled
from billing.types import Refusal
from exerati.lib import ids
from tests.billing.calls import attempt, rows, settlement
from tests.upstream import wait_until

REFUSAL = Refusal(
    scope="project",
    period="month",
    cap_nanousd=100,
    posted_nanousd=60,
    held_nanousd=30,
    needed_nanousd=20,
    frees_at=None,
)


def test_refusal_for_money_names_the_scope_and_what_would_still_fit():
    refused = BudgetExceeded(REFUSAL)

    assert (str(refused), refused.affordable_tokens) == ("project", None)
    assert refused.refusal.affordable_nanousd == 10


@pytest.mark.parametrize("reason", ["unknown", "revoked", "suspended"])
def test_refusal_of_a_key_names_the_reason(reason):
    assert str(KeyInactive(reason)) == KeyInactive(reason).reason == reason


def test_who_finds_the_database_away_is_told_to_come_back_in_two_seconds():
    assert BillingUnavailable.retry_after_seconds == 2


def test_verdict_that_admits_says_nothing_else():
    assert Verdict("ok") == Verdict("ok", "", "", 0, 0, 0, 0, None)


def test_items_go_out_as_one_array():
    assert json_array([]) == "[]"
    assert json_array([b'{"a":1}', b"2"]) == '[{"a":1},2]'


def test_answer_of_a_settlement_is_not_of_another_process_unless_it_says_so():
    told = Settled(ids.new_uuid(), settled=True, charge=1)

    assert not told.foreign
    with pytest.raises(AttributeError):
        told.charge = 2  # type: ignore[misc]  # which is what is tested


def test_attempts_are_told_with_every_figure():
    [row] = metering.attempt_rows(
        [attempt(2, status=503, provider_cost_nanousd=7, first_byte_ms=8, duration_ms=9)]
    )

    figures = ("number", "status", "provider_cost_nanousd", "first_byte_ms", "duration_ms")
    assert [row[name] for name in figures] == [2, 503, 7, 8, 9]


@pytest.mark.anyio
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("given", "kept"),
    [("x" * 60, "x" * 60), ("x" * 61, "x" * 60), ("a\0b", "ab"), ("\ud83d", "?"), ("é\0" * 40, "é" * 40)],
)  # fmt: skip
async def test_text_from_outside_is_stored_as_far_as_it_can_be(
    transactional_db, payer, given, kept
):
    owner = ids.new_uuid()
    budgets, door = Budgets(owner, lease_seconds=20), Metering(owner)
    request = payer.call(1_000)
    await budgets.reserve(request)

    await door.settle(settlement(request, error_code=given, usage_flag="clamped"))

    await budgets.close()
    await door.close()
    assert rows("SELECT error_code, usage_flag FROM billing_usageevent") == [(kept, "clamped")]


@pytest.mark.anyio
@pytest.mark.django_db(transaction=True)
async def test_sweep_says_how_many_it_has_ended(payer):
    budgets = Budgets(ids.new_uuid(), lease_seconds=0)  # a lease that is over at once
    for _ in range(3):
        await budgets.reserve(payer.call(10))

    swept = [await budgets.sweep(at_most=2), await budgets.sweep(), await budgets.sweep()]

    await budgets.close()
    assert swept == [2, 1, 0]


@pytest.mark.anyio
@pytest.mark.django_db(transaction=True)
async def test_doors_close_behind_what_was_asked_for(payer):
    owner = ids.new_uuid()
    budgets, door = Budgets(owner, lease_seconds=20), Metering(owner)
    request, late = payer.call(1_000), payer.call(500)
    await budgets.reserve(request)

    asked = [
        asyncio.ensure_future(budgets.extend(request.request_id, step=1, more_nanousd=50)),
        asyncio.ensure_future(budgets.reserve(late)),
    ]
    await asyncio.sleep(0)  # asked for, and not sent yet
    await budgets.close()
    # What was asked for has been sent by now, whether or not anybody waits for the answer.
    assert held(request, late) == [(500, "open"), (1_050, "open")]
    assert await asyncio.gather(*asked) == [True, None]
    ended = door.submit(settlement(request, 300))
    await door.close()

    assert ended.done()
    assert held(request, late) == [(500, "open"), (1_050, "settled")]
    await asyncio.to_thread(wait_until, lambda: rows(CONNECTED) == [])


@pytest.mark.anyio
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("asked", ["reserve", "extend", "settle"])
async def test_a_door_that_closes_sends_the_one_thing_that_waits(payer, asked):
    owner = ids.new_uuid()
    budgets, door = Budgets(owner, lease_seconds=20), Metering(owner)
    open_one, new = payer.call(500), payer.call(700)
    await budgets.reserve(open_one)
    waiting = {
        "reserve": lambda: budgets.reserve(new),
        "extend": lambda: budgets.extend(open_one.request_id, step=1, more_nanousd=50),
        "settle": lambda: door.settle(settlement(open_one, 300)),
    }
    under_way = asyncio.ensure_future(waiting[asked]())
    await asyncio.sleep(0)

    await (door if asked == "settle" else budgets).close()

    assert (
        held(open_one, new)
        == {
            "reserve": [(500, "open"), (700, "open")],
            "extend": [(550, "open")],
            "settle": [(500, "settled")],
        }[asked]
    )
    await under_way
    await budgets.close()
    await door.close()


@pytest.mark.anyio
@pytest.mark.django_db(transaction=True)
async def test_a_settlement_that_cannot_be_stored_fails_alone(payer):
    owner = ids.new_uuid()
    budgets, door = Budgets(owner, lease_seconds=20), Metering(owner)
    calls = [payer.call(500) for _ in range(3)]
    await asyncio.gather(*map(budgets.reserve, calls))
    settlements = [settlement(call, 300) for call in calls]
    settlements[1] = settlement(calls[1], 300, model="not/reserved")

    ended = await asyncio.gather(*map(door.settle, settlements), return_exceptions=True)

    # Who looks at the server sees which door a connection is of.
    assert {("exerati reserve",), ("exerati settle",)} <= set(rows(NAMES))
    await budgets.close()
    await door.close()
    assert [getattr(one, "charge", None) for one in ended] == [300, None, 300]
    assert isinstance(ended[1], psycopg.IntegrityError)


@pytest.mark.anyio
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("tags", "kept"), [((), None), (("team-a", "nightly"), ["team-a", "nightly"])]
)
async def test_labels_are_stored_with_the_call_and_none_is_null(payer, tags, kept):
    owner = ids.new_uuid()
    budgets, door = Budgets(owner, lease_seconds=20), Metering(owner)
    call = payer.call(500)
    await budgets.reserve(call)

    await door.settle(settlement(call, 300, tags=tags, service_tier="flex"))

    await budgets.close()
    await door.close()
    assert rows("SELECT tags, service_tier FROM billing_usageevent") == [(kept, "flex")]


NAMES = "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
CONNECTED = """
SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
AND application_name IN ('exerati reserve', 'exerati upkeep', 'exerati settle')
"""


def held(*requests):
    return rows(
        "SELECT upper_nanousd, state FROM billing_reservation WHERE request_id = ANY (%s) ORDER BY 1",
        [request.request_id for request in requests],
    )
