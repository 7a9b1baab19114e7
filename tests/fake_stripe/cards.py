"""
How test cards behave: by Stripe's tokens (`pm_card_...`) and by number, for the hosted pages.

The names and numbers are Stripe's (https://docs.stripe.com/testing).
"""

from dataclasses import dataclass

DECLINED = {
    "generic_decline": ("card_declined", "generic_decline", "Your card was declined."),
    "insufficient_funds": (
        "card_declined",
        "insufficient_funds",
        "Your card has insufficient funds.",
    ),
    "expired_card": ("expired_card", "expired_card", "Your card has expired."),
    "lost_card": ("card_declined", "lost_card", "Your card was declined."),
}


@dataclass(frozen=True, slots=True)
class Card:
    """
    `decline`: the reason, if it declines. `attaches`: may be saved although it declines. `authenticates`: `never`
    needed, `once` (at set-up), `always`. `disputes`: the payer takes the money back. A `bank` account pays later.
    """

    number: str
    brand: str = "visa"
    decline: str = ""
    attaches: bool = True
    authenticates: str = "never"
    disputes: bool = False
    bank: bool = False
    fails_later: bool = False


CARDS = {
    "pm_card_visa": Card("4242424242424242"),
    "pm_card_mastercard": Card("5555555555554444", brand="mastercard"),
    "pm_card_chargeDeclined": Card("4000000000000002", decline="generic_decline", attaches=False),
    "pm_card_visa_chargeDeclined": Card(
        "4000000000000002", decline="generic_decline", attaches=False
    ),
    "pm_card_chargeDeclinedInsufficientFunds": Card(
        "4000000000009995", decline="insufficient_funds", attaches=False
    ),
    "pm_card_chargeDeclinedExpiredCard": Card(
        "4000000000000069", decline="expired_card", attaches=False
    ),
    "pm_card_chargeCustomerFail": Card("4000000000000341", decline="generic_decline"),
    "pm_card_authenticationRequired": Card("4000002760003184", authenticates="always"),
    "pm_card_authenticationRequiredOnSetup": Card("4000002500003155", authenticates="once"),
    "pm_card_createDispute": Card("4000000000000259", disputes=True),
    "pm_usBankAccount_success": Card("000123456789", bank=True),
    "pm_usBankAccount_insufficientFunds": Card("000222222227", bank=True, fails_later=True),
}

BY_NUMBER = {card.number: token for token, card in reversed(CARDS.items())}
