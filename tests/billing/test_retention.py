"""Reservations are forgotten 35 days after they ended, never while they are open; events stay."""

from datetime import UTC, datetime, timedelta

import pytest

from billing import retention
from billing.models import Reservation, UsageEvent
from exerati.lib import ids
from tests.billing.calls import open_doors, rows, settlement, stored

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]


async def test_only_what_ended_long_ago_is_forgotten(payer):
    later = datetime.now(UTC) + timedelta(days=36)
    async with open_doors() as doors:
        ended, still_open = payer.call(), payer.call()
        for request in (ended, still_open):
            await doors.budgets.reserve(request)
        await doors.metering.settle(settlement(ended))

    assert await stored(retention.prune_reservations, datetime.now(UTC)) == 0
    assert await stored(retention.prune_reservations, later, batch=1) == 1

    assert [row async for row in Reservation.objects.values_list("pk", flat=True)] == [
        still_open.request_id
    ]
    assert [row async for row in UsageEvent.objects.values_list("pk", flat=True)] == [
        ended.request_id
    ]


async def test_old_id_that_was_settled_lately_is_kept(payer):
    """A call admitted long ago and settled late keeps its reservation: a repeat must still find it."""
    async with open_doors() as doors:
        request = payer.call()
        await doors.budgets.reserve(request)
        await doors.metering.settle(settlement(request))
    later = datetime.now(UTC) + timedelta(days=36)
    await stored(rows, "UPDATE billing_reservation SET settled_at = %s", later)

    assert await stored(retention.prune_reservations, later) == 0


def test_smallest_id_is_below_every_id_of_its_moment():
    before = datetime.now(UTC)
    made = str(ids.new_uuid())
    after = datetime.now(UTC)

    assert retention.smallest_id(before - timedelta(milliseconds=1)) < made
    assert made < retention.smallest_id(after + timedelta(milliseconds=1))
