"""The sentences beside the numbers of the usage pages; pure: read models in, text out."""

from billing.models import UsageEvent
from billing.price_formula import Formula
from billing.read_models.budget_report import BudgetLine, Wallet
from billing.read_models.forecast import Forecast
from billing.read_models.latency import Percentiles
from billing.read_models.recent_calls import Latency
from billing.read_models.reports import Sums, Usage, UsageRow, change_percent
from exerati.drawing import formats

# What is stored as the error of a call, in the gateway's words, and what it means to the customer.
# How calls end that nobody was told the code of.
WITHOUT_ANSWER = {
    "client_left": "The client closed the connection before the answer was complete.",
    "lost": "The process that served the call ended before it could settle it.",
}
# The code that the client was told -> what happened, as the page of a request says it.
ERROR_WORDS = {
    "invalid_request": "The provider refused the request as invalid.",
    "request_too_large": "The provider found the request too large.",
    "context_length_exceeded": "Prompt and output did not fit the model's context.",
    "content_policy_violation": "The provider's safety system refused the content.",
    "provider_unavailable": "The provider did not serve the model, or not our account; your key and budget are fine.",
    "provider_overloaded": "The provider had too many requests.",
    "provider_error": "The provider failed, or the connection to it broke.",
    "provider_timeout": "The provider did not answer in time, or stopped sending.",
    "provider_bad_answer": "The provider's answer was unreadable.",
    "key_revoked": "The key was revoked, disabled or expired while the call was running.",
    "deadline_exceeded": "The call took longer than its deadline.",
    "request_timeout": "The client stopped reading, so the answer was stopped.",
    "service_unavailable": "We stopped the call: its process was replaced, or lost its reservation.",
    "internal_error": "Something broke on our side.",
    **WITHOUT_ANSWER,
}
# Kinds of a provider's fault -> what is said of a failed attempt, behind its status.
ATTEMPT_WORDS = {
    "bad_request": "refused the request",
    "context_length": "too long for its context",
    "content_policy": "refused the content",
    "not_found": "does not offer the model",
    "auth": "refused our account",
    "quota": "our account had no quota left",
    "rate_limited": "too many requests",
    "overloaded": "overloaded",
    "server": "failed",
    "timeout": "no answer in time",
    "connection": "the connection broke",
    "bad_answer": "unreadable answer",
}
AGAINST = {
    "1h": "the hour before",
    "custom": "as many days before",
    "today": "yesterday by this hour",
    "24h": "the 24 hours before",
    "7d": "the 7 days before",
    "30d": "the 30 days before",
    "month": "last month by this day",
}


def change_note(now: int, before: int, *, period_name: str) -> str:
    """Return how a number differs from the time before."""
    change = change_percent(now, before)
    if change is None:
        return f"nothing {AGAINST[period_name]}" if now else ""
    if change == 0:
        return f"as {AGAINST[period_name]}"
    direction = "above" if change > 0 else "below"
    return f"{abs(change):,} % {direction} {AGAINST[period_name]}"


def share_text(part: int, whole: int) -> str:
    """Return part / whole in percent, with one decimal below ten, never as 0 for what is there."""
    if not whole:
        return "\N{EN DASH}"
    percent = 100 * part / whole
    if 0 < percent < 0.05:
        return "<0.1 %"
    return f"{percent:.1f} %" if 0 < percent < 10 else f"{percent:.0f} %"


def usage_notes(found: Usage) -> dict[str, str]:
    """Return a note for each reading of the usage page."""
    now, before, name = found.total, found.previous, found.period.name
    return {
        "spend": change_note(now.spend, before.spend, period_name=name),
        "requests": change_note(now.requests, before.requests, period_name=name),
        "errors": f"{share_text(now.errors, now.requests)} of requests" if now.requests else "",
        "mean": change_note(now.mean_spend or 0, before.mean_spend or 0, period_name=name),
        "input": cached_note(now),
        "output": formats.count_text(now.reasoning_tokens, "of reasoning")
        if now.reasoning_tokens
        else "",
    }


def latency_notes(took: Percentiles) -> dict[str, str]:
    """Return the 95th percentiles beside the medians."""
    notes = {"first_token": took.first_token_p95, "duration": took.duration_p95}
    return {
        name: f"p95 {formats.milliseconds_text(value)}"
        for name, value in notes.items()
        if value is not None
    }


def change_of(row: UsageRow) -> str:
    """Return how a group's spending differs from the time before, in short."""
    change = change_percent(row.total.spend, row.previous.spend)
    if change is None:
        return "new" if not row.previous.requests else ""
    return f"{change:+,} %".replace("-", "\N{MINUS SIGN}") if change else "same"


def token_classes(sums: Sums) -> list[tuple[str, int, str]]:
    """Return (class, tokens, share of the input or output) of every class that has a price of its own."""
    rows = [
        ("Input", sums.input_tokens, ""),
        (
            "Cached input",
            sums.cache_read_tokens,
            share_text(sums.cache_read_tokens, sums.input_tokens) + " of input",
        ),
        ("Output", sums.output_tokens, ""),
        (
            "Reasoning",
            sums.reasoning_tokens,
            share_text(sums.reasoning_tokens, sums.output_tokens) + " of output",
        ),
        (
            "Audio, in and out",
            sums.audio_tokens,
            share_text(sums.audio_tokens, sums.tokens) + " of all",
        ),
        (
            "Images, in and out",
            sums.image_tokens,
            share_text(sums.image_tokens, sums.tokens) + " of all",
        ),
    ]
    return [row for row in rows if row[1]]


def forecast_words(found: Forecast, *, cap_nanousd: int | None) -> str:
    """Return where the month is heading, and when its budget is reached."""
    end = f"about {formats.about_text(found.end_nanousd)} by the end of the month"
    so_far = f"{formats.sum_text(found.spent_nanousd)} so far, {end}"
    if cap_nanousd is None:
        return f"{so_far}. There is no budget for the month."
    cap = formats.sum_text(cap_nanousd)
    if found.spent_nanousd >= cap_nanousd:
        return f"{so_far}. The budget of {cap} is used up."
    day = found.reached_on(cap_nanousd)
    if day is None:
        return f"{so_far}, within the budget of {cap}."
    date = f"{day:%d %b}".lstrip("0")
    return (
        f"{so_far}. At this pace the budget of {cap} is reached on {date}; then calls are refused."
    )


def cached_note(sums: Sums) -> str:
    """Return how much of the input came from a cache."""
    if not sums.cache_read_tokens:
        return ""
    return f"{share_text(sums.cache_read_tokens, sums.input_tokens)} from cache"


def overview_notes(
    *, today: Usage, month: Usage, budgets: list[BudgetLine], latency: Latency
) -> dict[str, str]:
    """Return a note for each reading of the overview."""
    cap = next((b for b in budgets if (b.scope, b.period) == ("organization", "month")), None)
    return {
        "today": change_note(today.total.spend, today.previous.spend, period_name="today"),
        "month": f"of {formats.sum_text(cap.cap_nanousd)} cap"
        if cap
        else change_note(month.total.spend, month.previous.spend, period_name="month"),
        "requests": change_note(today.total.requests, today.previous.requests, period_name="today"),
        "errors": formats.count_text(today.total.errors, "requests")
        if today.total.errors
        else "none failed",
        "latency": _latency_note(latency),
    }


def _latency_note(latency: Latency) -> str:
    parts = []
    if latency.duration_p95 is not None:
        parts.append(f"p95 {formats.milliseconds_text(latency.duration_p95)}")
    if latency.first_token_p50 is not None:
        parts.append(f"first token {formats.milliseconds_text(latency.first_token_p50)}")
    return ", ".join(parts)


def balance_note(wallet: Wallet) -> str:
    """Return what of the balance is free."""
    if not wallet.held_nanousd:
        return "all available"
    return f"{formats.sum_text(wallet.held_nanousd)} held by open calls"


def budget_label(line: BudgetLine) -> str:
    """Return the meter's words."""
    used, cap = formats.sum_text(line.used_nanousd), formats.sum_text(line.cap_nanousd)
    return f"{line.name}: {used} of {cap} used"


def request_words(event: UsageEvent, *, formula: Formula | None) -> dict[str, str]:
    """Return the exact amounts of one request and what they are called."""
    is_test, waived = event.mode == "test", event.basis == UsageEvent.Basis.WAIVED
    note = "not charged (test key)" if is_test else "not charged: waived" if waived else ""
    rounded = formula is not None and formula.is_rounded
    return {
        "error_words": ERROR_WORDS.get(event.error_code, ""),
        "charge_label": "Price" if is_test else "Charged",
        "charge_note": note or _exact_note(event.charge_nanousd),
        "input_note": _inside(event.cache_read_tokens, "cached"),
        "output_note": _inside(event.reasoning_tokens, "reasoning"),
        "formula_label": "Price, rounded half to even" if rounded else "Price",
        "price_exact": formats.exact_text(event.price_nanousd),
        "charged_label": f"Charged ({note.removeprefix('not charged').strip(' :()')})"
        if note
        else "Charged",
        "charge_exact": formats.exact_text(event.charge_nanousd),
        "upper_exact": formats.exact_text(event.upper_nanousd),
        "given_back_exact": formats.exact_text(event.upper_nanousd - event.charge_nanousd),
    }


def _exact_note(nanousd: int) -> str:
    """Return the whole amount where the reading leaves digits out."""
    exact = formats.exact_text(nanousd)
    return "" if exact == formats.cost_text(nanousd) else exact


def _inside(count: int, what: str) -> str:
    return f"{formats.count_text(count)} of these {what}" if count else ""
