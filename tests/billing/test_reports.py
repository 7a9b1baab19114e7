"""Read models of the usage pages: exact at once, in the organization's days, and one query each."""

from datetime import UTC, datetime, timedelta
from itertools import chain
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection

from billing.console import usage_csv
from billing.models import Budget, OutboxMessage, UsageRollup
from billing.read_models import (
    budget_report,
    log_scan,
    periods,
    recent_calls,
    reports,
    request_log,
)
from billing.read_models.log_scan import Cursor
from billing.read_models.reports import Filters, Sums
from billing.read_models.request_log import LogFilters
from exerati.lib import csv_text, ids, money
from tests import factories

NOW = datetime(2026, 3, 18, 15, 20, tzinfo=UTC)
USD = money.NANOUSD_PER_USD


@pytest.fixture(autouse=True)
def _frozen():
    with time_machine.travel(NOW, tick=False):
        yield


def call(key, *, at=NOW, **fields):
    """Store a settled call that the aggregator has not taken yet."""
    event = factories.make_usage_event(key, occurred_at=at, settled_at=at, **fields)
    OutboxMessage.objects.create(
        request_id=event.request_id, occurred_at=at, organization=key.organization
    )
    return event


def roll_up():
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_roll_up(1000)")


def usage(organization, *, name="7d", zone="UTC", group="model", **filters):
    period = periods.period(name, now=NOW, zone=ZoneInfo(zone))
    return reports.usage(organization, period=period, group=group, filters=Filters(**filters))


# periods


def test_a_week_is_seven_local_days_that_end_with_today():
    week = periods.period("7d", now=NOW, zone=ZoneInfo("Europe/Berlin"))

    assert [slot.label for slot in week.slots] == [f"{day} Mar" for day in range(12, 19)]
    assert week.start == datetime(2026, 3, 11, 23, tzinfo=UTC)
    assert week.end == datetime(2026, 3, 18, 23, tzinfo=UTC)


def test_a_day_of_the_clock_change_has_23_hours():
    change = datetime(2026, 3, 29, 12, tzinfo=UTC)

    today = periods.period("today", now=change, zone=ZoneInfo("Europe/Berlin"))

    assert len(today.slots) == 23
    assert today.cut_hours == []


@pytest.mark.parametrize(
    ("now", "first"),
    [
        (datetime(2026, 3, 18, tzinfo=UTC), datetime(2026, 3, 15, tzinfo=UTC)),
        (datetime(2026, 3, 14, tzinfo=UTC), datetime(2026, 2, 15, tzinfo=UTC)),
        (datetime(2026, 1, 3, tzinfo=UTC), datetime(2025, 12, 15, tzinfo=UTC)),
    ],
)
def test_a_month_begins_on_the_day_that_the_organization_chose(now, first):
    month = periods.period("month", now=now, zone=ZoneInfo("UTC"), month_day=15)

    assert month.start == first


def test_the_time_before_is_cut_where_now_is():
    today = periods.period("today", now=NOW, zone=ZoneInfo("UTC"))

    assert today.previous_start == datetime(2026, 3, 17, tzinfo=UTC)
    assert today.previous_end == NOW - timedelta(days=1)


def test_an_unknown_range_and_an_unfit_step_fall_back():
    found = periods.period("century", now=NOW, zone=ZoneInfo("UTC"), step="minute")

    assert (found.name, found.step) == ("7d", "day")
    assert periods.period("30d", now=NOW, zone=ZoneInfo("UTC"), step="hour").step == "day"


# sums


@pytest.mark.django_db
def test_a_call_counts_at_once_and_only_once_when_it_is_rolled_up(acme, acme_key):
    call(acme_key.key, model="a")

    before = usage(acme)
    roll_up()
    after = usage(acme)

    assert UsageRollup.objects.get().requests == 1
    assert before.total == after.total
    assert after.total == Sums(
        requests=1,
        input_tokens=1_000,
        output_tokens=500,
        price_nanousd=300_000,
        charge_nanousd=300_000,
    )


@pytest.mark.django_db
def test_rolled_up_and_fresh_calls_add_up_by_model_and_day(acme, acme_key):
    call(acme_key.key, model="a", at=NOW - timedelta(days=2))
    call(acme_key.key, model="b", at=NOW - timedelta(days=2), charge_nanousd=100)
    roll_up()
    call(acme_key.key, model="b", charge_nanousd=200)

    found = usage(acme)

    assert [row.name for row in found.rows] == ["a", "b"]
    assert [sums.charge_nanousd for sums in found.rows[1].buckets] == [0, 0, 0, 0, 100, 0, 200]
    assert found.total.charge_nanousd == 300_300


@pytest.mark.django_db
@pytest.mark.parametrize("rolled_up", [False, True])
def test_days_of_a_zone_with_half_hours_are_exact(acme, acme_key, rolled_up):
    midnight = datetime(2026, 3, 17, 18, 30, tzinfo=UTC)  # of the 18th in India
    call(acme_key.key, at=midnight - timedelta(seconds=1), charge_nanousd=1)
    call(acme_key.key, at=midnight, charge_nanousd=2)
    if rolled_up:
        roll_up()

    found = usage(acme, zone="Asia/Kolkata")

    assert [row.charge_nanousd for row in found.rows[0].buckets][-2:] == [1, 2]


@pytest.mark.django_db
def test_the_time_before_ends_at_this_minute_even_within_an_hour(acme, acme_key):
    call(acme_key.key, at=NOW - timedelta(days=1, minutes=1), charge_nanousd=5)
    call(acme_key.key, at=NOW - timedelta(days=1) + timedelta(minutes=1), charge_nanousd=7)
    roll_up()

    found = usage(acme, name="today")

    assert found.previous.charge_nanousd == 5
    assert found.total.charge_nanousd == 0


@pytest.mark.django_db
def test_calls_of_others_never_count(acme, globex_key):
    call(globex_key.key)
    roll_up()
    call(globex_key.key)

    assert usage(acme).total.requests == 0


@pytest.mark.django_db
def test_filters_narrow_to_model_mode_and_key(acme, acme_key, acme_test_key):
    call(acme_key.key, model="a")
    call(acme_key.key, model="b")
    call(acme_test_key.key, model="a", charge_nanousd=0)

    assert usage(acme, model="a").total.requests == 2
    assert usage(acme, mode="test").total.requests == 1
    assert usage(acme, key=acme_key.key.pk).total.requests == 2
    assert usage(acme, key=0).total.requests == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("group", "name"), [("key", "prod-api"), ("project", "Default"), ("mode", "live")]
)
def test_sums_can_be_grouped_by(acme, acme_key, group, name):
    call(acme_key.key)

    assert [row.name for row in usage(acme, group=group).rows] == [name]


@pytest.mark.django_db
def test_usage_is_one_query(acme, acme_key, django_assert_num_queries):
    for model in "abcdef":
        call(acme_key.key, model=model)

    with django_assert_num_queries(1):
        usage(acme, name="30d", zone="Asia/Kolkata", group="key")


@pytest.mark.django_db
def test_csv_amounts_are_exact_and_names_are_no_formulas(acme):
    key = factories.make_api_key(acme, name='=HYPERLINK("http://x")').key
    call(key, charge_nanousd=1_234_567, upper_nanousd=2_000_000)

    [row] = usage_csv.rows_of(usage(acme, group="key"))

    values = dict(zip(usage_csv.HEAD, row, strict=True))
    assert values["group"] == '\'=HYPERLINK("http://x")'
    assert values["charge_usd"] == "0.001234567"
    assert values["start"] == "2026-03-18T00:00:00+00:00"


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_a_sign_in_front_is_made_harmless(sign):
    assert csv_text.spreadsheet_text(f"{sign}1") == f"'{sign}1"
    assert csv_text.spreadsheet_text(f"a{sign}1") == f"a{sign}1"


# money


@pytest.mark.django_db
def test_the_wallet_shows_what_is_left_and_what_is_held(acme):
    factories.make_credit(acme, usd="10")
    Budget.objects.filter(scope="wallet", scope_id=acme.pk).update(
        posted_nanousd=3 * USD, held_nanousd=USD
    )

    found = budget_report.wallet(acme)

    assert (found.balance_nanousd, found.available_nanousd) == (7 * USD, 6 * USD)


@pytest.mark.django_db
@pytest.mark.parametrize("rolled_up", [False, True])
def test_a_cap_of_a_period_that_begins_within_an_hour_is_exact(acme, rolled_up):
    acme.time_zone = "Asia/Kolkata"
    acme.budget_day_nanousd = USD
    acme.save()
    key = factories.make_api_key(acme).key
    midnight = datetime(2026, 3, 17, 18, 30, tzinfo=UTC)  # of the 18th in India
    for at in (midnight - timedelta(seconds=1), midnight, midnight + timedelta(hours=3)):
        call(key, at=at)
    if rolled_up:
        roll_up()

    [line] = budget_report.budgets(acme, now=NOW)

    assert line.posted_nanousd == 600_000


@pytest.mark.django_db
def test_a_cap_without_a_counter_shows_what_its_period_has_seen(acme):
    key = factories.make_api_key(acme, name="capped", budget_month_nanousd=USD).key
    call(key, at=NOW - timedelta(days=2))
    call(key, at=NOW - timedelta(days=40))

    [line] = budget_report.budgets(acme, now=NOW)

    assert (line.scope, line.name, line.period) == ("key", "capped", "month")
    assert (line.posted_nanousd, line.left_nanousd) == (300_000, USD - 300_000)
    assert line.ends_at == datetime(2026, 4, 1, tzinfo=UTC)


@pytest.mark.django_db
def test_a_cap_with_a_counter_shows_it_with_what_is_held(acme, django_assert_num_queries):
    acme.budget_day_nanousd = 4 * USD
    acme.save()
    Budget.objects.create(
        organization=acme,
        scope="organization",
        scope_id=acme.pk,
        period="day",
        period_start=datetime(2026, 3, 18, tzinfo=UTC),
        period_end=datetime(2026, 3, 19, tzinfo=UTC),
        posted_nanousd=USD,
        held_nanousd=2 * USD,
    )

    with django_assert_num_queries(1):
        [line] = budget_report.budgets(acme, now=NOW)

    assert (line.used_nanousd, line.left_nanousd, line.share) == (3 * USD, USD, 0.75)


@pytest.mark.django_db
def test_caps_of_revoked_keys_and_of_others_are_not_shown(acme, globex):
    gone = factories.make_api_key(acme, budget_day_nanousd=1).key
    gone.revoked_at = NOW
    gone.save()
    factories.make_api_key(globex, budget_day_nanousd=1)

    assert budget_report.budgets(acme, now=NOW) == []


# the log


def walk(organization):
    """Return the ids of every page, newest first, going to older pages."""
    pages, cursor = [], None
    while True:
        page = request_log.page(organization, filters=LogFilters(), cursor=cursor)
        pages.append([row.id for row in page.rows])
        if not page.older:
            return pages
        cursor = log_scan.parse_cursor(page.older, direction="older")


@pytest.mark.django_db
def test_pages_of_the_log_hold_each_request_once(acme, acme_key, monkeypatch):
    monkeypatch.setattr(request_log, "PAGE_ROWS", 3)
    # Two share each moment, so that the id has to tell them apart.
    made = [call(acme_key.key, at=NOW - timedelta(seconds=n // 2)) for n in range(8)]

    pages = walk(acme)

    assert [len(page) for page in pages] == [3, 3, 2]
    assert sorted(chain.from_iterable(pages)) == sorted(
        request_log.public_id(e.request_id) for e in made
    )


@pytest.mark.django_db
def test_going_newer_leads_back_to_the_same_page(acme, acme_key, monkeypatch):
    monkeypatch.setattr(request_log, "PAGE_ROWS", 2)
    for n in range(6):
        call(acme_key.key, at=NOW - timedelta(seconds=n))
    first = request_log.page(acme, filters=LogFilters())
    second = request_log.page(
        acme, filters=LogFilters(), cursor=log_scan.parse_cursor(first.older, direction="older")
    )

    back = request_log.page(
        acme,
        filters=LogFilters(),
        cursor=log_scan.parse_cursor(second.newer, direction="newer"),
    )

    assert back.rows == first.rows
    assert first.newer == back.newer == ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"model": "a"}, 1),
        ({"status": "ok"}, 1),
        ({"status": "error"}, 2),
        ({"status": "4xx"}, 1),
        ({"status": "503"}, 1),
        ({"outcome": "failed"}, 2),
        ({"error": "context_length_exceeded"}, 1),
        ({"mode": "test"}, 0),
        ({"search": "chatcmpl-up"}, 1),
        ({"since": NOW}, 1),
        ({"until": NOW}, 2),
        ({"key": "key_unknown"}, 0),
    ],
)
def test_the_log_is_filtered_by(acme, acme_key, filters, count):
    before = NOW - timedelta(minutes=1)
    call(acme_key.key, model="a", upstream_id="chatcmpl-up")
    call(acme_key.key, at=before, status=503, outcome="failed", error_code="provider_error")
    call(
        acme_key.key, at=before, status=400, outcome="failed", error_code="context_length_exceeded"
    )

    found = request_log.page(acme, filters=LogFilters(**filters))

    assert len(found.rows) == count


@pytest.mark.django_db
def test_a_page_of_the_log_is_one_query(acme, acme_key, django_assert_num_queries):
    for n in range(5):
        call(acme_key.key, at=NOW - timedelta(seconds=n))

    with django_assert_num_queries(1):
        page = request_log.page(acme, filters=LogFilters(key=acme_key.key.public_id))
        assert [row.key_name for row in page.rows] == ["prod-api"] * 5


@pytest.mark.django_db
def test_a_request_is_found_by_its_own_organization_alone(acme, globex, acme_key):
    event = call(acme_key.key)

    assert request_log.find(acme, event.request_id) == event
    assert request_log.find(globex, event.request_id) is None


@pytest.mark.django_db
def test_ids_are_read_in_every_form_people_have(acme_key):
    event = call(acme_key.key)
    shown = request_log.public_id(event.request_id)

    forms = [shown, shown.replace("req_", "chatcmpl-"), shown[4:], str(event.request_id)]

    assert {request_log.parse_id(text) for text in forms} == {event.request_id}
    assert request_log.parse_id("req_nonsense") is None


@pytest.mark.parametrize("text", ["", "x", "1-x", "-", "9" * 40 + "-01jd8m3k9v5q2x7w4z6n8p0r1t"])
def test_a_broken_cursor_is_no_place(text):
    assert log_scan.parse_cursor(text, direction="older") is None


def test_a_cursor_survives_its_way_through_an_address():
    at = datetime(2026, 3, 18, 15, 20, 1, 234567, tzinfo=UTC)
    ident = ids.new_uuid()

    text = log_scan.cursor_text(at, ident)

    assert log_scan.parse_cursor(text, direction="newer") == Cursor("newer", at, ident)


@pytest.mark.django_db
def test_recent_errors_are_grouped_with_the_newest_as_example(acme, acme_key):
    day = NOW - timedelta(days=1)
    for minutes in (3, 2, 1):
        at = NOW - timedelta(minutes=minutes)
        newest = call(acme_key.key, at=at, model="a", status=503, error_code="provider_error")
    call(acme_key.key, model="a")
    call(acme_key.key, at=day - timedelta(hours=1), status=500, error_code="old")

    [group] = recent_calls.recent_errors(acme, since=day)

    assert (group.code, group.status, group.count) == ("provider_error", 503, 3)
    assert group.example == request_log.public_id(newest.request_id)


@pytest.mark.django_db
def test_latency_is_that_of_successful_requests(acme, acme_key):
    for duration in range(1, 101):
        call(acme_key.key, duration_ms=duration, first_token_ms=None)
    call(acme_key.key, duration_ms=60_000, status=504)

    found = recent_calls.latency(acme, since=NOW - timedelta(days=1))

    assert (found.duration_p50, found.duration_p95) == (50, 95)
    assert found.first_token_p50 is None
