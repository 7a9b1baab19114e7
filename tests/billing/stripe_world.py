"""Invoices of ours against the stand-in for Stripe: customers with cards, and what both sides hold."""

from datetime import datetime, timedelta
from typing import Any

from accounts.models import Organization
from billing import plans
from billing.invoices import invoice_push
from billing.models import Invoice, InvoicePart
from billing.payments import stripe_customers
from tests.billing.calls import Payer
from tests.billing.owing import CENT, NOVEMBER, close_month, make_debtor, use
from tests.fake_stripe.server import FakeStripe

MID = NOVEMBER + timedelta(days=14)


def give_card(fake: FakeStripe, organization: Organization, card: str = "pm_card_visa") -> str:
    """Save a card for an organization as its default, and return the customer's id."""
    customer = stripe_customers.ensure(organization)
    client = fake.client()
    method = client.v1.payment_methods.attach(card, {"customer": customer})
    client.v1.customers.update(
        customer, {"invoice_settings": {"default_payment_method": method.id}}
    )
    return customer


def sealed_invoice(*cents: int, payer: Payer | None = None, **fields: Any) -> Invoice:
    """Store a debtor whose calls of a month cost these cents, and seal its invoice."""
    payer = payer or make_debtor()
    use(payer, *(each * CENT for each in cents), at=MID, **fields)
    return close_month(payer.organization)


def by_sending(payer: Payer, *, days: int = 14) -> Payer:
    """Let invoices of a payer be sent instead of charged."""
    plans.change_terms(
        payer.organization,
        limit_nanousd=10_000 * 100 * CENT,
        collection="send",
        days_until_due=days,
        reason="test",
        actor=None,
        now=NOVEMBER,
    )
    return payer


def push(invoice: Invoice, *, now: datetime | None = None) -> Invoice:
    """Push an invoice as a worker would that has read nothing of it before."""
    fresh = Invoice.objects.select_related("organization", "period").get(pk=invoice.pk)
    return invoice_push.push(fresh, now=now or datetime.now(NOVEMBER.tzinfo))


def assert_one_invoice_equal_to_ours(fake: FakeStripe, invoice: Invoice) -> dict[str, Any]:
    """Check that Stripe has exactly one invoice, of our total and lines; return it."""
    [remote] = fake.objects("invoice")
    lines = [line for line in fake.objects("line_item") if line["invoice"] == remote["id"]]
    ours = InvoicePart.objects.filter(line__invoice=invoice, is_other=False)
    assert remote["subtotal"] == invoice.net_cents
    assert sum(line["amount"] for line in lines) == invoice.net_cents
    assert {line["metadata"]["exerati_part"] for line in lines} - {"other"} == {
        str(part.pk) for part in ours
    }
    assert len(lines) == len({line["metadata"]["exerati_part"] for line in lines})
    return remote
