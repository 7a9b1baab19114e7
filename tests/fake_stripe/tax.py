"""A little of Stripe Tax: one rate a country, on top of the price."""

from fractions import Fraction
from typing import Any

from tests.fake_stripe.customers import living
from tests.fake_stripe.operations import operation
from tests.fake_stripe.state import Object, Store, invalid

RATES = {"DE": Fraction(19, 100), "FR": Fraction(20, 100), "GB": Fraction(20, 100)}


def tax_cents(amount: int, country: str | None, *, reverse: bool = False) -> int:
    """Return the tax on an amount in cents, rounded half to even; nothing where the customer owes it itself."""
    return 0 if reverse else round(amount * RATES.get(country or "", Fraction(0)))


def country_of(customer: Object | None) -> str | None:
    """Return the country a customer is taxed in."""
    address = (customer or {}).get("address") or {}
    country: str | None = address.get("country")
    return country


def invoice_tax(store: Store, invoice: Object) -> int:
    """Write the tax of a draft into it and return it, in cents."""
    if not invoice["automatic_tax"]["enabled"]:
        return 0
    customer = store.get("customer", invoice["customer"])
    country = country_of(customer)
    invoice["automatic_tax"]["status"] = "complete" if country else "requires_location_inputs"
    reverse = bool(store.all("tax_id", customer=customer["id"])) and country != "US"
    tax = tax_cents(invoice["subtotal"], country, reverse=reverse)
    invoice["total_taxes"] = [taxed(tax, invoice["subtotal"])] if tax else []
    return tax


def taxed(amount: int, base: int) -> Object:
    """Return one entry of an invoice's taxes."""
    return {
        "amount": amount,
        "tax_behavior": "exclusive",
        "tax_rate_details": {"tax_rate": "txr_standard"},
        "taxability_reason": "standard_rated",
        "taxable_amount": base,
        "type": "tax_rate_details",
    }


@operation("POST", "/v1/tax/calculations")
def calculate(store: Store, params: dict[str, Any]) -> Object:
    """Work out the tax on some amounts by the country of a customer, who must have one."""
    customer = living(store, params["customer"])
    country = country_of(customer)
    if country is None:
        raise invalid(
            "The customer's location isn't recognized. Set a valid customer address.",
            code="customer_tax_location_invalid",
            param="customer_details[address]",
        )
    reverse = bool(store.all("tax_id", customer=customer["id"])) and country != "US"
    net = sum(item["amount"] for item in params["line_items"])
    tax = tax_cents(net, country, reverse=reverse)
    return store.add(
        "tax.calculation",
        amount_total=net + tax,
        currency=params["currency"],
        customer=customer["id"],
        tax_amount_exclusive=tax,
        tax_amount_inclusive=0,
        tax_date=store.now,
    )
