"""An organization that its owner ends waits for its last invoice, then loses name and people; the books stay."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent, Membership, Organization
from billing import closing, leaving, references
from billing.invoices import billing_periods, invoicing
from billing.models import BillingAccount, BillingPeriod, Invoice
from billing.payments import topups
from billing.tasks import look_after_endings
from tests import factories
from tests.billing.calls import Payer
from tests.billing.owing import (
    CENT,
    GRACE,
    assert_books_balance,
    month_day_in_mid_month,
    pay_afterwards,
    use,
)
from tests.billing.payments import begin, pay
from tests.billing.stripe_world import give_card, push

pytestmark = pytest.mark.django_db


@pytest.fixture
def payer(acme, acme_key):
    """Acme, which pays afterwards since ten days ago, in a month that goes on, and has used $5."""
    acme.month_day = month_day_in_mid_month()
    acme.save()
    pay_afterwards(acme, since=timezone.now() - timedelta(days=10))
    payer = Payer(acme, acme_key.key, factories.make_price())
    use(payer, 500 * CENT, at=timezone.now() - timedelta(days=5))
    return payer


def close_url(organization):
    return reverse("dashboard:close", args=[organization.slug])


def test_organization_deletion_waits_for_the_final_invoice(payer, alice_client, fake_stripe):
    acme = payer.organization
    give_card(fake_stripe, acme)

    assert alice_client.post(close_url(acme), {"name": "acme"}).status_code == 302
    acme.refresh_from_db()
    assert acme.suspended_at
    assert not acme.api_keys.filter(revoked_at=None).exists()
    assert not BillingPeriod.objects.filter(state="open").exists()
    look_after_endings()
    assert Organization.objects.get(pk=acme.pk).name == "Acme"  # its last invoice is not there yet

    later = timezone.now() + GRACE
    [period_id] = billing_periods.to_close(later)
    invoice = invoicing.close(period_id, now=later)
    assert invoice
    look_after_endings()
    assert Membership.objects.filter(organization=acme).exists()  # it is not paid yet
    assert push(invoice).state == "paid"

    look_after_endings()

    acme.refresh_from_db()
    assert (acme.name, acme.slug) == (closing.NAME, acme.public_id)
    assert not Membership.objects.filter(organization=acme).exists()
    assert BillingAccount.objects.get().closed_at
    assert Invoice.objects.get().net_cents == 500
    said = AuditEvent.objects.filter(organization=acme, action__startswith="organization.clos")
    assert sorted(said.values_list("action", flat=True)) == [
        "organization.closed",
        "organization.closing",
    ]
    assert_books_balance()


def test_credit_that_was_paid_for_keeps_an_organization_open(acme, alice, fake_stripe):
    topup = begin(acme)
    pay(fake_stripe, topup)
    topups.follow(topup.pk)
    closing.begin(acme, actor=alice, now=timezone.now())

    assert not closing.finish(acme, now=timezone.now())
    assert [matter.label for matter in leaving.open_matters(acme)] == ["Billing"]


def test_an_organization_without_anything_open_ends_once(acme, alice):
    closing.begin(acme, actor=alice, now=timezone.now())
    with pytest.raises(closing.IsClosing):
        closing.begin(acme, actor=alice, now=timezone.now())

    assert closing.finish(acme, now=timezone.now())
    assert not closing.finish(acme, now=timezone.now())
    assert closing.under_way() == []


def test_one_that_is_not_ending_is_never_finished(acme):
    assert not closing.finish(acme, now=timezone.now())


def test_a_slip_of_the_hand_ends_nothing(acme, alice_client):
    page = alice_client.post(close_url(acme), {"name": "Globex"})

    assert page.status_code == 422
    assert closing.since(acme) is None


def test_only_owners_end_an_organization(acme, bob_client):
    assert bob_client.post(close_url(acme), {"name": "Acme"}).status_code == 403
    assert closing.since(acme) is None


def test_references_are_on_receipts_and_invoices(payer, alice_client, fake_stripe):
    acme = payer.organization
    alice_client.post(
        reverse("dashboard:references", args=[acme.slug]),
        {"purchase_order": "PO-77", "cost_centre": "R&D"},
    )
    assert references.of(acme) == [("Purchase order", "PO-77"), ("Cost centre", "R&D")]
    pay(fake_stripe, begin(acme))
    bought = fake_stripe.objects("payment_intent")[-1]
    assert bought["description"] == "Exerati credit, purchase order PO-77, cost centre R&D"
    give_card(fake_stripe, acme)
    [period] = BillingPeriod.objects.filter(state="open")
    billing_periods.end_early(period, now=timezone.now())
    invoice = invoicing.close(period.pk, now=timezone.now())
    assert invoice

    push(invoice)

    assert fake_stripe.objects("invoice")[-1]["custom_fields"] == [
        {"name": "Purchase order", "value": "PO-77"},
        {"name": "Cost centre", "value": "R&D"},
    ]
