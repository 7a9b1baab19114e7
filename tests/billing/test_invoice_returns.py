"""Refunds and disputes of invoices' payments: booked to the cent and once, whatever order Stripe tells them in."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from billing import ledger, stripe_events
from billing.comparisons import stripe_lists
from billing.comparisons import stripe_reconciliation as comparison
from billing.invoices import credit_notes, invoice_returns, invoice_states
from billing.models import (
    Invoice,
    InvoiceDispute,
    InvoiceRefund,
    LedgerAccount,
    LedgerTransfer,
    Notification,
    ReconItem,
    StripeEvent,
)
from billing.models.payments import AFTER_PAYMENT
from billing.payments import stripe_payments
from billing.wallet import available_nanousd
from tests import factories
from tests.billing.calls import Payer
from tests.billing.owing import CENT, assert_books_balance, balances, pay_afterwards
from tests.billing.stripe_world import give_card, push, sealed_invoice
from tests.cast import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def sealed(acme, acme_key, fake_stripe):
    """An invoice of acme over $5.00 that Stripe has not got yet, and a card to charge."""
    pay_afterwards(acme)
    invoice = sealed_invoice(500, payer=Payer(acme, acme_key.key, factories.make_price()))
    give_card(fake_stripe, acme)
    return invoice


@pytest.fixture
def paid(sealed):
    """The invoice over $5.00, paid by card."""
    invoice = push(sealed)
    assert invoice.state == "paid"
    return invoice


def intent_of(fake, invoice):
    [payment] = [
        row for row in fake.objects("invoice_payment") if row["invoice"] == invoice.stripe_id
    ]
    return payment["payment"]["payment_intent"]


def refund(fake, invoice, cents):
    """Give money of an invoice back, as somebody does in Stripe's dashboard."""
    return fake.client().v1.refunds.create(
        {"payment_intent": intent_of(fake, invoice), "amount": cents}
    )


def dispute(fake, invoice):
    """Let the payer's bank take the payment back, and return the dispute's id."""
    intent = fake.client().v1.payment_intents.retrieve(intent_of(fake, invoice))
    return str(fake.tell("dispute", charge=intent.latest_charge)["id"])


def end(fake, opened, *, won):
    fake.tell("end_dispute", dispute=opened, won=won)


def hear(fake, *, seed=None, times=1):
    """Apply every event of Stripe's so often, shuffled if there is a seed, even those applied before."""
    stripe_events.poll(timezone.now() + timedelta(minutes=1))
    told = [event["id"] for event in fake.objects("event")] * times
    if seed is not None:
        random.Random(seed).shuffle(told)
    for id in told:
        StripeEvent.objects.filter(pk=id).update(applied_at=None)
        stripe_events.apply(id)


def house():
    """Return the sums of the accounts that are nobody's own, in cents; money that we have is below zero."""
    found = {}
    for account in LedgerAccount.objects.filter(organization=None):
        credits = sum(account.credits.values_list("amount_nanousd", flat=True))
        debits = sum(account.debits.values_list("amount_nanousd", flat=True))
        if credits != debits:
            found[account.kind] = (credits - debits) / CENT
    return found


def with_tax(invoice, tax_cents):
    """Let an invoice be one whose payment was of this tax beside its $5.00, at Stripe and here."""
    Invoice.objects.filter(pk=invoice.pk).update(tax_cents=tax_cents)
    LedgerTransfer.objects.create(
        idempotency_key=f"invoice:{invoice.uuid}:tax",
        kind="invoice_tax",
        organization=invoice.organization,
        debit_account=LedgerAccount.objects.get(kind="stripe_clearing"),
        credit_account=LedgerAccount.objects.get_or_create(kind="tax_payable")[0],
        amount_nanousd=tax_cents * CENT,
        created_at=timezone.now(),
    )
    invoice.refresh_from_db()


@pytest.mark.parametrize("seed", [None, 1])
def test_refund_in_two_parts_is_booked_once_in_any_order(paid, fake_stripe, seed):
    free = available_nanousd(paid.organization)
    refund(fake_stripe, paid, 200)
    refund(fake_stripe, paid, 300)

    hear(fake_stripe, seed=seed, times=2)

    assert (
        InvoiceRefund.objects.count()
        == LedgerTransfer.objects.filter(kind="invoice_refund").count()
        == 2
    )
    assert house() == {}
    assert balances(paid.organization) == {}
    assert available_nanousd(paid.organization) == free
    paid.refresh_from_db()
    assert paid.state == "paid"
    assert paid.organization.audit_events.filter(action="invoice.refunded").count() == 2
    assert_books_balance()


def test_each_part_of_a_refund_is_a_delta(paid, fake_stripe):
    refund(fake_stripe, paid, 200)
    hear(fake_stripe)
    assert house() == {"revenue": 300, "stripe_clearing": -300}

    refund(fake_stripe, paid, 100)
    hear(fake_stripe)

    assert house() == {"revenue": 200, "stripe_clearing": -200}
    assert_books_balance()


def test_refund_that_is_told_before_the_payment_is_booked_after_it(sealed, fake_stripe):
    invoice = push(sealed)
    refund(fake_stripe, invoice, 500)
    unpaid = LedgerTransfer.objects.filter(kind="invoice_paid")
    forget(unpaid)
    Invoice.objects.update(state="open", paid_at=None)

    hear(fake_stripe, seed=3)

    assert house() == {}
    assert Invoice.objects.get().state == "paid"
    assert_books_balance()


def test_refund_of_a_stopped_invoice_is_put_off_and_booked_once_it_is_paid(sealed, fake_stripe):
    invoice = push(sealed)
    refund(fake_stripe, invoice, 500)
    forget(LedgerTransfer.objects.filter(kind="invoice_paid"))
    # Stopped: it was made final there with another amount than here.
    Invoice.objects.update(state="sealed", paid_at=None, net_cents=400)
    hear(fake_stripe)
    put_off = StripeEvent.objects.filter(note=AFTER_PAYMENT)
    assert put_off.count() > 0
    assert put_off.filter(applied_at=None).count() == 0
    assert Invoice.objects.get().problem

    Invoice.objects.update(net_cents=500, problem="")
    invoice_states.follow(Invoice.objects.get(), now=timezone.now())
    for event_id in stripe_events.waiting():
        stripe_events.apply(event_id)

    assert InvoiceRefund.objects.get().cents == 500
    assert not StripeEvent.objects.filter(note=AFTER_PAYMENT).exists()


def forget(transfers):
    """Take postings and what they moved out of the books, as if they had never been made."""
    moved = sum(transfers.values_list("amount_nanousd", flat=True))
    [counter] = ledger.wallets(transfers.get().organization_id)
    counter.credited_nanousd -= moved
    counter.save()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_ledgertransfer DISABLE TRIGGER USER")
        transfers.delete()
        cursor.execute("ALTER TABLE billing_ledgertransfer ENABLE TRIGGER USER")


def test_refund_that_does_not_arrive_is_reversed_once(paid, fake_stripe):
    made = refund(fake_stripe, paid, 200)
    hear(fake_stripe)
    fake_stripe.tell("edit", kind="refund", id=made.id, values={"status": "failed"})

    hear(fake_stripe, times=2)

    assert house() == {"revenue": 500, "stripe_clearing": -500}
    assert InvoiceRefund.objects.get().state == "failed"
    assert LedgerTransfer.objects.filter(kind="invoice_refund_failed").count() == 1
    assert_books_balance()


def test_parts_of_a_refund_have_all_of_the_tax_together(paid):
    with_tax(paid, 41)
    states = [
        stripe_payments.RefundState(id=f"re_{cents}", reference="", cents=cents, status="succeeded")
        for cents in (33, 1, 180, 327)
    ]
    for state in states * 2:
        invoice_returns._book_refund(paid.pk, state)

    assert invoice_returns.gone(paid) == {"net": 500, "tax": 41}
    assert house() == {}
    assert_books_balance()


def test_credit_note_before_payment_is_no_part_of_what_can_go_back(sealed, fake_stripe):
    give_card(fake_stripe, sealed.organization, "pm_card_chargeCustomerFail")
    invoice = push(sealed)
    credit_notes.push(credit_notes.issue(invoice, net_cents=100, reason="sorry", actor=None))
    fake_stripe.client().v1.invoices.pay(invoice.stripe_id, {"payment_method": "pm_card_visa"})
    hear(fake_stripe)
    refund(fake_stripe, invoice, 400)

    hear(fake_stripe)

    assert invoice_returns.gone(invoice) == {"net": 400, "tax": 0}
    assert house() == {}
    assert_books_balance()


@pytest.mark.parametrize("seed", [None, 1])
def test_dispute_that_is_won_is_reversed_exactly(paid, fake_stripe, seed):
    free = available_nanousd(paid.organization)
    opened = dispute(fake_stripe, paid)
    hear(fake_stripe, seed=seed, times=2)
    assert balances(paid.organization) == {"disputed": -500 * CENT}
    assert house() == {"revenue": 500, "stripe_clearing": 15 * 100, "dispute_fees": -15 * 100}

    end(fake_stripe, opened, won=True)
    hear(fake_stripe, seed=seed, times=2)

    assert balances(paid.organization) == {}
    assert house() == {"revenue": 500, "stripe_clearing": 1_000, "dispute_fees": -1_500}
    assert InvoiceDispute.objects.get().status == "won"
    assert available_nanousd(paid.organization) == free
    assert told(paid) == ["invoice_dispute_open", "invoice_dispute_won"]
    assert_books_balance()


@pytest.mark.parametrize("seed", [None, 1])
def test_dispute_that_is_lost_is_a_bad_debt_and_a_fee(paid, fake_stripe, seed):
    opened = dispute(fake_stripe, paid)
    if seed is None:
        hear(fake_stripe, times=2)
    end(fake_stripe, opened, won=False)

    hear(fake_stripe, seed=seed, times=2)

    assert balances(paid.organization) == {}
    assert house() == {
        "revenue": 500,
        "bad_debt": -500,
        "stripe_clearing": 1_500,
        "dispute_fees": -1_500,
    }
    assert told(paid)[-1] == "invoice_dispute_lost"
    assert_books_balance()


def told(invoice):
    notices = Notification.objects.filter(organization=invoice.organization).order_by("created_at")
    return [each.details["what"] for each in notices if "what" in each.details]


def test_dispute_of_what_a_refund_has_left_has_the_rest_of_the_tax(paid):
    with_tax(paid, 41)
    refunded = stripe_payments.RefundState("re_1", reference="", cents=123, status="succeeded")
    lost = stripe_payments.DisputeState("dp_1", "pi_1", "lost", 418, 0, 1_500)

    for _ in range(2):
        invoice_returns._book_refund(paid.pk, refunded)
        invoice_returns._book_dispute(paid.pk, lost)

    assert invoice_returns.gone(paid) == {"net": 500, "tax": 41}
    assert house()["bad_debt"] == -InvoiceDispute.objects.get().lost_net_cents
    assert "tax_payable" not in house()
    assert_books_balance()


def read(opened, *, status="needs_response", withdrawn_cents=500, reinstated_cents=0):
    """Return what an earlier reading of a dispute said."""
    return replace(
        stripe_payments.dispute(opened),
        status=status,
        withdrawn_cents=withdrawn_cents,
        reinstated_cents=reinstated_cents,
    )


def test_an_old_reading_of_a_dispute_does_not_take_its_end_back(paid, fake_stripe):
    opened = dispute(fake_stripe, paid)
    end(fake_stripe, opened, won=False)
    hear(fake_stripe)

    invoice_returns.follow_dispute(read(opened))
    invoice_returns.follow_dispute(read(opened, withdrawn_cents=0))

    assert InvoiceDispute.objects.get().status == "lost"
    assert house()["bad_debt"] == -500
    assert_books_balance()


def test_a_loss_that_is_turned_is_a_bad_debt_no_more(paid, fake_stripe):
    opened = dispute(fake_stripe, paid)
    end(fake_stripe, opened, won=False)
    hear(fake_stripe)

    for _ in range(2):
        invoice_returns.follow_dispute(read(opened, status="won", reinstated_cents=500))
        invoice_returns.follow_dispute(read(opened, status="lost"))

    assert house() == {"revenue": 500, "stripe_clearing": 1_000, "dispute_fees": -1_500}
    assert balances(paid.organization) == {}
    assert_books_balance()


def test_payment_of_an_invoice_that_is_not_ours_books_nothing(paid, fake_stripe):
    client = fake_stripe.client()
    foreign = client.v1.invoices.create({"customer": paid.customer_id})
    client.v1.invoices.add_lines(foreign.id, {"lines": [{"amount": 100, "description": "x"}]})
    client.v1.invoices.finalize_invoice(foreign.id)
    client.v1.invoices.pay(foreign.id, {"payment_method": "pm_card_visa"})
    intent = next(
        row["payment"]["payment_intent"]
        for row in fake_stripe.objects("invoice_payment")
        if row["invoice"] == foreign.id
    )
    client.v1.refunds.create({"payment_intent": intent})

    hear(fake_stripe)

    assert invoice_returns.follow_refunds(intent) == invoice_returns.NOT_OURS
    assert not InvoiceRefund.objects.exists()


def differences():
    comparison.run(timezone.now() + timedelta(hours=2))
    return sorted((item.kind, item.object_id) for item in ReconItem.objects.filter(gone_at=None))


def test_comparison_with_stripe_knows_what_went_back_of_invoices(paid, fake_stripe):
    refund(fake_stripe, paid, 123)
    opened = dispute(fake_stripe, paid)
    intent = intent_of(fake_stripe, paid)
    assert differences() == [("dispute", opened), ("refund", intent)]
    assert ReconItem.objects.get(kind="refund").organization == paid.organization

    hear(fake_stripe)
    assert differences() == []

    end(fake_stripe, opened, won=False)
    assert differences() == [("dispute", opened)]
    assert ReconItem.objects.get(gone_at=None).organization == paid.organization


def test_refund_of_an_older_payment_is_that_of_its_invoice(paid, fake_stripe):
    intent = fake_stripe.client().v1.payment_intents.retrieve(intent_of(fake_stripe, paid))
    old = {"created": intent.created - 40 * 24 * 3600}
    fake_stripe.tell("edit", kind="payment_intent", id=intent.id, values=old)
    fake_stripe.tell("edit", kind="charge", id=intent.latest_charge, values=old)
    refund(fake_stripe, paid, 100)
    hear(fake_stripe)

    assert stripe_lists.payment(intent.id).refunded_cents == 100
    assert [found for found in differences() if found[0] != "total"] == []


def test_page_and_admin_show_what_went_back(paid, fake_stripe, alice_client):
    refund(fake_stripe, paid, 123)
    end(fake_stripe, dispute(fake_stripe, paid), won=False)
    hear(fake_stripe)

    url = reverse("dashboard:invoice", args=[paid.organization.slug, paid.public_id])
    page = alice_client.get(url).content.decode()

    assert "Money back" in page
    assert "Dispute lost" in page
    assert all(amount in page for amount in ("$1.23", "$3.77"))
    staff = factories.make_user("staff@exerati.example", is_staff=True, is_superuser=True)
    admin = signed_in(staff).get(reverse("admin:billing_invoice_changelist")).content.decode()
    assert '<td class="field-returned_cents">500</td>' in admin
