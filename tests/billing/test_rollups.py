"""Hourly sums: equal to the sums of the events, however often and by however many they are made."""

import asyncio
import random
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import Count, Sum

from billing import aggregation
from billing.models import OutboxMessage, UsageEvent, UsageRollup
from billing.tasks import roll_up
from billing.types import TokenUsage
from tests import factories
from tests.billing.calls import Payer, make_payer, open_doors, rows, settlement, stored

pytestmark = [pytest.mark.anyio, pytest.mark.django_db(transaction=True)]

SUMS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "price_nanousd",
    "charge_nanousd",
    "provider_cost_nanousd",
    "duration_ms",
)


@pytest.fixture
def payers(transactional_db) -> list[Payer]:
    one = make_payer()
    test_key = factories.make_api_key(one.organization, mode="test").key
    return [one, Payer(one.organization, test_key, one.price), make_payer()]


async def settle_some(payers: list[Payer], count: int = 60) -> None:
    """Settle calls of random sizes, spread over the last three hours."""
    chance = random.Random(count)
    async with open_doors() as doors:
        requests = [
            chance.choice(payers).call(1_000, model=chance.choice("ab")) for _ in range(count)
        ]
        await asyncio.gather(*map(doors.budgets.reserve, requests))
        for hours in (1, 2):
            rows(
                "UPDATE billing_reservation SET created_at = created_at - %s WHERE request_id = ANY (%s)",
                timedelta(hours=hours),
                [request.request_id for request in requests[hours::3]],
            )
        await asyncio.gather(
            *(doors.metering.settle(random_settlement(request, chance)) for request in requests)
        )


def random_settlement(request, chance: random.Random):
    usage = TokenUsage(
        input_tokens=chance.randrange(50),
        output_tokens=chance.randrange(50),
        cache_read_tokens=chance.randrange(9),
        cache_write_5m_tokens=chance.randrange(9),
        reasoning_tokens=chance.randrange(9),
    )
    return settlement(
        request,
        chance.randrange(1_000),
        usage=usage,
        status=chance.choice([200, 200, 500]),
        provider_cost_nanousd=chance.choice([None, 5]),
        duration_ms=chance.choice([None, 70]),
    )


def assert_sums_are_equal() -> None:
    groups = ("organization_id", "project_id", "key_id", "model", "mode")
    events = UsageEvent.objects.order_by().values(*groups)
    rollups = UsageRollup.objects.order_by().values(*groups)
    of_events = events.annotate(n=Count("request_id"), **{f"sum_{c}": Sum(c) for c in SUMS})
    of_rollups = rollups.annotate(n=Sum("requests"), **{f"sum_{c}": Sum(c) for c in SUMS})
    expected = {tuple(row[g] for g in groups): nothing_as_zero(row) for row in of_events}
    assert {tuple(row[g] for g in groups): nothing_as_zero(row) for row in of_rollups} == expected
    failed = UsageEvent.objects.filter(status__gte=400).count()
    assert UsageRollup.objects.aggregate(n=Sum("errors"))["n"] == failed


def nothing_as_zero(row: dict[str, object]) -> dict[str, object]:
    return {name: value or 0 for name, value in row.items()}


async def test_sums_equal_the_sums_of_the_events_and_a_second_run_changes_nothing(payers):
    await settle_some(payers)

    assert await stored(aggregation.roll_up, batch=7) == 60
    await stored(assert_sums_are_equal)
    before = rows("SELECT * FROM billing_usagerollup ORDER BY id")
    assert rows("SELECT count(DISTINCT hour) FROM billing_usagerollup") == [(3,)]

    assert await stored(aggregation.roll_up) == 0
    await stored(roll_up.delay)
    assert rows("SELECT * FROM billing_usagerollup ORDER BY id") == before
    assert await stored(OutboxMessage.objects.count) == 0


async def test_later_events_are_added_to_their_hour(payers):
    await settle_some(payers, 20)
    await stored(aggregation.roll_up)
    await settle_some(payers, 30)
    await stored(aggregation.roll_up)

    await stored(assert_sums_are_equal)


async def test_two_at_once_count_each_event_once(payers):
    await settle_some(payers, 90)

    counts = await asyncio.gather(*(stored(aggregation.roll_up, batch=4) for _ in range(3)))

    # One that finds all waiting rows taken by the others stops early: what it left is theirs or the next run's.
    await stored(aggregation.roll_up)
    assert sum(counts) <= 90
    await stored(assert_sums_are_equal)


async def test_run_that_fails_leaves_the_outbox_for_the_next(payers):
    await settle_some(payers, 10)
    with pytest.raises(ZeroDivisionError):
        await stored(roll_up_and_fail)

    assert rows("SELECT count(*) FROM billing_outboxmessage") == [(10,)]
    await stored(aggregation.roll_up)
    await stored(assert_sums_are_equal)


def roll_up_and_fail() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT billing_roll_up(100)")
        raise ZeroDivisionError
