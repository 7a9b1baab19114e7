"""HTML pages of the request log and of one request."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, organization_page
from billing import (
    page_query,
    page_words,
    periods,
    price_book,
    price_formula,
    refusal_log,
    refusal_words,
    reports,
    request_log,
)
from billing.basis import BASIS_WORDS, FLAG_WORDS
from billing.models import Attempt, RefusedRequest, UsageEvent
from billing.request_log import REFUSED, LogFilters
from exerati import formats
from exerati.charts import Chart
from exerati.small_charts import Phase, waterfall

Outcome = UsageEvent.Outcome

OUTCOME_WORDS = {
    Outcome.FINISHED: "The provider answered to the end.",
    Outcome.CLIENT_LEFT: "The client left before the answer was complete.",
    Outcome.FAILED: "The provider did not complete the call.",
    Outcome.EMPTY: "The answer held nothing.",
    Outcome.LOST: "The process that served the call ended; its lease was settled at the last known progress.",
}
STATUS_CHOICES = (
    ("", "Any status"),
    ("ok", "Successful"),
    ("error", "All errors"),
    ("4xx", "4xx"),
    ("5xx", "5xx"),
    (REFUSED, "Refused"),
)
MODE_CHOICES = (("", "Live and test"), ("live", "Live"), ("test", "Test"))
EXAMPLE_MODEL = "gpt-4"
FORM_FIELDS = ("model", "key", "status", "outcome", "mode")
KEPT_FIELDS = ("project", "member", "tag", "error", "since", "until", "zone")
RANGES = (
    ("", "All time"),
    *((name, periods.TITLES[name]) for name in ("today", "24h", "7d", "30d")),
)


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
    zone = page_query.zone(request)
    filters = _filters(request)
    page = refusal_log.page(organization, filters=filters, cursor=_cursor(query))
    scope = page_query.scope(organization)
    context = {
        "page": page,
        "filters": filters,
        "query": query.get("q", ""),
        "newer_url": page_query.link(query, newer=page.newer, older="") if page.newer else "",
        "older_url": page_query.link(query, older=page.older, newer="") if page.older else "",
        "first_url": page_query.link(query, older="", newer=""),
        "chosen": {name: query.get(name, "") for name in FORM_FIELDS},
        "kept": [(name, query[name]) for name in (*KEPT_FIELDS, "range") if query.get(name)],
        "models": reports.known_models(organization, since=timezone.now() - 30 * periods.DAY),
        "keys": scope.key_options,
        "statuses": STATUS_CHOICES,
        "outcomes": [("", "Any outcome"), *Outcome.choices],
        "modes": MODE_CHOICES,
        "set_filters": _set_filters(request, scope=scope),
        "range_links": _range_links(query),
        "zone_links": page_query.zone_links(request),
        "zone_name": str(zone),
        "page_note": _page_note(page, is_first=_cursor(query) is None),
        "is_narrowed": filters != LogFilters(),
        "empty_title": "No requests match" if filters != LogFilters() else "No requests yet",
        "example_model": EXAMPLE_MODEL,
        "clear_url": reverse("dashboard:requests", args=[organization.slug]),
        "nav_active": "requests",
    }
    with timezone.override(zone):
        return render(request, "billing/requests.html", context)


@require_safe
@organization_page(Action.VIEW)
def request_detail(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Show one request: what it used, how its price came about, and each attempt."""
    request_id = request_log.parse_id(public_id)
    event = request_log.find(request.organization, request_id) if request_id else None
    if event is None:
        return _refused(request, request_id=request_id)
    tries = request_log.attempts(event)
    usage = price_formula.usage_of(request_log.token_counts(event), event.usage_details)
    price = price_book.price_of(event.price_version)
    formula = price_formula.explain(usage, price=price, price_nanousd=event.price_nanousd)
    context = {
        "event": event,
        "endpoint": f"/v1/{event.endpoint.replace('.', '/')}",
        "id": request_log.public_id(event.request_id),
        "attempts": tries,
        "waterfall": _waterfall(event, tries),
        "details": [(name.replace("_", " "), count) for name, count in event.usage_details.items()],
        "formula": formula,
        "outcome_words": OUTCOME_WORDS[Outcome(event.outcome)],
        "basis_words": BASIS_WORDS[event.basis],
        "flag_words": FLAG_WORDS.get(event.usage_flag, ""),
        "is_test": event.mode == "test",
        **page_words.request_words(event, formula=formula),
        "requests_url": reverse("dashboard:requests", args=[request.organization.slug]),
        "nav_active": "requests",
    }
    with timezone.override(page_query.zone(request)):
        return render(request, "billing/request.html", context)


def _refused(request: OrganizationRequest, *, request_id: UUID | None) -> HttpResponse:
    """Show why a request was refused, how full the limit was, and where to change it; raises Http404."""
    refusal = refusal_log.find(request.organization, request_id) if request_id else None
    if refusal is None:
        raise Http404
    change_label, change_url = _change(refusal, slug=request.organization.slug)
    context = {
        "refusal": refusal,
        "id": request_log.public_id(refusal.request_id),
        "heading": refusal.model or "Refused request",
        "endpoint": f"/v1/{refusal.endpoint.replace('.', '/')}",
        "limit": refusal_words.limit(refusal),
        "level": refusal_words.level(refusal),
        "change_label": change_label,
        "change_url": change_url,
        "docs_url": reverse("docs_page", args=["budgets" if refusal.limit_kind else "errors"]),
        "requests_url": reverse("dashboard:requests", args=[request.organization.slug]),
        "nav_active": "requests",
    }
    with timezone.override(page_query.zone(request)):
        return render(request, "billing/refused.html", context)


def _change(refusal: RefusedRequest, *, slug: str) -> tuple[str, str]:
    """Return what to press to change what refused, and where that is."""
    if refusal.scope in ("wallet", "organization", "project") or refusal.key.is_seat:
        return "See credit and budgets", reverse("dashboard:overview", args=[slug])
    label = "Change the key's limits" if refusal.limit_kind else "Open the key"
    return label, reverse("dashboard:key", args=[slug, refusal.key.public_id])


def _page_note(page: request_log.LogPage, *, is_first: bool) -> str:
    """Return what the page holds."""
    if is_first and not page.older:
        return formats.count_text(len(page.rows), "requests")
    return f"{len(page.rows)} newest" if is_first else f"{len(page.rows)} of this page"


def _filters(request: OrganizationRequest) -> LogFilters:
    """Return the filters of an address; a named range stands for its two times."""
    query = request.GET
    found = LogFilters(
        model=page_query.text(query, "model"),
        key=page_query.text(query, "key"),
        project=page_query.text(query, "project"),
        status=query.get("status", ""),
        outcome=query.get("outcome", "") if query.get("outcome") in Outcome.values else "",
        error=page_query.text(query, "error"),
        mode=query.get("mode", "") if query.get("mode") in ("live", "test") else "",
        search=page_query.text(query, "q"),
        member=page_query.member(request),
        tag=page_query.text(query, "tag"),
        since=page_query.moment(query.get("since", "")),
        until=page_query.moment(query.get("until", "")),
    )
    if query.get("range") not in periods.TITLES:
        return found
    chosen = periods.period(
        query["range"],
        now=timezone.now(),
        zone=page_query.zone(request),
        month_day=request.organization.month_day,
    )
    return replace(found, since=chosen.start, until=None)


def _cursor(query: QueryDict) -> request_log.Cursor | None:
    if "newer" in query:
        return request_log.parse_cursor(query.get("newer", ""), direction="newer")
    return request_log.parse_cursor(query.get("older", ""), direction="older")


def _range_links(query: QueryDict) -> list[page_query.Link]:
    """Return the ranges; a bucket of a chart, given by its times, is none of them."""
    present = query.get("range", "-" if query.get("since") else "")
    return page_query.links(
        query,
        name="range",
        choices=RANGES,
        present=present,
        since="",
        until="",
        older="",
        newer="",
    )


def _set_filters(request: OrganizationRequest, *, scope: page_query.Scope) -> list[tuple[str, str]]:
    """Return (what, address without it) of each filter that the form does not show."""
    query = request.GET
    times = [page_query.moment(query.get(name, "")) for name in ("since", "until")]
    zone = page_query.zone(request)
    found = []
    if any(times):
        since, until = (
            f"{at.astimezone(zone):%d %b %H:%M}".lstrip("0") if at else "…" for at in times
        )
        found.append((f"{since} to {until}", _without(query, "since", "until")))
    if query.get("error"):
        found.append((f"Error {query['error']}", _without(query, "error")))
    if query.get("project") in scope.projects:
        name = scope.projects[query["project"]][1]
        found.append((f"Project {name}", _without(query, "project")))
    if query.get("tag"):
        found.append((f"Tag {query['tag']}", _without(query, "tag")))
    member = page_query.member(request)
    if member in scope.members:
        found.append((f"Keys of {scope.members[member][1]}", _without(query, "member")))
    return found


def _without(query: QueryDict, *names: str) -> str:
    return page_query.link(query, **dict.fromkeys((*names, "older", "newer"), ""))


def _settle_ms(event: UsageEvent) -> int:
    """Return the milliseconds from admission to settlement."""
    return max(0, int((event.settled_at - event.occurred_at).total_seconds() * 1000))


def _waterfall(event: UsageEvent, tries: Sequence[Attempt]) -> Chart | None:
    """Return the request on one time axis: each attempt's wait and stream; None where none was stored."""
    if not tries:
        return None
    phases: list[Phase] = []
    for attempt in tries:
        start = max(0, int((attempt.started_at - event.occurred_at).total_seconds() * 1000))
        if not phases:
            phases.append(Phase("Check, reserve", 0, start, note="key, scopes, limits, caps"))
        phases += _attempt_phases(attempt, start=start)
    end = max(phase.start_ms + phase.duration_ms for phase in phases)
    phases.append(Phase("Settle", end, max(0, _settle_ms(event) - end)))
    return waterfall("Course of this request", phases=phases)


def _attempt_phases(attempt: Attempt, *, start: int) -> list[Phase]:
    """Return a failed attempt as one bar, another as its wait for the first byte and the rest."""
    label = f"{attempt.number} {attempt.provider}"
    total = attempt.duration_ms or 0
    if attempt.error_code or (attempt.status or 0) >= 400:
        reason = " ".join(str(part) for part in (attempt.status, attempt.error_code) if part)
        return [Phase(label, start, total, "failed", note=reason)]
    wait = min(attempt.first_byte_ms if attempt.first_byte_ms is not None else total, total)
    phases = [Phase(label, start, wait, "wait", note="to the first byte")]
    if total > wait:
        phases.append(Phase("Answer", start + wait, total - wait, "stream"))
    return phases
