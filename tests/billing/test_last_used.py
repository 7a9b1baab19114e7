"""When a key was last used is learnt as its events are rolled up."""

import pytest

from apikeys.models import ApiKey
from billing.models import UsageEvent
from billing.tasks import roll_up
from tests.billing.calls import open_doors, settlement, stored

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


async def test_key_remembers_its_latest_call_and_never_an_earlier_one(payer):
    async with open_doors() as doors:
        requests = [payer.call(), payer.call()]
        for request in requests:
            await doors.budgets.reserve(request)
        for request in reversed(requests):
            await doors.metering.settle(settlement(request))
            await stored(roll_up)

    latest = await UsageEvent.objects.order_by("-occurred_at").afirst()
    key = await ApiKey.objects.aget(pk=payer.key.pk)
    assert latest is not None
    assert key.last_used_at == latest.occurred_at
