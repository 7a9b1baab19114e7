"""Account deletion: refused while something is open, and nothing of the person is left after it."""

import json
import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core import mail
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import audit, invitations, services
from accounts.models import AuditEvent, Invitation, User
from apikeys import seats
from apikeys.models import ApiKey
from billing import leaving, wallet
from billing.models import BillingAccount, CreditLot, Invoice, SavedView, TopUp
from tests import factories
from tests.cast import signed_in

pytestmark = pytest.mark.django_db
PAGE = "/account/delete/"
PASSWORD = "a long enough pass"


def entered(user: User) -> Client:
    """Return the browser of somebody who has just typed the password."""
    if not user.check_password(PASSWORD):  # a new one would end the sessions before
        user.set_password(PASSWORD)
        user.save()
    client = Client()
    client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    return client


def matters(user):
    return [matter.what for found in leaving.obstacles(user) for matter in found.matters]


def test_owner_deletes_the_account_and_the_organization_that_is_nobody_elses(
    alice, acme, django_capture_on_commit_callbacks
):
    key = factories.make_api_key(acme, name="prod-api").key
    wallet.grant_trial(acme)
    client, phone = entered(alice), entered(alice)

    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(PAGE, {"address": "Alice@acme.example"})

    assert answer.status_code == 200
    assert "Your account is deleted" in answer.content.decode()
    for browser in (client, phone):
        assert browser.get("/dashboard/").status_code == 302
    key.refresh_from_db()
    acme.refresh_from_db()
    assert key.revoked_at
    assert acme.suspended_at
    assert acme.memberships.count() == 0
    assert acme.audit_events.filter(action="organization.closed", actor=alice).exists()
    last = mail.outbox[-1]
    assert (last.to, last.subject) == (["alice@acme.example"], "Your Exerati account is deleted")


def test_nothing_of_the_person_is_left_in_any_table(alice, acme, bob):
    """The whole database is searched for the address, so a table that is added later is found, too."""
    other = factories.make_user("dora@acme.example")
    services.add_member(acme, user=other, role="owner", actor=alice)
    services.change_role(acme.memberships.get(user=bob), role="admin", actor=alice)
    EmailAddress.objects.create(user=bob, email="Robert@elsewhere.example", verified=True)
    invitations.invite(acme, email="robert@elsewhere.example", role="viewer", actor=alice)
    seats.take(acme, user=bob, project=acme.projects.get(), mode="live")
    SavedView.objects.create(organization=acme, user=bob, name="mine", query="status=500")
    audit.record(acme, action="note", actor=alice, details={"why": ["asked by BOB@acme.example."]})
    audit.record(acme, action="note", actor=alice, details={"why": "not.bob@acme.example asked"})
    entered(bob)
    assert UserSession.objects.filter(user=bob).exists()
    Authenticator.objects.create(user=bob, type=Authenticator.Type.TOTP, data={"secret": "s"})

    leaving.delete_account(bob, now=timezone.now())

    assert tables_that_hold("robert@elsewhere.example") == set()
    assert tables_that_hold("bob@acme.example") == {"accounts_auditevent"}  # of somebody else:
    (left,) = AuditEvent.objects.filter(details__why="not.bob@acme.example asked")
    assert left.actor == alice
    assert not Authenticator.objects.exists()
    assert not UserSession.objects.filter(user=bob).exists()
    assert not SavedView.objects.exists()
    assert ApiKey.every.get(kind="seat").revoked_at


def tables_that_hold(text):
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        names = [row[0] for row in cursor.fetchall()]
        found = set()
        for name in names:
            cursor.execute(f'SELECT 1 FROM "{name}" t WHERE t::text ILIKE %s', [f"%{text}%"])  # noqa: S608
            if cursor.fetchone():
                found.add(name)
    return found


def test_deeds_stay_with_one_name_that_tells_nothing(alice, acme, bob):
    services.change_role(acme.memberships.get(user=bob), role="owner", actor=alice)
    key = factories.make_api_key(acme, name="prod-api").key
    key.created_by = bob
    key.save()
    audit.record(acme, action="key.disabled", actor=bob, target=key.public_id)

    leaving.delete_account(bob, now=timezone.now())

    bob.refresh_from_db()
    key.refresh_from_db()
    assert re.fullmatch(r"deleted-[a-z0-9]{10}@deleted\.invalid", bob.email)
    assert acme.audit_events.get(action="key.disabled").actor == bob
    assert acme.audit_events.get(action="member.role_changed").details["member"] == bob.email
    assert (key.created_by, key.revoked_at) == (bob, None)
    page = signed_in(alice).get(f"/dashboard/{acme.slug}/team/audit/").content.decode()
    assert bob.email in page


def test_who_deleted_the_account_may_sign_up_again(alice, acme, bob, client):
    leaving.delete_account(bob, now=timezone.now())

    client.post(
        reverse("account_signup"),
        {"email": "bob@acme.example", "password1": PASSWORD, "organization": "Bob"},
    )

    new = User.objects.get(email="bob@acme.example")
    assert (new.is_active, new.pk != bob.pk) == (True, True)
    assert not acme.memberships.filter(user=new).exists()


def test_last_owner_of_others_is_refused_and_led_to_the_team(alice, acme, bob):
    client = entered(alice)

    answer = client.post(PAGE, {"address": alice.email})

    page = answer.content.decode()
    assert answer.status_code == 409
    assert "you are its only owner" in page
    assert f'href="/dashboard/{acme.slug}/team/"' in page
    alice.refresh_from_db()
    assert (alice.email, alice.deleted_at) == ("alice@acme.example", None)


def test_what_is_open_keeps_the_account(alice, acme):
    assert matters(alice) == []
    period = acme.billing_periods.create(
        period_start=timezone.now() - timedelta(days=30), period_end=timezone.now(), state="sealed"
    )
    invoice = acme.invoices.create(period=period, state=Invoice.State.OPEN)
    assert matters(alice) == ["1 invoice is not paid."]

    Invoice.objects.filter(pk=invoice.pk).update(state=Invoice.State.PAID)
    topup = acme.topups.create(net_cents=500, state=TopUp.State.PENDING)
    assert matters(alice) == ["A payment is under way."]

    topup.delete()
    wallet.buy(acme, net_cents=500, tax_cents=0, idempotency_key="topup:x")
    assert matters(alice) == ["$5.00 of credit that was paid for is left."]
    with pytest.raises(leaving.CannotLeave):
        leaving.delete_account(alice, now=timezone.now())

    assert User.objects.get(pk=alice.pk).is_active
    assert acme.memberships.count() == 1


def test_monthly_billing_that_has_not_ended_keeps_the_account(alice, acme):
    BillingAccount.objects.update_or_create(
        organization=acme, defaults={"plan": BillingAccount.Plan.POSTPAID}
    )

    assert matters(alice) == ["It pays by monthly invoice, and usage of $0.00 is not billed yet."]


def test_given_credit_keeps_nobody(alice, acme):
    wallet.grant_trial(acme)

    leaving.delete_account(alice, now=timezone.now())

    assert CreditLot.objects.get().organization == acme
    assert not User.objects.filter(email="alice@acme.example").exists()


def test_staff_do_not_delete_themselves(acme):
    staff = factories.make_user("staff@exerati.example", is_staff=True)
    client = entered(staff)

    answer = client.post(PAGE, {"address": staff.email})

    assert answer.status_code == 409
    assert "our staff" in answer.content.decode()
    assert User.objects.filter(email=staff.email).exists()


def test_password_is_asked_for_first_and_the_address_must_be_typed(alice, acme):
    old_session = signed_in(alice)  # without having typed a password
    assert old_session.get(PAGE)["Location"].startswith(reverse("account_reauthenticate"))
    assert old_session.post(PAGE, {"address": alice.email}).status_code == 302
    assert User.objects.filter(email=alice.email).exists()

    answer = entered(alice).post(PAGE, {"address": "bob@acme.example"})

    assert answer.status_code == 422
    assert User.objects.filter(email=alice.email).exists()


def test_page_names_what_goes_and_what_stays(alice, acme, globex, bob):
    services.add_member(globex, user=alice, role="viewer", actor=None)
    services.remove_member(acme.memberships.get(user=bob), actor=alice)

    page = entered(alice).get(PAGE).content.decode()

    assert "<strong>Acme</strong>, which has no other member" in page
    assert "<strong>Globex</strong>" not in page
    assert 'name="address"' in page


def test_open_invitation_of_another_organization_is_withdrawn(alice, acme, bob, globex, charlie):
    invitations.invite(globex, email="bob@acme.example", role="viewer", actor=charlie)

    leaving.delete_account(bob, now=timezone.now())

    invitation = Invitation.objects.get(organization=globex)
    assert invitation.withdrawn_at
    assert "bob" not in json.dumps(
        [invitation.email, *globex.audit_events.values_list("details", flat=True)]
    )
