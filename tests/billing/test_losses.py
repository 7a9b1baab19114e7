"""What faults cost us is a published figure, and nothing without faults."""

import asyncio
import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from billing.verification.losses import Losses, losses
from tests.billing.calls import (
    expire_leases,
    open_doors,
    rows,
    settlement,
    stored,
    sweep,
)

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


async def today() -> Losses:
    now = timezone.now()
    return await stored(losses, since=now - timedelta(days=1), until=now + timedelta(minutes=1))


async def test_nothing_is_lost_without_faults_also_where_a_call_is_sold_below_its_cost(payer):
    async with open_doors() as doors:
        request = payer.call()
        await doors.budgets.reserve(request)
        await doors.metering.settle(settlement(request, 10, provider_cost_nanousd=500))

    assert await today() == Losses(0, 0, 0, 0, 0)


async def test_cost_of_abandoned_calls_beyond_their_charge_is_lost(payer):
    priced, unpriced, settled_late = (
        payer.call(input_cost_nanousd=70),
        payer.call(),
        payer.call(1_000, input_cost_nanousd=70),
    )
    async with open_doors() as doors:
        await asyncio.gather(*map(doors.budgets.reserve, [priced, unpriced, settled_late]))
        expire_leases(call.request_id for call in (priced, unpriced, settled_late))
        await asyncio.to_thread(sweep)
        rows(
            "UPDATE billing_usageevent SET invoice_line_id = 1 WHERE request_id = %s",
            settled_late.request_id,
        )
        await doors.metering.settle(settlement(settled_late, 600))

    assert await today() == Losses(
        calls=2,
        provider_cost_nanousd=140,
        unknown_calls=1,
        not_charged_nanousd=600,
        owed_nanousd=0,
    )


async def test_the_command_prints_the_figures(payer):
    output = StringIO()

    await stored(call_command, "ledger", "losses", "--json", stdout=output)

    assert json.loads(output.getvalue())["provider_cost_nanousd"] == 0
