"""
Compares what Stripe has with our top-ups, invoices, refunds, disputes, customers and ledger, both ways.

Each difference is reported, none put right.

What is younger than an hour is left out: its webhook may still be on the way.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum

from accounts.models import Organization
from billing.comparisons import reconciliation, stripe_lists
from billing.comparisons.reconciliation import Difference
from billing.comparisons.stripe_lists import BalanceSums, InvoiceSeen, PaymentSeen
from billing.invoices import invoice_returns
from billing.models import (
    Dispute,
    Invoice,
    InvoiceDispute,
    LedgerAccount,
    LedgerTransfer,
    ReconItem,
    ReconRun,
    StripeCustomer,
    TopUp,
)
from billing.payments import stripe_payments
from billing.payments.stripe_payments import DisputeState
from billing.stripe_client import NotAtStripe, StripeAway
from exerati.lib.money import NANOUSD_PER_CENT

Kind = ReconItem.Kind
LOOK_BACK = timedelta(days=35)
GRACE = timedelta(hours=1)
SUCCEEDED = "succeeded"


def run(now: datetime, *, look_back: timedelta = LOOK_BACK) -> ReconRun:
    """Compare the last 35 days and return the run; raises StripeAway after it is noted."""
    until = now - GRACE
    started = reconciliation.begin(ReconRun.Subject.STRIPE, since=until - look_back, until=until)
    try:
        _compare(started)
    except StripeAway:
        reconciliation.fail(started, "Stripe could not be asked.")
        raise
    return started


def _compare(started: ReconRun) -> None:
    since, until = started.since, started.until
    listed = [_with_invoice(seen) for seen in stripe_lists.payments(since=since, until=until)]
    payments = {seen.id: seen for seen in listed}
    for older in stripe_lists.refunded_payments(since=since, until=until) - set(payments):
        payments[older] = _with_invoice(stripe_lists.payment(older))
    invoices = list(stripe_lists.invoices(since=since, until=until))
    disputes = list(stripe_lists.disputes(since=since, until=until))
    balance = stripe_lists.balance(since=since, until=until)
    topups = _topups(since, until, payments)
    differences = [
        *_payments(payments.values(), topups),
        *_invoice_refunds(payments.values()),
        *_credits(topups, payments),
        *_disputes(disputes, since=since, until=until),
        *_invoices(invoices),
        *_customers(),
        *_ledger(topups),
        *_totals(listed, topups, balance),
    ]
    reconciliation.finish(
        started,
        differences,
        checked={
            "payments": len(payments),
            "topups": len(topups),
            "disputes": len(disputes),
            "invoices": len(invoices),
        },
        totals={
            "stripe_cents": balance.by_type | {"fees": balance.fees_cents},
            "topups_cents": sum(_gross(topup) for topup in topups if _credited(topup)),
        },
    )


def _topups(since: datetime, until: datetime, payments: Iterable[str]) -> Sequence[TopUp]:
    """Return the top-ups of the payments, and those credited in the range."""
    rows = TopUp.objects.select_related("organization")
    of_range = rows.filter(credited_at__gte=since, credited_at__lt=until)
    of_payments = rows.filter(payment_intent_id__in=list(payments)).exclude(payment_intent_id="")
    return list({topup.pk: topup for topup in (*of_range, *of_payments)}.values())


def _payments(seen: Iterable[PaymentSeen], topups: Sequence[TopUp]) -> Iterator[Difference]:
    """Yield what Stripe's payments say that our top-ups do not."""
    by_payment = {topup.payment_intent_id: topup for topup in topups}
    for payment in seen:
        topup = by_payment.get(payment.id)
        if topup is None or not _credited(topup):
            if payment.status == SUCCEEDED and not payment.invoice:
                yield Difference(
                    Kind.PAYMENT_UNKNOWN,
                    payment.id,
                    theirs={
                        "received_cents": payment.received_cents,
                        "customer": payment.customer_id,
                        "topup": payment.topup,
                    },
                    ours={"topup": topup.state} if topup else {},
                    difference_nanousd=payment.received_cents * NANOUSD_PER_CENT,
                    organization=topup.organization if topup else None,
                )
            continue
        yield from _fields(payment, topup)


def _fields(payment: PaymentSeen, topup: TopUp) -> Iterator[Difference]:
    compared: tuple[tuple[Kind, Any, Any], ...] = (
        (Kind.AMOUNT, payment.received_cents, _gross(topup)),
        (Kind.REFUND, payment.refunded_cents, topup.refunded_cents),
        (Kind.CUSTOMER, payment.customer_id, topup.customer_id),
    )
    for kind, theirs, ours in compared:
        if theirs != ours:
            amount = (theirs - ours) * NANOUSD_PER_CENT if isinstance(theirs, int) else 0
            name = "customer" if kind == Kind.CUSTOMER else f"{kind.value}_cents"
            yield Difference(
                kind,
                payment.id,
                theirs={name: theirs},
                ours={name: ours, "topup": str(topup.uuid)},
                difference_nanousd=amount,
                organization=topup.organization,
            )


def _invoice_refunds(seen: Iterable[PaymentSeen]) -> Iterator[Difference]:
    """Yield what was refunded of invoices' payments otherwise than it is booked; two queries for all."""
    payments = {payment.invoice: payment for payment in seen if payment.invoice}
    invoices = Invoice.objects.filter(stripe_id__in=payments).select_related("organization")
    for invoice in invoice_returns.with_returned(invoices):
        payment = payments[invoice.stripe_id]
        ours: int = getattr(invoice, "refunded_cents")  # noqa: B009  an annotation
        if payment.refunded_cents != ours:
            yield Difference(
                Kind.REFUND,
                payment.id,
                theirs={"refund_cents": payment.refunded_cents},
                ours={"refund_cents": ours, "invoice": invoice.public_id},
                difference_nanousd=(payment.refunded_cents - ours) * NANOUSD_PER_CENT,
                organization=invoice.organization,
            )


def _with_invoice(payment: PaymentSeen) -> PaymentSeen:
    """Return the payment with the invoice that it pays; only those that are no top-up's are asked for."""
    if payment.status != SUCCEEDED or payment.topup:
        return payment
    return replace(payment, invoice=stripe_lists.invoice_of(payment.id))


def _credits(topups: Sequence[TopUp], payments: dict[str, PaymentSeen]) -> Iterator[Difference]:
    """Yield credit in our books that no payment at Stripe stands behind."""
    for topup in topups:
        if not _credited(topup) or topup.payment_intent_id in payments:
            continue
        status = _status(topup.payment_intent_id)
        if status != SUCCEEDED:
            yield Difference(
                Kind.PAYMENT_MISSING,
                topup.payment_intent_id or str(topup.uuid),
                theirs={"status": status},
                ours={"topup": str(topup.uuid), "credited_cents": topup.net_cents},
                difference_nanousd=-_gross(topup) * NANOUSD_PER_CENT,
                organization=topup.organization,
            )


def _status(payment_intent_id: str) -> str:
    """Return the state of a payment that lies outside of the range, "" where there is none."""
    if not payment_intent_id:
        return ""
    try:
        return stripe_lists.payment(payment_intent_id).status
    except NotAtStripe:
        return ""


def _disputes(
    seen: Sequence[DisputeState], *, since: datetime, until: datetime
) -> Iterator[Difference]:
    """Yield disputes that are booked otherwise, or not at all, and those that only we know."""
    rows: dict[str, Dispute | InvoiceDispute] = {
        **{row.pk: row for row in Dispute.objects.select_related("topup__organization")},
        **{row.pk: row for row in InvoiceDispute.objects.select_related("invoice__organization")},
    }
    for state in seen:
        row = rows.get(state.id)
        theirs = _dispute_fields(state)
        ours = _dispute_fields(row) if row else {}
        if theirs != ours:
            net = state.reinstated_cents - state.withdrawn_cents - state.fee_cents
            booked = row.reinstated_cents - row.withdrawn_cents - row.fee_cents if row else 0
            yield Difference(
                Kind.DISPUTE,
                state.id,
                theirs=theirs | {"payment": state.payment_intent_id},
                ours=ours,
                difference_nanousd=(net - booked) * NANOUSD_PER_CENT,
                organization=_disputed_with(row) if row else _payer(state.payment_intent_id),
            )
    known = {state.id for state in seen}
    for row in rows.values():
        if row.pk not in known and since <= row.created_at < until and not _has_dispute(row.pk):
            yield Difference(
                Kind.DISPUTE,
                row.pk,
                ours=_dispute_fields(row),
                organization=_disputed_with(row),
            )


def _disputed_with(row: Dispute | InvoiceDispute) -> Organization:
    paid = row.invoice if isinstance(row, InvoiceDispute) else row.topup
    return paid.organization


def _invoices(seen: Sequence[InvoiceSeen]) -> Iterator[Difference]:
    """Yield invoices at Stripe that are not ours, or that say otherwise than ours."""
    rows = Invoice.objects.filter(stripe_id__in=[invoice.id for invoice in seen])
    ours = {row.stripe_id: row for row in rows.select_related("organization")}
    for invoice in seen:
        row = ours.get(invoice.id)
        theirs = {
            "status": invoice.status,
            "customer": invoice.customer_id,
            "net_cents": invoice.net_cents,
            "total_cents": invoice.total_cents,
            "by_balance_cents": invoice.by_balance_cents,
        }
        known = _invoice_fields(row) if row else {}
        if theirs != known:
            yield Difference(
                Kind.INVOICE,
                invoice.id,
                theirs=theirs,
                ours=known | ({"invoice": row.public_id} if row else {}),
                difference_nanousd=(invoice.total_cents - known.get("total_cents", 0))
                * NANOUSD_PER_CENT,
                organization=row.organization if row else None,
            )


def _invoice_fields(row: Invoice) -> dict[str, Any]:
    return {
        "status": row.state,
        "customer": row.customer_id,
        "net_cents": row.net_cents,
        "total_cents": row.net_cents + row.tax_cents,
        "by_balance_cents": 0,  # credit is kept here alone, never at Stripe
    }


def _dispute_fields(dispute: DisputeState | Dispute | InvoiceDispute) -> dict[str, Any]:
    return {
        "status": dispute.status,
        "withdrawn_cents": dispute.withdrawn_cents,
        "reinstated_cents": dispute.reinstated_cents,
        "fee_cents": dispute.fee_cents,
    }


def _has_dispute(dispute_id: str) -> bool:
    try:
        stripe_payments.dispute(dispute_id)
    except NotAtStripe:
        return False
    return True


def _payer(payment_intent_id: str) -> Any:
    rows = TopUp.objects.select_related("organization")
    topup = rows.filter(payment_intent_id=payment_intent_id).exclude(payment_intent_id="").first()
    return topup.organization if topup else None


def _customers() -> Iterator[Difference]:
    """Yield present customers that Stripe does not have any more."""
    rows = StripeCustomer.objects.filter(replaced_at=None).exclude(stripe_id="")
    there = stripe_lists.customers()
    for row in rows.select_related("organization"):
        if row.stripe_id not in there:
            yield Difference(
                Kind.CUSTOMER_GONE,
                row.stripe_id,
                ours={"organization": row.organization.public_id},
                organization=row.organization,
            )


def _ledger(topups: Sequence[TopUp]) -> Iterator[Difference]:
    """Yield top-ups whose posting is not what was paid: one query for all."""
    credited = {f"topup:{topup.uuid}": topup for topup in topups if _credited(topup)}
    rows = LedgerTransfer.objects.filter(
        idempotency_key__in=list(credited),
        debit_account__kind=LedgerAccount.Kind.STRIPE_CLEARING,
    )
    sums = dict(rows.values_list("idempotency_key").annotate(Sum("amount_nanousd")).order_by())
    for key, topup in credited.items():
        posted, paid = sums.get(key, 0), _gross(topup) * NANOUSD_PER_CENT
        if posted != paid:
            yield Difference(
                Kind.LEDGER,
                key,
                theirs={"topup_nanousd": paid},
                ours={"ledger_nanousd": posted},
                difference_nanousd=paid - posted,
                organization=topup.organization,
            )


def _totals(
    listed: Sequence[PaymentSeen], topups: Sequence[TopUp], balance: BalanceSums
) -> Iterator[Difference]:
    """Yield the control total: what payments brought to our balance against what our rows say was paid."""
    paid = {payment.id: payment for payment in listed if payment.status == SUCCEEDED}
    of_topups = sum(
        _gross(topup) for topup in topups if _credited(topup) and topup.payment_intent_id in paid
    )
    of_invoices = sum(payment.received_cents for payment in paid.values() if payment.invoice)
    ours = of_topups + of_invoices
    if ours != balance.charged_cents:
        yield Difference(
            Kind.TOTAL,
            "payments",
            theirs={"charged_cents": balance.charged_cents},
            ours={"topups_cents": of_topups, "invoices_cents": of_invoices},
            difference_nanousd=(balance.charged_cents - ours) * NANOUSD_PER_CENT,
        )


def _credited(topup: TopUp) -> bool:
    return topup.state == TopUp.State.CREDITED


def _gross(topup: TopUp) -> int:
    return topup.net_cents + topup.tax_cents
