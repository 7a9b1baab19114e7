"""HTML pages of the overview of an organization."""

from datetime import datetime
from http import HTTPStatus

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, allows, organization_page
from apikeys.models import ApiKey
from billing.alerting import notices
from billing.console import page_query, page_words, sample_overview, usage_charts
from billing.read_models import budget_report, recent_calls, refusal_log, reports, request_log
from billing.read_models.periods import DAY
from exerati.lib.example_models import EXAMPLE_MODELS

BUDGETS_SHOWN = 6
TOP_SHOWN = 5


@require_safe
@organization_page(Action.VIEW)
def overview(request: OrganizationRequest) -> HttpResponse:
    """Show money, traffic, errors and caps at a glance, or, before the first call, how to make it."""
    now, organization = timezone.now(), request.organization
    recent = page_query.named_period(request, "30d", now=now)
    by_model = reports.usage(organization, period=recent, group="model", since=recent.start)
    if not by_model.total.requests and not request_log.has_any(organization):
        return _sample(request, now=now) if "sample" in request.GET else _first_steps(request)
    by_key = reports.usage(organization, period=recent, group="key", since=recent.start)
    week = page_query.named_period(request, "7d", now=now).start
    context = {
        **_readings(request, now=now),
        "urgent": notices.urgent(organization, user=request.user),
        "errors": recent_calls.recent_errors(organization, since=week),
        "bases": recent_calls.bases(organization, since=week),
        "chart": usage_charts.bars(request, by_model, usage_charts.METRICS["spend"]),
        "top_models": by_model.rows[:TOP_SHOWN],
        "top_keys": by_key.rows[:TOP_SHOWN],
    }
    return _rendered(request, context)


def _sample(request: OrganizationRequest, *, now: datetime) -> HttpResponse:
    """Show the overview with invented numbers, and say so."""
    return _rendered(request, sample_overview.context(request, now=now))


def _rendered(request: OrganizationRequest, context: dict[str, object]) -> HttpResponse:
    slug, zone = request.organization.slug, page_query.zone(request)
    framed = {
        **context,
        "usage_url": reverse("dashboard:usage", args=[slug]),
        "requests_url": reverse("dashboard:requests", args=[slug]),
        "zone_name": str(zone),
        "nav_active": "overview",
    }
    with timezone.override(zone):
        return render(request, "billing/overview.html", framed)


def _readings(request: OrganizationRequest, *, now: datetime) -> dict[str, object]:
    """Return the numbers at the top of the overview and the caps, with their notes."""
    organization = request.organization
    wallet = budget_report.wallet(organization)
    budgets = budget_report.budgets(organization, now=now)
    today = reports.usage(
        organization, period=page_query.named_period(request, "today", now=now), group="mode"
    )
    month = reports.usage(
        organization, period=page_query.named_period(request, "month", now=now), group="mode"
    )
    latency = recent_calls.latency(organization, since=now - DAY)
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
    """
    Answer a page that waits for the first call, of one key where `key` names it: 204 while there is nothing to tell.

    Then where to look. A call that was refused is told once (`seen` is its id), and the page waits on.
    """
    filters = request_log.LogFilters(key=page_query.text(request.GET, "key"))
    newest = request_log.rows(request.organization, filters=filters).rows[:1]
    if newest:
        tone = "ok" if newest[0].status < HTTPStatus.BAD_REQUEST else "warn"
        context = {"row": newest[0], "tone": tone}
        return render(request, "billing/_first_call_arrived.html", context)
    refused = refusal_log.page(request.organization, filters=filters).rows[:1]
    if not refused or refused[0].id == request.GET.get("seen"):
        return HttpResponse(status=204)
    context = {"refused": refused[0], "wait_key": filters.key}
    return render(request, "billing/_first_call_wait.html", context)


def _first_steps(request: OrganizationRequest) -> HttpResponse:
    """Show the overview of an organization without calls: a key, then the call, then watch it arrive."""
    wallet = budget_report.wallet(request.organization)
    context = {
        "wallet": wallet,
        "balance_note": page_words.balance_note(wallet),
        "has_key": request.organization.api_keys.filter(revoked_at=None).exists(),
        "may_manage_keys": allows(request.membership.role, Action.MANAGE_KEYS),
        "may_call": allows(request.membership.role, Action.CALL_MODELS),
        "example_model": EXAMPLE_MODELS[ApiKey.Mode.TEST],
        "nav_active": "overview",
    }
    return render(request, "billing/overview_empty.html", context)
