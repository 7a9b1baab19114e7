"""
What Stripe has of a range of time, for the comparison with our books: payments, refunds, disputes, its balance.

Amounts are cents; a range is `[since, until)` by the time at which Stripe made the object.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing.payments import stripe_payments
from billing.payments.stripe_payments import DisputeState
from billing.stripe_client import client, translated

PAGE = 100
MOVED = ("charge", "payment")  # the types under which money of payments comes in


@dataclass(frozen=True, slots=True)
class PaymentSeen:
    """
    A payment as Stripe has it: what it took, and gave back; `topup` is what our metadata says.

    `invoice` is the one that it pays, where that was asked for.
    """

    id: str
    status: str
    customer_id: str
    topup: str
    received_cents: int
    refunded_cents: int
    invoice: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceSeen:
    """
    A finalized invoice as Stripe has it; its lines add up to `net_cents`.

    `by_balance_cents` is what the customer's balance at Stripe took over (an amount below Stripe's least) or paid
    (credit that somebody gave there), so that no payment brings it; below zero, an old debt that was added.
    """

    id: str
    status: str
    customer_id: str
    net_cents: int
    total_cents: int
    by_balance_cents: int


@dataclass(frozen=True, slots=True)
class BalanceSums:
    """The lines of our balance at Stripe added up by type, before fees, and the fees."""

    by_type: dict[str, int]
    fees_cents: int

    @property
    def charged_cents(self) -> int:
        """Return what payments brought."""
        return sum(self.by_type.get(kind, 0) for kind in MOVED)


def payments(*, since: datetime, until: datetime) -> Iterator[PaymentSeen]:
    """Yield the payments of a range, those that failed too. Raises StripeAway."""
    with translated():
        listed = client().v1.payment_intents.list(
            {"created": _between(since, until), "limit": PAGE, "expand": ["data.latest_charge"]}
        )
        for found in listed.auto_paging_iter():
            yield _payment(found.to_dict())


def payment(payment_intent_id: str) -> PaymentSeen:
    """Return one payment. Raises StripeAway and NotAtStripe."""
    with translated():
        found = client().v1.payment_intents.retrieve(
            payment_intent_id, {"expand": ["latest_charge"]}
        )
    return _payment(found.to_dict())


def invoice_of(payment_intent_id: str) -> str:
    """Return the invoice that a payment pays, "" where it pays none. Raises StripeAway."""
    paid: Any = {"type": "payment_intent", "payment_intent": payment_intent_id}
    with translated():
        listed = client().v1.invoice_payments.list({"payment": paid, "limit": 1})
    return str(listed.data[0].invoice) if listed.data else ""


def payment_of(invoice_id: str) -> str:
    """Return the payment that has paid an invoice, "" where none has. Raises StripeAway."""
    with translated():
        listed = client().v1.invoice_payments.list({"invoice": invoice_id, "status": "paid"})
    paid = [found.to_dict().get("payment") or {} for found in listed.data]
    return next((str(each["payment_intent"]) for each in paid if each.get("payment_intent")), "")


def invoices(*, since: datetime, until: datetime) -> Iterator[InvoiceSeen]:
    """Yield the invoices made in a range that are no drafts. Raises StripeAway."""
    with translated():
        listed = client().v1.invoices.list({"created": _between(since, until), "limit": PAGE})
        for found in listed.auto_paging_iter():
            values = found.to_dict()
            if values["status"] != "draft":
                yield InvoiceSeen(
                    id=values["id"],
                    status=values["status"],
                    customer_id=str(values.get("customer") or ""),
                    net_cents=values["subtotal"],
                    total_cents=values["total"],
                    by_balance_cents=(values.get("ending_balance") or 0)
                    - (values.get("starting_balance") or 0),
                )


def customers() -> set[str]:
    """Return every customer that Stripe has; one that was deleted is not listed. Raises StripeAway."""
    with translated():
        listed = client().v1.customers.list({"limit": PAGE})
        return {customer.id for customer in listed.auto_paging_iter()}


def disputes(*, since: datetime, until: datetime) -> Iterator[DisputeState]:
    """Yield the disputes that were opened in a range. Raises StripeAway."""
    with translated():
        listed = client().v1.disputes.list({"created": _between(since, until), "limit": PAGE})
        for found in listed.auto_paging_iter():
            yield stripe_payments.dispute(found.id)


def refunded_payments(*, since: datetime, until: datetime) -> set[str]:
    """Return the payments of which something was given back in a range, whenever they were made. Raises StripeAway."""
    with translated():
        listed = client().v1.refunds.list({"created": _between(since, until), "limit": PAGE})
        found = [refund.to_dict() for refund in listed.auto_paging_iter()]
    return {str(refund["payment_intent"]) for refund in found if refund.get("payment_intent")}


def balance(*, since: datetime, until: datetime) -> BalanceSums:
    """Return the sums of our balance's lines in a range, payouts among them. Raises StripeAway."""
    sums: Counter[str] = Counter()
    fees = 0
    with translated():
        listed = client().v1.balance_transactions.list(
            {"created": _between(since, until), "limit": PAGE}
        )
        for line in listed.auto_paging_iter():
            sums[line.type] += line.amount
            fees += line.fee
    return BalanceSums(dict(sums), fees)


def _between(since: datetime, until: datetime) -> Any:
    return {"gte": int(since.timestamp()), "lt": int(until.timestamp())}


def _payment(values: dict[str, Any]) -> PaymentSeen:
    charge = values.get("latest_charge") or {}
    return PaymentSeen(
        id=values["id"],
        status=values["status"],
        customer_id=str(values.get("customer") or ""),
        topup=str((values.get("metadata") or {}).get("topup") or ""),
        received_cents=values.get("amount_received") or 0,
        refunded_cents=charge.get("amount_refunded") or 0,
    )
