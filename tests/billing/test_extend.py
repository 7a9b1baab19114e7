"""Bounds of open calls raised in steps: on every counter or on none, once for each step, by their own process only."""

import asyncio

import pytest

from billing.budgets import BillingUnavailable, ReservationLost
from tests.billing.calls import (
    assert_books_balance,
    budget,
    make_payer,
    open_doors,
    outcomes,
    rows,
    settlement,
    stored,
    update,
)

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


async def test_step_is_held_on_every_counter_and_allows_a_higher_charge(payer):
    update("apikeys_apikey", payer.key.pk, budget_month_nanousd=5_000)
    request = payer.call(1_000)
    async with open_doors() as doors:
        await doors.budgets.reserve(request)
        assert await doors.budgets.extend(request.request_id, step=1, more_nanousd=500)

        assert budget("wallet", payer.organization.pk) == (0, 1_500)
        assert budget("key", payer.key.pk, period="month") == (0, 1_500)
        assert_books_balance()
        assert (await doors.metering.settle(settlement(request, 1_400))).charge == 1_400

    assert rows("SELECT upper_nanousd FROM billing_usageevent") == [(1_500,)]
    assert_books_balance()


async def test_repeated_step_holds_once(payer):
    request = payer.call(1_000)
    async with open_doors() as doors:
        await doors.budgets.reserve(request)
        extend = doors.budgets.extend
        steps = [extend(request.request_id, step=1, more_nanousd=500) for _ in range(3)]
        assert await asyncio.gather(*steps) == [True] * 3
        assert await extend(request.request_id, step=2, more_nanousd=7)

    assert budget("wallet", payer.organization.pk) == (0, 1_507)


async def test_step_that_one_scope_has_no_room_for_holds_nothing(payer):
    update("apikeys_apikey", payer.key.pk, budget_month_nanousd=1_499)
    request = payer.call(1_000)
    async with open_doors() as doors:
        await doors.budgets.reserve(request)
        assert not await doors.budgets.extend(request.request_id, step=1, more_nanousd=500)
        assert not await doors.budgets.extend(request.request_id, step=1, more_nanousd=-1)
        assert budget("wallet", payer.organization.pk) == (0, 1_000)

        assert await doors.budgets.extend(request.request_id, step=1, more_nanousd=499)
        assert await outcomes(doors.budgets, [payer.call(1)]) == ["key month"]


async def test_step_meets_a_cap_that_no_call_has_met_yet(payer):
    request = payer.call(1_000)
    async with open_doors() as doors:
        await doors.budgets.reserve(request)
        update("accounts_organization", payer.organization.pk, budget_month_nanousd=1_400)

        assert not await doors.budgets.extend(request.request_id, step=1, more_nanousd=401)
        assert await doors.budgets.extend(request.request_id, step=1, more_nanousd=400)

    assert budget("organization", payer.organization.pk, period="month") == (0, 1_400)
    assert_books_balance()


async def test_steps_of_one_batch_share_the_room(payer):
    update("apikeys_apikey", payer.key.pk, budget_total_nanousd=2_500)
    first, second = payer.call(1_000), payer.call(1_000)
    async with open_doors() as doors:
        await asyncio.gather(*map(doors.budgets.reserve, [first, second]))
        extended = await asyncio.gather(
            *(
                doors.budgets.extend(call.request_id, step=1, more_nanousd=400)
                for call in (first, second)
            )
        )

    assert sorted(extended) == [False, True]
    assert budget("key", payer.key.pk) == (0, 2_400)


async def test_only_its_process_extends_a_call_and_only_while_it_is_open(payer):
    request = payer.call(1_000)
    async with open_doors() as owner, open_doors() as stranger:
        await owner.budgets.reserve(request)
        with pytest.raises(ReservationLost):
            await stranger.budgets.extend(request.request_id, step=1, more_nanousd=1)
        await owner.metering.settle(settlement(request))
        with pytest.raises(ReservationLost):
            await owner.budgets.extend(request.request_id, step=1, more_nanousd=1)

    assert_books_balance()


async def test_call_of_a_test_key_extends_for_nothing():
    payer = await stored(make_payer, mode="test")
    request = payer.call(0)
    async with open_doors() as doors:
        await doors.budgets.reserve(request)
        assert await doors.budgets.extend(request.request_id, step=1, more_nanousd=500)

    assert rows("SELECT upper_nanousd FROM billing_reservation") == [(0,)]


async def test_database_away_means_unavailable_and_the_next_try_extends(payer):
    request = payer.call(100)
    async with open_doors() as doors:
        await doors.budgets.reserve(request)
        await doors.budgets.renew([])
        rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'exerati upkeep' AND datname = current_database()"
        )

        with pytest.raises(BillingUnavailable):
            await doors.budgets.extend(request.request_id, step=1, more_nanousd=50)
        assert await doors.budgets.extend(request.request_id, step=1, more_nanousd=50)

    assert budget("wallet", payer.organization.pk) == (0, 150)
