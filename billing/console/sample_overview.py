"""The overview of an organization that has made no call yet, with invented numbers that are stored nowhere."""

from datetime import datetime, timedelta

from accounts.middleware import OrganizationRequest
from billing.console import page_query, page_words, usage_charts
from billing.read_models.budget_report import BudgetLine, Wallet
from billing.read_models.periods import Period, Slot
from billing.read_models.recent_calls import BasisGroup, Latency
from billing.read_models.reports import NOTHING, Group, Sums, Usage, UsageRow
from exerati.lib.money import NANOUSD_PER_CENT

# Name, cents of a call in the mean, and calls of a day in the mean.
MODELS = (("claude-sonnet-4-6", 3, 31), ("gpt-4o", 2, 24), ("gpt-4o-mini", 1, 18))
WEEK = (9, 11, 12, 10, 8, 3, 2)  # tenths of the mean, by weekday
SLOTS_A_DAY = {"day": 1, "hour": 24, "minute": 1_440}


def context(request: OrganizationRequest, *, now: datetime) -> dict[str, object]:
    """Return what the template of the overview wants, but for addresses."""
    by_model = _usage(request, name="30d", group="model", now=now)
    today = _usage(request, name="today", group="mode", now=now)
    month = _usage(request, name="month", group="mode", now=now)
    latency = Latency(today.total.requests, 2_140, 5_380, 512, 1_070)
    budget = _budget(request.organization.name, month, now=now)
    wallet = Wallet(25 * 100 * NANOUSD_PER_CENT)
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
        "top_keys": _keys(by_model.total),
        "errors": [],
        "bases": list[BasisGroup](),
        "is_sample": True,
    }


def _budget(name: str, month: Usage, *, now: datetime) -> BudgetLine:
    renews_at = (now.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0)
    cap, spent = 100 * 100 * NANOUSD_PER_CENT, month.total.spend
    return BudgetLine("organization", name, "", "month", cap, spent, 0, renews_at)


def _usage(request: OrganizationRequest, *, name: str, group: Group, now: datetime) -> Usage:
    period = page_query.named_period(request, name, now=now)
    rows = tuple(_row(title, cents, calls, period, now=now) for title, cents, calls in MODELS)
    total = sum((row.total for row in rows), NOTHING)
    return Usage(period, group, rows, total, _part(total, 9, 10))


def _row(title: str, cents: int, calls: int, period: Period, *, now: datetime) -> UsageRow:
    """Return one group; it has no id, so that nothing links to calls that do not exist."""
    counts = [
        _count(slot, calls, a_day=SLOTS_A_DAY[period.step]) if slot.start <= now else 0
        for slot in period.slots
    ]
    buckets = tuple(Sums(requests=n, charge_nanousd=n * cents * NANOUSD_PER_CENT) for n in counts)
    return UsageRow("", title, buckets, sum(buckets, NOTHING))


def _count(slot: Slot, calls: int, *, a_day: int) -> int:
    """Return the calls of a bucket; those of a day are spread over its buckets, and no day is like the other."""
    start = slot.start
    tenths = calls * max(1, WEEK[start.weekday()] + start.day * 7 % 5 - 2)
    at = (start.hour * 60 + start.minute) * a_day // 1_440
    return (at + 1) * tenths // (10 * a_day) - at * tenths // (10 * a_day)


def _keys(total: Sums) -> list[UsageRow]:
    """Return two keys that add up to what the models do."""
    first = _part(total, 7, 10)
    rest = Sums(total.requests - first.requests, charge_nanousd=total.spend - first.spend)
    return [UsageRow("", "production", (), first), UsageRow("", "nightly-batch", (), rest)]


def _part(total: Sums, share: int, of: int) -> Sums:
    return Sums(total.requests * share // of, charge_nanousd=total.spend * share // of)
