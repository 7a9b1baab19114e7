"""What staff do about invoices, each with a reason and an audit event: correct, take back, refund, go on, unblock."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.models import User
from billing import ledger, plans, stripe_client
from billing.comparisons import stripe_lists
from billing.invoices import invoice_returns, invoice_states, stripe_invoices
from billing.models import DunningStep, Invoice
from billing.payments import stripe_payments
from exerati.lib.queue import enqueue

LIFTED_FOR = timedelta(days=7)


class NotPossible(Exception):
    """The invoice is in no state for it; the text says which."""


@transaction.atomic
def go_on(invoice: Invoice, *, reason: str, actor: User | None) -> None:
    """Let a stopped invoice go on, once what stopped it was put right at Stripe. Raises NotPossible."""
    if not Invoice.objects.filter(pk=invoice.pk).exclude(problem="").update(problem=""):
        raise NotPossible("Nothing has stopped this invoice.")
    _record(invoice, "invoice.resumed", reason=reason, actor=actor)
    enqueue("billing.push_invoice", invoice_id=str(invoice.pk))


def take_back(invoice: Invoice, *, reason: str, actor: User | None, now: datetime) -> None:
    """
    Void an open invoice: nothing of it is owed any more, and its calls are on no other. Raises NotPossible, StripeAway.
    """
    if invoice.state not in {Invoice.State.OPEN, Invoice.State.UNCOLLECTIBLE}:
        raise NotPossible(f"The invoice is {invoice.state}: a credit note corrects a paid one.")
    try:
        stripe_invoices.void(invoice.stripe_id, idempotency_key=f"invoice:{invoice.uuid}:void:g1")
    except stripe_client.Refused as error:
        raise NotPossible(error.message) from error
    invoice_states.follow(invoice, now=now)
    _record(invoice, "invoice.taken_back", reason=reason, actor=actor)


def refund(invoice: Invoice, *, cents: int, reason: str, actor: User | None) -> None:
    """
    Send a part of a paid invoice's money back to whoever paid, and book it. Raises NotPossible, StripeAway.

    The key names what went back before, so that the same wish told twice is one refund; a refund that we did not get
    to book is booked by its webhook.
    """
    before = returned_cents(invoice)
    payment = stripe_lists.payment_of(invoice.stripe_id) if invoice.stripe_id else ""
    if invoice.state != Invoice.State.PAID or not payment:
        raise NotPossible("No payment has paid this invoice: a credit note corrects it.")
    left = invoice.total_cents - invoice.credited_cents - invoice.credited_tax_cents - before
    if not 0 < cents <= left:
        raise NotPossible(f"{left} cents of its payment are left.")
    try:
        stripe_payments.refund(
            payment_intent_id=payment,
            cents=cents,
            reference=f"invoice:{invoice.public_id}",
            idempotency_key=f"invoice:{invoice.uuid}:refund:{before}:{cents}",
        )
    except stripe_client.Refused as error:
        raise NotPossible(error.message) from error
    _record(invoice, "invoice.refund_asked", reason=f"{cents} cents: {reason}", actor=actor)
    invoice_returns.follow_refunds(payment)


def returned_cents(invoice: Invoice) -> int:
    """Return what refunds and disputes have taken of an invoice's payment so far."""
    found: Any = invoice_returns.with_returned(Invoice.objects.filter(pk=invoice.pk)).get()
    return int(found.refunded_cents + found.disputed_cents)


@transaction.atomic
def lift_block(invoice: Invoice, *, reason: str, actor: User | None, now: datetime) -> None:
    """Admit calls again for a week although the invoice is not paid. Raises NotPossible."""
    ledger.lock_wallet(invoice.organization_id)
    done = invoice.dunning.filter(step=DunningStep.Step.BLOCK, done_at__isnull=False)
    if not done.update(done_at=None, outcome="", due_at=now + LIFTED_FOR):
        raise NotPossible("This invoice blocks nothing.")
    plans.refresh(invoice.organization, now=now)
    _record(invoice, "invoice.block_lifted", reason=reason, actor=actor)


def _record(invoice: Invoice, action: str, *, reason: str, actor: User | None) -> None:
    audit.record(
        invoice.organization,
        action=action,
        actor=actor,
        target=invoice.public_id,
        details={"reason": reason},
    )
