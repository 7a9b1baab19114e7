"""Checkout sessions (a page that takes a payment or saves a card), the customer portal, products and prices."""

from typing import Any

from tests.fake_stripe import contract
from tests.fake_stripe.customers import create_customer, living
from tests.fake_stripe.operations import operation
from tests.fake_stripe.payments import (
    confirm,
    create_payment_intent,
    create_setup_intent,
    set_method,
    set_up,
)
from tests.fake_stripe.state import Object, Store, invalid, listing
from tests.fake_stripe.tax import country_of, tax_cents

LIFE_SECONDS = 24 * 3600


@operation("POST", "/v1/checkout/sessions")
def create_session(store: Store, params: dict[str, Any]) -> Object:
    """Make a session that the customer's browser is sent to."""
    mode = params.get("mode", "payment")
    if mode == "subscription":
        raise invalid("The stand-in has no subscriptions.", param="mode", status=501)
    if params.get("customer"):
        living(store, params["customer"])
    subtotal = _subtotal(store, params) if mode == "payment" else None
    session = store.add(
        "checkout.session",
        amount_subtotal=subtotal,
        amount_total=subtotal,
        cancel_url=params.get("cancel_url"),
        client_reference_id=params.get("client_reference_id"),
        currency=params.get("currency") or ("usd" if mode == "payment" else None),
        custom_fields=[],
        customer=params.get("customer"),
        customer_email=params.get("customer_email"),
        customer_creation=params.get("customer_creation") if not params.get("customer") else None,
        expires_at=params.get("expires_at", store.now + LIFE_SECONDS),
        metadata=dict(params.get("metadata") or {}),
        mode=mode,
        payment_method_types=params.get("allowed_payment_method_types", ["card"]),
        payment_status="unpaid" if mode == "payment" else "no_payment_required",
        shipping_options=[],
        status="open",
        success_url=params.get("success_url"),
        ui_mode=params.get("ui_mode", "hosted_page"),
    )
    session["url"] = f"{store.base_url}/pay/{session['id']}"
    session["automatic_tax"]["enabled"] = bool((params.get("automatic_tax") or {}).get("enabled"))
    _add_tax(store, session)
    _later[session["id"]] = params
    return session


# What the session says of the payment that it will make, which Stripe does not show on it.
_later: dict[str, dict[str, Any]] = {}


def _subtotal(store: Store, params: dict[str, Any]) -> int:
    items = params.get("line_items") or []
    if not items:
        raise invalid("You must pass line_items.", code="parameter_missing", param="line_items")
    total = 0
    for item in items:
        if item.get("price"):
            unit = store.get("price", item["price"], param="line_items[price]")["unit_amount"]
        else:
            unit = item["price_data"]["unit_amount"]
        total += unit * item.get("quantity", 1)
    return total


def _add_tax(store: Store, session: Object) -> None:
    if session["amount_subtotal"] is None:
        return
    customer = store.objects["customer"].get(session["customer"] or "")
    tax = 0
    if session["automatic_tax"]["enabled"]:
        tax = tax_cents(session["amount_subtotal"], country_of(customer))
        session["automatic_tax"]["status"] = "complete"
    session["total_details"] = {"amount_discount": 0, "amount_shipping": 0, "amount_tax": tax}
    session["amount_total"] = session["amount_subtotal"] + tax


@operation("GET", "/v1/checkout/sessions")
def list_sessions(store: Store, params: dict[str, Any]) -> Object:
    """List sessions."""
    _expire_old(store)
    found = store.all(
        "checkout.session",
        customer=params.get("customer"),
        payment_intent=params.get("payment_intent"),
        status=params.get("status"),
    )
    return listing(found, params, url="/v1/checkout/sessions")


@operation("GET", "/v1/checkout/sessions/{session}")
def retrieve_session(store: Store, params: dict[str, Any], id: str) -> Object:
    """Return a session."""
    _expire_old(store)
    return store.get("checkout.session", id, param="session")


@operation("POST", "/v1/checkout/sessions/{session}/expire")
def expire_session(store: Store, params: dict[str, Any], id: str) -> Object:
    """End a session that nobody has paid."""
    session = store.get("checkout.session", id, param="session")
    if session["status"] != "open":
        raise invalid(f"Only open sessions can be expired; this one is {session['status']}.")
    _expire(store, session)
    return session


def _expire_old(store: Store) -> None:
    for session in store.all("checkout.session", status="open"):
        if session["expires_at"] <= store.now:
            _expire(store, session)


def _expire(store: Store, session: Object) -> None:
    session["status"], session["url"] = "expired", None
    store.emit("checkout.session.expired", session)


def complete(store: Store, session: Object, token: str, *, authenticated: bool = False) -> Object:
    """
    Let the customer pay (or save) with a card; return the session or the intent that asks for more.

    Raises Stripe's decline; the session then stays open.
    """
    _expire_old(store)
    if session["status"] != "open":
        raise invalid(f"The session is {session['status']}.")
    _ensure_customer(store, session)
    if session["mode"] == "setup":
        intent = create_setup_intent(store, {"customer": session["customer"]})
        set_up(store, intent, token)
        session["setup_intent"] = intent["id"]
        return _completed(store, session)
    intent = _intent(store, session)
    set_method(store, intent, token)
    confirm(store, intent, authenticated=authenticated)
    if intent["status"] == "requires_action":
        return intent
    session["payment_status"] = "paid" if intent["status"] == "succeeded" else "unpaid"
    return _completed(store, session)


def _ensure_customer(store: Store, session: Object) -> None:
    wanted = session["mode"] == "setup" or session["customer_creation"] == "always"
    if session["customer"] is None and wanted:
        made = create_customer(store, {"email": session["customer_email"] or "payer@example.com"})
        session["customer"] = made["id"]


def _intent(store: Store, session: Object) -> Object:
    if session["payment_intent"]:
        return store.get("payment_intent", session["payment_intent"])
    data = _later.get(session["id"], {}).get("payment_intent_data") or {}
    intent = create_payment_intent(
        store,
        {
            "amount": session["amount_total"],
            "currency": session["currency"],
            "customer": session["customer"],
            "description": data.get("description"),
            "metadata": data.get("metadata") or {},
            "receipt_email": data.get("receipt_email"),
            "setup_future_usage": data.get("setup_future_usage"),
        },
    )
    session["payment_intent"] = intent["id"]
    return intent


def _completed(store: Store, session: Object) -> Object:
    session["status"], session["url"] = "complete", None
    store.emit("checkout.session.completed", session)
    return session


def end_bank_payment(store: Store, session: Object, *, paid: bool) -> None:
    """Tell how a payment that took days has ended."""
    session["payment_status"] = "paid" if paid else "unpaid"
    name = "async_payment_succeeded" if paid else "async_payment_failed"
    store.emit(f"checkout.session.{name}", session)


@operation("POST", "/v1/billing_portal/sessions")
def create_portal(store: Store, params: dict[str, Any]) -> Object:
    """Make a portal session, in which a customer keeps its cards and its address."""
    living(store, params["customer"])
    session = store.add(
        "billing_portal.session",
        configuration="bpc_default",
        customer=params["customer"],
        locale=None,
        return_url=params.get("return_url"),
    )
    session["url"] = f"{store.base_url}/portal/{session['id']}"
    return session


@operation("POST", "/v1/products")
def create_product(store: Store, params: dict[str, Any]) -> Object:
    """Make a product."""
    product = contract.blank("product")
    made = store.add(
        "product",
        active=True,
        name=params["name"],
        description=params.get("description"),
        metadata=dict(params.get("metadata") or {}),
        images=[],
        updated=store.now,
    )
    return {**product, **made}


@operation("GET", "/v1/products")
def list_products(store: Store, params: dict[str, Any]) -> Object:
    """List products."""
    return listing(store.all("product"), params, url="/v1/products")


@operation("POST", "/v1/prices")
def create_price(store: Store, params: dict[str, Any]) -> Object:
    """Make a price."""
    product = params.get("product") or create_product(store, {"name": "price"})["id"]
    return store.add(
        "price",
        active=True,
        billing_scheme="per_unit",
        currency=params["currency"],
        metadata=dict(params.get("metadata") or {}),
        product=product,
        type="one_time",
        unit_amount=params.get("unit_amount"),
        unit_amount_decimal=str(params.get("unit_amount")),
    )


@operation("GET", "/v1/prices")
def list_prices(store: Store, params: dict[str, Any]) -> Object:
    """List prices."""
    return listing(store.all("price", product=params.get("product")), params, url="/v1/prices")
