"""Customers, what they pay with, and their balance at Stripe."""

from typing import Any

from tests.fake_stripe import contract
from tests.fake_stripe.cards import CARDS, DECLINED, Card
from tests.fake_stripe.operations import operation
from tests.fake_stripe.state import Object, Store, StripeError, change, invalid, listing, not_found

_FIELDS = (
    "address",
    "description",
    "email",
    "metadata",
    "name",
    "phone",
    "preferred_locales",
    "shipping",
    "tax_exempt",
)


@operation("POST", "/v1/customers")
def create_customer(store: Store, params: dict[str, Any]) -> Object:
    """Make a customer."""
    made = store.add(
        "customer",
        balance=0,
        metadata={},
        invoice_settings={
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
    )
    _take(store, made, params)
    for tax_id in params.get("tax_id_data", []):
        add_tax_id(store, made["id"], tax_id["type"], tax_id["value"])
    store.emit("customer.created", made)
    return made


@operation("GET", "/v1/customers")
def list_customers(store: Store, params: dict[str, Any]) -> Object:
    """List customers."""
    found = [
        item for item in store.all("customer", email=params.get("email")) if not item.get("deleted")
    ]
    return listing(found, params, url="/v1/customers")


@operation("GET", "/v1/customers/{customer}")
def retrieve_customer(store: Store, params: dict[str, Any], id: str) -> Object:
    """Return a customer; one that was deleted says no more than that."""
    found = store.get("customer", id, param="customer")
    return {"id": id, "object": "customer", "deleted": True} if found.get("deleted") else found


@operation("POST", "/v1/customers/{customer}")
def update_customer(store: Store, params: dict[str, Any], id: str) -> Object:
    """Change a customer."""
    found = living(store, id)
    before = _take(store, found, params)
    store.emit("customer.updated", found, previous=before)
    return found


@operation("DELETE", "/v1/customers/{customer}")
def delete_customer(store: Store, params: dict[str, Any], id: str) -> Object:
    """Delete a customer: what it paid with goes, invoices stay."""
    found = living(store, id)
    store.emit("customer.deleted", found)
    found["deleted"] = True
    for method in store.all("payment_method", customer=id):
        method["customer"] = None
    return {"id": id, "object": "customer", "deleted": True}


def living(store: Store, id: str, *, param: str = "customer") -> Object:
    """Return a customer that was not deleted. Raises Stripe's 404."""
    found = store.get("customer", id, param=param)
    if found.get("deleted"):
        raise not_found("customer", id, param=param)
    return found


def _take(store: Store, customer: Object, params: dict[str, Any]) -> Object:
    if params.get("payment_method"):
        attach(store, params["payment_method"], customer["id"])
    settings = params.get("invoice_settings") or {}
    if "default_payment_method" in settings:
        method = settings["default_payment_method"] or None
        if method and store.get("payment_method", method)["customer"] != customer["id"]:
            raise invalid(
                "The payment method belongs to another customer.", param="invoice_settings"
            )
        customer["invoice_settings"]["default_payment_method"] = method
    before = change(customer, params, _FIELDS)
    if isinstance(customer.get("address"), dict):
        customer["address"] = full_address(customer["address"])
    return before


def full_address(address: dict[str, Any]) -> dict[str, Any]:
    """Return the address with every field it has at Stripe."""
    names = ("city", "country", "line1", "line2", "postal_code", "state")
    return {name: address.get(name) or None for name in names}


@operation("GET", "/v1/customers/{customer}/payment_methods")
def list_payment_methods(store: Store, params: dict[str, Any], id: str) -> Object:
    """List what a customer can pay with."""
    living(store, id)
    found = store.all("payment_method", customer=id, type=params.get("type"))
    return listing(found, params, url=f"/v1/customers/{id}/payment_methods")


@operation("GET", "/v1/customers/{customer}/balance_transactions")
def list_balance(store: Store, params: dict[str, Any], id: str) -> Object:
    """List what changed a customer's balance."""
    found = store.all("customer_balance_transaction", customer=id)
    return listing(found, params, url=f"/v1/customers/{id}/balance_transactions")


@operation("POST", "/v1/customers/{customer}/balance_transactions")
def create_balance(store: Store, params: dict[str, Any], id: str) -> Object:
    """Change a customer's balance by hand: below zero is credit."""
    customer = living(store, id)
    return move_balance(
        store, customer, params["amount"], type="adjustment", currency=params["currency"]
    )


def move_balance(
    store: Store,
    customer: Object,
    amount: int,
    *,
    type: str,
    currency: str,
    invoice: str | None = None,
) -> Object:
    """Add cents to what the customer owes (below zero: is owed), with the entry that says so."""
    customer["balance"] = customer.get("balance", 0) + amount
    return store.add(
        "customer_balance_transaction",
        amount=amount,
        currency=currency,
        customer=customer["id"],
        ending_balance=customer["balance"],
        type=type,
        invoice=invoice,
    )


@operation("POST", "/v1/customers/{customer}/tax_ids")
def create_tax_id(store: Store, params: dict[str, Any], id: str) -> Object:
    """Add a tax id."""
    living(store, id)
    return add_tax_id(store, id, params["type"], params["value"])


@operation("GET", "/v1/customers/{customer}/tax_ids")
def list_tax_ids(store: Store, params: dict[str, Any], id: str) -> Object:
    """List the tax ids of a customer."""
    return listing(store.all("tax_id", customer=id), params, url=f"/v1/customers/{id}/tax_ids")


def add_tax_id(store: Store, customer: str, type: str, value: str) -> Object:
    """Keep a tax id; nothing verifies it."""
    return store.add("tax_id", customer=customer, type=type, value=value, country=None)


@operation("GET", "/v1/payment_methods/{payment_method}")
def retrieve_payment_method(store: Store, params: dict[str, Any], id: str) -> Object:
    """Return what somebody pays with."""
    return store.get("payment_method", id, param="payment_method")


@operation("POST", "/v1/payment_methods/{payment_method}/attach")
def attach_payment_method(store: Store, params: dict[str, Any], id: str) -> Object:
    """Save a payment method for a customer."""
    return attach(store, id, params["customer"])


@operation("POST", "/v1/payment_methods/{payment_method}/detach")
def detach_payment_method(store: Store, params: dict[str, Any], id: str) -> Object:
    """Forget a saved payment method."""
    found = store.get("payment_method", id, param="payment_method")
    if not found["customer"]:
        raise invalid("The payment method is not attached to a customer.")
    customer = store.get("customer", found["customer"])
    if customer["invoice_settings"]["default_payment_method"] == id:
        customer["invoice_settings"]["default_payment_method"] = None
    before = {"customer": found["customer"]}
    found["customer"] = None
    store.emit("payment_method.detached", found, previous=before)
    return found


def attach(store: Store, id: str, customer: str) -> Object:
    """Save a payment method (or a test token, which makes one) for a customer. Raises Stripe's decline."""
    living(store, customer)
    method = payment_method(store, id)
    card = card_of(store, method)
    if card.decline and not card.attaches:
        raise declined(card)
    if method["customer"] not in {None, customer}:
        raise invalid("The payment method is attached to another customer already.")
    method["customer"] = customer
    store.emit("payment_method.attached", method)
    return method


def payment_method(store: Store, id: str) -> Object:
    """Return the payment method; a test token makes a new one."""
    if id not in CARDS:
        return store.get("payment_method", id, param="payment_method")
    card = CARDS[id]
    made = store.add(
        "payment_method",
        type="us_bank_account" if card.bank else "card",
        customer=None,
        metadata={},
        allow_redisplay="unspecified",
        billing_details={
            "address": full_address({}),
            "email": None,
            "name": None,
            "phone": None,
            "tax_id": None,
        },
    )
    if not card.bank:
        made["card"] = _card_object(card)
    store.cards[made["id"]] = id
    return made


def _card_object(card: Card) -> Object:
    schema = contract.blank("payment_method_card")
    return {
        **schema,
        "brand": card.brand,
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": f"fp_{card.number[-8:]}",
        "funding": "credit",
        "last4": card.number[-4:],
        "display_brand": card.brand,
    }


def card_of(store: Store, method: Object) -> Card:
    """Return how a payment method behaves."""
    return CARDS[store.cards[method["id"]]]


def declined(card: Card, **extra: Any) -> StripeError:
    """Return Stripe's decline of a card."""
    code, reason, message = DECLINED[card.decline]
    return StripeError(402, "card_error", message, code=code, decline_code=reason, **extra)
