"""The comparison with Stripe, by Stripe's own client against the stand-in: each kind of difference, once each."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone
from stripe import StripeClient

from accounts.models import AuditEvent
from billing import wallet
from billing.comparisons import reconciliation, stripe_reconciliation
from billing.comparisons.reconciliation_tasks import reconcile
from billing.models import Dispute, ReconItem, ReconRun, StripeCustomer, TopUp
from billing.payments import disputes, refunds, topups
from billing.stripe_client import StripeAway
from tests import factories
from tests.billing.stripe_world import give_card, push, sealed_invoice
from tests.fake_stripe.server import FakeStripe

pytestmark = pytest.mark.django_db
Kind = ReconItem.Kind


@pytest.fixture
def stand_in(fake_stripe: FakeStripe) -> FakeStripe:
    """An empty stand-in, with our settings pointing to it."""
    return fake_stripe


@pytest.fixture
def client_of_stripe(stand_in: FakeStripe) -> StripeClient:
    return stand_in.client()


@pytest.fixture
def paid(stand_in, acme):
    """A top-up of $20 that was paid and credited, all as it should be."""

    def pay(cents=2_000):
        made, _ = topups.begin(
            acme,
            cents=cents,
            actor=None,
            page_url=lambda uuid: f"https://exerati.test/{uuid}",
            back_url="https://exerati.test/",
        )
        stand_in.tell("pay_session", session=made.checkout_id, card="pm_card_visa")
        return topups.follow(made.pk)

    return pay


def later() -> datetime:
    """Return a moment at which what was just done is old enough to be compared."""
    return timezone.now() + timedelta(hours=2)


def compare():
    """Return (kind, object) of every difference that is there."""
    stripe_reconciliation.run(later())
    return sorted((item.kind, item.object_id) for item in ReconItem.objects.filter(gone_at=None))


def test_books_that_agree_have_no_difference(paid):
    paid()
    paid(5_000)

    assert compare() == []
    run = ReconRun.objects.get()
    assert run.checked == {"payments": 2, "topups": 2, "disputes": 0, "invoices": 0}
    assert run.totals["stripe_cents"]["charge"] == run.totals["topups_cents"] == 7_000


def test_what_is_younger_than_an_hour_is_left_out(paid, client_of_stripe):
    pay_directly(client_of_stripe)

    stripe_reconciliation.run(timezone.now())

    assert not ReconItem.objects.exists()


def pay_directly(client: StripeClient, cents: int = 700) -> str:
    """Take money in the dashboard of Stripe, past our pages."""
    intent = client.v1.payment_intents.create(
        {"amount": cents, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    )
    return intent.id


def test_a_payment_without_a_top_up_is_found(paid, client_of_stripe):
    paid()
    stray = pay_directly(client_of_stripe)

    assert compare() == [(Kind.PAYMENT_UNKNOWN, stray), (Kind.TOTAL, "payments")]
    item = ReconItem.objects.get(kind=Kind.PAYMENT_UNKNOWN)
    assert item.difference_nanousd == 7_000_000_000


def test_a_paid_top_up_that_was_never_credited_is_found(paid):
    topup = paid()
    TopUp.objects.filter(pk=topup.pk).update(state=TopUp.State.PENDING, credited_at=None)

    assert (Kind.PAYMENT_UNKNOWN, topup.payment_intent_id) in compare()


def test_a_top_up_without_a_payment_is_found(paid):
    topup = paid()
    TopUp.objects.filter(pk=topup.pk).update(payment_intent_id="pi_of_nobody")

    found = compare()

    assert (Kind.PAYMENT_MISSING, "pi_of_nobody") in found
    assert (Kind.PAYMENT_UNKNOWN, topup.payment_intent_id) in found


def test_another_amount_and_another_customer_are_found(paid):
    topup = paid()
    TopUp.objects.filter(pk=topup.pk).update(net_cents=1_900, customer_id="cus_other")

    found = dict(compare())

    assert found[Kind.AMOUNT] == found[Kind.CUSTOMER] == topup.payment_intent_id
    assert found[Kind.LEDGER] == f"topup:{topup.uuid}"
    assert ReconItem.objects.get(kind=Kind.AMOUNT).difference_nanousd == 1_000_000_000


def test_a_refund_that_was_made_in_the_dashboard_is_found_until_it_is_booked(
    paid, client_of_stripe
):
    topup = paid()
    client_of_stripe.v1.refunds.create({"payment_intent": topup.payment_intent_id, "amount": 500})

    assert compare() == [(Kind.REFUND, topup.payment_intent_id)]

    refunds.follow_payment(topup.payment_intent_id)
    assert compare() == []
    assert ReconItem.objects.get().gone_at is not None


def test_a_refund_of_an_old_payment_is_found(paid, client_of_stripe):
    topup = paid()
    stripe_reconciliation.run(later())
    client_of_stripe.v1.refunds.create({"payment_intent": topup.payment_intent_id, "amount": 500})

    stripe_reconciliation.run(later(), look_back=timedelta(hours=3))

    assert ReconItem.objects.get().kind == Kind.REFUND


def charge_of(client: StripeClient, topup: TopUp) -> str:
    intent = client.v1.payment_intents.retrieve(topup.payment_intent_id)
    return str(intent.latest_charge)


def test_a_dispute_is_found_until_it_is_booked(paid, stand_in, client_of_stripe):
    topup = paid()
    dispute = stand_in.tell("dispute", charge=charge_of(client_of_stripe, topup))

    assert compare() == [(Kind.DISPUTE, dispute["id"])]
    assert ReconItem.objects.get().organization == topup.organization

    disputes.follow(dispute["id"])
    assert compare() == []

    stand_in.tell("end_dispute", dispute=dispute["id"], won=True)
    assert compare() == [(Kind.DISPUTE, dispute["id"])]


def test_a_dispute_that_only_we_know_is_found(paid):
    topup = paid()
    Dispute.objects.create(stripe_id="du_of_nobody", topup=topup, status="lost")

    assert compare() == [(Kind.DISPUTE, "du_of_nobody")]


def test_a_customer_deleted_in_the_dashboard_is_found(paid, client_of_stripe):
    paid()
    customer = StripeCustomer.objects.get().stripe_id
    client_of_stripe.v1.customers.delete(customer)

    assert compare() == [(Kind.CUSTOMER_GONE, customer)]


def test_a_posting_that_is_missing_is_found(paid, acme):
    topup = paid()
    wallet.buy(acme, net_cents=100, tax_cents=0, idempotency_key="topup:of-nobody")
    TopUp.objects.create(
        organization=acme,
        net_cents=100,
        state=TopUp.State.CREDITED,
        credited_at=timezone.now(),
        payment_intent_id=topup.payment_intent_id + "x",
    )

    kinds = {kind for kind, _ in compare()}

    assert kinds == {Kind.LEDGER, Kind.PAYMENT_MISSING}


def test_an_invoice_made_in_the_dashboard_is_found_and_its_payment_is_no_stray(
    paid, client_of_stripe
):
    paid()
    made = client_of_stripe.v1.customers.create({"email": "payer@acme.test"})
    method = client_of_stripe.v1.payment_methods.attach("pm_card_visa", {"customer": made.id})
    client_of_stripe.v1.customers.update(
        made.id, {"invoice_settings": {"default_payment_method": method.id}}
    )
    invoice = client_of_stripe.v1.invoices.create({"customer": made.id, "auto_advance": False})
    client_of_stripe.v1.invoices.add_lines(
        invoice.id, {"lines": [{"amount": 900, "description": "by hand"}]}
    )
    client_of_stripe.v1.invoices.finalize_invoice(invoice.id)
    client_of_stripe.v1.invoices.pay(invoice.id)

    assert compare() == [(Kind.INVOICE, invoice.id)]


def test_minimum_charge_that_stripe_moves_to_the_balance_is_found(stand_in, settings):
    settings.INVOICE_LEAST_CENTS = 30  # below the 50 cents that Stripe asks for
    invoice = sealed_invoice(40)
    give_card(stand_in, invoice.organization)
    push(invoice)
    invoice.refresh_from_db()
    assert invoice.state == "paid"
    assert stand_in.objects("payment_intent") == []

    assert compare() == [(Kind.INVOICE, invoice.stripe_id)]
    assert ReconItem.objects.get().theirs["by_balance_cents"] == 40


# what happens to a difference


def test_the_same_difference_is_one_row_and_told_once_and_a_changed_one_is_new(
    paid, client_of_stripe, django_capture_on_commit_callbacks
):
    staff = factories.make_user("staff@exerati.test", is_staff=True)
    topup = paid()
    refund: Any = {"payment_intent": topup.payment_intent_id, "amount": 100}
    client_of_stripe.v1.refunds.create(refund)

    for _ in range(3):
        with django_capture_on_commit_callbacks(execute=True):
            compare()

    [message] = mail.outbox
    assert (message.to, ReconItem.objects.count()) == ([staff.email], 1)
    assert topup.payment_intent_id in message.body
    assert topup.organization.name in message.body

    client_of_stripe.v1.refunds.create(refund)
    with django_capture_on_commit_callbacks(execute=True):
        compare()
    assert len(mail.outbox) == 2
    assert ReconItem.objects.filter(gone_at=None).count() == 1


def test_nothing_is_put_right_by_comparing(paid, client_of_stripe):
    topup = paid()
    client_of_stripe.v1.refunds.create({"payment_intent": topup.payment_intent_id, "amount": 500})
    before = TopUp.objects.values().get()

    compare()

    assert TopUp.objects.values().get() == before


def test_a_difference_is_acknowledged_with_a_reason_once(paid, client_of_stripe, alice):
    topup = paid()
    client_of_stripe.v1.refunds.create({"payment_intent": topup.payment_intent_id, "amount": 500})
    compare()
    item = ReconItem.objects.get()

    with pytest.raises(reconciliation.ReasonMissing):
        reconciliation.acknowledge(item, actor=alice, reason="  ")
    reconciliation.acknowledge(item, actor=alice, reason="Agreed by mail")
    reconciliation.acknowledge(item, actor=alice, reason="Another story")

    item.refresh_from_db()
    assert (item.reason, item.acknowledged_by) == ("Agreed by mail", alice)
    audit = AuditEvent.objects.get(action="reconciliation.acknowledged")
    assert audit.details["reason"] == "Agreed by mail"


def test_staff_acknowledge_in_the_admin_and_change_nothing_else(paid, client_of_stripe, client):
    paid()
    pay_directly(client_of_stripe)
    compare()
    item = ReconItem.objects.get(kind=Kind.PAYMENT_UNKNOWN)
    client.force_login(factories.make_user(is_staff=True, is_superuser=True))
    url = reverse("admin:billing_reconitem_change", args=[item.pk])

    refused = client.post(url, {"reason": " "})
    done = client.post(url, {"reason": "Invoice of 2024", "object_id": "pi_x"})

    assert (refused.status_code, done.status_code) == (200, 302)
    item.refresh_from_db()
    assert item.reason == "Invoice of 2024"
    assert item.object_id != "pi_x"
    assert client.get(reverse("admin:billing_reconitem_changelist")).status_code == 200
    assert client.get(reverse("admin:billing_reconrun_changelist")).status_code == 200


def test_a_run_that_stripe_did_not_let_end_is_noted_and_leaves_items_alone(
    paid, stand_in, client_of_stripe
):
    topup = paid()
    client_of_stripe.v1.refunds.create({"payment_intent": topup.payment_intent_id, "amount": 500})
    compare()
    stand_in.tell("reset")
    stand_in.tell("fault", operation="GET /v1/disputes", kind="status", times=10)

    with pytest.raises(StripeAway):
        stripe_reconciliation.run(later())

    assert ReconRun.objects.latest("pk").error == "Stripe could not be asked."
    assert ReconItem.objects.get().gone_at is None


def test_the_task_compares_once_a_night(paid):
    paid()

    reconcile()
    reconcile()

    assert sorted(ReconRun.objects.values_list("subject", flat=True)) == ["costs", "stripe"]


def test_without_a_stripe_key_nothing_is_compared(settings):
    settings.STRIPE_SECRET_KEY = ""

    reconcile()

    assert not ReconRun.objects.filter(subject=ReconRun.Subject.STRIPE).exists()
