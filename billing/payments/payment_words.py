"""What a notification about a payment says; pure: stored figures in, sentences out."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from billing.alerting.told import Told
from exerati.drawing import formats
from exerati.lib.money import NANOUSD_PER_CENT

AGAIN = "It is tried again in an hour. To be sure, add credit yourself now, or save another card."
OFF = "Automatic top-up is off now. Add credit yourself, then save another card and switch it on again."
NOTHING_LEFT = "Nothing is left to do."


class _Words(NamedTuple):
    """A notification's words; `{amount}` and what its facts hold are put in."""

    tone: str
    title: str
    text: str
    what_to_do: str


_WORDS: Mapping[str, _Words] = {
    "ceiling": _Words(
        "warn",
        "Automatic top-ups have reached their monthly ceiling",
        "{amount} a month is what you allowed. Your credit is below its threshold and is not filled any more.",
        "Add credit yourself, or raise the ceiling.",
    ),
    "dispute_open": _Words(
        "danger",
        "A payment of {amount} is disputed",
        "The bank of whoever paid asks for the money back. Its credit is set aside until that is decided.",
        "If this is a mistake, tell the bank so, then write to us. Add credit if calls are refused.",
    ),
    "dispute_won": _Words(
        "neutral",
        "The dispute of {amount} was decided for the payment",
        "The credit is back in your wallet.",
        NOTHING_LEFT,
    ),
    "dispute_lost": _Words(
        "danger",
        "The dispute of {amount} was decided against the payment",
        "The money went back to whoever paid, and its credit left your wallet.",
        "Add credit if your wallet is below zero: until then calls are refused.",
    ),
    "invoice_dispute_open": _Words(
        "danger",
        "The payment of invoice {invoice} is disputed",
        "The bank of whoever paid asks for {amount} back. Calls go on while that is not decided.",
        "If this is a mistake, tell the bank so, then write to us.",
    ),
    "invoice_dispute_won": _Words(
        "neutral",
        "The dispute about invoice {invoice} is over",
        "It was decided for the payment of {amount}; the invoice stays paid.",
        NOTHING_LEFT,
    ),
    "invoice_dispute_lost": _Words(
        "danger",
        "The dispute about invoice {invoice} was decided against the payment",
        "{amount} went back to whoever paid.",
        "Write to us about how the invoice is to be paid.",
    ),
}


def told(facts: dict[str, Any]) -> Told:
    """Return what a notification about a payment says."""
    amount = formats.sum_text(facts["cents"] * NANOUSD_PER_CENT)
    if facts["what"] == "topup_failed":
        return _topup_failed(facts, amount)
    tone, *texts = _WORDS[facts["what"]]
    title, text, what_to_do = (each.format(**{**facts, "amount": amount}) for each in texts)
    return Told(title=title, text=text, tone=tone, what_to_do=what_to_do)


def _topup_failed(facts: dict[str, Any], amount: str) -> Told:
    times = f" This was failure {facts['declines']} in a row." if facts["declines"] > 1 else ""
    return Told(
        title=f"An automatic top-up of {amount} failed",
        text=f"{facts['failure']}{times} Nothing was charged.",
        tone="danger" if facts["is_off"] else "warn",
        what_to_do=OFF if facts["is_off"] else AGAIN,
    )
