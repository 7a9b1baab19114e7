"""What the page of a refused request says: which limit, how full it was, and when it frees; pure."""

from dataclasses import dataclass

from billing.models import RefusedRequest
from exerati.drawing import formats, small_charts

Kind = RefusedRequest.LimitKind

# Codes whose message, a check's or a provider's, only says what is wrong; those of all others say what to do, too.
MESSAGE_TELLS_FAULT_ONLY = (
    "content_policy_violation",
    "context_length_exceeded",
    "invalid_json",
    "invalid_request",
    "invalid_type",
    "invalid_value",
    "missing_required_parameter",
    "unsupported_parameter",
    "unsupported_value",
)
PAST_DUE = "past_due"  # an invoice is long overdue

PERIODS = {"day": "daily", "week": "weekly", "month": "monthly", "total": "total"}
COUNTED = {
    Kind.REQUESTS: ("requests a minute", "requests"),
    Kind.TOKENS: ("tokens a minute", "tokens"),
    Kind.CONCURRENCY: ("open calls at once", "calls"),
}
FULL = {Kind.REQUESTS: "used", Kind.TOKENS: "used or held", Kind.CONCURRENCY: "open"}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the bar: its colour's name, what it is, and how much."""

    name: str
    label: str
    amount: str


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit that refused: its name, its size, the bar of what filled it, and when it frees."""

    title: str
    size: str
    bar: str
    parts: tuple[Part, ...]
    frees: str


def limit(refusal: RefusedRequest) -> Limit | None:
    """Return the limit that refused; None where it was none."""
    if refusal.scope == PAST_DUE:
        return None  # no limit: nothing fits until the invoice is paid
    if refusal.limit_kind == Kind.MONEY:
        return _money(refusal)
    return _count(refusal) if refusal.limit_kind else None


def advice(refusal: RefusedRequest) -> str:
    """Return what to do, "" where the message says it."""
    return refusal.advice if refusal.code in MESSAGE_TELLS_FAULT_ONLY else ""


def level(refusal: RefusedRequest) -> str:
    """Return whose limit it was."""
    return {
        "wallet": "The organization's credit",
        PAST_DUE: "The organization",
        "organization": "The organization",
        "project": f"The project {refusal.project.name}",
        "key": f"The key {refusal.key.name}",
        "key_model": f"The key {refusal.key.name}, for {refusal.model}",
        "member": f"All keys of {refusal.key.created_by or 'a former member'}",
    }.get(refusal.scope, "")


def _money(refusal: RefusedRequest) -> Limit:
    posted, held = refusal.posted_nanousd or 0, refusal.held_nanousd or 0
    cap, needed = refusal.cap_nanousd or 0, refusal.needed_nanousd or 0
    parts = [
        Part("used", "spent", formats.cost_text(posted)),
        Part("held", "held by calls in progress", formats.cost_text(held)),
        Part("needed", "this call could cost up to", formats.cost_text(needed)),
    ]
    size = formats.cost_text(cap)
    return Limit(
        title=_money_title(refusal),
        size=size,
        bar=small_charts.room_bar(
            used=posted, held=held, needed=needed, limit=cap, label=_label(parts, size)
        ),
        parts=tuple(parts if refusal.period != "request" else parts[2:]),
        frees=_frees(refusal),
    )


def _money_title(refusal: RefusedRequest) -> str:
    if refusal.scope == "wallet":
        return "Credit"
    if refusal.period == "request":
        return "Cap for one request"
    return f"{PERIODS.get(refusal.period, refusal.period).capitalize()} budget"


def _count(refusal: RefusedRequest) -> Limit:
    name, unit = COUNTED[Kind(refusal.limit_kind)]
    most, wanted = refusal.limit_count or 0, refusal.limit_needed or 0
    used = max(0, most - max(0, refusal.limit_remaining or 0))
    parts = [
        Part("used", FULL[Kind(refusal.limit_kind)], formats.count_text(used, unit)),
        Part("needed", "this call needed", formats.count_text(wanted, unit)),
    ]
    size = formats.count_text(most)
    return Limit(
        title=name.capitalize(),
        size=size,
        bar=small_charts.room_bar(
            used=used, held=0, needed=wanted, limit=most, label=_label(parts, size)
        ),
        parts=tuple(parts),
        frees=_frees(refusal),
    )


def _label(parts: list[Part], size: str) -> str:
    return "; ".join(f"{part.label}: {part.amount}" for part in parts) + f"; limit: {size}"


def _frees(refusal: RefusedRequest) -> str:
    """Return when calls fit again; "" where a moment says it."""
    if refusal.frees_at is not None:
        return ""
    if refusal.scope == "wallet":
        return "When credit is added, or calls in progress end and give back what they hold."
    if refusal.period == "request" or refusal.limit_kind == Kind.TOKENS:
        return "Never by itself: the call alone is larger than the limit."
    return "When the budget is raised, or calls in progress end and give back what they hold."
