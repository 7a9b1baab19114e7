"""
Payments of invoices that go back at Stripe: refunds made there, and disputes. Booked once, in any order.

Nothing is believed of an event: the payment's refunds and disputes are read anew, and what is not booked yet is. The
wallet's counter is not moved, since a refund is a concession and a dispute is about money that had come: neither makes
the organization owe it again.
"""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import BigIntegerField, F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce

from accounts import audit
from billing import ledger, wallet
from billing.comparisons import stripe_lists
from billing.invoices import invoice_states
from billing.models import Invoice, InvoiceDispute, InvoiceRefund
from billing.models.payments import AFTER_PAYMENT
from billing.payments import payment_notices, stripe_payments
from billing.payments.stripe_payments import DisputeState, RefundState
from exerati.lib.money import NANOUSD_PER_CENT

Kind = ledger.Kind
State = InvoiceRefund.State
NOT_OURS = "not a payment of ours"


def follow_refunds(payment_intent_id: str) -> str:
    """Book what was refunded of an invoice's payment, and what of that failed. Raises StripeAway."""
    invoice = _invoice_of(payment_intent_id)
    if invoice is None:
        return NOT_OURS
    if invoice.state != Invoice.State.PAID:
        return AFTER_PAYMENT
    changed = _book_refunds(invoice, payment_intent_id)
    return f"{changed} refunds of an invoice changed" if changed else "booked before"


def follow_dispute(state: DisputeState) -> str:
    """Book what a dispute of an invoice's payment has moved since the last time. Raises StripeAway."""
    invoice = _invoice_of(state.payment_intent_id)
    if invoice is None:
        return NOT_OURS
    if invoice.state != Invoice.State.PAID:
        return AFTER_PAYMENT
    # What was refunded before has its share of the tax, so it is booked first whichever event comes first.
    _book_refunds(invoice, state.payment_intent_id)
    return _book_dispute(invoice.pk, state)


def _invoice_of(payment_intent_id: str) -> Invoice | None:
    """Return our invoice that a payment pays, as it is now: the event of its payment may still be on the way."""
    stripe_id = stripe_lists.invoice_of(payment_intent_id) if payment_intent_id else ""
    if not stripe_id:
        return None
    found = Invoice.objects.filter(stripe_id=stripe_id).first()
    if found is None or found.state != Invoice.State.PAID:
        invoice_states.follow_stripe(stripe_id)
        found = Invoice.objects.filter(stripe_id=stripe_id).first()
    return found


def _locked(invoice_id: UUID) -> Invoice:
    """Return an invoice with its wallet and itself locked, in that order, as everywhere."""
    organizations = Invoice.objects.filter(pk=invoice_id).values_list("organization_id", flat=True)
    ledger.lock_wallet(organizations.get())
    rows = Invoice.objects.select_for_update(of=("self",)).select_related("organization")
    return rows.get(pk=invoice_id)


def _book_refunds(invoice: Invoice, payment_intent_id: str) -> int:
    found = stripe_payments.refunds_of(payment_intent_id)
    return sum(_book_refund(invoice.pk, state) for state in found)


@transaction.atomic
def _book_refund(invoice_id: UUID, state: RefundState) -> bool:
    """Bring one refund to what Stripe says of it; return whether that changed anything."""
    invoice = _locked(invoice_id)
    row = InvoiceRefund.objects.filter(pk=state.id).first()
    if row is None and not state.has_failed:
        net, tax = _parts(invoice, state.cents)
        row = InvoiceRefund.objects.create(
            stripe_id=state.id, invoice=invoice, net_cents=net, tax_cents=tax
        )
        _post(invoice, "refund", state.id, _concession(net, tax), "Refund of invoice")
        _record(invoice, "invoice.refunded", {"refund": state.id, "cents": state.cents})
        return True
    if row is None or row.state == State.FAILED or not state.has_failed:
        return False
    legs = _reversed(_concession(row.net_cents, row.tax_cents))
    _post(invoice, "refund_failed", f"{state.id}:failed", legs, "Failed refund of invoice")
    row.state = State.FAILED
    row.save(update_fields=["state"])
    _record(invoice, "invoice.refund_failed", {"refund": state.id, "cents": row.cents})
    return True


@transaction.atomic
def _book_dispute(invoice_id: UUID, state: DisputeState) -> str:
    invoice = _locked(invoice_id)
    row, is_new = InvoiceDispute.objects.get_or_create(
        stripe_id=state.id, defaults={"invoice": invoice, "status": state.status}
    )
    before = row.status
    # What was read before somebody else booked the end is old: a decision stands, and won is the last word.
    if not (row.is_over and (state.is_open or row.status == "won")):
        row.status = state.status
    _move(invoice, row, state)
    _settle(invoice, row)
    row.save()
    if is_new or row.status != before:
        _record(invoice, "invoice.disputed", {"dispute": row.pk, "status": row.status})
        payment_notices.invoice_dispute(invoice, row)
    return f"dispute {row.status}"


def _move(invoice: Invoice, row: InvoiceDispute, state: DisputeState) -> None:
    """Book what Stripe took, gave back and charged as its fee since the last time."""
    taken = max(0, state.withdrawn_cents - row.withdrawn_cents)
    back = max(0, state.reinstated_cents - row.reinstated_cents)
    fee = max(0, state.fee_cents - row.fee_cents)
    row.withdrawn_cents += taken
    row.reinstated_cents += back
    row.fee_cents += fee
    held = (Kind.DISPUTED, Kind.STRIPE_CLEARING, taken * NANOUSD_PER_CENT)
    key = f"{row.pk}:taken:{row.withdrawn_cents}"
    _post(invoice, "dispute", key, (held,), "Charged back: invoice")
    if back and row.lost_cents:
        _give_up(invoice, row, cents=0)  # a loss that is turned is no loss first
    freed = (Kind.STRIPE_CLEARING, Kind.DISPUTED, back * NANOUSD_PER_CENT)
    key = f"{row.pk}:back:{row.reinstated_cents}"
    _post(invoice, "dispute_won", key, (freed,), "Dispute won: invoice")
    if fee:
        wallet.pay_dispute_fee(
            invoice.organization,
            cents=fee,
            idempotency_key=f"invoice_dispute:{row.pk}:fee:{row.fee_cents}",
        )


def _settle(invoice: Invoice, row: InvoiceDispute) -> None:
    """Give up what is still away once a dispute is lost, and nothing before."""
    away = row.withdrawn_cents - row.reinstated_cents if row.status == "lost" else 0
    if away != row.lost_cents:
        _give_up(invoice, row, cents=away)


def _give_up(invoice: Invoice, row: InvoiceDispute, *, cents: int) -> None:
    """Make so much of what is away a bad debt, in place of what was one before."""
    key = f"{row.pk}:{row.status}:{row.withdrawn_cents}:{row.reinstated_cents}"
    before = _reversed(_loss(row.lost_net_cents, row.lost_tax_cents))
    _post(invoice, "dispute_unlost", f"{key}:unlost", before, "No longer lost: invoice")
    row.lost_net_cents = row.lost_tax_cents = 0
    row.save()
    row.lost_net_cents, row.lost_tax_cents = _parts(invoice, cents)
    after = _loss(row.lost_net_cents, row.lost_tax_cents)
    _post(invoice, "dispute_lost", f"{key}:lost", after, "Dispute lost: invoice")


def _parts(invoice: Invoice, cents: int) -> tuple[int, int]:
    """
    Return net and tax of so many cents of a payment, in the proportion in which they were paid.

    Together with what went back before it has the share of both, so that all parts have all of the tax.
    """
    notes = invoice.credit_notes.filter(after_payment=False)
    off = notes.aggregate(net=Sum("net_cents", default=0), tax=Sum("tax_cents", default=0))
    paid_net = invoice.net_cents - off["net"]
    paid = paid_net + invoice.tax_cents - off["tax"]
    before = gone(invoice)
    net = (before["net"] + before["tax"] + cents) * paid_net // max(paid, 1) - before["net"]
    net = min(max(net, 0), cents)
    return net, cents - net


def gone(invoice: Invoice) -> dict[str, int]:
    """Return net and tax, in cents, of what went back for good: refunds that did not fail, and lost disputes."""
    refunds = invoice.refunds.exclude(state=State.FAILED)
    disputes = invoice.disputes.all()
    refunded = refunds.aggregate(net=Sum("net_cents", default=0), tax=Sum("tax_cents", default=0))
    lost = disputes.aggregate(
        net=Sum("lost_net_cents", default=0), tax=Sum("lost_tax_cents", default=0)
    )
    return {part: refunded[part] + lost[part] for part in ("net", "tax")}


def with_returned(invoices: QuerySet[Invoice]) -> QuerySet[Invoice]:
    """Add to each invoice, in cents with tax, what was refunded of it and what disputes have taken of it."""
    refunds = InvoiceRefund.objects.filter(invoice=OuterRef("pk")).exclude(state=State.FAILED)
    disputes = InvoiceDispute.objects.filter(invoice=OuterRef("pk"))
    return invoices.annotate(
        refunded_cents=_sum_of(refunds, F("net_cents") + F("tax_cents")),
        disputed_cents=_sum_of(disputes, F("withdrawn_cents") - F("reinstated_cents")),
    )


def _sum_of(rows: QuerySet[Any], cents: CombinedExpression) -> Coalesce:
    summed = rows.order_by().values("invoice").annotate(cents=Sum(cents)).values("cents")
    return Coalesce(Subquery(summed), 0, output_field=BigIntegerField())


def _concession(net: int, tax: int) -> tuple[ledger.Leg, ...]:
    return (
        (Kind.REVENUE, Kind.STRIPE_CLEARING, net * NANOUSD_PER_CENT),
        (Kind.TAX_PAYABLE, Kind.STRIPE_CLEARING, tax * NANOUSD_PER_CENT),
    )


def _loss(net: int, tax: int) -> tuple[ledger.Leg, ...]:
    return (
        (Kind.BAD_DEBT, Kind.DISPUTED, net * NANOUSD_PER_CENT),
        (Kind.TAX_PAYABLE, Kind.DISPUTED, tax * NANOUSD_PER_CENT),
    )


def _reversed(legs: tuple[ledger.Leg, ...]) -> tuple[ledger.Leg, ...]:
    return tuple((credit, debit, amount) for debit, credit, amount in legs)


def _post(invoice: Invoice, what: str, key: str, legs: tuple[ledger.Leg, ...], reason: str) -> None:
    """Post under a key of the object at Stripe; legs of nothing are nothing."""
    ledger.post(
        invoice.organization,
        kind=f"invoice_{what}",
        idempotency_key=f"invoice_{what}:{key}",
        legs=legs,
        reason=f"{reason} {invoice.number or invoice.public_id}",
    )


def _record(invoice: Invoice, action: str, details: dict[str, object]) -> None:
    audit.record(
        invoice.organization, action=action, actor=None, target=invoice.public_id, details=details
    )
