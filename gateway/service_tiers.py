"""Service tiers: which price a request has that asks for a faster or a cheaper one. Pure."""

from billing import pricing
from billing.types import Price
from gateway.wire_checks import unsupported_value


def price_asked(price: Price, *, service_tier: str) -> Price:
    """
    Return the price of a request for a service tier ("" is the ordinary one).

    It holds the rates of that tier and the base rates, since a provider may serve a request ordinarily that
    asked for more, and says so. Raises InvalidRequest where the model has no price for the tier.
    """
    if service_tier and service_tier not in price.service_tiers:
        unsupported_value(
            "service_tier",
            f"this model has no price for '{service_tier}'. Leave it out, or send 'auto'.",
        )
    return pricing.asked(price, service_tier=service_tier)
