"""Billing periods in every time zone: half-open, without gap or overlap, over DST, leap days and month ends."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from accounts.models import Organization
from billing.invoices import billing_periods
from billing.models import BillingPeriod
from tests import factories
from tests.billing.owing import pay_afterwards

pytestmark = pytest.mark.django_db


def at(text, zone):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def months(organization, count):
    """Roll over so many times; return the bounds of the periods there are."""
    for _ in range(count):
        period = BillingPeriod.objects.get(organization=organization, state="open")
        assert billing_periods.roll_over(period, now=period.period_end)
    found = BillingPeriod.objects.filter(organization=organization).order_by("period_start")
    return [(period.period_start, period.period_end) for period in found]


@pytest.mark.parametrize(
    "zone",
    [
        "UTC",
        "America/New_York",
        "Europe/Berlin",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Australia/Lord_Howe",
        "America/St_Johns",
    ],
)
def test_two_years_of_months_tile_time_in_every_zone(zone):
    start = at("2027-01-17T12:00", zone)  # both changes of the clocks, and 29 February 2028
    organization = factories.make_organization(time_zone=zone)
    pay_afterwards(organization, since=start)

    found = months(organization, 24)

    assert found[0][0] == start
    for (_, end), (following, _) in itertools.pairwise(found):
        assert end == following
    for _, end in found:
        local = end.astimezone(ZoneInfo(zone))
        assert (local.day, local.hour, local.minute) == (1, 0, 0)


def test_clock_dst_month_is_an_hour_longer_or_shorter():
    organization = factories.make_organization(time_zone="Europe/Berlin")
    pay_afterwards(organization, since=at("2027-03-01", "Europe/Berlin"))

    found = months(organization, 7)

    hours = [(end - start) / timedelta(hours=1) for start, end in found]
    assert hours[0] == 31 * 24 - 1  # March
    assert hours[7] == 31 * 24 + 1  # October


def test_clock_leap_day_belongs_to_february():
    organization = factories.make_organization()
    pay_afterwards(organization, since=datetime(2028, 2, 1, tzinfo=UTC))

    [(start, end), _] = months(organization, 1)

    assert (end - start).days == 29


def test_month_begins_on_the_day_the_organization_chose():
    organization = factories.make_organization(month_day=28)
    pay_afterwards(organization, since=datetime(2027, 1, 30, tzinfo=UTC))

    found = months(organization, 2)

    assert [end.date().isoformat() for _, end in found] == [
        "2027-02-28",
        "2027-03-28",
        "2027-04-28",
    ]


def test_clock_change_of_the_time_zone_holds_from_the_next_period_on():
    organization = factories.make_organization(time_zone="Asia/Tokyo")
    pay_afterwards(organization, since=at("2027-01-05", "Asia/Tokyo"))
    Organization.objects.filter(pk=organization.pk).update(time_zone="America/Los_Angeles")

    found = months(organization, 1)

    assert found[0][1] == found[1][0] == at("2027-02-01", "Asia/Tokyo")
    # 31 January in California is not over then: those hours are no period of their own.
    assert found[1][1] == at("2027-03-01", "America/Los_Angeles")


def test_rolling_over_twice_opens_one_period():
    organization = factories.make_organization()
    pay_afterwards(organization, since=datetime(2027, 1, 5, tzinfo=UTC))
    period = BillingPeriod.objects.get()
    end = period.period_end

    assert billing_periods.roll_over(period, now=end)
    assert not billing_periods.roll_over(period, now=end)
    assert BillingPeriod.objects.filter(state="open").count() == 1


def test_nothing_rolls_over_before_its_end():
    organization = factories.make_organization()
    pay_afterwards(organization, since=datetime(2027, 1, 5, tzinfo=UTC))
    period = BillingPeriod.objects.get()

    assert not billing_periods.roll_over(period, now=period.period_end - timedelta(milliseconds=1))
    assert billing_periods.run_out(period.period_end - timedelta(milliseconds=1)) == []
