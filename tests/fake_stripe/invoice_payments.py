"""How an open invoice is paid: the customer's default card, or the one that is named."""

from typing import Any

from tests.fake_stripe.operations import operation
from tests.fake_stripe.payments import confirm, create_payment_intent, set_method
from tests.fake_stripe.state import Object, Store, StripeError, invalid, listing

RETRY_SECONDS = 3 * 24 * 3600


def pay(store: Store, invoice: Object, params: dict[str, Any]) -> None:
    """Try to take the money. Raises Stripe's card error; the invoice then waits for the next attempt."""
    method = params.get("payment_method") or default_method(store, invoice)
    if method is None:
        raise invalid(
            "This customer has no attached payment source or default payment method.",
            code="missing_payment_method",
        )
    intent = intent_of(store, invoice)
    invoice["attempt_count"] += 1
    invoice["attempted"] = True
    try:
        set_method(store, intent, method)
        confirm(store, intent, off_session=params.get("off_session", True))
    except StripeError:
        failed(store, invoice)
        raise
    settle(store, invoice, intent)


def settle(store: Store, invoice: Object, intent: Object) -> None:
    """Mark the invoice paid if its intent is."""
    from tests.fake_stripe.invoices import mark_paid  # which pays through this module

    if intent["status"] != "succeeded" or invoice["status"] == "paid":
        return
    for payment in store.all("invoice_payment", invoice=invoice["id"]):
        payment["status"], payment["amount_paid"] = "paid", intent["amount"]
        payment["status_transitions"]["paid_at"] = store.now
    mark_paid(store, invoice, amount=intent["amount"])


def failed(store: Store, invoice: Object) -> None:
    """Write down a failed attempt, and when Stripe would try again."""
    if invoice["auto_advance"]:
        invoice["next_payment_attempt"] = store.now + RETRY_SECONDS
    store.emit("invoice.payment_failed", invoice)


def default_method(store: Store, invoice: Object) -> str | None:
    """Return what an invoice is paid with when nothing is named."""
    customer = store.get("customer", invoice["customer"])
    chosen: str | None = (
        invoice["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
    )
    return chosen


def intent_of(store: Store, invoice: Object) -> Object:
    """Return the payment intent of an open invoice, made at its first attempt."""
    for payment in store.all("invoice_payment", invoice=invoice["id"]):
        return store.get("payment_intent", payment["payment"]["payment_intent"])
    intent = create_payment_intent(
        store,
        {
            "amount": invoice["amount_remaining"],
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "metadata": {},
        },
    )
    payment = store.add(
        "invoice_payment",
        amount_requested=invoice["amount_remaining"],
        currency=invoice["currency"],
        invoice=invoice["id"],
        is_default=True,
        payment={"type": "payment_intent", "payment_intent": intent["id"]},
        status="open",
    )
    invoice["payments"]["data"].append(payment)
    return intent


@operation("GET", "/v1/invoice_payments")
def list_invoice_payments(store: Store, params: dict[str, Any]) -> Object:
    """List what paid an invoice."""
    found = store.all("invoice_payment", invoice=params.get("invoice"))
    wanted = (params.get("payment") or {}).get("payment_intent")
    if wanted:
        found = [item for item in found if item["payment"].get("payment_intent") == wanted]
    return listing(found, params, url="/v1/invoice_payments")
