"""The overview of an organization that has made no call yet, with invented numbers that are stored nowhere."""

from datetime import datetime

from accounts.middleware import OrganizationRequest
from billing.console import page_query, page_words, usage_charts
from billing.read_models.budget_report import BudgetLine, Wallet
from billing.read_models.periods import Period
from billing.read_models.recent_calls import BasisGroup, Latency
from billing.read_models.reports import NOTHING, Group, Sums, Usage, UsageRow
from exerati.lib import money

CENT = money.NANOUSD_PER_USD // 100
# Name, cents of a call in the mean, and calls of a day in the mean.
MODELS = (("claude-sonnet-4-6", 3, 31), ("gpt-4o", 2, 24), ("gpt-4o-mini", 1, 18))
KEYS = (("production", 2, 52), ("nightly-batch", 2, 21))
WEEK = (9, 11, 12, 10, 8, 3, 2)  # tenths of the mean, by weekday


def context(request: OrganizationRequest, *, now: datetime) -> dict[str, object]:
    """Return what the template of the overview wants, but for addresses."""
    by_model = _usage(request, MODELS, name="30d", group="model", now=now)
    today = _usage(request, MODELS, name="today", group="mode", now=now)
    month = _usage(request, MODELS, name="month", group="mode", now=now)
    latency = Latency(today.total.requests, 2_140, 5_380, 512, 1_070)
    budget = BudgetLine("organization", request.organization.name, "", "month", 100 * 100 * CENT,
                        month.total.spend, 0, month.period.end)  # fmt: skip
    wallet = Wallet(25 * 100 * CENT)
    return {
        "wallet": wallet,
        "balance_note": page_words.balance_note(wallet),
        "budgets": [(budget, page_words.budget_label(budget))],
        "today": today,
        "month": month,
        "latency": latency,
        "error_share": page_words.share_text(today.total.errors, today.total.requests),
        "notes": page_words.overview_notes(
            today=today, month=month, budgets=[budget], latency=latency
        ),
        "chart": usage_charts.bars(request, by_model, usage_charts.METRICS["spend"]),
        "top_models": by_model.rows,
        "top_keys": _usage(request, KEYS, name="30d", group="key", now=now).rows,
        "errors": [],
        "bases": list[BasisGroup](),
        "is_sample": True,
    }


def _usage(
    request: OrganizationRequest,
    groups: tuple[tuple[str, int, int], ...],
    *,
    name: str,
    group: Group,
    now: datetime,
) -> Usage:
    period = page_query.named_period(request, name, now=now)
    rows = tuple(_row(title, cents, calls, period, now=now) for title, cents, calls in groups)
    total = sum((row.total for row in rows), NOTHING)
    return Usage(period, group, rows, total, total)


def _row(title: str, cents: int, calls: int, period: Period, *, now: datetime) -> UsageRow:
    """Return one group; it has no id, so that nothing links to calls that do not exist."""
    a_day = {"day": 10, "hour": 240, "minute": 14_400}[period.step]
    counts = [
        calls * WEEK[slot.start.weekday()] // a_day if slot.start <= now else 0
        for slot in period.slots
    ]
    buckets = tuple(Sums(requests=n, charge_nanousd=n * cents * CENT) for n in counts)
    return UsageRow("", title, buckets, sum(buckets, NOTHING))
