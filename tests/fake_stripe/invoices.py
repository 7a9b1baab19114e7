"""Invoices: drafts with their lines, and the ways they end."""

from typing import Any

from tests.fake_stripe.customers import living, move_balance
from tests.fake_stripe.invoice_payments import pay
from tests.fake_stripe.operations import operation
from tests.fake_stripe.state import Object, Store, change, invalid, listing
from tests.fake_stripe.tax import invoice_tax

MOST_LINES = 250
MINIMUM_CENTS = 50
_FIELDS = (
    "auto_advance",
    "collection_method",
    "default_payment_method",
    "description",
    "due_date",
    "footer",
    "metadata",
)


@operation("POST", "/v1/invoices")
def create_invoice(store: Store, params: dict[str, Any]) -> Object:
    """Make a draft."""
    if not params.get("customer"):
        raise invalid("You must pass a customer.", code="parameter_missing", param="customer")
    customer = living(store, params["customer"])
    collection = params.get("collection_method", "charge_automatically")
    invoice = store.add(
        "invoice",
        auto_advance=params.get("auto_advance", False),
        billing_reason="manual",
        collection_method=collection,
        currency=params.get("currency", "usd"),
        customer=customer["id"],
        customer_address=customer["address"],
        customer_email=customer["email"],
        customer_name=customer["name"],
        customer_tax_ids=[],
        description=params.get("description"),
        custom_fields=params.get("custom_fields"),
        footer=params.get("footer"),
        metadata=dict(params.get("metadata") or {}),
        default_payment_method=params.get("default_payment_method"),
        period_start=store.now,
        period_end=store.now,
        status="draft",
        total_taxes=[],
    )
    invoice["lines"] = {
        "object": "list",
        "data": [],
        "has_more": False,
        "url": f"/v1/invoices/{invoice['id']}/lines",
    }
    invoice["payments"] = {
        "object": "list",
        "data": [],
        "has_more": False,
        "url": f"/v1/invoice_payments?invoice={invoice['id']}",
    }
    invoice["issuer"] = {"type": "self"}
    automatic = bool((params.get("automatic_tax") or {}).get("enabled"))
    invoice["automatic_tax"]["enabled"] = automatic
    if collection == "send_invoice":
        days = params.get("days_until_due", 30)
        invoice["due_date"] = params.get("due_date", store.now + days * 24 * 3600)
    if params.get("pending_invoice_items_behavior") == "include":
        _take_pending(store, invoice)
    _count(store, invoice)
    store.emit("invoice.created", invoice)
    return invoice


@operation("GET", "/v1/invoices")
def list_invoices(store: Store, params: dict[str, Any]) -> Object:
    """List invoices."""
    found = store.all("invoice", customer=params.get("customer"), status=params.get("status"))
    return listing(found, params, url="/v1/invoices")


@operation("GET", "/v1/invoices/{invoice}")
def retrieve_invoice(store: Store, params: dict[str, Any], id: str) -> Object:
    """Return an invoice."""
    return store.get("invoice", id, param="invoice")


@operation("POST", "/v1/invoices/{invoice}")
def update_invoice(store: Store, params: dict[str, Any], id: str) -> Object:
    """Change an invoice; of one that is final, only its metadata."""
    invoice = store.get("invoice", id, param="invoice")
    if invoice["status"] != "draft" and set(params) - {"metadata", "auto_advance"}:
        raise invalid("Finalized invoices can't be updated in this way.")
    before = change(invoice, params, _FIELDS)
    store.emit("invoice.updated", invoice, previous=before)
    return invoice


@operation("DELETE", "/v1/invoices/{invoice}")
def delete_invoice(store: Store, params: dict[str, Any], id: str) -> Object:
    """Delete a draft."""
    invoice = _draft(store, id)
    del store.objects["invoice"][id]
    store.emit("invoice.deleted", invoice)
    return {"id": id, "object": "invoice", "deleted": True}


@operation("GET", "/v1/invoices/{invoice}/lines")
def list_lines(store: Store, params: dict[str, Any], id: str) -> Object:
    """List the lines of an invoice, in their order."""
    found = store.all("line_item", invoice=id)[::-1]
    return listing(found, params, url=f"/v1/invoices/{id}/lines") if found else _none(id)


def _none(id: str) -> Object:
    return {"object": "list", "data": [], "has_more": False, "url": f"/v1/invoices/{id}/lines"}


@operation("POST", "/v1/invoices/{invoice}/add_lines")
def add_lines(store: Store, params: dict[str, Any], id: str) -> Object:
    """Add lines to a draft, 250 in all at the most."""
    invoice = _draft(store, id)
    _room_for(store, invoice, len(params["lines"]))
    for line in params["lines"]:
        _add_line(store, invoice, line)
    if params.get("invoice_metadata"):
        change(invoice, {"metadata": params["invoice_metadata"]}, ("metadata",))
    _count(store, invoice)
    store.emit("invoice.updated", invoice, previous={})
    return invoice


@operation("POST", "/v1/invoiceitems")
def create_item(store: Store, params: dict[str, Any]) -> Object:
    """Make an item: on a draft at once, or waiting for the customer's next invoice."""
    customer = living(store, params["customer"]) if params.get("customer") else None
    invoice = None
    if params.get("invoice"):
        invoice = _draft(store, params["invoice"])
        _room_for(store, invoice, 1)
    elif customer is None:
        raise invalid("You must pass a customer.", code="parameter_missing", param="customer")
    item = store.add(
        "invoiceitem",
        amount=params.get("amount", 0),
        currency=params.get("currency", "usd"),
        customer=invoice["customer"] if invoice else customer["id"] if customer else "",
        date=store.now,
        description=params.get("description"),
        discountable=True,
        invoice=invoice["id"] if invoice else None,
        metadata=dict(params.get("metadata") or {}),
        period=params.get("period") or {"start": store.now, "end": store.now},
        quantity=1,
        quantity_decimal="1",
    )
    item.pop("created", None)
    if invoice:
        _add_line(store, invoice, item)
        _count(store, invoice)
    store.emit("invoiceitem.created", item)
    return item


@operation("GET", "/v1/invoiceitems")
def list_items(store: Store, params: dict[str, Any]) -> Object:
    """List invoice items."""
    found = store.all("invoiceitem", customer=params.get("customer"), invoice=params.get("invoice"))
    return listing(found, params, url="/v1/invoiceitems")


def _take_pending(store: Store, invoice: Object) -> None:
    for item in store.all("invoiceitem", customer=invoice["customer"])[::-1]:
        if item["invoice"] is None:
            item["invoice"] = invoice["id"]
            _add_line(store, invoice, item)


def _room_for(store: Store, invoice: Object, more: int) -> None:
    if len(store.all("line_item", invoice=invoice["id"])) + more > MOST_LINES:
        raise invalid(f"An invoice can have at most {MOST_LINES} line items.", param="lines")


def _add_line(store: Store, invoice: Object, line: dict[str, Any]) -> Object:
    if "amount" not in line:
        raise invalid("Each line needs an amount.", code="parameter_missing", param="lines")
    made = store.add(
        "line_item",
        amount=line["amount"],
        currency=invoice["currency"],
        description=line.get("description"),
        discountable=line.get("discountable", True),
        invoice=invoice["id"],
        metadata=dict(line.get("metadata") or {}),
        period=line.get("period") or {"start": store.now, "end": store.now},
        quantity=line.get("quantity", 1),
        quantity_decimal=str(line.get("quantity", 1)),
        subtotal=line["amount"],
        taxes=[],
    )
    return made


def _count(store: Store, invoice: Object) -> None:
    """Add up a draft: its lines, and tax if it is to be counted."""
    lines = store.all("line_item", invoice=invoice["id"])[::-1]
    invoice["lines"].update(data=lines[:10], has_more=len(lines) > 10)
    invoice["subtotal"] = sum(line["amount"] for line in lines)
    invoice["subtotal_excluding_tax"] = invoice["subtotal"]
    tax = invoice_tax(store, invoice)
    invoice["total_excluding_tax"] = invoice["subtotal"]
    invoice["total"] = invoice["subtotal"] + tax
    invoice["amount_due"] = invoice["amount_remaining"] = max(0, invoice["total"])


@operation("POST", "/v1/invoices/{invoice}/finalize")
def finalize_invoice(store: Store, params: dict[str, Any], id: str) -> Object:
    """
    Make a draft final: its number, the customer's balance applied.

    What is left below Stripe's minimum is paid at once and moves to the customer's balance.
    """
    invoice = _draft(store, id)
    customer = living(store, invoice["customer"])
    _count(store, invoice)
    if not store.all("line_item", invoice=id):
        raise invalid("Nothing to invoice.", code="invoice_no_customer_line_items")
    _apply_balance(store, invoice, customer)
    store.numbers["invoice number"] += 1
    invoice["number"] = f"EXR-{store.numbers['invoice number']:04d}"
    invoice["hosted_invoice_url"] = f"{store.base_url}/invoices/{id}"
    invoice["invoice_pdf"] = f"{store.base_url}/invoices/{id}/pdf"
    invoice["effective_at"] = store.now
    invoice["status"] = "open"
    invoice["status_transitions"]["finalized_at"] = store.now
    if "auto_advance" in params:
        invoice["auto_advance"] = params["auto_advance"]
    store.emit("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        mark_paid(store, invoice, amount=0)
    elif invoice["auto_advance"]:
        invoice["next_payment_attempt"] = store.now + 3600
    return invoice


def _apply_balance(store: Store, invoice: Object, customer: Object) -> None:
    invoice["starting_balance"] = customer["balance"]
    due = invoice["total"] + customer["balance"]
    if 0 < due < MINIMUM_CENTS or due < 0:
        moved = due - customer["balance"]  # all of it is owed by the balance from now on
        _move(store, invoice, customer, moved)
        due = 0
    elif customer["balance"]:
        _move(store, invoice, customer, -customer["balance"])
    invoice["ending_balance"] = customer["balance"]
    invoice["amount_due"] = invoice["amount_remaining"] = due


def _move(store: Store, invoice: Object, customer: Object, amount: int) -> None:
    move_balance(
        store,
        customer,
        amount,
        type="applied_to_invoice",
        currency=invoice["currency"],
        invoice=invoice["id"],
    )


@operation("POST", "/v1/invoices/{invoice}/pay")
def pay_invoice(store: Store, params: dict[str, Any], id: str) -> Object:
    """Take the money for an open invoice. Raises Stripe's card error."""
    invoice = store.get("invoice", id, param="invoice")
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] not in {"open", "uncollectible"}:
        raise invalid(f"Invoice is {invoice['status']}.", code="invoice_not_editable")
    if params.get("paid_out_of_band"):
        invoice["amount_paid_off_stripe"] = invoice["amount_remaining"]
        mark_paid(store, invoice, amount=invoice["amount_remaining"])
        return invoice
    pay(store, invoice, params)
    return invoice


def mark_paid(store: Store, invoice: Object, *, amount: int) -> None:
    """Write down that an invoice is paid."""
    invoice["status"], invoice["attempted"] = "paid", True
    invoice["amount_paid"] += amount
    invoice["amount_remaining"], invoice["next_payment_attempt"] = 0, None
    invoice["status_transitions"]["paid_at"] = store.now
    store.emit("invoice.paid", invoice)
    store.emit("invoice.payment_succeeded", invoice)


@operation("POST", "/v1/invoices/{invoice}/void")
def void_invoice(store: Store, params: dict[str, Any], id: str) -> Object:
    """Take back a final invoice that was not paid."""
    invoice = _unpaid(store, id)
    invoice["status"] = "void"
    invoice["status_transitions"]["voided_at"] = store.now
    store.emit("invoice.voided", invoice)
    return invoice


@operation("POST", "/v1/invoices/{invoice}/mark_uncollectible")
def mark_uncollectible(store: Store, params: dict[str, Any], id: str) -> Object:
    """Give up an invoice; it may still be paid."""
    invoice = _unpaid(store, id)
    invoice["status"] = "uncollectible"
    invoice["status_transitions"]["marked_uncollectible_at"] = store.now
    store.emit("invoice.marked_uncollectible", invoice)
    return invoice


@operation("POST", "/v1/invoices/{invoice}/send")
def send_invoice(store: Store, params: dict[str, Any], id: str) -> Object:
    """Send an invoice by mail, which here is only an event."""
    invoice = _unpaid(store, id)
    store.emit("invoice.sent", invoice)
    return invoice


def _unpaid(store: Store, id: str) -> Object:
    invoice = store.get("invoice", id, param="invoice")
    if invoice["status"] not in {"open", "uncollectible"}:
        raise invalid(f"Invoice is {invoice['status']}.", code="invoice_not_editable")
    return invoice


def _draft(store: Store, id: str) -> Object:
    invoice = store.get("invoice", id, param="invoice")
    if invoice["status"] != "draft":
        message = f"This invoice is {invoice['status']}: only a draft can be changed."
        raise invalid(message, code="invoice_not_editable")
    return invoice


@operation("POST", "/v1/credit_notes")
def create_credit_note(store: Store, params: dict[str, Any]) -> Object:
    """Correct a final invoice: less to pay, or money and credit back where it was paid."""
    invoice = store.get("invoice", params["invoice"], param="invoice")
    if invoice["status"] not in {"open", "paid"}:
        raise invalid("Credit notes are for final invoices.", param="invoice")
    amount = params.get("amount") or sum(line["amount"] for line in params.get("lines", []))
    credited = sum(note["total"] for note in store.all("credit_note", invoice=invoice["id"]))
    if not 0 < amount <= invoice["total"] - credited:
        raise invalid("The credit note is larger than the invoice.", param="amount")
    paid = invoice["status"] == "paid"
    store.numbers["credit note number"] += 1
    note = store.add(
        "credit_note",
        amount=amount,
        currency=invoice["currency"],
        customer=invoice["customer"],
        discount_amounts=[],
        invoice=invoice["id"],
        memo=params.get("memo"),
        metadata=dict(params.get("metadata") or {}),
        number=f"{invoice['number']}-CN-{store.numbers['credit note number']:02d}",
        pdf=f"{store.base_url}/credit_notes/pdf",
        post_payment_amount=amount if paid else 0,
        pre_payment_amount=0 if paid else amount,
        pretax_credit_amounts=[],
        reason=params.get("reason"),
        refunds=[],
        status="issued",
        subtotal=amount,
        total=amount,
        type="post_payment" if paid else "pre_payment",
    )
    note["lines"] = {
        "object": "list",
        "data": [],
        "has_more": False,
        "url": f"/v1/credit_notes/{note['id']}/lines",
    }
    _credit(store, invoice, note, params)
    store.emit("credit_note.created", note)
    return note


def _credit(store: Store, invoice: Object, note: Object, params: dict[str, Any]) -> None:
    if note["type"] == "pre_payment":
        invoice["pre_payment_credit_notes_amount"] += note["total"]
        invoice["amount_due"] -= note["total"]
        invoice["amount_remaining"] -= note["total"]
        if invoice["amount_remaining"] == 0:
            mark_paid(store, invoice, amount=0)
        return
    invoice["post_payment_credit_notes_amount"] += note["total"]
    if params.get("credit_amount"):
        customer = living(store, invoice["customer"])
        move_balance(
            store,
            customer,
            -params["credit_amount"],
            type="credit_note",
            currency=invoice["currency"],
            invoice=invoice["id"],
        )


@operation("GET", "/v1/credit_notes")
def list_credit_notes(store: Store, params: dict[str, Any]) -> Object:
    """List credit notes."""
    found = store.all("credit_note", invoice=params.get("invoice"), customer=params.get("customer"))
    return listing(found, params, url="/v1/credit_notes")


@operation("GET", "/v1/credit_notes/{id}")
def retrieve_credit_note(store: Store, params: dict[str, Any], id: str) -> Object:
    """Return a credit note."""
    return store.get("credit_note", id)
