"""What a customer is told when a budget or the wallet has no room for a call: every number, and what helps. Pure."""

from typing import Any, Final

from billing.budgets import BudgetExceeded
from exerati.lib import money

PAST_DUE: Final = "past_due"  # the scope that refuses while an invoice is long overdue
INVOICES_PAGE: Final = "/dashboard/-/invoices/"  # of the organization that a member saw last
BILLING_PAGE: Final = "/dashboard/-/billing/"
_PERIODS: Final = {"day": "daily", "week": "weekly", "month": "monthly", "total": "total"}
_OWNERS: Final = {
    "key": "This key's",
    "key_model": "This key's model",
    "project": "The project's",
    "organization": "The organization's",
    "member": "The key owner's",
}


def sentences(error: BudgetExceeded, *, site_url: str) -> str:
    """Return whose money it is, the cap and its counters, and what to do, with the page for it."""
    where = f" at {site_url}{BILLING_PAGE}" if error.refusal.scope == "wallet" else ""
    return f"{_state(error)} {advice(error, where=where)}"


def details(error: BudgetExceeded, *, site_url: str) -> dict[str, Any]:
    """Return the same for programs; amounts are texts in USD, exact."""
    refusal = error.refusal
    frees_at = refusal.frees_at.isoformat(timespec="seconds") if refusal.frees_at else None
    page = {"pay_url": site_url + BILLING_PAGE} if refusal.scope == "wallet" else {}
    return {
        **page,
        "scope": refusal.scope,
        "period": refusal.period,
        "cap_usd": money.usd_text(refusal.cap_nanousd),
        "posted_usd": money.usd_text(refusal.posted_nanousd),
        "held_usd": money.usd_text(refusal.held_nanousd),
        "needed_usd": money.usd_text(refusal.needed_nanousd),
        "affordable_tokens": error.affordable_tokens,
        "frees_at": frees_at,
    }


def _state(error: BudgetExceeded) -> str:
    refusal = error.refusal
    left = money.display(refusal.affordable_nanousd)
    held = money.display(refusal.held_nanousd)
    needed = f"this call may cost up to {money.display(refusal.needed_nanousd)}"
    if refusal.scope == "wallet":
        return (
            f"The organization's credit does not cover this call: {left} is free ({held} is held by calls in "
            f"progress), and {needed}."
        )
    owner = _OWNERS.get(refusal.scope, "The")
    return (
        f"{owner} {_PERIODS.get(refusal.period, refusal.period)} budget of {money.display(refusal.cap_nanousd)} "
        f"does not cover this call: {money.display(refusal.posted_nanousd)} is spent, {held} is held by calls "
        f"in progress, and {needed}."
    )


def advice(error: BudgetExceeded, *, where: str = "") -> str:
    """Return what helps: fewer tokens, waiting, or more money, and where that is added."""
    refusal = error.refusal
    if refusal.scope == PAST_DUE:
        return "Pay the overdue invoice: calls are admitted again at once."
    words = []
    if error.affordable_tokens:
        words.append(f"It fits with max_completion_tokens of at most {error.affordable_tokens:,}.")
    if refusal.posted_nanousd + refusal.needed_nanousd <= refusal.cap_nanousd:
        words.append("It fits again when calls in progress have ended.")
    if refusal.frees_at is not None:
        words.append(f"The budget renews at {refusal.frees_at:%Y-%m-%d %H:%M} UTC.")
    what = f"Add credit{where}." if refusal.scope == "wallet" else "Its owner can raise the budget."
    return " ".join((*words, what))
