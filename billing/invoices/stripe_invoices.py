"""
Invoices and credit notes at Stripe: the calls, and what they answer as frozen values; amounts in cents.

Every write carries the key that its caller has written down. Nothing is found by Stripe's search, which lags behind
by up to an hour: objects are listed by customer or invoice and known by our uuid in their metadata.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from billing.stripe_client import NotAtStripe, client, translated

OUR_INVOICE = "exerati_invoice"  # metadata: the uuid of our invoice
OUR_PART = "exerati_part"  # of a line: the id of our part, or "other"
OUR_NOTE = "exerati_credit_note"


@dataclass(frozen=True, slots=True)
class Remote:
    """An invoice as it is at Stripe now. `tried` says that somebody has tried to take the money."""

    id: str
    reference: str
    customer_id: str
    status: str
    net_cents: int
    tax_cents: int
    total_cents: int
    number: str
    hosted_url: str
    pdf_url: str
    due_at: datetime | None
    tried: bool


@dataclass(frozen=True, slots=True)
class RemoteLine:
    """A line to add, or one that is there (`part` is then empty where it is not ours)."""

    part: str
    cents: int
    description: str = ""
    first_at: datetime | None = None
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RemoteNote:
    """A credit note at Stripe."""

    id: str
    number: str
    pdf_url: str


def find(customer_id: str, *, reference: str) -> Remote | None:
    """Return the invoice of ours that a customer has, if there is one. Raises StripeAway."""
    try:
        with translated():
            listed = client().v1.invoices.list({"customer": customer_id, "limit": 100})
            for invoice in listed.auto_paging_iter():
                values = invoice.to_dict()
                if (values.get("metadata") or {}).get(OUR_INVOICE) == reference:
                    return _remote(values)
    except NotAtStripe:
        return None
    return None


def create(
    *,
    customer_id: str,
    reference: str,
    description: str,
    collection: str,
    days_until_due: int,
    shown: Sequence[tuple[str, str]] = (),
    idempotency_key: str,
) -> str:
    """
    Make an empty draft that Stripe does nothing with by itself; return its id. Raises StripeAway, NotAtStripe.

    `shown` are names and values that its page and PDF show beside the number.
    """
    params: Any = {
        "customer": customer_id,
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        "currency": "usd",
        "collection_method": "charge_automatically",
        "description": description,
        "metadata": {OUR_INVOICE: reference},
    }
    if shown:
        params["custom_fields"] = [{"name": name, "value": value} for name, value in shown]
    if collection == "send":
        params["collection_method"] = "send_invoice"
        params["days_until_due"] = days_until_due
    if settings.STRIPE_TAX:
        params["automatic_tax"] = {"enabled": True}
    with translated():
        return client().v1.invoices.create(params, {"idempotency_key": idempotency_key}).id


def lines(invoice_id: str) -> list[RemoteLine]:
    """Return every line there is. Raises StripeAway and NotAtStripe."""
    found = []
    with translated():
        listed = client().v1.invoices.line_items.list(invoice_id, {"limit": 100})
        for line in listed.auto_paging_iter():
            values = line.to_dict()
            part = (values.get("metadata") or {}).get(OUR_PART) or ""
            found.append(RemoteLine(part, values["amount"]))
    return found


def add_lines(invoice_id: str, added: Sequence[RemoteLine], *, idempotency_key: str) -> None:
    """Add lines to a draft, all of them or none. Raises StripeAway, NotAtStripe and Refused."""
    params: Any = {"lines": [_line_params(line) for line in added]}
    with translated():
        client().v1.invoices.add_lines(invoice_id, params, {"idempotency_key": idempotency_key})


def retrieve(invoice_id: str) -> Remote:
    """Return an invoice as it is now. Raises StripeAway and NotAtStripe."""
    with translated():
        return _remote(client().v1.invoices.retrieve(invoice_id).to_dict())


def finalize(invoice_id: str, *, idempotency_key: str) -> None:
    """Make a draft final. Raises StripeAway, NotAtStripe and Refused."""
    with translated():
        client().v1.invoices.finalize_invoice(
            invoice_id, {"auto_advance": False}, {"idempotency_key": idempotency_key}
        )


def pay(invoice_id: str, *, idempotency_key: str) -> None:
    """Charge the saved card. Raises Declined, Refused (there is none), StripeAway and NotAtStripe."""
    with translated():
        client().v1.invoices.pay(
            invoice_id, {"off_session": True}, {"idempotency_key": idempotency_key}
        )


def send(invoice_id: str, *, idempotency_key: str) -> None:
    """Let Stripe mail the invoice. Raises StripeAway, NotAtStripe and Refused."""
    with translated():
        client().v1.invoices.send_invoice(invoice_id, {}, {"idempotency_key": idempotency_key})


def give_up(invoice_id: str, *, idempotency_key: str) -> None:
    """Mark an open invoice as uncollectible; it may still be paid. Raises StripeAway, NotAtStripe and Refused."""
    with translated():
        client().v1.invoices.mark_uncollectible(
            invoice_id, {}, {"idempotency_key": idempotency_key}
        )


def void(invoice_id: str, *, idempotency_key: str) -> None:
    """Take an open invoice back. Raises StripeAway, NotAtStripe and Refused."""
    with translated():
        client().v1.invoices.void_invoice(invoice_id, {}, {"idempotency_key": idempotency_key})


def discard(invoice_id: str) -> None:
    """Delete a draft; one that is gone is no error. Raises StripeAway and Refused."""
    try:
        with translated():
            client().v1.invoices.delete(invoice_id)
    except NotAtStripe:
        return


def find_note(invoice_id: str, *, reference: str) -> RemoteNote | None:
    """Return the credit note of ours that an invoice has, if there is one. Raises StripeAway."""
    with translated():
        listed = client().v1.credit_notes.list({"invoice": invoice_id, "limit": 100})
        for note in listed.auto_paging_iter():
            values = note.to_dict()
            if (values.get("metadata") or {}).get(OUR_NOTE) == reference:
                return _note(values)
    return None


def create_note(
    *,
    invoice_id: str,
    reference: str,
    cents: int,
    memo: str,
    after_payment: bool,
    idempotency_key: str,
) -> RemoteNote:
    """
    Correct a final invoice. After its payment nothing is moved at Stripe: the amount comes off our next invoice.

    Raises StripeAway, NotAtStripe and Refused.
    """
    params: Any = {
        "invoice": invoice_id,
        "amount": cents,
        "memo": memo,
        "metadata": {OUR_NOTE: reference},
    }
    if after_payment:
        params["out_of_band_amount"] = cents
    with translated():
        made = client().v1.credit_notes.create(params, {"idempotency_key": idempotency_key})
    return _note(made.to_dict())


def _line_params(line: RemoteLine) -> dict[str, Any]:
    params: dict[str, Any] = {
        "amount": line.cents,
        "description": line.description,
        "metadata": {OUR_PART: line.part},
    }
    if line.first_at and line.last_at:
        params["period"] = {
            "start": int(line.first_at.timestamp()),
            "end": int(line.last_at.timestamp()),
        }
    return params


def _remote(values: Mapping[str, Any]) -> Remote:
    due = values.get("due_date")
    net = values.get("total_excluding_tax")
    net = values["total"] if net is None else net
    return Remote(
        id=values["id"],
        reference=(values.get("metadata") or {}).get(OUR_INVOICE) or "",
        customer_id=str(values.get("customer") or ""),
        status=values.get("status") or "",
        net_cents=net,
        tax_cents=values["total"] - net,
        total_cents=values["total"],
        number=values.get("number") or "",
        hosted_url=values.get("hosted_invoice_url") or "",
        pdf_url=values.get("invoice_pdf") or "",
        due_at=datetime.fromtimestamp(due, UTC) if due else None,
        tried=bool(values.get("attempted")),
    )


def _note(values: Mapping[str, Any]) -> RemoteNote:
    return RemoteNote(values["id"], str(values.get("number") or ""), str(values.get("pdf") or ""))
