"""
Payments at Stripe after the first: saved cards charged, money given back, disputes, the customer's own page there.

Through `stripe_client` like everything; amounts are cents.
"""

from dataclasses import dataclass
from typing import Any

from billing.stripe_client import client, translated

PAGE = 100


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as it is now. `reference` is our top-up; `failure` is why the last try failed."""

    id: str
    reference: str
    customer_id: str
    status: str
    currency: str
    received_cents: int
    failure: str
    receipt_url: str


@dataclass(frozen=True, slots=True)
class Tax:
    """What Stripe Tax works out on top of an amount, and its id there: a payment that names it is reported with it."""

    id: str
    cents: int


@dataclass(frozen=True, slots=True)
class RefundState:
    """A refund as it is now; `reference` is our own refund, empty for one made at Stripe itself."""

    id: str
    reference: str
    cents: int
    status: str

    @property
    def has_failed(self) -> bool:
        """Say whether the payer will not get it."""
        return self.status in ("failed", "canceled")


@dataclass(frozen=True, slots=True)
class DisputeState:
    """A dispute as it is now; cents that Stripe took and gave back, and its fee."""

    id: str
    payment_intent_id: str
    status: str
    withdrawn_cents: int
    reinstated_cents: int
    fee_cents: int

    @property
    def is_open(self) -> bool:
        """Say whether nobody has decided it yet."""
        return self.status not in ("won", "lost", "warning_closed", "prevented")


def saved_method(customer_id: str) -> str:
    """
    Return what a customer pays with by default, else the newest it saved, "" for none.

    Raises StripeAway and NotAtStripe.
    """
    with translated():
        customer = client().v1.customers.retrieve(customer_id).to_dict()
        default = (customer.get("invoice_settings") or {}).get("default_payment_method")
        if default:
            return str(default)
        saved = client().v1.customers.payment_methods.list(customer_id, {"limit": 1})
    return saved.data[0].id if saved.data else ""


def tax_on(*, customer_id: str, net_cents: int, reference: str, idempotency_key: str) -> Tax:
    """
    Work out the tax on an amount by the customer's address and tax ids at Stripe.

    Raises Refused (no address that Stripe can place), StripeAway and NotAtStripe.
    """
    params: Any = {
        "currency": "usd",
        "customer": customer_id,
        "line_items": [{"amount": net_cents, "reference": reference, "tax_behavior": "exclusive"}],
    }
    with translated():
        made = client().v1.tax.calculations.create(params, {"idempotency_key": idempotency_key})
    return Tax(str(made.id), made.tax_amount_exclusive)


def charge(
    *,
    customer_id: str,
    method_id: str,
    cents: int,
    reference: str,
    description: str,
    receipt_email: str,
    idempotency_key: str,
    tax_id: str = "",
) -> Payment:
    """
    Charge a saved card while nobody is there; `cents` with the tax of `tax_id`, which its refunds take back in part.

    Raises Declined, StripeAway and NotAtStripe.
    """
    params: Any = {
        "amount": cents,
        "currency": "usd",
        "customer": customer_id,
        "payment_method": method_id,
        "off_session": True,
        "confirm": True,
        "description": description,
        "metadata": {"topup": reference},
    }
    if receipt_email:
        params["receipt_email"] = receipt_email
    if tax_id:
        params["hooks"] = {"inputs": {"tax": {"calculation": tax_id}}}
    with translated():
        made = client().v1.payment_intents.create(params, {"idempotency_key": idempotency_key})
    return payment(made.id)


def payment(payment_intent_id: str) -> Payment:
    """Return a payment as it is now. Raises StripeAway and NotAtStripe."""
    with translated():
        found = client().v1.payment_intents.retrieve(
            payment_intent_id, {"expand": ["latest_charge"]}
        )
    values = found.to_dict()
    charged = values.get("latest_charge") or {}
    return Payment(
        id=payment_intent_id,
        reference=(values.get("metadata") or {}).get("topup") or "",
        customer_id=values.get("customer") or "",
        status=values["status"],
        currency=values["currency"],
        received_cents=values.get("amount_received") or 0,
        failure=(values.get("last_payment_error") or {}).get("message") or "",
        receipt_url=charged.get("receipt_url") or "",
    )


def find_payment(*, customer_id: str, reference: str) -> str:
    """Return the payment that was made for a top-up, "" for none; by list, since search lags. Raises StripeAway."""
    with translated():
        listed = client().v1.payment_intents.list({"customer": customer_id, "limit": PAGE})
        for found in listed.auto_paging_iter():
            if (found.to_dict().get("metadata") or {}).get("topup") == reference:
                return found.id
    return ""


def charge_intent(charge_id: str) -> str:
    """Return the payment intent of a charge, empty for one without. Raises StripeAway and NotAtStripe."""
    with translated():
        found = client().v1.charges.retrieve(charge_id)
    return str(found.to_dict().get("payment_intent") or "")


def refund_intent(refund_id: str) -> str:
    """Return the payment intent of a refund, empty for one without. Raises StripeAway and NotAtStripe."""
    with translated():
        found = client().v1.refunds.retrieve(refund_id)
    return str(found.to_dict().get("payment_intent") or "")


def refund(*, payment_intent_id: str, cents: int, reference: str, idempotency_key: str) -> str:
    """Give money back; return the id. Raises Refused (more than was paid, disputed), StripeAway and NotAtStripe."""
    with translated():
        made = client().v1.refunds.create(
            {
                "payment_intent": payment_intent_id,
                "amount": cents,
                "metadata": {"refund": reference},
            },
            {"idempotency_key": idempotency_key},
        )
    return made.id


def refunds_of(payment_intent_id: str) -> list[RefundState]:
    """Return every refund of a payment, the oldest first. Raises StripeAway and NotAtStripe."""
    with translated():
        listed = client().v1.refunds.list({"payment_intent": payment_intent_id, "limit": PAGE})
        found = [item.to_dict() for item in listed.auto_paging_iter()]
    return [
        RefundState(
            id=values["id"],
            reference=(values.get("metadata") or {}).get("refund") or "",
            cents=values["amount"],
            status=values.get("status") or "",
        )
        for values in reversed(found)
    ]


def dispute(dispute_id: str) -> DisputeState:
    """
    Return a dispute as it is now. Raises StripeAway and NotAtStripe.

    Its balance transactions say what was really moved: below zero taken, above zero given back.
    """
    with translated():
        found = client().v1.disputes.retrieve(dispute_id)
    values = found.to_dict()
    moved = [line["amount"] for line in values["balance_transactions"]]
    return DisputeState(
        id=dispute_id,
        payment_intent_id=values.get("payment_intent") or "",
        status=values["status"],
        withdrawn_cents=-sum(cents for cents in moved if cents < 0),
        reinstated_cents=sum(cents for cents in moved if cents > 0),
        fee_cents=sum(line["fee"] for line in values["balance_transactions"]),
    )


def portal_url(*, customer_id: str, return_url: str) -> str:
    """Return a page of Stripe on which a customer keeps cards, address and tax id. Raises StripeAway, NotAtStripe."""
    with translated():
        made = client().v1.billing_portal.sessions.create(
            {"customer": customer_id, "return_url": return_url}
        )
    return made.url
