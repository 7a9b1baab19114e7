"""Money in: payment and setup intents, charges, and the transactions of our balance at Stripe."""

from typing import Any

from tests.fake_stripe import contract
from tests.fake_stripe.cards import DECLINED, Card
from tests.fake_stripe.customers import attach, card_of, living, payment_method
from tests.fake_stripe.operations import operation
from tests.fake_stripe.state import Object, Store, StripeError, change, invalid, listing

MINIMUM_CENTS = 50
BANK_SECONDS = 4 * 24 * 3600
AUTHENTICATION = "Your card was declined. This transaction requires authentication."


@operation("POST", "/v1/payment_intents")
def create_payment_intent(store: Store, params: dict[str, Any]) -> Object:
    """Make a payment intent, and take the money at once where `confirm` says so."""
    if params["amount"] < MINIMUM_CENTS:
        raise invalid("Amount must be at least $0.50 usd", code="amount_too_small", param="amount")
    if params.get("customer"):
        living(store, params["customer"])
    _check_tax(store, params)
    intent = store.add(
        "payment_intent",
        **({"hooks": params["hooks"]} if params.get("hooks") else {}),
        amount=params["amount"],
        amount_capturable=0,
        amount_received=0,
        currency=params["currency"].lower(),
        capture_method="automatic_async",
        confirmation_method="automatic",
        customer=params.get("customer"),
        description=params.get("description"),
        metadata=dict(params.get("metadata") or {}),
        payment_method=None,
        payment_method_types=["card"],
        receipt_email=params.get("receipt_email"),
        setup_future_usage=params.get("setup_future_usage"),
        status="requires_payment_method",
    )
    intent["client_secret"] = f"{intent['id']}_secret_{store.numbers['payment_intent']}"
    if params.get("payment_method"):
        set_method(store, intent, params["payment_method"])
    store.emit("payment_intent.created", intent)
    if params.get("confirm"):
        confirm(store, intent, off_session=bool(params.get("off_session")))
    return intent


def _check_tax(store: Store, params: dict[str, Any]) -> None:
    """Refuse a payment of another amount than the tax calculation that it names."""
    inputs = (params.get("hooks") or {}).get("inputs") or {}
    calculation = (inputs.get("tax") or {}).get("calculation")
    if (
        calculation
        and store.get("tax.calculation", calculation)["amount_total"] != params["amount"]
    ):
        raise invalid("The amount is not that of the tax calculation.", param="amount")


@operation("GET", "/v1/payment_intents")
def list_payment_intents(store: Store, params: dict[str, Any]) -> Object:
    """List payment intents."""
    found = store.all("payment_intent", customer=params.get("customer"))
    return listing(found, params, url="/v1/payment_intents")


@operation("GET", "/v1/payment_intents/{intent}")
def retrieve_payment_intent(store: Store, params: dict[str, Any], id: str) -> Object:
    """Return a payment intent."""
    return store.get("payment_intent", id, param="intent")


@operation("POST", "/v1/payment_intents/{intent}")
def update_payment_intent(store: Store, params: dict[str, Any], id: str) -> Object:
    """Change a payment intent."""
    intent = store.get("payment_intent", id, param="intent")
    change(intent, params, ("metadata", "description", "receipt_email"))
    return intent


@operation("POST", "/v1/payment_intents/{intent}/confirm")
def confirm_payment_intent(store: Store, params: dict[str, Any], id: str) -> Object:
    """Take the money."""
    intent = store.get("payment_intent", id, param="intent")
    if params.get("payment_method"):
        set_method(store, intent, params["payment_method"])
    confirm(store, intent, off_session=bool(params.get("off_session")))
    return intent


@operation("POST", "/v1/payment_intents/{intent}/cancel")
def cancel_payment_intent(store: Store, params: dict[str, Any], id: str) -> Object:
    """Give up a payment that has not happened."""
    intent = store.get("payment_intent", id, param="intent")
    if intent["status"] in {"succeeded", "canceled"}:
        raise _unexpected_state(intent, "cancel")
    intent["status"], intent["canceled_at"] = "canceled", store.now
    intent["cancellation_reason"] = params.get("cancellation_reason")
    store.emit("payment_intent.canceled", intent)
    return intent


def set_method(store: Store, intent: Object, id: str) -> None:
    """Say what pays for an intent. Raises Stripe's refusal of another customer's."""
    method = payment_method(store, id)
    if method["customer"] and method["customer"] != intent["customer"]:
        raise invalid("The payment method belongs to another customer.", param="payment_method")
    intent["payment_method"] = method["id"]
    intent["status"] = "requires_confirmation"


def confirm(
    store: Store, intent: Object, *, off_session: bool = False, authenticated: bool = False
) -> None:
    """Take the money by how the card behaves. Raises Stripe's card error."""
    if intent["status"] not in {
        "requires_confirmation",
        "requires_payment_method",
        "requires_action",
    }:
        raise _unexpected_state(intent, "confirm")
    if not intent["payment_method"]:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    method = store.get("payment_method", intent["payment_method"])
    card = card_of(store, method)
    if card.decline:
        raise _fail(store, intent, method, *DECLINED[card.decline])
    if card.authenticates == "always" and not authenticated:
        if off_session:
            reason = ("authentication_required", "authentication_required", AUTHENTICATION)
            raise _fail(store, intent, method, *reason)
        _ask_for_action(store, intent)
        return
    if intent["setup_future_usage"] and intent["customer"] and not method["customer"]:
        attach(store, method["id"], intent["customer"])
    if card.bank:
        _begin_bank(store, intent, fails=card.fails_later)
        return
    _succeed(store, intent, method, card)


def _ask_for_action(store: Store, intent: Object) -> None:
    action = contract.blank("payment_intent_next_action")
    url = f"{store.base_url}/authenticate/{intent['id']}"
    action.update(type="redirect_to_url", redirect_to_url={"return_url": None, "url": url})
    intent["status"], intent["next_action"] = "requires_action", action
    store.emit("payment_intent.requires_action", intent)


def _succeed(store: Store, intent: Object, method: Object, card: Card) -> None:
    charge = _charge(store, intent, method, status="succeeded")
    intent["status"], intent["amount_received"] = "succeeded", intent["amount"]
    intent["latest_charge"], intent["next_action"] = charge["id"], None
    intent["last_payment_error"] = None
    store.emit("charge.succeeded", charge)
    store.emit("payment_intent.succeeded", intent)
    if card.disputes:
        from tests.fake_stripe.reversals import open_dispute  # which needs charges

        open_dispute(store, charge)


def _begin_bank(store: Store, intent: Object, *, fails: bool) -> None:
    intent["status"], intent["next_action"] = "processing", None
    intent["metadata"].setdefault("_bank", "fails" if fails else "pays")
    store.emit("payment_intent.processing", intent)


def end_bank(store: Store, intent: Object) -> None:
    """Let a bank payment arrive, or fail."""
    method = store.get("payment_method", intent["payment_method"])
    card = card_of(store, method)
    if card.fails_later:
        _failed(store, intent, method, *DECLINED["insufficient_funds"])
    else:
        _succeed(store, intent, method, card)


def _fail(
    store: Store, intent: Object, method: Object, code: str, reason: str, message: str
) -> StripeError:
    charge = _failed(store, intent, method, code, reason, message)
    return StripeError(
        402,
        "card_error",
        message,
        code=code,
        decline_code=reason,
        charge=charge["id"],
        payment_intent=intent,
        payment_method=method,
    )


def _failed(
    store: Store, intent: Object, method: Object, code: str, reason: str, message: str
) -> Object:
    charge = _charge(store, intent, method, status="failed")
    charge["failure_code"], charge["failure_message"] = code, message
    intent["status"], intent["latest_charge"] = "requires_payment_method", charge["id"]
    intent["payment_method"], intent["next_action"] = None, None
    intent["last_payment_error"] = {
        "type": "card_error",
        "code": code,
        "decline_code": reason,
        "message": message,
        "charge": charge["id"],
        "payment_method": method,
    }
    store.emit("charge.failed", charge)
    store.emit("payment_intent.payment_failed", intent)
    return charge


def _charge(store: Store, intent: Object, method: Object, *, status: str) -> Object:
    paid = status == "succeeded"
    charge = store.add(
        "charge",
        amount=intent["amount"],
        amount_captured=intent["amount"] if paid else 0,
        amount_refunded=0,
        billing_details=method["billing_details"],
        captured=paid,
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        metadata=dict(intent["metadata"]),
        paid=paid,
        payment_intent=intent["id"],
        payment_method=method["id"],
        status=status,
    )
    if paid:
        charge["receipt_url"] = f"{store.base_url}/receipts/{charge['id']}"
        fee = round(charge["amount"] * 0.029) + 30
        transaction = balance_transaction(
            store, charge["amount"], source=charge["id"], type="charge", fee=fee
        )
        charge["balance_transaction"] = transaction["id"]
    return charge


def balance_transaction(
    store: Store, amount: int, *, source: str, type: str, fee: int = 0
) -> Object:
    """Write one line of our balance at Stripe, in cents; the fee is taken off."""
    details = [
        {
            "amount": fee,
            "application": None,
            "currency": "usd",
            "description": "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]
    return store.add(
        "balance_transaction",
        amount=amount,
        available_on=store.now + 2 * 24 * 3600,
        balance_type="payments",
        currency="usd",
        fee=fee,
        fee_details=details if fee else [],
        net=amount - fee,
        reporting_category=type,
        source=source,
        status="available",
        type=type,
    )


def _unexpected_state(intent: Object, verb: str) -> StripeError:
    message = f"You cannot {verb} this PaymentIntent: it has a status of {intent['status']}."
    return invalid(message, code="payment_intent_unexpected_state")


@operation("GET", "/v1/charges/{charge}")
def retrieve_charge(store: Store, params: dict[str, Any], id: str) -> Object:
    """Return a charge."""
    return store.get("charge", id, param="charge")


@operation("GET", "/v1/charges")
def list_charges(store: Store, params: dict[str, Any]) -> Object:
    """List charges."""
    found = store.all(
        "charge", customer=params.get("customer"), payment_intent=params.get("payment_intent")
    )
    return listing(found, params, url="/v1/charges")


@operation("GET", "/v1/balance_transactions")
def list_balance_transactions(store: Store, params: dict[str, Any]) -> Object:
    """List the lines of our balance."""
    found = store.all("balance_transaction", source=params.get("source"), type=params.get("type"))
    return listing(found, params, url="/v1/balance_transactions")


@operation("GET", "/v1/balance_transactions/{id}")
def retrieve_balance_transaction(store: Store, params: dict[str, Any], id: str) -> Object:
    """Return one line of our balance."""
    return store.get("balance_transaction", id)


@operation("POST", "/v1/setup_intents")
def create_setup_intent(store: Store, params: dict[str, Any]) -> Object:
    """Make a setup intent: the wish to save something to pay with."""
    intent = store.add(
        "setup_intent",
        customer=params.get("customer"),
        metadata=dict(params.get("metadata") or {}),
        payment_method=None,
        payment_method_types=["card"],
        status="requires_payment_method",
        usage=params.get("usage", "off_session"),
    )
    intent["client_secret"] = f"{intent['id']}_secret_{store.numbers['setup_intent']}"
    store.emit("setup_intent.created", intent)
    if params.get("confirm") and params.get("payment_method"):
        set_up(store, intent, params["payment_method"])
    return intent


@operation("GET", "/v1/setup_intents/{intent}")
def retrieve_setup_intent(store: Store, params: dict[str, Any], id: str) -> Object:
    """Return a setup intent."""
    return store.get("setup_intent", id, param="intent")


def set_up(store: Store, intent: Object, id: str) -> None:
    """Save a payment method by its intent. Raises Stripe's decline."""
    method = (
        attach(store, id, intent["customer"]) if intent["customer"] else payment_method(store, id)
    )
    intent["payment_method"], intent["status"] = method["id"], "succeeded"
    store.emit("setup_intent.succeeded", intent)
