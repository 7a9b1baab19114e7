"""Budget periods: calendar days, weeks and months of any zone, without gap or overlap."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.django_db

Bounds = tuple[datetime, datetime]


def bounds(
    kind: str, moment: datetime, zone: str = "UTC", *, week_start: int = 1, month_day: int = 1
) -> Bounds:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM billing_period(%s, %s, %s, %s, %s)",
            [kind, moment, zone, week_start, month_day],
        )
        row = cursor.fetchone()
    return row[0], row[1]


def at(text: str, zone: str = "UTC") -> datetime:
    """Return the moment that a clock in the zone shows."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def local(found: Bounds, zone: str) -> tuple[str, ...]:
    return tuple(f"{bound.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for bound in found)


DAYS = [
    ("UTC", "2026-03-29 23:59:59.999", "2026-03-29 00:00", "2026-03-30 00:00", 24),
    ("UTC", "2026-03-30 00:00", "2026-03-30 00:00", "2026-03-31 00:00", 24),
    ("Europe/Berlin", "2026-03-29 12:00", "2026-03-29 00:00", "2026-03-30 00:00", 23),
    ("Europe/Berlin", "2026-10-25 12:00", "2026-10-25 00:00", "2026-10-26 00:00", 25),
    ("America/New_York", "2026-03-08 23:59:59.999", "2026-03-08 00:00", "2026-03-09 00:00", 23),
    ("America/New_York", "2026-11-01 01:30", "2026-11-01 00:00", "2026-11-02 00:00", 25),
    ("Asia/Kathmandu", "2026-05-05 00:00", "2026-05-05 00:00", "2026-05-06 00:00", 24),
    ("Australia/Lord_Howe", "2026-04-05 12:00", "2026-04-05 00:00", "2026-04-06 00:00", 24.5),
    ("Pacific/Kiritimati", "2026-01-01 00:30", "2026-01-01 00:00", "2026-01-02 00:00", 24),
]


@pytest.mark.parametrize(("zone", "moment", "start", "end", "hours"), DAYS)
def test_day_is_the_calendar_day_of_the_zone(zone, moment, start, end, hours):
    found = bounds("day", at(moment, zone), zone)

    assert local(found, zone) == (start, end)
    assert found[1] - found[0] == timedelta(hours=hours)


def test_day_that_has_no_midnight_begins_at_its_first_moment():
    zone = "America/Santiago"  # clocks jump from 24:00 to 01:00 in September

    found = bounds("day", at("2026-09-06 12:00", zone), zone)

    assert local(found, zone) == ("2026-09-06 01:00", "2026-09-07 00:00")


def test_day_whose_midnight_comes_twice_begins_at_the_first():
    zone = "America/Havana"  # clocks go back from 01:00 to 00:00 in November

    found = bounds("day", at("2026-11-01 12:00", zone), zone)

    assert found == (at("2026-11-01 04:00"), at("2026-11-02 05:00"))


@pytest.mark.parametrize(
    ("week_start", "moment", "start"),
    [
        (1, "2026-11-22 23:59:59.999", "2026-11-16 00:00"),
        (1, "2026-11-23 00:00", "2026-11-23 00:00"),
        (6, "2026-11-20 23:59", "2026-11-14 00:00"),
        (6, "2026-11-21 00:00", "2026-11-21 00:00"),
        (7, "2026-11-21 23:59", "2026-11-15 00:00"),
        (7, "2026-11-22 00:00", "2026-11-22 00:00"),
    ],
)
def test_week_starts_on_the_chosen_day(week_start, moment, start):
    found = bounds("week", at(moment), week_start=week_start)

    assert local(found, "UTC")[0] == start
    assert found[1] - found[0] == timedelta(days=7)


@pytest.mark.parametrize(
    ("month_day", "moment", "start", "end"),
    [
        (1, "2026-01-31 23:59:59.999", "2026-01-01 00:00", "2026-02-01 00:00"),
        (1, "2024-02-29 12:00", "2024-02-01 00:00", "2024-03-01 00:00"),
        (28, "2026-02-27 23:59", "2026-01-28 00:00", "2026-02-28 00:00"),
        (28, "2026-02-28 00:00", "2026-02-28 00:00", "2026-03-28 00:00"),
        (28, "2024-02-29 12:00", "2024-02-28 00:00", "2024-03-28 00:00"),
        (28, "2024-03-01 00:00", "2024-02-28 00:00", "2024-03-28 00:00"),
        (15, "2026-01-14 23:59:59.999", "2025-12-15 00:00", "2026-01-15 00:00"),
        (15, "2026-12-31 12:00", "2026-12-15 00:00", "2027-01-15 00:00"),
    ],
)
def test_month_starts_on_the_chosen_day(month_day, moment, start, end):
    assert local(bounds("month", at(moment), month_day=month_day), "UTC") == (start, end)


def test_month_of_a_zone_does_not_end_one_offset_late():
    zone = "America/Los_Angeles"
    last = at("2026-03-31 23:59:59.999", zone)

    assert local(bounds("month", last, zone), zone) == ("2026-03-01 00:00", "2026-04-01 00:00")
    assert last.month == 4  # in UTC it is April already


def test_total_has_no_end():
    start, end = bounds("total", at("2026-01-01 00:00"))

    assert start.year == 1970
    assert end.year == 9999


ZONES = st.sampled_from(
    "UTC Europe/Berlin America/New_York Asia/Kathmandu Australia/Lord_Howe Pacific/Apia America/Santiago"
    " Africa/Casablanca Asia/Tehran Pacific/Kiritimati America/St_Johns America/Havana".split()
)
MOMENTS = st.datetimes(datetime(2009, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["day", "week", "month"]),
    moment=MOMENTS,
    zone=ZONES,
    week_start=st.sampled_from([1, 6, 7]),
    month_day=st.integers(1, 28),
)
@example(
    kind="day", moment=at("2026-11-01 04:30"), zone="America/Havana", week_start=1, month_day=1
)
@example(
    kind="month", moment=at("2026-11-01 05:30"), zone="America/Havana", week_start=1, month_day=1
)
@example(kind="day", moment=at("2011-12-30 09:59"), zone="Pacific/Apia", week_start=1, month_day=1)
@example(kind="day", moment=at("2011-12-30 10:00"), zone="Pacific/Apia", week_start=1, month_day=1)
def test_periods_tile_time(db, kind, moment, zone, week_start, month_day):
    def period(instant: datetime) -> Bounds:
        return bounds(kind, instant, zone, week_start=week_start, month_day=month_day)

    start, end = period(moment)

    assert start <= moment < end
    assert period(start) == (start, end)
    assert period(end - timedelta(microseconds=1)) == (start, end)
    assert period(end)[0] == end
    assert period(start - timedelta(microseconds=1))[1] == start
