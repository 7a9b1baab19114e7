"""What one key was charged and which caps bind it: in the organization's days, rolled up or not, and one query each."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection

from apikeys.models import KeyModelBudget
from billing.models import OutboxMessage
from billing.read_models import budget_report, key_report
from billing.read_models.key_report import Spent
from tests import factories

NOW = datetime(2026, 3, 18, 15, 20, tzinfo=UTC)
BEFORE_TODAY = datetime(2026, 3, 17, 18, 29, tzinfo=UTC)  # 23:59 in Kolkata
TODAY = datetime(2026, 3, 17, 18, 31, tzinfo=UTC)
BEFORE_THIS_WEEK = datetime(2026, 3, 15, 18, 29, tzinfo=UTC)
BEFORE_THIS_MONTH = datetime(2026, 2, 28, 18, 29, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _frozen():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def key(db):
    organization = factories.make_organization(time_zone="Asia/Kolkata")
    return factories.make_api_key(organization, name="mine").key


def call(key, *, at, **fields):
    event = factories.make_usage_event(key, occurred_at=at, settled_at=at, **fields)
    OutboxMessage.objects.create(
        request_id=event.request_id, occurred_at=at, organization=key.organization
    )


@pytest.mark.parametrize("rolled_up", [False, True])
def test_spend_is_that_of_the_organization_s_day_week_and_month(
    key, rolled_up, django_assert_num_queries
):
    times = (BEFORE_THIS_MONTH, BEFORE_THIS_WEEK, BEFORE_TODAY, TODAY)
    for charge, at in enumerate(times):
        call(key, at=at, charge_nanousd=10**charge)
    call(factories.make_api_key(key.organization).key, at=TODAY, charge_nanousd=5)
    if rolled_up:
        with connection.cursor() as cursor:
            cursor.execute("SELECT billing_roll_up(1000)")

    with django_assert_num_queries(1):
        spent = key_report.spent(key, now=NOW)

    assert (spent.day, spent.week, spent.month) == (1_000, 1_100, 1_110)


def test_key_that_never_called_spent_nothing(key):
    assert key_report.spent(key, now=NOW) == Spent(0, 0, 0, 0)


@pytest.mark.parametrize("rolled_up", [False, True])
def test_caps_without_a_counter_are_summed_for_their_model_alone(key, rolled_up):
    for period, at in (("day", BEFORE_TODAY), ("total", BEFORE_THIS_MONTH)):
        KeyModelBudget.objects.create(key=key, model="m", period=period, cap_nanousd=1_000)
        call(key, at=at, model="m", charge_nanousd=10)
    call(key, at=TODAY, model="m", charge_nanousd=7)
    call(key, at=TODAY, model="other", charge_nanousd=500)
    if rolled_up:
        with connection.cursor() as cursor:
            cursor.execute("SELECT billing_roll_up(1000)")

    lines = budget_report.binding(key, now=NOW)

    assert {(line.scope, line.name, line.period, line.posted_nanousd) for line in lines} == {
        ("key_model", "m", "total", 27),
        ("key_model", "m", "day", 7),
    }


def test_only_caps_that_bind_the_key_are_listed(key, django_assert_num_queries):
    organization, project = key.organization, key.project
    other = factories.make_api_key(organization, budget_day_nanousd=1).key
    KeyModelBudget.objects.create(key=other, model="m", period="day", cap_nanousd=1)
    type(project).objects.create(organization=organization, name="Else", budget_day_nanousd=1)
    type(project).objects.filter(pk=project.pk).update(budget_week_nanousd=2)
    type(organization).objects.filter(pk=organization.pk).update(budget_month_nanousd=3)

    with django_assert_num_queries(1):
        lines = budget_report.binding(key, now=NOW)

    assert {(line.scope, line.period, line.cap_nanousd) for line in lines} == {
        ("project", "week", 2),
        ("organization", "month", 3),
    }


def test_pages_do_not_list_caps_of_keys_on_models(key):
    KeyModelBudget.objects.create(key=key, model="m", period="day", cap_nanousd=1)

    assert budget_report.budgets(key.organization, now=NOW) == []


def test_nothing_binds_a_test_key(key):
    test_key = factories.make_api_key(key.organization, mode="test", budget_day_nanousd=1).key

    assert budget_report.binding(test_key, now=NOW) == []


def test_keys_are_listed_by_what_they_spent_this_month(alice_client, acme):
    day = timedelta(days=1)
    for name, charge in (("little", 3_000), ("much", 900_000), ("nothing", 0)):
        made = factories.make_api_key(acme, name=name).key
        call(made, at=TODAY, charge_nanousd=charge)
        call(made, at=NOW - 30 * day, charge_nanousd=900_000 - charge)
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_roll_up(1000)")

    def page(sort):
        return alice_client.get(f"/dashboard/{acme.slug}/keys/?sort={sort}")

    assert [row.key.name for row in page("-spent").context["rows"]] == ["much", "little", "nothing"]
    assert [row.key.name for row in page("spent").context["rows"]] == ["nothing", "little", "much"]
    assert [row.spent_nanousd for row in page("-spent").context["rows"]] == [900_000, 3_000, 0]
    assert 'aria-sort="descending"><a href="?sort=spent"' in page("-spent").content.decode()
