"""Leases: kept by renewing, settled by the sweep once their process is gone."""

import asyncio

import pytest

from billing.budgets import Budgets
from billing.metering import attempt_rows
from exerati.lib import ids
from tests.billing.calls import (
    assert_books_balance,
    attempt,
    budget,
    expire_leases,
    make_payer,
    open_doors,
    rows,
    stored,
    sweep,
)
from tests.upstream import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


def progress(request, *, cost: int = 300, sent: bool = True) -> dict[str, object]:
    """Return one call as the gateway renews it."""
    return {
        "request_id": request.request_id,
        "input_tokens": 11,
        "output_tokens": 22,
        "progress_nanousd": cost,
        "sent": sent,
    }


async def test_abandoned_call_settles_at_its_last_progress_as_an_estimate(payer):
    request = payer.call(1_000)
    async with open_doors() as doors:
        await doors.budgets.reserve(request)
        assert await doors.budgets.renew([progress(request)]) == []
    expire_leases([request.request_id])

    assert sweep() == 1

    assert events() == [("lost", "estimated", 300, 11, 22)]
    assert budget("wallet", payer.organization.pk) == (300, 0)
    assert rows("SELECT swept_at IS NOT NULL FROM billing_reservation") == [(True,)]
    assert_books_balance()


async def test_abandoned_call_keeps_the_service_tier_that_it_was_priced_at(payer):
    request = payer.call(1_000, service_tier="flex")
    async with open_doors() as doors:
        await doors.budgets.reserve(request)
        await doors.budgets.renew([progress(request)])
    expire_leases([request.request_id])

    sweep()

    assert rows("SELECT service_tier FROM billing_usageevent") == [("flex",)]


def events() -> list[tuple[object, ...]]:
    return rows(
        "SELECT outcome, basis, charge_nanousd, input_tokens, output_tokens FROM billing_usageevent"
        " ORDER BY request_id"
    )


async def test_call_not_known_to_be_sent_is_waived(payer):
    silent, told = payer.call(), payer.call()
    async with open_doors() as doors:
        await asyncio.gather(*map(doors.budgets.reserve, [silent, told]))
        await doors.budgets.renew([progress(told, sent=False)])
    expire_leases([silent.request_id, told.request_id])

    assert sweep() == 2

    assert {event[1:3] for event in events()} == {("waived", 0)}
    assert budget("wallet", payer.organization.pk) == (0, 0)


async def test_abandoned_call_costs_us_what_its_provider_may_charge_for_it(payer):
    unknown, waiting, talking, unpriced = (
        payer.call(input_cost_nanousd=70),
        payer.call(input_cost_nanousd=70),
        payer.call(input_cost_nanousd=70),
        payer.call(),
    )
    tried = attempt_rows([attempt(1, provider_cost_nanousd=None), attempt(2)])
    async with open_doors() as doors:
        await asyncio.gather(*map(doors.budgets.reserve, [unknown, waiting, talking, unpriced]))
        await doors.budgets.renew(
            [
                progress(waiting, cost=0, sent=False),
                progress(talking) | {"provider_cost_nanousd": 250, "attempts": tried},
            ]
        )
    expire_leases(call.request_id for call in (unknown, waiting, talking, unpriced))

    assert sweep() == 4

    found = rows(
        "SELECT request_id, basis, provider_cost_nanousd, provider, attempts FROM billing_usageevent"
    )
    assert set(found) == {
        (unknown.request_id, "waived", 70, "", 1),
        (waiting.request_id, "waived", 70, "", 1),
        (talking.request_id, "estimated", 250, "sandbox", 2),
        (unpriced.request_id, "waived", None, "", 1),
    }
    assert rows("SELECT request_id, number, provider FROM billing_attempt ORDER BY number") == [
        (talking.request_id, 1, "sandbox"),
        (talking.request_id, 2, "sandbox"),
    ]


async def test_progress_beyond_the_bound_or_below_zero_does_not_stop_the_sweep(payer):
    over, under = payer.call(1_000), payer.call(1_000)
    async with open_doors() as doors:
        await asyncio.gather(*map(doors.budgets.reserve, [over, under]))
        await doors.budgets.renew(
            [progress(over, cost=5_000), progress(under, cost=-7) | {"output_tokens": -1}]
        )
    expire_leases([over.request_id, under.request_id])

    assert sweep() == 2
    assert sorted(int(str(event[2])) for event in events()) == [0, 1_000]


async def test_running_lease_is_left_alone_and_renewing_keeps_it(payer):
    request = payer.call()
    async with open_doors() as doors:
        await doors.budgets.reserve(request)
        assert sweep() == 0

        expire_leases([request.request_id])
        assert await doors.budgets.renew([progress(request)]) == []
        assert sweep() == 0

    assert events() == []


async def test_renewing_again_does_not_forget_that_it_was_sent(payer):
    request = payer.call()
    async with open_doors() as doors:
        await doors.budgets.reserve(request)
        await doors.budgets.renew([progress(request, sent=True)])
        await doors.budgets.renew([progress(request, cost=400, sent=False)])
    expire_leases([request.request_id])
    sweep()

    assert [event[1:3] for event in events()] == [("estimated", 400)]


async def test_process_learns_which_calls_it_has_lost(payer):
    swept, kept, foreign, unknown = (payer.call() for _ in range(4))
    async with open_doors() as here, open_doors() as there:
        await asyncio.gather(*map(here.budgets.reserve, [swept, kept]))
        await there.budgets.reserve(foreign)
        expire_leases([swept.request_id])
        sweep()

        lost = await here.budgets.renew([progress(c) for c in (swept, kept, foreign, unknown)])

    assert set(lost) == {swept.request_id, foreign.request_id, unknown.request_id}


async def test_sweepers_at_the_same_time_settle_each_call_once(payer):
    requests = [payer.call() for _ in range(40)]
    async with open_doors() as doors:
        await asyncio.gather(*map(doors.budgets.reserve, requests))
    expire_leases(request.request_id for request in requests)

    swept = await asyncio.gather(*(asyncio.to_thread(sweep) for _ in range(4)))

    assert sum(swept) == 40
    assert rows("SELECT count(*) FROM billing_usageevent") == [(40,)]
    assert budget("wallet", payer.organization.pk) == (0, 0)


async def test_sweep_takes_so_many_at_a_time_and_the_rest_later(payer):
    requests = [payer.call() for _ in range(5)]
    async with open_doors() as doors:
        await asyncio.gather(*map(doors.budgets.reserve, requests))
    expire_leases(request.request_id for request in requests)

    taken = [rows("SELECT billing_sweep(2, 0)")[0][0] for _ in range(4)]

    assert taken == [2, 2, 1, 0]


async def test_after_a_restart_of_the_server_leases_get_time_to_be_renewed(payer):
    request = payer.call()
    async with open_doors() as doors:
        await doors.budgets.reserve(request)
        expire_leases([request.request_id])

        assert rows("SELECT billing_sweep(500, 1000000000)") == [(0,)]
        assert sweep() == 1


async def test_abandoned_call_of_a_test_key_is_settled_for_nothing():
    payer = await stored(make_payer, mode="test")
    request = payer.call()
    async with open_doors() as doors:
        await doors.budgets.reserve(request)
        await doors.budgets.renew([progress(request)])
    expire_leases([request.request_id])

    assert sweep() == 1
    assert [event[2] for event in events()] == [0]


async def test_one_sweep_settles_at_most_five_hundred_calls(payer):
    requests = [payer.call(1) for _ in range(501)]
    async with open_doors() as doors:
        await asyncio.gather(*map(doors.budgets.reserve, requests))
    expire_leases([request.request_id for request in requests])
    other = Budgets(
        ids.new_uuid(), lease_seconds=0
    )  # nothing waits for a server that has just started

    assert [await other.sweep() for _ in range(3)] == [500, 1, 0]
    await other.close()


async def test_closed_doors_leave_no_connection(payer):
    async with open_doors() as doors:
        await doors.budgets.reserve(payer.call(1))
        await doors.budgets.renew([])

    wait_until(
        lambda: (
            not rows(
                "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name IN ('exerati reserve', 'exerati upkeep')"
            )
        )
    )
