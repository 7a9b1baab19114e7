"""`manage.py limits rebuild`: after a wipe the limits know open calls and the last minute again."""

import asyncio
import json
from io import StringIO

import pytest
from django.core.management import call_command

from billing.types import TokenUsage
from exerati.lib import ids
from exerati.lib.redis import sync_client
from gateway.rate_limits.limit_types import TakeSlot
from gateway.rate_limits.limits import Limits, RateLimited
from tests.billing.calls import Payer, make_payer, open_doors, settlement, stored

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def payer(transactional_db, redis_url) -> Payer:
    sync_client().flushdb()
    return make_payer(requests_per_minute=10, tokens_per_minute=6_000, concurrency=3)


def slot(payer: Payer, *, concurrency: int = 3, request: str = "") -> TakeSlot:
    return TakeSlot(
        organization_id=payer.organization.pk,
        key_id=payer.key.pk,
        request=request or ids.encode(ids.new_uuid()),
        requests_per_minute=10,
        tokens=0,
        tokens_per_minute=6_000,
        concurrency=concurrency,
    )


async def rebuilt() -> dict[str, int]:
    output = StringIO()
    await stored(call_command, "limits", "rebuild", "--json", stdout=output)
    return dict(json.loads(output.getvalue()))


async def test_wiped_limits_know_open_calls_and_the_last_minute_again(payer):
    used = TokenUsage(input_tokens=1_000, output_tokens=2_000)
    limits = Limits(processes=1)
    async with open_doors() as doors:
        done, *running = [payer.call() for _ in range(4)]
        await asyncio.gather(*map(doors.budgets.reserve, [done, *running]))
        await doors.metering.settle(settlement(done, usage=used))

        assert await rebuilt() == {"keys": 1, "open_calls": 3}

        with pytest.raises(RateLimited) as refused:
            await limits.take(slot(payer))
        assert refused.value.kind == "concurrency"
        allowance = await limits.take(slot(payer, concurrency=10))
        assert allowance.remaining_requests <= 6
        assert 3_000 <= allowance.remaining_tokens < 6_000
        limits.free(slot(payer, request=ids.encode(running[0].request_id)), unused_tokens=0)
        await limits.take(slot(payer, concurrency=4))
    await limits.close()


async def test_rebuilding_twice_or_without_a_wipe_takes_nothing_twice(payer):
    limits = Limits(processes=1)
    async with open_doors() as doors:
        request = payer.call()
        await doors.budgets.reserve(request)
        await limits.take(slot(payer, request=ids.encode(request.request_id)))
        before = await limits.take(slot(payer))

        await rebuilt()
        await rebuilt()
        after = await limits.take(slot(payer))

    assert after.remaining_requests >= before.remaining_requests - 1
    with pytest.raises(RateLimited):
        await limits.take(slot(payer))
    await limits.close()
