"""HTML pages of the overview and the usage of an organization, and the usage as CSV."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlencode

from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, allows, organization_page
from billing import budget_report, page_query, page_words, periods, reports, request_log
from billing.page_query import Link
from billing.periods import DAY, Period
from billing.reports import GROUPS, Group, Sums, Usage
from exerati import formats
from exerati.charts import Bucket, Chart, Series, stacked_bars

EXAMPLE_MODEL = "gpt-4"  # the documentation's; a test key gets its answer without any provider
GROUP_TITLES: Mapping[Group, str] = {
    "model": "model",
    "key": "API key",
    "project": "project",
    "mode": "mode",
}
MODE_CHOICES = (("", "All calls"), ("live", "Live"), ("test", "Test"))
BUDGETS_SHOWN = 6
TOP_SHOWN = 5


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
TEST_PRICE = Metric(
    "Price, not charged", lambda sums: sums.price_nanousd, formats.sum_text, formats.sum_text
)


@require_safe
@organization_page(Action.VIEW)
def overview(request: OrganizationRequest) -> HttpResponse:
    """Show money, traffic, errors and caps at a glance, or, before the first call, how to make it."""
    now, organization = timezone.now(), request.organization
    recent = _period(request, "30d", now=now)
    by_model = reports.usage(organization, period=recent, group="model")
    if not by_model.total.requests and not request_log.has_any(organization):
        return _first_steps(request)
    by_key = reports.usage(organization, period=recent, group="key")
    week = _period(request, "7d", now=now).start
    context = {
        **_readings(request, now=now),
        "errors": request_log.recent_errors(organization, since=week),
        "bases": request_log.bases(organization, since=week),
        "chart": _chart(request, by_model, METRICS["spend"]),
        "top_models": by_model.rows[:TOP_SHOWN],
        "top_keys": by_key.rows[:TOP_SHOWN],
        "usage_url": reverse("dashboard:usage", args=[organization.slug]),
        "requests_url": reverse("dashboard:requests", args=[organization.slug]),
        "zone_name": str(recent.zone),
        "nav_active": "overview",
    }
    with timezone.override(recent.zone):
        return render(request, "billing/overview.html", context)


def _readings(request: OrganizationRequest, *, now: datetime) -> dict[str, object]:
    """Return the numbers at the top of the overview and the caps, with their notes."""
    organization = request.organization
    wallet = budget_report.wallet(organization)
    budgets = budget_report.budgets(organization, now=now)
    today = reports.usage(organization, period=_period(request, "today", now=now), group="mode")
    month = reports.usage(organization, period=_period(request, "month", now=now), group="mode")
    latency = request_log.latency(organization, since=now - DAY)
    return {
        "wallet": wallet,
        "balance_note": page_words.balance_note(wallet),
        "budgets": [(line, page_words.budget_label(line)) for line in budgets[:BUDGETS_SHOWN]],
        "today": today,
        "month": month,
        "latency": latency,
        "error_share": page_words.share_text(today.total.errors, today.total.requests),
        "notes": page_words.overview_notes(
            today=today, month=month, budgets=budgets, latency=latency
        ),
    }


@require_safe
@organization_page(Action.VIEW)
def first_call(request: OrganizationRequest) -> HttpResponse:
    """Answer the overview that waits for the first call: 204 until there is one, then where to look."""
    newest = request_log.page(request.organization, filters=request_log.LogFilters()).rows
    if not newest:
        return HttpResponse(status=204)
    tone = "ok" if newest[0].status < HTTPStatus.BAD_REQUEST else "warn"
    context = {"row": newest[0], "tone": tone}
    return render(request, "billing/_first_call_arrived.html", context)


def _first_steps(request: OrganizationRequest) -> HttpResponse:
    """Show the overview of an organization without calls: a key, then the call, then watch it arrive."""
    wallet = budget_report.wallet(request.organization)
    context = {
        "wallet": wallet,
        "balance_note": page_words.balance_note(wallet),
        "has_key": request.organization.api_keys.filter(revoked_at=None).exists(),
        "may_manage_keys": allows(request.membership.role, Action.MANAGE_KEYS),
        "example_model": EXAMPLE_MODEL,
        "nav_active": "overview",
    }
    return render(request, "billing/overview_empty.html", context)


@require_safe
@organization_page(Action.VIEW)
def usage(request: OrganizationRequest) -> HttpResponse:
    """Show spend, requests or tokens over time by model, key or project."""
    found, scope = _usage(request)
    metric = _metric(request.GET)
    context = {
        "usage": found,
        "metric": metric,
        "chart": _chart(request, found, metric),
        "rows": [_table_row(request, found, row) for row in found.rows],
        "notes": page_words.usage_notes(found),
        "group_heading": f"By {GROUP_TITLES[found.group]}",
        "group_title": _capital(GROUP_TITLES[found.group]),
        "csv_query": page_query.link(request.GET),
        "requests_query": _log_query(request, found),
        "zone_name": str(found.period.zone),
        "nav_active": "usage",
        **_usage_links(request, found),
        **_usage_filters(request, scope, found),
    }
    with timezone.override(found.period.zone):
        return render(request, "billing/usage.html", context)


@require_safe
@organization_page(Action.VIEW)
def usage_csv(request: OrganizationRequest) -> HttpResponse:
    """Download the usage page's sums by bucket and group."""
    found, _ = _usage(request)
    name = f"exerati-usage-{request.organization.slug}-{found.period.start:%Y-%m-%d}.csv"
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    csv.writer(response).writerows(reports.csv_rows(found))
    return response


def _usage(request: OrganizationRequest) -> tuple[Usage, page_query.Scope]:
    """Return the sums the address asks for, and what can be filtered by."""
    scope = page_query.scope(request.organization)
    found = reports.usage(
        request.organization,
        period=_period(request, request.GET.get("range", ""), now=timezone.now()),
        group=page_query.choice(request.GET, "group", GROUPS, default="model"),
        filters=scope.filters(request.GET),
    )
    return found, scope


def _period(request: OrganizationRequest, name: str, *, now: datetime) -> Period:
    return periods.period(
        name,
        now=now,
        zone=page_query.zone(request),
        step=request.GET.get("step", ""),
        month_day=request.organization.month_day,
    )


def _metric(query: QueryDict) -> Metric:
    """Return the reading; for test keys, which are never charged, spend is what it would have cost."""
    name = page_query.choice(query, "metric", tuple(METRICS), default="spend")
    if name == "spend" and query.get("mode") == "test":
        return TEST_PRICE
    return METRICS[name]


def _chart(request: OrganizationRequest, found: Usage, metric: Metric) -> Chart:
    """Return bars over time, each leading to the requests behind it."""
    requests_url = reverse("dashboard:requests", args=[request.organization.slug])
    buckets = [
        Bucket(slot.label, f"{requests_url}?{_log_query(request, found, slot=slot)}")
        for slot in found.period.slots
    ]
    rows = sorted(found.rows, key=lambda row: -metric.read(row.total))
    series = [Series(row.name, [metric.read(sums) for sums in row.buckets]) for row in rows]
    return stacked_bars(
        f"{metric.title} by {GROUP_TITLES[found.group]}",
        buckets=buckets,
        series=series or [Series(metric.title, [0] * len(buckets))],
        format_value=metric.text,
        format_axis=metric.axis if any(metric.read(row.total) for row in rows) else _no_axis,
        empty="No requests in this range.",
        axis="Hour" if found.period.step == "hour" else "Day",
    )


def _no_axis(value: int) -> str:
    """Return nothing: the axis of an empty chart has no amounts to tell."""
    return ""


def _log_query(
    request: OrganizationRequest,
    found: Usage,
    *,
    slot: periods.Slot | None = None,
    also: Mapping[str, str] | None = None,
) -> str:
    """Return the parameters of the request log for a range or one of its buckets, with the same filters."""
    bounds = slot or found.period
    kept = {name: request.GET.get(name, "") for name in ("model", "key", "project", "mode", "zone")}
    times = {"since": formats.machine_text(bounds.start), "until": formats.machine_text(bounds.end)}
    return urlencode(
        {name: value for name, value in (kept | times | dict(also or {})).items() if value}
    )


def _table_row(
    request: OrganizationRequest, found: Usage, row: reports.UsageRow
) -> dict[str, object]:
    """Return a group with its links: into the group, and to its requests."""
    inside = "key" if found.group == "model" else "model"
    chosen: dict[str, str] = {found.group: row.id}
    query = _log_query(request, found, also=chosen) if row.id else ""
    return {
        "row": row,
        "href": page_query.link(request.GET, **{found.group: row.id, "group": inside})
        if row.id
        else "",
        "requests_query": query,
        "share": 100 * row.total.spend // found.total.spend if found.total.spend else None,
    }


def _usage_links(request: OrganizationRequest, found: Usage) -> dict[str, list[Link]]:
    query, period = request.GET, found.period
    metric = page_query.choice(query, "metric", tuple(METRICS), default="spend")
    steps = [("hour", "Hour")] * (period.name in periods.HOURLY)
    steps += [("day", "Day")] * (period.name in periods.DAILY)
    shown: list[tuple[str, str]] = [(name, _capital(GROUP_TITLES[name])) for name in GROUPS]
    return {
        "range_links": page_query.links(
            query,
            name="range",
            choices=list(periods.TITLES.items()),
            present=period.name,
            step="",
        ),
        "group_links": page_query.links(query, name="group", choices=shown, present=found.group),
        "metric_links": page_query.links(
            query,
            name="metric",
            choices=[(name, item.title) for name, item in METRICS.items()],
            present=metric,
        ),
        "step_links": page_query.links(query, name="step", choices=steps, present=period.step),
        "zone_links": page_query.zone_links(request),
    }


def _usage_filters(
    request: OrganizationRequest, scope: page_query.Scope, found: Usage
) -> dict[str, object]:
    """Return the choices of the filter form, and a link that takes all filters off."""
    query = request.GET
    used = reports.known_models(request.organization, since=found.period.previous_start)
    names = ("model", "key", "project", "mode")
    return {
        "models": used,
        "keys": scope.key_options,
        "projects": scope.project_options,
        "modes": MODE_CHOICES,
        "chosen": {name: query.get(name, "") for name in names},
        "is_filtered": any(query.get(name) for name in names),
        "clear_query": page_query.link(query, model="", key="", project="", mode=""),
        "hidden": [
            (name, query[name])
            for name in ("range", "group", "metric", "step", "zone")
            if name in query
        ],
        "wider_query": page_query.link(query, range="30d", step=""),
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
