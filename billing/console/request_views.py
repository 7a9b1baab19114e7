"""HTML pages of the request log: the list, its live tail, and the views that members save of it."""

from datetime import datetime, timedelta

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, organization_page
from apikeys.models import ApiKey
from billing import saved_filters
from billing.console import log_query, page_query
from billing.read_models import log_scan, periods, refusal_log, reports, request_log
from billing.read_models.request_log import LogFilters
from exerati.drawing import formats
from exerati.lib.example_models import EXAMPLE_MODELS

TAIL_SECONDS = 2
LATE = timedelta(hours=1)  # a tail that slept for longer goes on from here


@require_safe
@organization_page(Action.VIEW)
def request_list(request: OrganizationRequest) -> HttpResponse:
    """Show a page of the log; a search for one of our ids leads straight to its request."""
    organization, query = request.organization, request.GET
    searched = request_log.parse_id(query.get("q", ""))
    if searched is not None and (
        request_log.find(organization, searched) or refusal_log.find(organization, searched)
    ):
        found_id = request_log.public_id(searched)
        return redirect("dashboard:request", slug=organization.slug, public_id=found_id)
    filters = log_query.filters(request)
    page = refusal_log.page(organization, filters=filters, cursor=log_query.cursor(query))
    is_narrowed = filters != LogFilters()
    context = {
        "page": page,
        "newer_url": page_query.link(query, newer=page.newer, older="") if page.newer else "",
        "older_url": page_query.link(query, older=page.older, newer="") if page.older else "",
        "first_url": page_query.link(query, older="", newer=""),
        "page_note": _page_note(page, is_first=log_query.cursor(query) is None),
        "tail_url": _tail_url(request, since=timezone.now()),
        "tail_seconds": TAIL_SECONDS,
        "is_narrowed": is_narrowed,
        "empty_title": _empty_title(page, is_narrowed=is_narrowed),
        "looked_at": log_scan.LOOKED_AT,
        "example_model": EXAMPLE_MODELS[ApiKey.Mode.TEST],
        "clear_url": reverse("dashboard:requests", args=[organization.slug]),
        "bodies_url": reverse("dashboard:body_settings", args=[organization.slug]),
        "views": saved_filters.links(request),
        "view_query": log_query.view_query(query),
        "nav_active": "requests",
        **_form(request),
    }
    with timezone.override(page_query.zone(request)):
        return render(request, "billing/requests.html", context)


@require_safe
@organization_page(Action.VIEW)
def request_tail(request: OrganizationRequest) -> HttpResponse:
    """Answer the live log: 204 while there is nothing new, else the new rows and where to go on from."""
    earliest = timezone.now() - LATE
    since = max(earliest, page_query.moment(request.GET.get("after", "")) or earliest)
    filters = log_query.filters(request)
    found = request_log.settled_since(request.organization, filters=filters, since=since)
    if refusal_log.may_match(filters):
        found += refusal_log.refused_since(request.organization, filters=filters, since=since)
    if not found:
        return HttpResponse(status=204)
    found.sort(key=lambda pair: pair[0], reverse=True)
    context = {
        "rows": [row for _, row in found],
        "tail_url": _tail_url(request, since=found[0][0]),
        "tail_seconds": TAIL_SECONDS,
    }
    with timezone.override(page_query.zone(request)):
        return render(request, "billing/_tail.html", context)


@require_POST
@organization_page(Action.VIEW)
def view_save(request: OrganizationRequest) -> HttpResponse:
    """Remember the filters of the log under a name, for this member."""
    kept = log_query.view_query(QueryDict(request.POST.get("query", "")))
    name = request.POST.get("name", "").replace("\x00", "").strip()
    try:
        saved_filters.save(request.organization, user=request.user, name=name, query=kept)
    except saved_filters.CannotSave as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{name} is saved.")
    return _to_log(request, query=kept)


@require_POST
@organization_page(Action.VIEW)
def view_delete(request: OrganizationRequest) -> HttpResponse:
    """Forget one of the member's views."""
    name = saved_filters.delete(
        request.organization, user=request.user, public_id=request.POST.get("view", "")
    )
    if name:
        messages.success(request, f"{name} is forgotten.")
    return _to_log(request, query="")


def _to_log(request: OrganizationRequest, *, query: str) -> HttpResponse:
    url = reverse("dashboard:requests", args=[request.organization.slug])
    return redirect(f"{url}?{query}" if query else url)


def _form(request: OrganizationRequest) -> dict[str, object]:
    """Return what the form of filters offers, and what is chosen."""
    query, scope = request.GET, page_query.scope(request.organization)
    since = timezone.now() - 30 * periods.DAY
    return {
        "query": query.get("q", ""),
        "chosen": {name: query.get(name, "") for name in log_query.FORM_FIELDS},
        "kept": [
            (name, query[name]) for name in (*log_query.KEPT_FIELDS, "range") if query.get(name)
        ],
        "models": reports.known_models(request.organization, since=since),
        "keys": log_query.key_options(scope),
        "projects": scope.project_options if len(scope.projects) > 1 else [],
        "statuses": log_query.STATUS_CHOICES,
        "outcomes": log_query.OUTCOME_CHOICES,
        "bases": log_query.BASIS_CHOICES,
        "costs": log_query.COST_CHOICES,
        "modes": log_query.MODE_CHOICES,
        "set_filters": log_query.set_filters(request, scope=scope),
        "range_links": log_query.range_links(query),
        "zone_links": page_query.zone_links(request),
        "zone_name": str(page_query.zone(request)),
    }


def _tail_url(request: OrganizationRequest, *, since: datetime) -> str:
    """Return the address of what comes after a moment, under the same filters."""
    query = page_query.link(request.GET, after=since.isoformat(), older="", newer="")
    return reverse("dashboard:request_tail", args=[request.organization.slug]) + query


def _empty_title(page: request_log.LogPage, *, is_narrowed: bool) -> str:
    if page.looked_to:
        return "No requests match so far"
    return "No requests match" if is_narrowed else "No requests yet"


def _page_note(page: request_log.LogPage, *, is_first: bool) -> str:
    """Return what the page holds."""
    if is_first and not page.older:
        return formats.count_text(len(page.rows), "requests")
    return f"{len(page.rows)} newest" if is_first else f"{len(page.rows)} of this page"
