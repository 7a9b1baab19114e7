"""
Corrections of final invoices, by staff: less to pay, or, once it is paid, an amount off the next invoice.

A final invoice is never changed. The correction counts here at once; Stripe gets its copy behind.
"""

import logging

from django.db import transaction
from django.db.models import F

from accounts import audit
from accounts.models import User
from billing import ledger, plans, stripe_client
from billing.invoices import stripe_invoices
from billing.invoices.billing_periods import database_now
from billing.models import Adjustment, CreditNote, Invoice
from exerati.lib.money import NANOUSD_PER_CENT
from exerati.lib.queue import enqueue

logger = logging.getLogger(__name__)

Kind = ledger.Kind
State = Invoice.State


class NotCorrectable(Exception):
    """The invoice is not final, was taken back or given up, or less is left of it than is to be taken off."""

    def __init__(self, *, left_cents: int) -> None:
        super().__init__(left_cents)
        self.left_cents = left_cents


@transaction.atomic
def issue(invoice: Invoice, *, net_cents: int, reason: str, actor: User | None) -> CreditNote:
    """Take an amount without tax off a final invoice, with its share of the tax. Raises NotCorrectable."""
    ledger.lock_wallet(invoice.organization_id)
    invoice = (
        Invoice.objects.select_for_update(of=("self",))
        .select_related("organization")
        .get(pk=invoice.pk)
    )
    left = invoice.net_cents - invoice.credited_cents
    if invoice.state not in {State.OPEN, State.PAID} or not 0 < net_cents <= left:
        raise NotCorrectable(left_cents=left)
    before = invoice.credited_cents * invoice.tax_cents // invoice.net_cents
    after = (invoice.credited_cents + net_cents) * invoice.tax_cents // invoice.net_cents
    note = CreditNote.objects.create(
        invoice=invoice,
        net_cents=net_cents,
        tax_cents=after - before,
        after_payment=invoice.state == State.PAID,
        reason=reason,
        actor=actor,
    )
    _post(note)
    Invoice.objects.filter(pk=invoice.pk).update(
        credited_cents=F("credited_cents") + net_cents,
        credited_tax_cents=F("credited_tax_cents") + note.tax_cents,
    )
    plans.refresh(invoice.organization, now=database_now())
    audit.record(
        invoice.organization,
        action="invoice.credited",
        actor=actor,
        target=invoice.public_id,
        details={"net_cents": net_cents, "tax_cents": note.tax_cents, "reason": reason},
    )
    enqueue("billing.push_credit_note", note_id=str(note.pk))
    return note


def _post(note: CreditNote) -> None:
    invoice, net = note.invoice, note.net_cents * NANOUSD_PER_CENT
    tax = note.tax_cents * NANOUSD_PER_CENT
    if note.after_payment:
        # The customer has paid for it: with its tax it comes off the next invoice.
        legs: tuple[ledger.Leg, ...] = (
            (Kind.REVENUE, Kind.UNBILLED, net),
            (Kind.TAX_PAYABLE, Kind.UNBILLED, tax),
        )
        Adjustment.objects.create(
            organization=invoice.organization,
            amount_nanousd=-(net + tax),
            reason=f"Credit for invoice {invoice.number}: {note.reason}"[:200],
            actor=note.actor,
        )
    else:
        legs = (
            (Kind.REVENUE, Kind.RECEIVABLE, net),
            (Kind.TAX_PAYABLE, Kind.TAX_RECEIVABLE, tax),
        )
    ledger.post(
        invoice.organization,
        kind="credit_note",
        idempotency_key=f"credit_note:{note.uuid}",
        legs=legs,
        reason=note.reason,
    )


def push(note: CreditNote) -> CreditNote:
    """Give Stripe its copy of a credit note, once. Raises StripeAway; the same call later goes on."""
    if note.stripe_id or note.problem or not stripe_client.is_on():
        return note
    invoice = note.invoice
    found = stripe_invoices.find_note(invoice.stripe_id, reference=str(note.uuid))
    try:
        found = found or stripe_invoices.create_note(
            invoice_id=invoice.stripe_id,
            reference=str(note.uuid),
            cents=note.net_cents + note.tax_cents,
            memo=note.reason,
            after_payment=note.after_payment,
            idempotency_key=f"credit_note:{note.uuid}:g{note.generation}",
        )
    except stripe_client.StripeAway as error:
        if error.is_replayed:
            CreditNote.objects.filter(pk=note.pk, generation=note.generation).update(
                generation=note.generation + 1
            )
        raise
    except stripe_client.Refused as error:
        logger.error("credit note %s is refused by Stripe: %s", note.uuid, error.message)
        CreditNote.objects.filter(pk=note.pk).update(problem=error.message[:200])
        return note
    CreditNote.objects.filter(pk=note.pk).update(
        stripe_id=found.id, number=found.number, pdf_url=found.pdf_url
    )
    note.refresh_from_db()
    return note


def to_push() -> list[CreditNote]:
    """Return the credit notes that Stripe has yet to get, the oldest first."""
    found = CreditNote.objects.filter(stripe_id="", problem="").select_related("invoice")
    return list(found.order_by("created_at")[:200])
