"""Late settlements of calls that the sweep had ended: one true-up each, in every book, within every cap."""

import asyncio

import pytest

from apikeys.models import KeyModelBudget
from billing import aggregation
from billing.metering import ForeignReservation
from billing.types import TokenUsage
from tests.billing.calls import (
    MODEL,
    Doors,
    Payer,
    assert_books_balance,
    budget,
    expire_leases,
    make_payer,
    open_doors,
    outcomes,
    rows,
    settlement,
    stored,
    sweep,
    update,
)

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


async def swept(doors: Doors, payer: Payer, *, estimate: int = 300, **changes: object):
    """Return a call that was swept at an estimate, as if its process had been stopped for long."""
    request = payer.call(1_000, **changes)
    await doors.budgets.reserve(request)
    progress = {"request_id": request.request_id, "input_tokens": 11, "output_tokens": 22}
    await doors.budgets.renew([progress | {"progress_nanousd": estimate, "sent": True}])
    expire_leases([request.request_id])
    assert await asyncio.to_thread(sweep) == 1
    return request


def summed() -> list[tuple[object, ...]]:
    """Return what the hourly sums say once everything is rolled up."""
    return rows(
        "SELECT model, requests, errors, output_tokens, charge_nanousd, provider_cost_nanousd"
        " FROM billing_usagerollup WHERE requests > 0 ORDER BY model"
    )


def true_ups() -> list[tuple[object, ...]]:
    return rows(
        "SELECT estimated_nanousd, wanted_nanousd, applied_nanousd, was_invoiced FROM billing_trueup"
    )


def transfers() -> list[tuple[object, ...]]:
    """Return the transfers of true-ups: the amount, and the kind of account it was taken from."""
    return rows(
        "SELECT t.amount_nanousd, a.kind FROM billing_ledgertransfer t"
        " JOIN billing_ledgeraccount a ON a.id = t.debit_account_id WHERE t.kind = 'trueup'"
    )


@pytest.mark.parametrize("rolled_up", [False, True])
@pytest.mark.parametrize(("true", "transfer"), [(600, (300, "wallet")), (100, (200, "revenue"))])
async def test_estimate_becomes_the_true_charge_in_every_book(payer, rolled_up, true, transfer):
    async with open_doors() as doors:
        request = await swept(doors, payer)
        if rolled_up:
            await stored(aggregation.roll_up)

        late = await doors.metering.settle(settlement(request, true))

    assert (late.settled, late.charge) == (False, true)
    assert budget("wallet", payer.organization.pk) == (true, 0)
    assert budget("key", payer.key.pk) == (true, 0)
    assert rows(
        "SELECT outcome, basis, status, output_tokens, provider_cost_nanousd, charge_nanousd, attempts"
        " FROM billing_usageevent"
    ) == [("finished", "reported", 200, 20, 500, true, 2)]
    assert rows("SELECT number FROM billing_attempt ORDER BY number") == [(1,), (2,)]
    assert transfers() == [transfer]
    assert true_ups() == [(300, true, true - 300, False)]
    await stored(aggregation.roll_up)
    assert summed() == [(MODEL, 1, 0, 20, true, 500)]
    assert_books_balance()


async def test_second_late_settlement_changes_nothing(payer):
    async with open_doors() as doors:
        request = await swept(doors, payer)
        first, second = await asyncio.gather(
            doors.metering.settle(settlement(request, 600)),
            doors.metering.settle(settlement(request, 900)),
        )
        third = await doors.metering.settle(settlement(request, 0))

    # Which of two at once is the first is not for us to say.
    assert first.charge in (600, 900)
    assert first.charge == second.charge == third.charge
    assert len(true_ups()) == len(transfers()) == 1
    assert_books_balance()


@pytest.mark.parametrize(("claimed", "charged"), [(5_000, 1_000), (-5, 0)])
async def test_true_charge_stays_between_nothing_and_the_bound(payer, claimed, charged):
    async with open_doors() as doors:
        request = await swept(doors, payer)
        assert (await doors.metering.settle(settlement(request, claimed))).charge == charged
    assert_books_balance()


async def test_true_up_rises_only_as_far_as_every_budget_has_room(payer):
    update("apikeys_apikey", payer.key.pk, budget_month_nanousd=1_000)
    async with open_doors() as doors:
        request = await swept(doors, payer)
        assert await outcomes(doors.budgets, [payer.call(550)]) == ["ok"]

        late = await doors.metering.settle(settlement(request, 900))

    assert late.charge == 450
    assert budget("key", payer.key.pk, period="month") == (450, 550)
    assert true_ups() == [(300, 900, 150, False)]
    assert_books_balance()


async def test_true_up_never_rises_where_a_cap_was_lowered_below_what_is_spent(payer):
    update("apikeys_apikey", payer.key.pk, budget_month_nanousd=1_000)
    async with open_doors() as doors:
        request = await swept(doors, payer)
        update("apikeys_apikey", payer.key.pk, budget_month_nanousd=10)

        assert (await doors.metering.settle(settlement(request, 900))).charge == 300

    assert transfers() == []
    assert_books_balance()


async def test_true_up_meets_a_cap_that_no_call_has_met_yet(payer):
    async with open_doors() as doors:
        request = await swept(doors, payer)
        update("accounts_organization", payer.organization.pk, budget_month_nanousd=400)

        assert (await doors.metering.settle(settlement(request, 900))).charge == 400

    assert budget("organization", payer.organization.pk, period="month") == (400, 0)
    assert_books_balance()


async def test_counter_made_after_the_sweep_is_trued_up_too(payer):
    async with open_doors() as doors:
        request = await swept(doors, payer)
        update("apikeys_apikey", payer.key.pk, budget_month_nanousd=2_000)
        assert await outcomes(doors.budgets, [payer.call(1)]) == ["ok"]
        assert budget("key", payer.key.pk, period="month") == (300, 1)

        await doors.metering.settle(settlement(request, 600))

    assert budget("key", payer.key.pk, period="month") == (600, 1)
    assert_books_balance()


async def test_charge_moves_to_the_model_that_really_served(payer):
    for model in (MODEL, "other"):
        await stored(
            KeyModelBudget.objects.create,
            key=payer.key,
            model=model,
            period="month",
            cap_nanousd=1_000,
        )
    async with open_doors() as doors:
        request = await swept(doors, payer, fallback_models=("other",))
        await stored(aggregation.roll_up)
        await doors.metering.settle(settlement(request, 600, model="other"))

    assert budget("key_model", payer.key.pk, period="month", model=MODEL) == (0, 0)
    assert budget("key_model", payer.key.pk, period="month", model="other") == (600, 0)
    assert [row[:2] for row in summed()] == [("other", 1)]
    assert_books_balance()


async def test_invoiced_event_stays_as_it_is_and_the_difference_is_ours(payer):
    async with open_doors() as doors:
        request = await swept(doors, payer)
        rows("UPDATE billing_usageevent SET invoice_line_id = 1")

        late = await doors.metering.settle(settlement(request, 600))

    assert late.charge == 300
    assert true_ups() == [(300, 600, 0, True)]
    assert rows("SELECT outcome, charge_nanousd FROM billing_usageevent") == [("lost", 300)]
    assert_books_balance()


async def test_another_process_can_settle_neither_before_nor_after_the_sweep(payer):
    async with open_doors() as owner, open_doors() as stranger:
        fresh = payer.call()
        await owner.budgets.reserve(fresh)
        with pytest.raises(ForeignReservation):
            await stranger.metering.settle(settlement(fresh))
        late = await swept(owner, payer)
        with pytest.raises(ForeignReservation):
            await stranger.metering.settle(settlement(late))

        assert (await owner.metering.settle(settlement(fresh))).settled

    assert true_ups() == []
    assert_books_balance()


async def test_true_ups_and_roll_ups_at_the_same_time_keep_the_sums_exact(payer):
    async with open_doors() as doors:
        for _ in range(5):
            requests = [payer.call(1_000) for _ in range(20)]
            await asyncio.gather(*map(doors.budgets.reserve, requests))
            expire_leases(request.request_id for request in requests)
            await asyncio.to_thread(sweep)
            await asyncio.gather(
                *(doors.metering.settle(settlement(request, 600)) for request in requests),
                *(stored(aggregation.roll_up, batch=3) for _ in range(2)),
            )
    await stored(aggregation.roll_up)

    assert summed() == [(MODEL, 100, 0, 2_000, 60_000, 50_000)]
    assert_books_balance()


async def test_late_settlement_of_a_test_call_is_shown_and_costs_nothing():
    payer = await stored(make_payer, mode="test")
    async with open_doors() as doors:
        request = await swept(doors, payer)
        usage = TokenUsage(input_tokens=1, output_tokens=2)
        late = await doors.metering.settle(settlement(request, 600, usage=usage))

    assert late.charge == 0
    assert rows("SELECT output_tokens, price_nanousd, charge_nanousd FROM billing_usageevent") == [
        (2, 600, 0)
    ]
    assert transfers() == []
