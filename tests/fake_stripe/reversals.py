"""Money out again: refunds, and disputes with their ends."""

from typing import Any

from tests.fake_stripe import contract
from tests.fake_stripe.operations import operation
from tests.fake_stripe.payments import balance_transaction
from tests.fake_stripe.state import Object, Store, change, invalid, listing

DISPUTE_FEE_CENTS = 1_500


@operation("POST", "/v1/refunds")
def create_refund(store: Store, params: dict[str, Any]) -> Object:
    """Give money back, never more than was taken."""
    charge = _charge_of(store, params)
    left = charge["amount_captured"] - charge["amount_refunded"]
    if charge["disputed"]:
        raise invalid("This charge has been charged back.", code="charge_disputed")
    if left == 0:
        raise invalid("The charge has already been refunded.", code="charge_already_refunded")
    amount = params.get("amount", left)
    if not 0 < amount <= left:
        raise invalid(
            f"Refund amount (${amount / 100:.2f}) is greater than unrefunded amount on charge.",
            param="amount",
        )
    refund = store.add(
        "refund",
        amount=amount,
        charge=charge["id"],
        currency=charge["currency"],
        metadata=dict(params.get("metadata") or {}),
        payment_intent=charge["payment_intent"],
        reason=params.get("reason"),
        status="succeeded",
    )
    entry = balance_transaction(store, -amount, source=refund["id"], type="refund")
    refund["balance_transaction"] = entry["id"]
    before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    store.emit("refund.created", refund)
    store.emit("charge.refunded", charge, previous=before)
    return refund


def _charge_of(store: Store, params: dict[str, Any]) -> Object:
    if params.get("charge"):
        return store.get("charge", params["charge"], param="charge")
    if not params.get("payment_intent"):
        raise invalid("One of charge or payment_intent is required.", code="parameter_missing")
    intent = store.get("payment_intent", params["payment_intent"], param="payment_intent")
    if intent["status"] != "succeeded":
        raise invalid("This PaymentIntent does not have a successful charge to refund.")
    return store.get("charge", intent["latest_charge"])


@operation("GET", "/v1/refunds")
def list_refunds(store: Store, params: dict[str, Any]) -> Object:
    """List refunds."""
    found = store.all(
        "refund", charge=params.get("charge"), payment_intent=params.get("payment_intent")
    )
    return listing(found, params, url="/v1/refunds")


@operation("GET", "/v1/refunds/{refund}")
def retrieve_refund(store: Store, params: dict[str, Any], id: str) -> Object:
    """Return a refund."""
    return store.get("refund", id, param="refund")


def open_dispute(store: Store, charge: Object, *, reason: str = "fraudulent") -> Object:
    """Let the payer's bank take the money back, with its fee; the merchant may answer."""
    dispute = store.add(
        "dispute",
        amount=charge["amount"] - charge["amount_refunded"],
        balance_transactions=[],
        charge=charge["id"],
        currency=charge["currency"],
        is_charge_refundable=False,
        metadata={},
        payment_intent=charge["payment_intent"],
        reason=reason,
        status="needs_response",
    )
    dispute["evidence"] = contract.blank("dispute_evidence")
    dispute["evidence_details"]["due_by"] = store.now + 7 * 24 * 3600
    charge["disputed"] = True
    store.emit("charge.dispute.created", dispute)
    _book(store, dispute, -dispute["amount"], fee=DISPUTE_FEE_CENTS)
    store.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def end_dispute(store: Store, dispute: Object, *, won: bool) -> Object:
    """Decide a dispute: won, the money comes back (the fee does not); lost, it stays away."""
    if dispute["status"] in {"won", "lost"}:
        raise invalid("The dispute is closed.")
    dispute["status"] = "won" if won else "lost"
    if won:
        _book(store, dispute, dispute["amount"], fee=0)
        store.emit("charge.dispute.funds_reinstated", dispute)
    store.emit("charge.dispute.closed", dispute)
    return dispute


def _book(store: Store, dispute: Object, amount: int, *, fee: int) -> None:
    entry = balance_transaction(store, amount, source=dispute["id"], type="adjustment", fee=fee)
    dispute["balance_transactions"].append(entry)


@operation("GET", "/v1/disputes")
def list_disputes(store: Store, params: dict[str, Any]) -> Object:
    """List disputes."""
    found = store.all(
        "dispute", charge=params.get("charge"), payment_intent=params.get("payment_intent")
    )
    return listing(found, params, url="/v1/disputes")


@operation("GET", "/v1/disputes/{dispute}")
def retrieve_dispute(store: Store, params: dict[str, Any], id: str) -> Object:
    """Return a dispute."""
    return store.get("dispute", id, param="dispute")


@operation("POST", "/v1/disputes/{dispute}")
def update_dispute(store: Store, params: dict[str, Any], id: str) -> Object:
    """Answer a dispute with evidence."""
    dispute = store.get("dispute", id, param="dispute")
    change(dispute, params, ("metadata",))
    dispute["evidence"].update(params.get("evidence") or {})
    if params.get("submit", True):
        dispute["status"] = "under_review"
    store.emit("charge.dispute.updated", dispute)
    return dispute


@operation("POST", "/v1/disputes/{dispute}/close")
def close_dispute(store: Store, params: dict[str, Any], id: str) -> Object:
    """Give a dispute up."""
    return end_dispute(store, store.get("dispute", id, param="dispute"), won=False)
