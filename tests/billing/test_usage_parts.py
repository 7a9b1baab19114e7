"""Tags, latency counts, movers, the forecast and ranges with dates: what the usage page is made of."""

import random
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection

from billing import aggregation
from billing.console import usage_csv
from billing.models import LatencyRollup, OutboxMessage, TagRollup
from billing.read_models import forecast, latency, movers, periods, reports
from billing.read_models.reports import Filters, Sums, Usage, UsageRow
from tests import factories

NOW = datetime(2026, 3, 18, 15, 20, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


@pytest.fixture
def _frozen():
    with time_machine.travel(NOW, tick=False):
        yield


def call(key, *, at=NOW, **fields):
    event = factories.make_usage_event(key, occurred_at=at, settled_at=at, **fields)
    OutboxMessage.objects.create(
        request_id=event.request_id, occurred_at=at, organization=key.organization
    )
    return event


def week(step=""):
    return periods.period("7d", now=NOW, zone=UTC_ZONE, step=step)


# tags


@pytest.mark.django_db
@pytest.mark.parametrize("rolled_up", [False, True])
def test_a_call_counts_once_for_each_of_its_tags(acme, acme_key, rolled_up):
    call(acme_key.key, tags=["team:a", "nightly"], charge_nanousd=100)
    call(acme_key.key, tags=["team:a"], charge_nanousd=20, model="b")
    call(acme_key.key, charge_nanousd=3)
    if rolled_up:
        aggregation.roll_up()

    found = reports.usage(acme, period=week(), group="tag")

    assert [(row.name, row.total.charge_nanousd) for row in found.rows] == [
        ("team:a", 120),
        ("nightly", 100),
    ]
    assert found.total.charge_nanousd == 123
    inside = reports.usage(acme, period=week(), group="model", filters=Filters(tag="team:a"))
    assert {row.name: row.total.requests for row in inside.rows} == {"sandbox/echo": 1, "b": 1}


@pytest.mark.django_db
def test_tags_are_summed_once_however_often_they_are_rolled_up(acme, acme_key):
    call(acme_key.key, tags=["a"])
    aggregation.roll_up()
    call(acme_key.key, tags=["a"])
    aggregation.roll_up()
    aggregation.roll_up()

    assert [row.requests for row in TagRollup.objects.all()] == [2]
    assert reports.known_tags(acme, since=NOW - timedelta(days=1)) == ["a"]


@pytest.mark.django_db
def test_a_true_up_moves_the_sums_of_tags_too(acme_key):
    old = call(acme_key.key, tags=["a"], charge_nanousd=10)
    aggregation.roll_up()

    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT billing_roll_over(ARRAY[e], ARRAY[
                jsonb_populate_record(e, '{"charge_nanousd": 4, "tags": ["a", "b"]}')])
            FROM billing_usageevent e WHERE request_id = %s""",
            [old.request_id],
        )

    sums = TagRollup.objects.order_by("tag").values_list("tag", "requests", "charge_nanousd")
    assert list(sums) == [("a", 1, 4), ("b", 1, 4)]


# members


@pytest.mark.django_db
def test_usage_of_a_member_is_that_of_the_keys_she_made(acme, alice, bob, acme_key):
    for owner, charge in ((alice, 5), (alice, 6), (bob, 70)):
        key = factories.make_api_key(acme).key
        key.created_by = owner
        key.save()
        call(key, charge_nanousd=charge)
    call(acme_key.key, charge_nanousd=800)

    found = reports.usage(acme, period=week(), group="member")

    by_name = {row.name: (row.id, row.total.charge_nanousd) for row in found.rows}
    alices = acme.memberships.get(user=alice).public_id
    assert by_name[alice.email] == (alices, 11)
    assert by_name[bob.email][1] == 70
    mine = reports.usage(acme, period=week(), group="model", filters=Filters(member=alice.pk))
    assert mine.total.charge_nanousd == 11


@pytest.mark.django_db
def test_audio_and_image_tokens_are_summed(acme, acme_key):
    call(acme_key.key, usage_details={"audio_input_tokens": 5, "audio_output_tokens": 6})
    aggregation.roll_up()
    call(acme_key.key, usage_details={"image_input_tokens": 7, "images": 1})

    total = reports.usage(acme, period=week(), group="model").total

    assert (total.audio_tokens, total.image_tokens) == (11, 7)


# latency


@pytest.mark.django_db
def test_sql_and_python_have_the_same_buckets():
    with connection.cursor() as cursor:
        for i, bound in enumerate(latency.BOUNDS_MS):
            cursor.execute(
                "SELECT billing_latency_bucket(%s), billing_latency_bucket(%s)", [bound - 1, bound]
            )
            assert cursor.fetchone() == (i, i + 1)


def test_a_percentile_read_from_counts_is_near_the_exact_one():
    chance = random.Random(7)
    times = sorted(int(chance.lognormvariate(6.5, 0.8)) for _ in range(20_000))
    counts = [0] * (len(latency.BOUNDS_MS) + 1)
    for took in times:
        counts[sum(bound <= took for bound in latency.BOUNDS_MS)] += 1

    for percent in (50, 95):
        exact = times[len(times) * percent // 100]
        assert latency.percentile(counts, percent) == pytest.approx(exact, rel=0.05)


def test_of_nothing_there_is_no_percentile():
    assert latency.percentile([0, 0], 50) is None
    assert latency.percentile([None] * 24, 95) is None


@pytest.mark.django_db
def test_latency_by_model_is_read_from_the_hourly_counts(acme, acme_key, django_assert_num_queries):
    for model, took in (("fast", 100), ("slow", 5_000)):
        for _ in range(4):
            call(acme_key.key, model=model, duration_ms=took, first_token_ms=took // 10)
    call(acme_key.key, model="fast", duration_ms=90_000, status=504)
    aggregation.roll_up(batch=3)

    assert LatencyRollup.objects.count() == 2
    with django_assert_num_queries(1):
        found = latency.by_bucket_and_group(acme, period=week(), group="model", filters=Filters())

    assert found.newest is None
    assert found.groups["fast"].duration_p95 in range(68, 102)
    assert found.groups["slow"].duration_p50 in range(3_892, 5_840)
    assert found.buckets[-1] == found.whole
    assert found.buckets[0] == latency.UNKNOWN
    assert latency.whole(acme, period=week(), filters=Filters()).whole == found.whole


@pytest.mark.django_db
@pytest.mark.parametrize("group", ["key", "project", "member", "tag"])
def test_latency_by_anything_else_is_exact_over_the_newest_calls(acme, acme_key, group):
    for took in range(1, 101):
        call(acme_key.key, duration_ms=took, first_token_ms=None, tags=["a"])

    found = latency.by_bucket_and_group(acme, period=week(), group=group, filters=Filters())

    assert (found.whole.duration_p50, found.whole.duration_p95) == (50, 95)
    assert [one.duration_p50 for one in found.groups.values()] == [50]
    assert found.whole.first_token_p50 is None


@pytest.mark.django_db
def test_latency_of_others_is_not_seen(acme, globex_key):
    call(globex_key.key, duration_ms=5)
    aggregation.roll_up()

    for group in reports.GROUPS:
        found = latency.by_bucket_and_group(acme, period=week(), group=group, filters=Filters())
        assert found.whole == latency.UNKNOWN


# movers


def usage_of(*rows):
    found = [UsageRow(name, name, (), now, before) for name, now, before in rows]
    return Usage(
        period=week(),
        group="model",
        rows=tuple(row for row in found if row.total.requests),
        total=sum((row.total for row in found), Sums()),
        previous=sum((row.previous for row in found), Sums()),
        gone=tuple(row for row in found if not row.total.requests),
    )


def sums(requests, charge, tokens=0):
    return Sums(requests=requests, charge_nanousd=charge, input_tokens=tokens)


def test_a_change_is_told_apart_into_more_calls_and_dearer_calls():
    found = usage_of(("a", sums(30, 9_000, 300), sums(10, 1_000, 100)))

    [mover] = movers.top(found)

    assert (mover.by_requests_nanousd, mover.by_cost_nanousd) == (2_000, 6_000)
    assert mover.words.startswith("dearer requests")
    assert "3 times as many requests (10 to 30)" in mover.words


def test_the_parts_of_a_change_always_add_up():
    chance = random.Random(3)
    for _ in range(500):
        now, before = (sums(chance.randrange(1, 99), chance.randrange(10**6)) for _ in range(2))
        for mover in movers.top(usage_of(("a", now, before))):
            assert mover.by_requests_nanousd + mover.by_cost_nanousd == mover.change_nanousd
            assert mover.words


def test_new_and_vanished_groups_move_too_and_the_largest_is_first():
    found = usage_of(
        ("new", sums(1, 500), sums(0, 0)),
        ("gone", sums(0, 0), sums(2, 800)),
        ("same", sums(5, 5), sums(5, 5)),
    )

    assert [(mover.name, mover.change_text) for mover in movers.top(found)] == [
        ("gone", "\N{MINUS SIGN}\N{WORD JOINER}$0.0000008"),
        ("new", "+$0.0000005"),
    ]
    assert movers.heading(found) == "Why did it fall?"


# forecast


def test_a_day_to_come_costs_the_mean_of_its_weekday():
    today = date(2026, 3, 18)  # a Wednesday
    by_day = {today - timedelta(days=n): 0 for n in range(1, 29)}
    for day in by_day:
        by_day[day] = 100 if day.weekday() < 5 else 10
    by_day[today] = 30

    found = forecast.predict(by_day, first=date(2026, 3, 1), after=date(2026, 4, 1), today=today)

    assert found is not None
    assert found.expected[:5] == (70, 100, 100, 10, 10)
    weekdays = sum(date(2026, 3, n).weekday() < 5 for n in range(1, 32))
    assert found.end_nanousd == 100 * weekdays + 10 * (31 - weekdays)
    assert found.reached_on(found.spent_nanousd + 70 + 100) == date(2026, 3, 19)
    assert found.reached_on(10**9) is None


def test_without_a_complete_day_there_is_no_forecast():
    today = date(2026, 3, 18)

    assert forecast.predict({today: 5}, first=today, after=date(2026, 4, 1), today=today) is None


def test_the_days_before_the_first_spending_say_nothing():
    today = date(2026, 3, 18)
    by_day = {today - timedelta(days=n): 0 for n in range(1, 20)}
    by_day[today - timedelta(days=1)] = 7

    found = forecast.predict(by_day, first=date(2026, 3, 1), after=date(2026, 4, 1), today=today)

    assert found is not None
    assert set(found.expected) == {7}


# ranges


@pytest.mark.parametrize(
    ("today", "month_day", "expected"),
    [
        (date(2026, 3, 18), 1, (date(2026, 3, 1), date(2026, 4, 1))),
        (date(2026, 3, 3), 15, (date(2026, 2, 15), date(2026, 3, 15))),
        (date(2026, 1, 28), 28, (date(2026, 1, 28), date(2026, 2, 28))),
        (date(2026, 12, 31), 1, (date(2026, 12, 1), date(2027, 1, 1))),
    ],
)
def test_the_month_of_a_day(today, month_day, expected):
    assert periods.month_of(today, month_day) == expected


def test_a_range_with_dates_has_as_many_days_before_it():
    found = periods.between(
        date(2026, 3, 10), date(2026, 3, 12), now=NOW, zone=ZoneInfo("Europe/Berlin")
    )

    assert [slot.label for slot in found.slots] == ["10 Mar", "11 Mar", "12 Mar"]
    assert found.title == "10 Mar 2026 to 12 Mar 2026"
    assert found.previous_start == datetime(2026, 3, 6, 23, tzinfo=UTC)
    assert len(periods.before(found).slots) == 3


def test_a_range_that_is_too_long_turned_round_or_ahead_is_made_to_fit():
    tomorrow = NOW.date() + timedelta(days=1)

    long = periods.between(date(2001, 1, 1), tomorrow, now=NOW, zone=UTC_ZONE, step="hour")
    turned = periods.between(date(2026, 3, 12), date(2026, 3, 10), now=NOW, zone=UTC_ZONE)

    assert (len(long.slots), long.step) == (periods.MAX_DAYS, "day")
    assert long.end == datetime(2026, 3, 19, tzinfo=UTC)
    assert [slot.label for slot in turned.slots] == ["10 Mar"]


@pytest.mark.parametrize("step", ["minute", "hour", "day"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_pieces_tile_a_range_without_gap_or_overlap(step, zone):
    whole = periods.between(date(2026, 3, 7), date(2026, 3, 9), now=NOW, zone=ZoneInfo(zone))

    slots = [slot for piece in periods.pieces(whole, step=step) for slot in piece.slots]

    assert (slots[0].start, slots[-1].end) == (whole.start, whole.end)
    assert all(one.end == other.start for one, other in pairwise(slots))


@pytest.mark.django_db
@pytest.mark.parametrize("step", ["minute", "hour", "day"])
@pytest.mark.usefixtures("_frozen")
def test_csv_of_any_bucket_holds_each_call_once(acme, acme_key, step):
    chance = random.Random(1)
    for n in range(30):
        at = NOW - timedelta(minutes=chance.randrange(60 * 24 * 3))
        call(acme_key.key, at=at, charge_nanousd=n, tags=["a"] if n % 2 else None)
        if n == 15:
            aggregation.roll_up()
    period = periods.between(
        date(2026, 3, 12), date(2026, 3, 18), now=NOW, zone=ZoneInfo("Asia/Kolkata")
    )

    head, *rows = usage_csv.rows(acme, period=period, step=step, group="key", filters=Filters())

    of = {name: [row[i] for row in rows] for i, name in enumerate(head)}
    assert sum(map(int, of["requests"])) == 30
    assert sum(float(text) for text in of["charge_usd"]) == pytest.approx(sum(range(30)) / 1e9)
    assert len(set(of["start"])) == len(of["start"])


@pytest.mark.django_db
@pytest.mark.usefixtures("_frozen")
def test_the_last_hour_is_exact_by_the_minute(acme, acme_key):
    call(acme_key.key, at=NOW - timedelta(minutes=3, seconds=5), charge_nanousd=1)
    call(acme_key.key, at=NOW - timedelta(minutes=61), charge_nanousd=7)
    aggregation.roll_up()

    hour = periods.period("1h", now=NOW, zone=UTC_ZONE)
    found = reports.usage(acme, period=hour, group="model")

    assert (len(hour.slots), hour.slots[-1].label) == (60, "15:20")
    assert [i for i, one in enumerate(found.rows[0].buckets) if one.requests] == [55]
    assert found.previous.charge_nanousd == 7
