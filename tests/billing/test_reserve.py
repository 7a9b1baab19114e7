"""Admission: every scope or none, in the order asked, whoever asks at the same time."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from apikeys.models import KeyModelBudget
from billing.budgets import BillingUnavailable, BudgetExceeded, outcome_of
from tests import factories
from tests.billing import calls
from tests.billing.calls import (
    budget,
    make_payer,
    named,
    open_doors,
    outcomes,
    rows,
    settlement,
    stored,
    update,
)

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]

USD = 10**9


async def test_admitted_call_holds_its_bound_on_wallet_project_key_and_every_cap(payer):
    update("apikeys_apikey", payer.key.pk, budget_day_nanousd=USD)
    update("accounts_project", payer.key.project_id, budget_week_nanousd=USD)
    update("accounts_organization", payer.organization.pk, budget_month_nanousd=USD)

    async with open_doors() as doors:
        await doors.budgets.reserve(payer.call(700))

    held = dict(rows("SELECT scope || ' ' || period, held_nanousd FROM billing_budget"))
    assert held == {
        "wallet total": 700,
        "organization month": 700,
        "project total": 700,
        "project week": 700,
        "key total": 700,
        "key day": 700,
    }
    assert rows("SELECT cardinality(budget_ids), state FROM billing_reservation") == [(6, "open")]


SCOPES = [
    ("apikeys_apikey", "key"),
    ("accounts_project", "project"),
    ("accounts_organization", "organization"),
]


@pytest.mark.parametrize("period", ["day", "week", "month", "total"])
@pytest.mark.parametrize(("table", "scope"), SCOPES)
async def test_refusal_names_scope_period_and_numbers_and_holds_nothing(
    payer, table, scope, period
):
    row_id = {
        "key": payer.key.pk,
        "project": payer.key.project_id,
        "organization": payer.organization.pk,
    }[scope]
    update(table, row_id, **{f"budget_{period}_nanousd": 1_000})
    async with open_doors() as doors:
        first = payer.call(300)
        await doors.budgets.reserve(first)
        await doors.metering.settle(settlement(first, 200))
        await doors.budgets.reserve(payer.call(100))
        before = rows("SELECT id, posted_nanousd, held_nanousd FROM billing_budget ORDER BY id")

        with pytest.raises(BudgetExceeded) as caught:
            await doors.budgets.reserve(payer.call(701))

    refusal = caught.value.refusal
    assert (refusal.scope, refusal.period) == (scope, period)
    assert (refusal.cap_nanousd, refusal.posted_nanousd) == (1_000, 200)
    assert (refusal.held_nanousd, refusal.needed_nanousd) == (100, 701)
    assert refusal.affordable_nanousd == 700
    assert (refusal.frees_at is None) == (period == "total")
    after = rows("SELECT id, posted_nanousd, held_nanousd FROM billing_budget ORDER BY id")
    assert after == before
    assert rows("SELECT count(*) FROM billing_reservation") == [(2,)]


async def test_call_that_fits_exactly_is_admitted_and_one_nanodollar_more_is_not(payer):
    update("apikeys_apikey", payer.key.pk, budget_total_nanousd=1_000)

    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [payer.call(400)]) == ["ok"]
        assert await outcomes(doors.budgets, [payer.call(601)]) == ["key total"]
        assert await outcomes(doors.budgets, [payer.call(600)]) == ["ok"]
        assert await outcomes(doors.budgets, [payer.call(1)]) == ["key total"]
        assert await outcomes(doors.budgets, [payer.call(0)]) == ["ok"]


async def test_wallet_without_credit_refuses():
    payer = await stored(make_payer, credit_usd="0")

    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [payer.call(1)]) == ["wallet total"]


async def test_credit_limit_adds_to_the_wallet(payer):
    rows(
        "INSERT INTO billing_billingaccount (organization_id, plan, credit_limit_nanousd, created_at)"
        " VALUES (%s, 'postpaid', %s, now())",
        payer.organization.pk,
        5 * USD,
    )

    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [payer.call(15 * USD)]) == ["ok"]
        assert await outcomes(doors.budgets, [payer.call(1)]) == ["wallet total"]


async def test_refusal_names_the_scope_with_the_least_room(payer):
    update("apikeys_apikey", payer.key.pk, budget_day_nanousd=1_000, budget_month_nanousd=900)
    update("accounts_project", payer.key.project_id, budget_week_nanousd=800)

    async with open_doors() as doors:
        with pytest.raises(BudgetExceeded) as caught:
            await doors.budgets.reserve(payer.call(2_000))
        affordable = caught.value.refusal.affordable_nanousd

        assert caught.value.refusal.scope == "project"
        assert await outcomes(doors.budgets, [payer.call(affordable)]) == ["ok"]


async def test_cap_of_a_key_on_one_model_binds_that_model_only(payer):
    await stored(
        KeyModelBudget.objects.create,
        key=payer.key,
        model=calls.MODEL,
        period="total",
        cap_nanousd=1_000,
    )

    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [payer.call(1_000)]) == ["ok"]
        assert await outcomes(doors.budgets, [payer.call(1)]) == ["key_model total"]
        assert await outcomes(doors.budgets, [payer.call(1, model="other")]) == ["ok"]


async def test_batch_is_decided_in_the_order_asked(payer):
    update("apikeys_apikey", payer.key.pk, budget_total_nanousd=1_000)
    requests = [payer.call(amount) for amount in (500, 600, 400, 200, 100)]

    async with open_doors() as doors:
        assert await outcomes(doors.budgets, requests) == [
            "ok",
            "key total",
            "ok",
            "key total",
            "ok",
        ]

    assert budget("key", payer.key.pk) == (0, 1_000)


async def test_two_keys_of_a_batch_share_the_wallet(payer):
    other = await stored(factories.make_api_key, payer.organization)
    second = payer.call(6 * USD, key_id=other.key.pk)

    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [payer.call(6 * USD), second]) == [
            "ok",
            "wallet total",
        ]


async def test_repeat_answers_the_state_and_holds_once(payer):
    request = payer.call(1_000)
    async with open_doors() as doors:
        await doors.budgets.reserve(request)

        assert await outcomes(doors.budgets, [request]) == ["ok"]
        assert budget("wallet", payer.organization.pk) == (0, 1_000)

        await doors.metering.settle(settlement(request))
        assert await outcomes(doors.budgets, [request]) == ["settled"]


async def test_request_asked_twice_in_one_batch_holds_once(payer):
    request = payer.call(1_000)

    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [request, payer.call(5), request]) == ["ok"] * 3

    assert budget("wallet", payer.organization.pk) == (0, 1_005)


INACTIVE = [
    ("apikeys_apikey", "revoked_at", "revoked"),
    ("apikeys_apikey", "disabled_at", "disabled"),
    ("apikeys_apikey", "expires_at", "expired"),
    ("accounts_organization", "suspended_at", "suspended"),
]


@pytest.mark.parametrize("mode", ["live", "test"])
@pytest.mark.parametrize(("table", "column", "reason"), INACTIVE)
async def test_inactive_key_or_organization_is_refused(table, column, reason, mode):
    payer = await stored(make_payer, mode=mode)
    row_id = payer.key.pk if table == "apikeys_apikey" else payer.organization.pk
    update(table, row_id, **{column: datetime.now(UTC) - timedelta(seconds=1)})

    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [payer.call()]) == [reason]

    assert rows("SELECT count(*) FROM billing_reservation") == [(0,)]


async def test_key_that_expires_later_is_admitted(payer):
    update("apikeys_apikey", payer.key.pk, expires_at=datetime.now(UTC) + timedelta(minutes=1))

    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [payer.call()]) == ["ok"]


async def test_key_of_another_organization_project_or_mode_is_unknown_and_leaves_no_trace(payer):
    stranger = await stored(make_payer)
    forged = [
        payer.call(key_id=stranger.key.pk),
        payer.call(organization_id=stranger.organization.pk),
        payer.call(project_id=stranger.key.project_id),
        payer.call(mode="test"),
        payer.call(key_id=0),
        payer.call(organization_id=0),
    ]
    before = rows("SELECT * FROM billing_budget ORDER BY id")

    async with open_doors() as doors:
        assert await outcomes(doors.budgets, forged) == ["unknown"] * 6

    assert rows("SELECT * FROM billing_budget ORDER BY id") == before
    assert rows("SELECT count(*) FROM billing_reservation") == [(0,)]


async def test_test_key_is_admitted_without_credit_and_holds_nothing():
    payer = await stored(make_payer, mode="test", credit_usd="0")

    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [payer.call(10**12)]) == ["ok"]

    assert rows("SELECT sum(held_nanousd) FROM billing_budget") in ([(None,)], [(0,)])
    assert rows("SELECT upper_nanousd, budget_ids FROM billing_reservation") == [(0, [])]


async def test_500_parallel_calls_through_two_processes_never_pass_a_cap(payer):
    fits, upper = 50, 20_000_000
    update("apikeys_apikey", payer.key.pk, budget_month_nanousd=fits * upper + upper - 1)

    async with open_doors() as here, open_doors() as there:
        doors = [here, there]
        requests = [payer.call(upper) for _ in range(500)]
        results = await asyncio.gather(
            *(doors[n % 2].budgets.reserve(request) for n, request in enumerate(requests)),
            return_exceptions=True,
        )

    names = [named(result) for result in results]
    assert (names.count("ok"), names.count("key month")) == (fits, 500 - fits)
    assert budget("key", payer.key.pk, period="month") == (0, fits * upper)


async def test_batches_over_the_same_organizations_in_any_order_do_not_deadlock(transactional_db):
    payers = await stored(lambda: [make_payer(credit_usd="1") for _ in range(6)])
    for payer in payers:
        update("apikeys_apikey", payer.key.pk, budget_day_nanousd=USD)
    chance = random.Random(7)

    async def process() -> None:
        async with open_doors() as doors:
            for _ in range(12):
                chosen = [payer.call(10) for payer in chance.choices(payers, k=20)]
                assert await outcomes(doors.budgets, chosen) == ["ok"] * 20
                await asyncio.gather(*(doors.metering.settle(settlement(c, 5)) for c in chosen))

    await asyncio.gather(*(process() for _ in range(4)))

    deadlocks = rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks == [(0,)]
    assert rows("SELECT DISTINCT held_nanousd FROM billing_budget") == [(0,)]


async def test_poisoned_call_fails_alone(payer):
    async with open_doors() as doors:
        results = await asyncio.gather(
            doors.budgets.reserve(payer.call(1)),
            doors.budgets.reserve(payer.call(2**63)),
            doors.budgets.reserve(payer.call(-1)),
            doors.budgets.reserve(payer.call(1)),
            return_exceptions=True,
        )

    assert [results[0], results[3]] == [None, None]
    assert isinstance(results[1], psycopg.DataError)
    assert isinstance(results[2], psycopg.IntegrityError)


async def test_database_away_means_unavailable_and_nothing_admitted(payer):
    async with open_doors() as doors:
        await doors.budgets.reserve(payer.call(1))
        rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'exerati reserve' AND datname = current_database()"
        )

        with pytest.raises(BillingUnavailable):
            await doors.budgets.reserve(payer.call(1))
        await doors.budgets.reserve(payer.call(1))

    assert budget("wallet", payer.organization.pk) == (0, 2)


def test_answer_to_a_single_request_reads_as_admitted_or_as_its_refusal():
    assert outcome_of('[{"verdict": "ok"}]') is None
    assert str(outcome_of('[{"verdict": "key_revoked"}]')) == "key_revoked"
    refused = outcome_of(
        '[{"verdict": "over", "scope": "key", "period": "day", "cap": 9, "posted": 4, "held": 3, "needed": 5}]'
    )

    assert isinstance(refused, BudgetExceeded)
    assert (refused.refusal.cap_nanousd, refused.refusal.needed_nanousd) == (9, 5)
