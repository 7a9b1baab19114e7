"""Caps that change while their period runs, and periods that change while calls run."""

import pytest

from apikeys.models import KeyModelBudget
from tests.billing import calls
from tests.billing.calls import (
    budget,
    open_doors,
    outcomes,
    rows,
    settlement,
    stored,
    update,
)

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


async def test_raised_cap_admits_and_lowered_cap_only_stops_new_calls(payer):
    update("apikeys_apikey", payer.key.pk, budget_month_nanousd=1_000)
    async with open_doors() as doors:
        first = payer.call(1_000)
        assert await outcomes(doors.budgets, [first, payer.call(1)]) == ["ok", "key month"]

        update("apikeys_apikey", payer.key.pk, budget_month_nanousd=1_500)
        assert await outcomes(doors.budgets, [payer.call(500), payer.call(1)]) == [
            "ok",
            "key month",
        ]

        update("apikeys_apikey", payer.key.pk, budget_month_nanousd=10)
        assert await outcomes(doors.budgets, [payer.call(1)]) == ["key month"]
        assert (await doors.metering.settle(settlement(first, 900))).charge == 900

    assert budget("key", payer.key.pk, period="month") == (900, 500)


CAPS = [
    ("apikeys_apikey", "key"),
    ("accounts_project", "project"),
    ("accounts_organization", "organization"),
]


@pytest.mark.parametrize("period", ["day", "week", "month"])
@pytest.mark.parametrize(("table", "scope"), CAPS)
async def test_cap_set_in_mid_period_starts_at_what_was_spent_and_held(payer, table, scope, period):
    row_id = {
        "key": payer.key.pk,
        "project": payer.key.project_id,
        "organization": payer.organization.pk,
    }[scope]
    async with open_doors() as doors:
        spent, running = payer.call(1_000), payer.call(300)
        assert await outcomes(doors.budgets, [spent, running]) == ["ok", "ok"]
        await doors.metering.settle(settlement(spent, 200))
        update(table, row_id, **{f"budget_{period}_nanousd": 1_000})

        assert await outcomes(doors.budgets, [payer.call(501)]) == [f"{scope} {period}"]
        assert await outcomes(doors.budgets, [payer.call(500)]) == ["ok"]
        assert budget(scope, row_id, period=period) == (200, 800)

        await doors.metering.settle(settlement(running, 250))
        assert budget(scope, row_id, period=period) == (450, 500)


async def test_counter_goes_on_while_its_cap_is_away(payer):
    update("apikeys_apikey", payer.key.pk, budget_month_nanousd=1_000)
    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [payer.call(100)]) == ["ok"]
        update("apikeys_apikey", payer.key.pk, budget_month_nanousd=None)
        assert await outcomes(doors.budgets, [payer.call(800)]) == ["ok"]
        update("apikeys_apikey", payer.key.pk, budget_month_nanousd=1_000)

        assert await outcomes(doors.budgets, [payer.call(101)]) == ["key month"]
        assert await outcomes(doors.budgets, [payer.call(100)]) == ["ok"]


async def test_cap_on_a_model_set_later_knows_what_the_model_cost(payer):
    async with open_doors() as doors:
        spent, other = payer.call(1_000), payer.call(1_000, model="other")
        assert await outcomes(doors.budgets, [spent, other]) == ["ok", "ok"]
        await doors.metering.settle(settlement(spent, 700))
        await stored(
            KeyModelBudget.objects.create,
            key=payer.key,
            model=calls.MODEL,
            period="total",
            cap_nanousd=1_000,
        )

        assert await outcomes(doors.budgets, [payer.call(301)]) == ["key_model total"]
        assert await outcomes(doors.budgets, [payer.call(300)]) == ["ok"]


async def test_new_period_begins_empty_and_old_calls_settle_into_the_old_one(payer):
    update("apikeys_apikey", payer.key.pk, budget_day_nanousd=1_000)
    async with open_doors() as doors:
        late = payer.call(1_000)
        assert await outcomes(doors.budgets, [late]) == ["ok"]
        rows(
            "UPDATE billing_budget SET period_start = period_start - interval '1 day',"
            " period_end = period_start WHERE period = 'day'"
        )
        rows("UPDATE billing_reservation SET created_at = created_at - interval '1 day'")

        assert await outcomes(doors.budgets, [payer.call(1_000)]) == ["ok"]
        await doors.metering.settle(settlement(late, 900))

    days = rows(
        "SELECT posted_nanousd, held_nanousd FROM billing_budget WHERE period = 'day' ORDER BY period_start"
    )
    assert days == [(900, 0), (0, 1_000)]


async def test_period_after_a_change_of_time_zone_starts_where_the_last_one_ended(payer):
    update("apikeys_apikey", payer.key.pk, budget_day_nanousd=1_000)
    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [payer.call(1_000)]) == ["ok"]
        rows(
            "UPDATE billing_budget SET period_start = clock_timestamp() - interval '25 hours',"
            " period_end = clock_timestamp() WHERE period = 'day'"
        )
        update("accounts_organization", payer.organization.pk, time_zone="Pacific/Kiritimati")

        assert await outcomes(doors.budgets, [payer.call(1_000)]) == ["ok"]

    bounds = rows(
        "SELECT period_start, period_end FROM billing_budget WHERE period = 'day' ORDER BY period_start"
    )
    assert bounds[0][1] == bounds[1][0]
