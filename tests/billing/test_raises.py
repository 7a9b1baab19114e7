"""Temporary raises: they count while they hold, in every scope, and stand in reports and the audit trail."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import AuditEvent
from apikeys.models import KeyModelBudget
from billing import raises
from billing.models import BudgetRaise
from billing.read_models import budget_report
from gateway import key_status
from tests.billing.calls import MODEL, make_payer, open_doors, outcomes, stored, update

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]
HOUR = timedelta(hours=1)


def lift(target, *, start=-HOUR, end=HOUR, extra=500, period="month", **changes):
    now = timezone.now()
    return raises.raise_cap(
        target,
        period=BudgetRaise.Period(period),
        extra_nanousd=extra,
        starts_at=now + start,
        ends_at=now + end,
        reason="launch day",
        actor=None,
        **changes,
    )


@pytest.mark.parametrize("period", ["day", "month", "total"])
@pytest.mark.parametrize(
    ("table", "attribute"),
    [
        ("accounts_organization", "organization"),
        ("accounts_project", "project"),
        ("apikeys_apikey", "key"),
    ],
)
async def test_cap_is_raised_while_the_raise_holds(payer, table, attribute, period):
    target = await stored(lambda: getattr(payer, attribute, None) or payer.key.project)
    update(table, target.pk, **{f"budget_{period}_nanousd": 1_000})
    await stored(lift, target, period=period)
    async with open_doors() as doors:
        refused = f"{attribute} {period}"
        assert await outcomes(doors.budgets, [payer.call(1_501)]) == [refused]
        assert await outcomes(doors.budgets, [payer.call(1_500)]) == ["ok"]


async def test_cap_of_a_key_on_a_model_is_raised_for_that_model(payer):
    for model in (MODEL, "other"):
        await stored(
            KeyModelBudget.objects.create,
            key=payer.key,
            model=model,
            period="month",
            cap_nanousd=1_000,
        )
    await stored(lift, payer.key, model=MODEL)
    async with open_doors() as doors:
        assert await outcomes(
            doors.budgets, [payer.call(1_001, model="other"), payer.call(1_500)]
        ) == ["key_model month", "ok"]


@pytest.mark.parametrize(("start", "end"), [(HOUR, 2 * HOUR), (-2 * HOUR, -HOUR)])
async def test_raise_counts_neither_before_it_starts_nor_after_it_ends(payer, start, end):
    update("apikeys_apikey", payer.key.pk, budget_month_nanousd=1_000)
    await stored(lift, payer.key, start=start, end=end)
    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [payer.call(1_001)]) == ["key month"]


async def test_raise_never_reaches_beyond_the_credit_or_caps_what_is_uncapped(payer):
    poor = await stored(make_payer, credit_usd="0.000001")
    update("accounts_organization", poor.organization.pk, budget_total_nanousd=900)
    await stored(lift, poor.organization, period="total", extra=10**9)
    await stored(lift, payer.key)
    async with open_doors() as doors:
        calls = [poor.call(1_001), poor.call(1_000), payer.call(10**9)]
        assert await outcomes(doors.budgets, calls) == ["wallet total", "ok", "ok"]


async def test_ended_raise_only_stops_new_calls(payer):
    update("apikeys_apikey", payer.key.pk, budget_month_nanousd=1_000)
    row = await stored(lift, payer.key)
    async with open_doors() as doors:
        assert await outcomes(doors.budgets, [payer.call(1_500)]) == ["ok"]
        assert await stored(raises.end_raise, row, now=timezone.now(), actor=None)
        assert not await stored(raises.end_raise, row, now=timezone.now(), actor=None)
        assert await outcomes(doors.budgets, [payer.call(1)]) == ["key month"]


def test_raise_is_shown_and_written_down(payer):
    update("apikeys_apikey", payer.key.pk, budget_month_nanousd=1_000)
    row = lift(payer.key)
    now = timezone.now()

    [line] = budget_report.budgets(payer.organization, now=now)
    assert (line.cap_nanousd, line.raised_nanousd, line.raised_until) == (1_500, 500, row.ends_at)
    [told] = key_status.status(payer.key.pk, now=now)["data"]["budgets"]
    assert (float(told["raised_usd"]), told["raised_until"]) == (500e-9, row.ends_at)
    event = AuditEvent.objects.get(action="budget.raised")
    assert (event.target, event.details["extra_nanousd"]) == (payer.key.public_id, 500)


@pytest.mark.parametrize(
    "wrong", [{"extra": 0}, {"end": -2 * HOUR}, {"model": "m", "on": "organization"}]
)
def test_raise_that_makes_no_sense_is_refused(payer, wrong):
    target = getattr(payer, wrong.pop("on", "key"))

    with pytest.raises(ValidationError):
        lift(target, **wrong)
