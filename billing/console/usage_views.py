"""HTML page of an organization's usage, and the same as CSV."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, organization_page
from billing.console import page_query, page_words, usage_charts, usage_csv
from billing.console.page_query import FILTERS, Link, Scope
from billing.console.usage_charts import GROUP_TITLES, LATENCY, METRICS
from billing.read_models import forecast, latency, movers, periods, reports
from billing.read_models.periods import Period
from billing.read_models.reports import GROUPS, Filters, Group, Usage, UsageRow
from exerati import downloads
from exerati.drawing.charts import Chart

MODE_CHOICES = (("", "All calls"), ("live", "Live"), ("test", "Test"))
KEPT = ("range", "from", "to", "group", "metric", "step", "compare", "zone")
STEPS: tuple[periods.Step, ...] = ("minute", "hour", "day")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for."""

    scope: Scope
    filters: Filters
    period: Period
    group: Group
    metric: str
    now: datetime


@require_safe
@organization_page(Action.VIEW)
def usage(request: OrganizationRequest) -> HttpResponse:
    """Show spend, requests, tokens or latency over time by model, key, project, member or tag."""
    asked = _asked(request)
    organization, period = request.organization, asked.period
    found = reports.usage(organization, period=period, group=asked.group, filters=asked.filters)
    took = _latency(request, asked)
    context = {
        "usage": found,
        "took": took.whole,
        "newest": took.newest,
        "shows_latency": asked.metric == LATENCY,
        "chart": _chart(request, asked, found, took),
        "rows": [_table_row(request, found, row, took) for row in found.rows],
        "movers": movers.top(found),
        "movers_heading": movers.heading(found),
        "against": page_words.AGAINST[period.name],
        "notes_latency": page_words.latency_notes(took.whole),
        "latency_link": page_query.link(request.GET, metric=LATENCY),
        "classes": page_words.token_classes(found.total),
        "notes": page_words.usage_notes(found),
        "group_heading": f"By {GROUP_TITLES[found.group]}",
        "group_title": _capital(GROUP_TITLES[found.group]),
        "requests_query": usage_charts.log_query(request, found),
        "csv_links": _csv_links(request),
        "page_address": request.build_absolute_uri(),
        "zone_name": str(period.zone),
        "nav_active": "usage",
        **_forecast(request, asked),
        **_links(request, asked),
        **_filters(request, asked),
    }
    with timezone.override(period.zone):
        return render(request, "billing/usage.html", context)


@require_safe
@organization_page(Action.VIEW)
def usage_csv_file(request: OrganizationRequest) -> StreamingHttpResponse:
    """Download the sums by bucket and group, sent while they are read."""
    asked = _asked(request)
    step = page_query.choice(request.GET, "step", STEPS, default=asked.period.step)
    first = asked.period.start.astimezone(asked.period.zone)
    return downloads.csv_response(
        request,
        name=f"exerati-usage-{request.organization.slug}-{first:%Y-%m-%d}.csv",
        rows=usage_csv.rows(
            request.organization,
            period=asked.period,
            step=step,
            group=asked.group,
            filters=asked.filters,
        ),
    )


def _asked(request: OrganizationRequest) -> Asked:
    """Read the address; runs the queries of the filters' choices."""
    scope, now = page_query.scope(request.organization), timezone.now()
    metric = page_query.choice(request.GET, "metric", (*METRICS, LATENCY), default="spend")
    return Asked(
        scope=scope,
        filters=scope.filters(request.GET, member=page_query.member(request)),
        period=page_query.period(request, now=now),
        group=page_query.choice(request.GET, "group", GROUPS, default="model"),
        metric=metric,
        now=now,
    )


def _latency(request: OrganizationRequest, asked: Asked) -> latency.Latency:
    """Return the percentiles: of buckets and groups where the page shows them, else in all."""
    organization, period, filters = request.organization, asked.period, asked.filters
    if asked.metric != LATENCY:
        return latency.whole(organization, period=period, filters=filters)
    return latency.by_bucket_and_group(
        organization, period=period, group=asked.group, filters=filters
    )


def _chart(
    request: OrganizationRequest, asked: Asked, found: Usage, took: latency.Latency
) -> Chart:
    if asked.metric == LATENCY:
        return usage_charts.latency_lines(request, found, took)
    before = None
    if request.GET.get("compare"):
        earlier = periods.before(asked.period)
        before = reports.usage(
            request.organization,
            period=earlier,
            group="mode",
            filters=asked.filters,
            since=earlier.start,
        )
    metric = usage_charts.metric_of(request.GET)
    return usage_charts.bars(request, found, metric, before=before)


def _forecast(request: OrganizationRequest, asked: Asked) -> dict[str, object]:
    """Return where the month's spending is heading; nothing for test keys, which spend nothing."""
    if asked.filters.mode == "test":
        return {}
    organization = request.organization
    found = forecast.read(
        organization, now=asked.now, zone=page_query.own_zone(request), filters=asked.filters
    )
    if found is None or not found.end_nanousd:
        return {}
    cap = page_query.month_cap(organization, asked.filters)
    return {
        "forecast": found,
        "forecast_chart": usage_charts.forecast_lines(found, cap_nanousd=cap),
        "forecast_words": page_words.forecast_words(found, cap_nanousd=cap),
        "forecast_is_over": cap is not None and found.end_nanousd > cap,
    }


def _table_row(
    request: OrganizationRequest, found: Usage, row: UsageRow, took: latency.Latency
) -> dict[str, object]:
    """Return a group with its links: into the group, and to its requests."""
    inside = "key" if found.group == "model" else "model"
    query = usage_charts.log_query(request, found, also={found.group: row.id}) if row.id else ""
    spend = found.total.spend
    return {
        "row": row,
        "href": page_query.link(request.GET, **{found.group: row.id, "group": inside})
        if row.id
        else "",
        "requests_query": query,
        "share": page_words.share_text(row.total.spend, spend) if spend else "",
        "change": page_words.change_of(row),
        "took": took.groups.get(row.id, latency.UNKNOWN),
    }


def _links(request: OrganizationRequest, asked: Asked) -> dict[str, object]:
    query, period = request.GET, asked.period
    titles = [(name, item.title) for name, item in METRICS.items()]
    groups = [(name, _capital(GROUP_TITLES[name])) for name in GROUPS]
    ranges = page_query.links(
        query,
        name="range",
        choices=list(periods.TITLES.items()),
        present=period.name,
        step="",
        **{"from": "", "to": ""},
    )
    comparing = bool(query.get("compare"))
    return {
        "range_links": ranges,
        "metric_links": page_query.links(
            query,
            name="metric",
            choices=[*titles, (LATENCY, "Latency")],
            present=asked.metric,
        ),
        "group_links": page_query.links(query, name="group", choices=groups, present=asked.group),
        "step_links": page_query.links(
            query, name="step", choices=_steps(period), present=period.step
        ),
        "compare_links": _compare_links(request, comparing=comparing),
        "zone_links": page_query.zone_links(request),
        "mine_link": page_query.link(query, member="" if _is_mine(request) else "me"),
        "is_mine": _is_mine(request),
    }


def _compare_links(request: OrganizationRequest, *, comparing: bool) -> list[Link]:
    query = request.GET
    if query.get("metric") == LATENCY:
        return []
    return [
        ("Nothing", page_query.link(query, compare=""), not comparing),
        ("The time before", page_query.link(query, compare="1"), comparing),
    ]


def _is_mine(request: OrganizationRequest) -> bool:
    return request.GET.get("member") in ("me", request.membership.public_id)


def _steps(period: Period) -> list[tuple[str, str]]:
    """Return the buckets that a range may be cut into; a single one is no choice."""
    days = len(period.slots) if period.step == "day" else 0
    hourly = period.name in periods.HOURLY or 0 < days <= periods.MAX_HOURLY_DAYS
    if period.name == periods.CUSTOM:
        hourly = hourly or period.step == "hour"
        return [("hour", "Hour"), ("day", "Day")] if hourly else []
    if period.name not in periods.HOURLY or period.name not in periods.DAILY:
        return []
    return [("hour", "Hour"), ("day", "Day")]


def _csv_links(request: OrganizationRequest) -> list[tuple[str, str]]:
    """Return the download in each bucket size."""
    return [(f"By the {name}", page_query.link(request.GET, step=name)) for name in reversed(STEPS)]


def _filters(request: OrganizationRequest, asked: Asked) -> dict[str, object]:
    """Return the choices of the filter form, and a link that takes all filters off."""
    query, organization, scope = request.GET, request.organization, asked.scope
    since = asked.period.previous_start
    return {
        "models": reports.known_models(organization, since=since),
        "tags": reports.known_tags(organization, since=since),
        "keys": scope.key_options,
        "projects": scope.project_options,
        "members": scope.member_options,
        "modes": MODE_CHOICES,
        "chosen": {name: query.get(name, "") for name in FILTERS}
        | {"member": page_query.member(request)},
        "chosen_from": query.get("from", ""),
        "chosen_to": query.get("to", ""),
        "is_filtered": any(query.get(name) for name in FILTERS),
        "clear_query": page_query.link(query, **dict.fromkeys(FILTERS, "")),
        "hidden": _hidden(query, KEPT),
        "hidden_dates": _hidden(query, (*FILTERS, "group", "metric", "compare", "zone")),
        "wider_query": page_query.link(query, range="30d", step="", **{"from": "", "to": ""}),
    }


def _hidden(query: Mapping[str, str], names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(name, query[name]) for name in names if name in query]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
