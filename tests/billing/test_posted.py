"""A counter made in mid-period begins at exactly what its scope has spent, summed up already or not."""

import asyncio
from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.models import KeyModelBudget
from billing import aggregation
from tests import factories
from tests.billing.calls import (
    MODEL,
    Payer,
    assert_books_balance,
    budget,
    make_payer,
    open_doors,
    rows,
    settlement,
    stored,
    update,
)

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize(
    "zone", ["UTC", "Asia/Kathmandu"]
)  # 5:45 ahead: its days begin within an hour
async def test_counter_begins_at_what_was_spent_wherever_that_is_written(transactional_db, zone):
    payer = await stored(make_payer)
    update("accounts_organization", payer.organization.pk, time_zone=zone)
    second = await stored(lambda: factories.make_api_key(payer.organization).key)
    other = Payer(payer.organization, second, payer.price)
    async with open_doors() as doors:
        for round, charge in enumerate((100, 20, 3)):
            calls = [payer.call(), payer.call(model="other"), other.call()]
            await asyncio.gather(*map(doors.budgets.reserve, calls))
            await asyncio.gather(*(doors.metering.settle(settlement(c, charge)) for c in calls))
            if round == 0:
                age(days=2)
            elif round == 1:
                age(hours=1)
                await stored(aggregation.roll_up)
            # the last round waits in the outbox
        for table, row_id in (
            ("accounts_organization", payer.organization.pk),
            ("accounts_project", payer.key.project_id),
            ("apikeys_apikey", payer.key.pk),
        ):
            for period in ("day", "week", "month"):
                update(table, row_id, **{f"budget_{period}_nanousd": 10**9})
        await stored(
            KeyModelBudget.objects.create,
            key=payer.key,
            model=MODEL,
            period="total",
            cap_nanousd=10**9,
        )
        await doors.budgets.reserve(payer.call())

    assert budget("key_model", payer.key.pk, model=MODEL)[0] == 123
    assert budget("organization", payer.organization.pk, period="month")[0] > 0
    assert_books_balance()


def age(**time: int) -> None:
    """Let all calls so far have been made earlier, events and sums alike: nothing is rolled up of them yet."""
    earlier = timezone.now() - timedelta(**time)
    rows("UPDATE billing_usageevent SET occurred_at = least(occurred_at, %s)", earlier)
    rows("UPDATE billing_outboxmessage SET occurred_at = least(occurred_at, %s)", earlier)
