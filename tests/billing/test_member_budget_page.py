"""The page of a member's budget, and what the team page, refusals and alerts say of it."""

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent
from billing import leaving
from billing.alerting import alert_words, alerts
from billing.models import ChangedSpend
from billing.read_models import budget_report
from tests import factories
from tests.billing.test_alerts import counter

pytestmark = pytest.mark.django_db
DOLLAR = 10**9


def path_of(organization, user):
    member = organization.memberships.get(user=user)
    return reverse("dashboard:member_budget", args=[organization.slug, member.public_id])


def test_owner_sets_a_budget_that_the_pages_show(alice_client, acme, bob):
    answer = alice_client.post(path_of(acme, bob), {"day": "", "week": "", "month": "50"})

    member = acme.memberships.get(user=bob)
    assert answer.status_code == 302
    assert (member.budget_month_nanousd, member.budget_day_nanousd) == (50 * DOLLAR, None)
    event = AuditEvent.objects.get(action="member.budget_changed")
    assert event.details == {
        "member": bob.email,
        "budget_month_nanousd": {"from": None, "to": 50 * DOLLAR},
    }
    (line,) = budget_report.budgets(acme, now=timezone.now())
    assert (line.scope, line.name, line.cap_nanousd) == ("member", bob.email, 50 * DOLLAR)
    assert "$50.00" in alice_client.get(f"/dashboard/{acme.slug}/team/").content.decode()
    page = alice_client.get(path_of(acme, bob)).content.decode()
    assert "$50.00" in page
    assert 'value="50"' in page


def test_amount_that_is_none_is_refused(alice_client, acme, bob):
    answer = alice_client.post(path_of(acme, bob), {"month": "-1"})

    assert answer.status_code == 422
    assert acme.memberships.get(user=bob).budget_month_nanousd is None


def test_admin_may_not_touch_the_budget_of_an_owner(bob_client, acme, alice, bob):
    acme.memberships.filter(user=bob).update(role="admin")

    assert bob_client.post(path_of(acme, alice), {"month": "0"}).status_code == 403
    assert bob_client.post(path_of(acme, bob), {"month": "9"}).status_code == 302


def test_alert_of_a_members_budget_names_the_member_until_the_account_is_deleted(acme, alice, bob):
    member, now = acme.memberships.get(user=bob), timezone.now()
    acme.memberships.filter(pk=member.pk).update(budget_month_nanousd=100 * DOLLAR)
    key = factories.make_api_key(acme, name="agent").key
    key.created_by, key.last_used_at = bob, timezone.now()
    key.save()
    counter(acme, "member", member.pk, posted=85 * DOLLAR, now=now)
    ChangedSpend.objects.create(organization=acme)

    (told,) = alerts.check(acme.pk, now=now)

    assert told.details["scope"] == "member"
    assert "all keys of bob@acme.example" in alert_words.told(told).title

    leaving.delete_account(bob, now=timezone.now())

    told.refresh_from_db()
    assert told.details["name"].endswith("@deleted.invalid")
