"""An organization is told once in each period what it should know of its spending, and a key can freeze itself."""

from datetime import UTC, datetime, timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEvent, Membership
from apikeys import services as key_services
from apikeys.models import ApiKey, KeyModelBudget
from billing import aggregation, tasks
from billing.alerting import alerts
from billing.models import (
    AlertSettings,
    BillingAccount,
    Budget,
    ChangedSpend,
    Notification,
    OutboxMessage,
    UsageRollup,
    WalletWatch,
)
from exerati.lib import money
from tests import factories

pytestmark = pytest.mark.django_db

DOLLAR = money.NANOUSD_PER_USD
NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
HOUR = NOW.replace(minute=0)


@pytest.fixture
def spend(acme, acme_key, django_capture_on_commit_callbacks):
    """Return a function that says what a counter of acme has posted, and checks; it returns what was told."""

    def check(*, now=NOW):
        ChangedSpend.objects.get_or_create(organization=acme)
        with django_capture_on_commit_callbacks(execute=True):
            return alerts.check(acme.pk, now=now)

    return check


def counter(organization, scope, scope_id, *, period="month", model="", posted=0, held=0, now=NOW):
    """Store the present counter of a scope."""
    start, end = bounds(period, now)
    budget, _ = Budget.objects.update_or_create(
        organization=organization,
        scope=scope,
        scope_id=scope_id,
        model=model,
        period=period,
        period_start=start,
        defaults={"period_end": end, "posted_nanousd": posted, "held_nanousd": held},
    )
    return budget


def bounds(period, now):
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM billing_period(%s, %s, 'UTC', 1, 1)", [period, now])
        return cursor.fetchone()


def told(notices):
    return [(notice.kind, notice.details["threshold"]) for notice in notices]


def monthly(key, *, cap=100 * DOLLAR):
    ApiKey.objects.filter(pk=key.pk).update(budget_month_nanousd=cap)


def test_each_threshold_of_a_budget_is_told_once(acme, acme_key, spend):
    monthly(acme_key.key)
    seen = []

    for percent in (10, 49, 50, 51, 79, 80, 85, 90, 99, 100, 100):
        counter(acme, "key", acme_key.key.pk, posted=percent * DOLLAR)
        seen += told(spend())

    assert seen == [("budget", 50), ("budget", 80), ("budget", 90), ("budget", 100)]


def test_jump_over_several_thresholds_is_told_once_at_the_highest(acme, acme_key, spend):
    monthly(acme_key.key)
    counter(acme, "key", acme_key.key.pk, posted=95 * DOLLAR)

    assert told(spend()) == [("budget", 90)]
    assert spend() == []


def test_next_period_is_told_anew(acme, acme_key, spend):
    monthly(acme_key.key)
    counter(acme, "key", acme_key.key.pk, posted=60 * DOLLAR)
    later = NOW + timedelta(days=20)
    assert told(spend()) == [("budget", 50)]

    counter(acme, "key", acme_key.key.pk, posted=55 * DOLLAR, now=later)

    assert told(spend(now=later)) == [("budget", 50)]
    assert spend(now=later) == []


def test_raised_budget_is_told_of_by_its_new_size(acme, acme_key, spend):
    monthly(acme_key.key)
    counter(acme, "key", acme_key.key.pk, posted=80 * DOLLAR)
    assert told(spend()) == [("budget", 80)]

    monthly(acme_key.key, cap=160 * DOLLAR)
    assert told(spend()) == [("budget", 50)]


def test_every_scope_is_told_with_its_figures(acme, acme_key, spend):
    key = acme_key.key
    type(acme).objects.filter(pk=acme.pk).update(budget_week_nanousd=100 * DOLLAR)
    type(key.project).objects.filter(pk=key.project_id).update(budget_day_nanousd=100 * DOLLAR)
    KeyModelBudget.objects.create(key=key, model="m", period="total", cap_nanousd=100 * DOLLAR)
    counter(acme, "organization", acme.pk, period="week", posted=50 * DOLLAR)
    counter(acme, "project", key.project_id, period="day", posted=80 * DOLLAR, held=DOLLAR)
    counter(acme, "key_model", key.pk, period="total", model="m", posted=100 * DOLLAR)

    found = {notice.details["scope"]: notice.details for notice in spend()}

    assert {scope: details["threshold"] for scope, details in found.items()} == {
        "organization": 50,
        "project": 80,
        "key_model": 100,
    }
    assert found["project"]["name"] == "Default"
    assert found["project"]["held_nanousd"] == DOLLAR
    assert found["key_model"]["model"] == "m"
    assert found["key_model"]["ends_at"] is None
    assert found["organization"]["ends_at"]


def test_total_of_an_organization_is_told_by_its_wallets_counter(acme, acme_key, spend):
    factories.make_credit(acme, usd="1000")
    type(acme).objects.filter(pk=acme.pk).update(budget_total_nanousd=100 * DOLLAR)
    Budget.objects.filter(scope="wallet", scope_id=acme.pk).update(posted_nanousd=80 * DOLLAR)

    assert told(spend()) == [("budget", 80)]


def test_budget_that_refuses_calls_is_full(acme, acme_key, spend):
    monthly(acme_key.key)
    counter(acme, "key", acme_key.key.pk, posted=99 * DOLLAR)
    refused = {"limit_kind": "money", "scope": "key", "period": "month"}
    factories.make_refusal(acme_key.key, occurred_at=NOW - timedelta(minutes=1), **refused)

    [notice] = spend()

    assert notice.details["threshold"] == 100
    assert notice.details["is_refusing"] is True


@pytest.mark.parametrize(
    "other",
    [
        {"period": "day"},
        {"scope": "project"},
        {"limit_kind": "requests"},
        {"occurred_at": NOW - timedelta(hours=2)},
    ],
)
def test_refusal_by_something_else_fills_no_budget(acme, acme_key, spend, other):
    monthly(acme_key.key)
    counter(acme, "key", acme_key.key.pk, posted=99 * DOLLAR)
    values = {"limit_kind": "money", "scope": "key", "period": "month", "occurred_at": NOW}
    factories.make_refusal(acme_key.key, **(values | other))

    assert told(spend()) == [("budget", 90)]


def test_two_checks_tell_one_thing_once(acme, acme_key, spend):
    monthly(acme_key.key)
    counter(acme, "key", acme_key.key.pk, posted=50 * DOLLAR)

    assert len(spend()) == 1
    assert alerts.check(acme.pk, now=NOW) == []  # nothing has changed
    assert spend() == []  # a mark left twice
    assert Notification.objects.count() == len(mail.outbox) == 1


# credit


def test_credit_is_told_as_it_is_used_and_anew_after_a_payment(acme, acme_key, spend):
    factories.make_credit(acme, usd="10")
    seen = []

    def posted(usd):
        Budget.objects.filter(scope="wallet").update(posted_nanousd=usd * DOLLAR)
        found = spend()
        seen.extend(told(found))
        return found

    posted(1)
    posted(5)
    [notice] = posted(8)
    assert seen == [("wallet", 50), ("wallet", 80)]
    assert notice.details["left_nanousd"] == 2 * DOLLAR

    factories.make_credit(acme, usd="98")  # now there are 100
    posted(8)
    posted(50)
    assert len(seen) == 2
    [notice] = posted(58)
    assert seen[2:] == [("wallet", 50)]
    assert notice.details["base_nanousd"] == 100 * DOLLAR


def test_spend_that_came_with_a_payment_counts_as_spent_of_it(acme, acme_key, spend):
    factories.make_credit(acme, usd="10")
    Budget.objects.filter(scope="wallet").update(posted_nanousd=DOLLAR)
    spend()

    factories.make_credit(acme, usd="1")
    Budget.objects.filter(scope="wallet").update(posted_nanousd=6 * DOLLAR)

    assert told(spend()) == [("wallet", 50)]
    assert WalletWatch.objects.get().base_nanousd == 10 * DOLLAR


def test_credit_limit_of_a_postpaid_organization_counts_as_credit(acme, acme_key, spend):
    factories.make_credit(acme, usd="10")
    postpaid(acme, 90 * DOLLAR)
    Budget.objects.filter(scope="wallet").update(posted_nanousd=49 * DOLLAR)
    assert spend() == []
    Budget.objects.filter(scope="wallet").update(posted_nanousd=50 * DOLLAR)

    assert told(spend()) == [("wallet", 50)]


def postpaid(organization, limit):
    BillingAccount.objects.update_or_create(
        organization=organization, defaults={"plan": "postpaid", "credit_limit_nanousd": limit}
    )


# spikes


def hourly(key, *, hours_ago, usd):
    UsageRollup.objects.create(
        hour=HOUR - timedelta(hours=hours_ago),
        organization=key.organization,
        project=key.project,
        key=key,
        model="m",
        mode=key.mode,
        charge_nanousd=int(usd * DOLLAR),
    )


def made(key, *, days_ago):
    ApiKey.objects.filter(pk=key.pk).update(created_at=NOW - timedelta(days=days_ago))


@pytest.fixture
def steady(acme_key):
    """A key of a month that spends $0.20 an hour."""
    made(acme_key.key, days_ago=30)
    for hours_ago in range(1, 169):
        hourly(acme_key.key, hours_ago=hours_ago, usd=0.2)
    return acme_key.key


@pytest.mark.parametrize(("usd", "is_told"), [(5.99, False), (6, True), (60, True)])
def test_key_that_spends_thirty_times_its_usual_is_told_once_a_day(steady, spend, usd, is_told):
    hourly(steady, hours_ago=0, usd=usd)

    notices = spend()

    assert [notice.kind for notice in notices] == (["spike"] if is_told else [])
    assert spend(now=NOW + timedelta(minutes=20)) == []
    if is_told:
        [notice] = notices
        assert notice.details["usual_nanousd"] == DOLLAR // 5
        assert notice.key == steady


def test_small_sums_are_no_spike_however_many_times_the_usual(acme_key, spend):
    made(acme_key.key, days_ago=30)
    hourly(acme_key.key, hours_ago=5, usd=0.001)
    hourly(acme_key.key, hours_ago=0, usd=4.99)

    assert spend() == []


@pytest.mark.parametrize(
    ("days_ago", "before", "is_told"),
    [(0.5, 0.001, False), (2, 0.001, True), (2, 0, False), (8, 0, True)],
)
def test_key_without_a_usual_has_no_spike(acme_key, spend, days_ago, before, is_told):
    made(acme_key.key, days_ago=days_ago)
    if before:
        hourly(acme_key.key, hours_ago=2, usd=before)
    hourly(acme_key.key, hours_ago=0, usd=50)

    assert bool(spend()) is is_told


def test_freeze_is_off_by_default(steady, spend):
    hourly(steady, hours_ago=0, usd=60)

    [notice] = spend()

    steady.refresh_from_db()
    assert steady.disabled_at is None
    assert "frozen" not in notice.details


def test_key_is_frozen_with_reason_and_trail_where_that_is_wanted(acme, steady, spend, alice):
    AlertSettings.objects.create(organization=acme, freeze_on_spike=True)
    hourly(steady, hours_ago=0, usd=60)

    [notice] = spend()

    steady.refresh_from_db()
    assert steady.disabled_at is not None
    assert steady.disabled_reason == "spike"
    assert notice.details["frozen"] is True
    event = AuditEvent.objects.get(action="key.frozen")
    assert (event.actor, event.target) == (None, steady.public_id)
    assert event.details["hour_nanousd"] == 60 * DOLLAR
    assert "was frozen" in mail.outbox[0].subject

    key_services.enable_key(steady, actor=alice)
    steady.refresh_from_db()
    assert (steady.disabled_at, steady.disabled_reason) == (None, "")
    assert spend() == []  # whoever unfreezes it has decided for that day
    steady.refresh_from_db()
    assert steady.disabled_at is None


def test_key_that_was_disabled_by_hand_keeps_its_own_reason(acme, steady, spend):
    AlertSettings.objects.create(organization=acme, freeze_on_spike=True)
    key_services.disable_key(steady, actor=None)
    hourly(steady, hours_ago=0, usd=60)

    [notice] = spend()

    steady.refresh_from_db()
    assert steady.disabled_reason == ""
    assert notice.details["frozen"] is False


# settings


@pytest.mark.parametrize(
    ("off", "left"),
    [
        ("budgets", {"wallet", "spike"}),
        ("wallet", {"budget", "spike"}),
        ("spikes", {"budget", "wallet"}),
    ],
)
def test_each_kind_can_be_switched_off(acme, steady, spend, off, left):
    AlertSettings.objects.create(organization=acme, **{off: False})
    factories.make_credit(acme, usd="10")
    Budget.objects.filter(scope="wallet").update(posted_nanousd=5 * DOLLAR)
    monthly(steady)
    counter(acme, "key", steady.pk, posted=50 * DOLLAR)
    hourly(steady, hours_ago=0, usd=60)

    assert {notice.kind for notice in spend()} == left


def test_thresholds_can_be_chosen(acme, acme_key, spend):
    AlertSettings.objects.create(organization=acme, thresholds=[90])
    monthly(acme_key.key)
    counter(acme, "key", acme_key.key.pk, posted=89 * DOLLAR)
    assert spend() == []

    counter(acme, "key", acme_key.key.pk, posted=90 * DOLLAR)
    assert told(spend()) == [("budget", 90)]


def test_mail_can_be_switched_off(acme, acme_key, spend):
    AlertSettings.objects.create(organization=acme, by_mail=False)
    monthly(acme_key.key)
    counter(acme, "key", acme_key.key.pk, posted=50 * DOLLAR)

    assert len(spend()) == 1
    assert mail.outbox == []


# what wakes a check


def test_rolled_up_charge_wakes_the_check_and_a_free_call_does_not(acme, acme_key, globex_key):
    price = factories.make_price()
    for key, charge in ((acme_key.key, 300), (globex_key.key, 0)):
        event = factories.make_usage_event(key, price=price, charge_nanousd=charge)
        OutboxMessage.objects.create(
            request_id=event.request_id,
            occurred_at=event.occurred_at,
            organization=event.organization,
        )

    aggregation.roll_up()

    assert alerts.waiting() == [acme.pk]


def test_task_checks_whoever_waits_and_goes_on_after_a_failure(
    globex, globex_key, django_capture_on_commit_callbacks, caplog
):
    now = timezone.now()
    monthly(globex_key.key)
    counter(globex, "key", globex_key.key.pk, posted=50 * DOLLAR, now=now)
    ChangedSpend.objects.create(organization=globex)
    ChangedSpend.objects.create(organization_id=0)  # nobody, so that its check fails

    with django_capture_on_commit_callbacks(execute=True):
        tasks.check_alerts()

    assert Notification.objects.filter(organization=globex).count() == 1
    assert "alerts of organization 0 could not be checked" in caplog.text
    assert alerts.waiting() == [0]  # nothing is lost by a failure
    ChangedSpend.objects.all().delete()


# mail


def budget_notice(acme, key, spend):
    monthly(key)
    counter(acme, "key", key.pk, posted=80 * DOLLAR, held=DOLLAR)
    [notice] = spend()
    return notice


def test_mail_goes_to_owners_admins_and_billing_alone(acme, acme_key, bob, spend):
    for email, role in (
        ("admin@acme.example", Membership.Role.ADMIN),
        ("money@acme.example", Membership.Role.BILLING),
        ("look@acme.example", Membership.Role.VIEWER),
    ):
        user = factories.make_user(email)
        Membership.objects.create(organization=acme, user=user, role=role)
    unverified = factories.make_user("later@acme.example")
    EmailAddress.objects.filter(user=unverified).update(verified=False)
    Membership.objects.create(organization=acme, user=unverified, role=Membership.Role.ADMIN)

    budget_notice(acme, acme_key.key, spend)

    [sent] = mail.outbox
    assert sorted(sent.to) == ["admin@acme.example", "alice@acme.example", "money@acme.example"]


def test_mail_tells_the_figures_as_text_and_as_html(acme, acme_key, spend, settings):
    type(acme).objects.filter(pk=acme.pk).update(name="Acme & Söhne")
    notice = budget_notice(acme, acme_key.key, spend)

    [sent] = mail.outbox
    assert isinstance(sent, EmailMultiAlternatives)
    [(html, kind)] = sent.alternatives
    assert kind == "text/html"
    assert sent.subject == "Acme & Söhne: 80 % of the monthly budget of the key prod-api is used"
    link = f"{settings.SITE_URL}/dashboard/acme/keys/{acme_key.key.public_id}/"
    for body in (str(sent.body), str(html)):
        assert "$80.00 of $100.00 is spent, and $1.00 is held by calls in progress." in body
        assert "1 Dec 2026, 00:00:00 UTC" in body
        assert link in body
        assert "/dashboard/acme/notifications/" in body
        assert "owner, admin or billing member of" in body
    assert "Acme & Söhne" in str(sent.body)
    assert "Acme &amp; Söhne" in str(html)
    notice.refresh_from_db()
    assert notice.mailed_at is not None


def test_mail_is_sent_once_however_often_its_task_runs(acme, acme_key, spend):
    notice = budget_notice(acme, acme_key.key, spend)

    for _ in range(3):
        tasks.mail_notification(notification_id=notice.pk)

    assert len(mail.outbox) == 1


def test_mail_whose_task_was_lost_is_sent_by_a_later_check(acme, acme_key, spend):
    notice = budget_notice(acme, acme_key.key, spend)
    Notification.objects.update(mailed_at=None, created_at=timezone.now() - timedelta(minutes=3))
    mail.outbox.clear()

    tasks.check_alerts()

    assert [sent.subject for sent in mail.outbox]
    assert alerts.to_be_mailed(timezone.now()) == []
    assert notice.pk
