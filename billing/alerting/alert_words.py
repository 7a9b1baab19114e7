"""What a notification says, on its page and in its mail; pure: stored figures in, sentences out."""

from datetime import datetime
from typing import Any

from billing.alerting import leak_words
from billing.alerting.told import Told
from billing.models import Notification
from billing.payments import payment_words
from exerati.drawing import formats

PERIODS = {"day": "daily", "week": "weekly", "month": "monthly", "total": "total"}
FULL_PERCENT = 100
HIGH_PERCENT = 80


def told(notice: Notification) -> Told:
    """Return what a notification says."""
    if notice.kind == Notification.Kind.BUDGET:
        return _budget(notice.details)
    if notice.kind == Notification.Kind.WALLET:
        return _wallet(notice.details)
    if notice.kind == Notification.Kind.PAYMENT:
        return payment_words.told(notice.details)
    if notice.kind == Notification.Kind.LEAK:
        return leak_words.told(notice.details)
    return _spike(notice.details)


def _budget(facts: dict[str, Any]) -> Told:
    whose = _whose(facts)
    period = PERIODS[facts["period"]]
    posted, cap = facts["posted_nanousd"], facts["cap_nanousd"]
    is_full = facts["threshold"] >= FULL_PERCENT
    title = (
        f"The {period} budget of {whose} is used up"
        if is_full
        else f"{facts['threshold']} % of the {period} budget of {whose} is used"
    )
    text = f"{formats.sum_text(posted)} of {formats.sum_text(cap)} is spent"
    if facts["held_nanousd"]:
        text += f", and {formats.sum_text(facts['held_nanousd'])} is held by calls in progress"
    refusing = " Calls that do not fit are refused now." if is_full else ""
    return Told(
        title=title,
        text=f"{text}.{refusing}",
        tone=_tone(facts["threshold"]),
        what_to_do="Raise the budget if the spending is wanted, or look at what was called.",
        used=posted,
        limit=cap,
        ends_at=datetime.fromisoformat(facts["ends_at"]) if facts["ends_at"] else None,
    )


def _whose(facts: dict[str, Any]) -> str:
    name = facts["name"]
    return {
        "organization": "your organization",
        "project": f"the project {name}",
        "key": f"the key {name}",
        "member": f"all keys of {name}",
        "key_model": f"the key {name} for {facts['model']}",
    }[facts["scope"]]


def _wallet(facts: dict[str, Any]) -> Told:
    base, left = facts["base_nanousd"], facts["left_nanousd"]
    is_empty = facts["threshold"] >= FULL_PERCENT
    title = (
        "Your credit is used up" if is_empty else f"{facts['threshold']} % of your credit is used"
    )
    text = f"{formats.sum_text(max(0, left))} of {formats.sum_text(base)} is left."
    if is_empty:
        text += " Calls are refused until credit is added."
    return Told(
        title=title,
        text=text,
        tone=_tone(facts["threshold"]),
        what_to_do="Add credit, and calls are admitted again at once."
        if is_empty
        else "Add credit before it ends, so that no call is refused.",
        used=base - left,
        limit=base,
    )


def _spike(facts: dict[str, Any]) -> Told:
    hour, usual = facts["hour_nanousd"], facts["usual_nanousd"]
    is_frozen = bool(facts.get("frozen"))
    times = f"{hour // usual:,} times its usual" if usual else "after a week without any spending"
    text = f"{formats.sum_text(hour)} in this hour, {times}"
    text += f" of {formats.cost_text(usual)} an hour." if usual else "."
    if is_frozen:
        text += " The key is frozen: its calls are refused."
    return Told(
        title=f"The key {facts['name']} {'was frozen: it ' if is_frozen else ''}spends far more than usual",
        text=text,
        tone="danger",
        what_to_do="If this is wanted, unfreeze the key. If not, revoke it and make a new one."
        if is_frozen
        else "If you do not know why, disable the key and look at its requests.",
        is_frozen=is_frozen,
    )


def _tone(threshold: int) -> str:
    if threshold >= FULL_PERCENT:
        return "danger"
    return "warn" if threshold >= HIGH_PERCENT else "neutral"
