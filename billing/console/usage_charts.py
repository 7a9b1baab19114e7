"""The charts of the overview and the usage page: read models in, drawings out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from accounts.middleware import OrganizationRequest
from billing.console import page_query
from billing.read_models import periods
from billing.read_models.forecast import Forecast
from billing.read_models.latency import Latency
from billing.read_models.reports import Group, Sums, Usage
from exerati.drawing import formats
from exerati.drawing.charts import Bucket, Chart, Series, lines, stacked_bars

GROUP_TITLES: Mapping[Group, str] = {
    "model": "model",
    "key": "API key",
    "project": "project",
    "member": "member",
    "tag": "tag",
    "mode": "mode",
}
AXES = {"minute": "Minute", "hour": "Hour", "day": "Day"}


@dataclass(frozen=True, slots=True)
class Metric:
    """One reading of the sums: how it is taken from them, and how it is written."""

    title: str
    read: Callable[[Sums], int]
    text: Callable[[int], str]
    axis: Callable[[int], str]


METRICS = {
    "spend": Metric("Spend", lambda sums: sums.charge_nanousd, formats.sum_text, formats.sum_text),
    "requests": Metric(
        "Requests", lambda sums: sums.requests, formats.count_text, formats.compact_text
    ),
    "tokens": Metric("Tokens", lambda sums: sums.tokens, formats.count_text, formats.compact_text),
}
LATENCY = "latency"  # the metric that is no sum
TEST_PRICE = Metric(
    "Price, not charged", lambda sums: sums.price_nanousd, formats.sum_text, formats.sum_text
)


def metric_of(query: QueryDict) -> Metric:
    """Return the reading; for test keys, which are never charged, spend is what it would have cost."""
    name = page_query.choice(query, "metric", tuple(METRICS), default="spend")
    if name == "spend" and query.get("mode") == "test":
        return TEST_PRICE
    return METRICS[name]


def bars(
    request: OrganizationRequest, found: Usage, metric: Metric, *, before: Usage | None = None
) -> Chart:
    """Return bars over time, each leading to the requests behind it; `before` is drawn over them as a line."""
    buckets = _buckets(request, found)
    rows = sorted(found.rows, key=lambda row: -metric.read(row.total))
    series = [Series(row.name, [metric.read(sums) for sums in row.buckets]) for row in rows]
    return stacked_bars(
        f"{metric.title} by {GROUP_TITLES[found.group]}",
        buckets=buckets,
        series=series or [Series(metric.title, [0] * len(buckets))],
        format_value=metric.text,
        format_axis=metric.axis if any(metric.read(row.total) for row in rows) else _no_axis,
        # Calls of test keys, and those that were not charged, are requests without spend.
        empty=f"{metric.title}: nothing in this range." if rows else "No requests in this range.",
        axis=AXES[found.period.step],
        line=_line(before, metric, len(buckets)) if before else None,
    )


def _line(before: Usage, metric: Metric, length: int) -> Series:
    """Return the sums of the time before, bucket by bucket; its months may be shorter than ours."""
    slots = range(len(before.period.slots))
    sums = [sum(metric.read(row.buckets[i]) for row in before.rows) for i in slots]
    return Series("The time before", [*sums, *[None] * length][:length])


def latency_lines(request: OrganizationRequest, found: Usage, latency: Latency) -> Chart:
    """Return the percentiles of latency over time."""
    readings = {
        "First token, median": [one.first_token_p50 for one in latency.buckets],
        "First token, p95": [one.first_token_p95 for one in latency.buckets],
        "Duration, median": [one.duration_p50 for one in latency.buckets],
        "Duration, p95": [one.duration_p95 for one in latency.buckets],
    }
    return lines(
        "Latency of successful requests",
        buckets=_buckets(request, found),
        series=[Series(name, values) for name, values in readings.items()],
        format_value=formats.milliseconds_text,
        empty="No requests in this range.",
        axis=AXES[found.period.step],
    )


def forecast_lines(forecast: Forecast, *, cap_nanousd: int | None) -> Chart:
    """Return the month's spending as it adds up, where it is heading, and the budget."""
    spent = list(accumulate(forecast.spent))
    ahead = list(accumulate((spent[-1] + forecast.expected[0], *forecast.expected[1:])))
    past, to_come = len(spent) - 1, len(ahead) - 1
    series = [
        Series("Spent", [*spent, *[None] * to_come]),
        Series("Expected", [*[None] * past, *ahead]),
    ]
    if cap_nanousd is not None:
        series.append(Series("Budget", [cap_nanousd] * len(forecast.days)))
    return lines(
        "Spend of this month, added up",
        buckets=[Bucket(_day(day)) for day in forecast.days],
        series=series,
        format_value=formats.sum_text,
        empty="",
        axis="Day",
    )


def _day(day: date) -> str:
    return f"{day:%d %b}".lstrip("0")


def _buckets(request: OrganizationRequest, found: Usage) -> list[Bucket]:
    requests_url = reverse("dashboard:requests", args=[request.organization.slug])
    return [
        Bucket(slot.label, f"{requests_url}?{log_query(request, found, slot=slot)}")
        for slot in found.period.slots
    ]


def _no_axis(value: int) -> str:
    """Return nothing: the axis of an empty chart has no amounts to tell."""
    return ""


def log_query(
    request: OrganizationRequest,
    found: Usage,
    *,
    slot: periods.Slot | None = None,
    also: Mapping[str, str] | None = None,
) -> str:
    """Return the parameters of the request log for a range or one of its buckets, with the same filters."""
    bounds = slot or found.period
    kept = {name: request.GET.get(name, "") for name in (*page_query.FILTERS, "zone")}
    times = {"since": formats.machine_text(bounds.start), "until": formats.machine_text(bounds.end)}
    return urlencode(
        {name: value for name, value in (kept | times | dict(also or {})).items() if value}
    )
