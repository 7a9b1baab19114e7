"""What a notification about a payment says; pure: stored figures in, sentences out."""

from typing import Any

from billing.alerting.told import Told
from exerati.drawing import formats

NANOUSD_PER_CENT = 10_000_000
AGAIN = "It is tried again in an hour. To be sure, add credit yourself now, or save another card."
OFF = "Automatic top-up is off now. Add credit yourself, then save another card and switch it on again."


def told(facts: dict[str, Any]) -> Told:
    """Return what a notification about a payment says."""
    amount = formats.sum_text(facts["cents"] * NANOUSD_PER_CENT)
    return {
        "topup_failed": _topup_failed,
        "ceiling": _ceiling,
        "dispute_open": _dispute_open,
        "dispute_won": _dispute_won,
        "dispute_lost": _dispute_lost,
        "invoice_dispute_open": _invoice_dispute_open,
        "invoice_dispute_won": _invoice_dispute_won,
        "invoice_dispute_lost": _invoice_dispute_lost,
    }[facts["what"]](facts, amount)


def _topup_failed(facts: dict[str, Any], amount: str) -> Told:
    times = f" This was failure {facts['declines']} in a row." if facts["declines"] > 1 else ""
    return Told(
        title=f"An automatic top-up of {amount} failed",
        text=f"{facts['failure']}{times} Nothing was charged.",
        tone="danger" if facts["is_off"] else "warn",
        what_to_do=OFF if facts["is_off"] else AGAIN,
    )


def _ceiling(facts: dict[str, Any], amount: str) -> Told:
    return Told(
        title="Automatic top-ups have reached their monthly ceiling",
        text=f"{amount} a month is what you allowed. Your credit is below its threshold and is not filled any more.",
        tone="warn",
        what_to_do="Add credit yourself, or raise the ceiling.",
    )


def _dispute_open(facts: dict[str, Any], amount: str) -> Told:
    return Told(
        title=f"A payment of {amount} is disputed",
        text="The bank of whoever paid asks for the money back. Its credit is set aside until that is decided.",
        tone="danger",
        what_to_do="If this is a mistake, tell the bank so, then write to us. Add credit if calls are refused.",
    )


def _dispute_won(facts: dict[str, Any], amount: str) -> Told:
    return Told(
        title=f"The dispute of {amount} was decided for the payment",
        text="The credit is back in your wallet.",
        tone="neutral",
        what_to_do="Nothing is left to do.",
    )


def _dispute_lost(facts: dict[str, Any], amount: str) -> Told:
    return Told(
        title=f"The dispute of {amount} was decided against the payment",
        text="The money went back to whoever paid, and its credit left your wallet.",
        tone="danger",
        what_to_do="Add credit if your wallet is below zero: until then calls are refused.",
    )


def _invoice_dispute_open(facts: dict[str, Any], amount: str) -> Told:
    return Told(
        title=f"The payment of invoice {facts['invoice']} is disputed",
        text=f"The bank of whoever paid asks for {amount} back. Calls go on while that is not decided.",
        tone="danger",
        what_to_do="If this is a mistake, tell the bank so, then write to us.",
    )


def _invoice_dispute_won(facts: dict[str, Any], amount: str) -> Told:
    return Told(
        title=f"The dispute about invoice {facts['invoice']} is over",
        text=f"It was decided for the payment of {amount}; the invoice stays paid.",
        tone="neutral",
        what_to_do="Nothing is left to do.",
    )


def _invoice_dispute_lost(facts: dict[str, Any], amount: str) -> Told:
    return Told(
        title=f"The dispute about invoice {facts['invoice']} was decided against the payment",
        text=f"{amount} went back to whoever paid.",
        tone="danger",
        what_to_do="Write to us about how the invoice is to be paid.",
    )
