"""Sums of days: each is the sum of its hours whoever wrote them, and the pages read from them what calls add up to."""

import json
import random
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import time_machine
from django.db import connection
from django.db.models import F

from billing import aggregation
from billing.models import LatencyDayRollup, LatencyRollup, OutboxMessage, TagRollup, UsageRollup
from billing.read_models import latency, periods, reports
from billing.read_models.reports import Filters, Group
from exerati.lib.database import conninfo
from tests import factories

NOW = datetime(2026, 3, 30, 15, 20, tzinfo=UTC)  # a day after the change of clocks in Europe
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns")
SUMS = (
    *(
        "requests",
        "errors",
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
    ),
    *("reasoning_tokens", "audio_tokens", "image_tokens", "price_nanousd", "charge_nanousd"),
)
KEYS = "organization_id, project_id, key_id, model, mode"
TABLES = (
    ("billing_usagerollup", "billing_usagedayrollup", KEYS),
    ("billing_tagrollup", "billing_tagdayrollup", f"tag, {KEYS}"),
)


@pytest.fixture(autouse=True)
def _frozen():
    with time_machine.travel(NOW, tick=False):
        yield


def make_calls(key, chance, count=40):
    """Store calls of the last 65 days, and add most of them to the sums, some by some."""
    price = factories.make_price(f"priced-{chance.random()}")
    found = []
    for n in range(count):
        at = NOW - chance.random() * timedelta(days=chance.choice([1, 8, 65]))
        event = factories.make_usage_event(
            key,
            price=price,
            occurred_at=at,
            settled_at=at,
            model=chance.choice("ab"),
            charge_nanousd=chance.randrange(10**6),
            input_tokens=chance.randrange(10**12),
            status=chance.choice([200, 200, 500]),
            tags=chance.choice([None, ["x"], ["x", "y"]]),
            duration_ms=chance.randrange(200_000),
            usage_details=chance.choice([{}, {"audio_input_tokens": 3, "image_output_tokens": 4}]),
        )
        OutboxMessage.objects.create(
            request_id=event.request_id, occurred_at=at, organization=key.organization
        )
        found.append(event)
        if n % 9 == 5:
            aggregation.roll_up(batch=4)
    return found


def rows(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def true_up(event, **changes):
    """Change an event that is in the sums already, as a true-up changes them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT billing_roll_over(ARRAY[e], ARRAY[jsonb_populate_record(e, %s::jsonb)])
            FROM billing_usageevent e WHERE request_id = %s""",
            [json.dumps(changes), event.request_id],
        )


def assert_days_are_the_sums_of_their_hours():
    for hours, days, keys in TABLES:
        added = ", ".join(f"sum({name})" for name in SUMS)
        expected = rows(
            f"SELECT date_trunc('day', hour, 'UTC') AS day, {keys}, {added} FROM {hours} GROUP BY day, {keys}"  # noqa: S608  our own names
        )
        found = rows(f"SELECT day, {keys}, {', '.join(SUMS)} FROM {days}")  # noqa: S608  our own names
        assert with_calls(found) == with_calls(expected)
    counts: dict[tuple[object, ...], Any] = defaultdict(lambda: ([0] * 24, [0] * 24))
    for hour in LatencyRollup.objects.all():
        day = counts[hour.hour.date(), hour.organization_id, hour.model, hour.mode]
        for total, more in zip(day, (hour.first_token_counts, hour.duration_counts), strict=True):
            total[:] = [a + b for a, b in zip(total, more, strict=True)]
    found = {
        (day.day.date(), day.organization_id, day.model, day.mode): (
            day.first_token_counts,
            day.duration_counts,
        )
        for day in LatencyDayRollup.objects.all()
    }
    assert found == counts


def with_calls(found):
    """Leave out days whose hours were all taken away."""
    return sorted(row for row in found if any(row[-len(SUMS) :]))


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(3))
def test_a_day_is_the_sum_of_its_hours_whoever_writes_them(acme_key, globex_key, seed):
    chance = random.Random(seed)
    for key in (acme_key.key, globex_key.key):
        calls = make_calls(key, chance)
    aggregation.roll_up()
    assert_days_are_the_sums_of_their_hours()
    assert rows("SELECT sum(requests)::int FROM billing_usagedayrollup") == [(80,)]

    for event in chance.sample(calls, 5):
        true_up(event, charge_nanousd=chance.randrange(10**6), tags=["y", "z"], status=500)
    assert_days_are_the_sums_of_their_hours()

    # By hand, as a repair would do it; then an hour that goes.
    UsageRollup.objects.filter(model="a").update(charge_nanousd=F("charge_nanousd") + 7)
    TagRollup.objects.filter(tag="x").update(hour=F("hour") - timedelta(days=100))
    LatencyRollup.objects.filter(model="a").update(duration_counts=[2] * 24)
    for table in ("billing_usagerollup", "billing_tagrollup"):
        rows(f"DELETE FROM {table} WHERE id % 3 = 0 RETURNING 1")  # noqa: S608  our own names
    assert_days_are_the_sums_of_their_hours()


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("name", ["24h", "7d", "30d", "month"])
def test_pages_read_what_the_calls_add_up_to(acme, acme_key, globex_key, zone, name):
    calls = make_calls(acme_key.key, random.Random(name + zone))
    make_calls(globex_key.key, random.Random(zone), count=8)
    period = periods.period(name, now=NOW, zone=ZoneInfo(zone))

    names: dict[Group, Any] = {"model": lambda e: [e.model], "tag": lambda e: e.tags or []}
    for group, names_of in names.items():
        expected: dict[tuple[str, object], tuple[int, int]] = defaultdict(lambda: (0, 0))
        for event in calls:
            for named in names_of(event):
                for bucket, slot in enumerate(period.slots):
                    if slot.start <= event.occurred_at < slot.end:
                        add(expected, (named, bucket), event)
                if period.previous_start <= event.occurred_at < period.previous_end:
                    add(expected, (named, "before"), event)

        usage = reports.usage(acme, period=period, group=group)

        found = {}
        for row in (*usage.rows, *usage.gone):
            for n, one in (*enumerate(row.buckets), ("before", row.previous)):
                if one.requests:
                    found[row.name, n] = (one.requests, one.charge_nanousd)
        assert found == expected


def add(sums, key, event):
    requests, charge = sums[key]
    sums[key] = (requests + 1, charge + event.charge_nanousd)


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ZONES[:2])
@pytest.mark.parametrize("name", ["24h", "7d", "30d"])
def test_latency_is_that_of_the_hours(acme, acme_key, zone, name):
    make_calls(acme_key.key, random.Random(name + zone))
    aggregation.roll_up()
    period = periods.period(name, now=NOW, zone=ZoneInfo(zone))
    counts = [[0] * 24 for _ in period.slots]
    for hour in LatencyRollup.objects.all():
        for slot, total in zip(period.slots, counts, strict=True):
            if slot.start <= hour.hour < slot.end:
                total[:] = [a + b for a, b in zip(total, hour.duration_counts, strict=True)]

    found = latency.by_bucket_and_group(acme, period=period, group="model", filters=Filters())

    assert [one.duration_p95 for one in found.buckets] == [
        latency.percentile(total, 95) for total in counts
    ]
    together = [sum(column) for column in zip(*counts, strict=True)]
    assert found.whole.duration_p50 == latency.percentile(together, 50)
    assert latency.whole(acme, period=period, filters=Filters()).whole == found.whole


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["a roll-up", "a true-up"])
def test_who_waits_for_an_organization_holds_none_of_its_sums(acme_key, what):
    """Both lock in one order, organizations first: else each could hold what the other waits for."""
    [first] = make_calls(acme_key.key, random.Random(1), count=1)
    aggregation.roll_up()
    OutboxMessage.objects.create(
        request_id=first.request_id, occurred_at=first.occurred_at, organization=first.organization
    )

    def write():
        if what == "a roll-up":
            aggregation.roll_up()
        else:
            true_up(first, charge_nanousd=1)
        connection.close()

    with ThreadPoolExecutor(1) as pool, psycopg.connect(**conninfo()) as holding:
        holding.execute("SELECT 1 FROM billing_changedspend FOR UPDATE")
        waiting = pool.submit(write)
        wait_for_a_lock(holding)
        holding.execute("SET LOCAL lock_timeout = '10s'")
        for table in ("usagerollup", "usagedayrollup", "tagrollup", "tagdayrollup"):
            holding.execute(f"SELECT 1 FROM billing_{table} FOR UPDATE NOWAIT")  # noqa: S608  our own names
        holding.commit()
        waiting.result(timeout=60)


def wait_for_a_lock(asking):
    """Return when another session waits for one of this session's."""
    deadline = time.monotonic() + 60
    waiting = """SELECT count(*) FROM pg_locks
        WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"""
    while asking.execute(waiting).fetchone() == (0,):
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.02)
