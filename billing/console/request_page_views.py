"""HTML pages of one request: what it used and cost, why it was refused, and its body where that is kept."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, allows, organization_page
from billing import price_book, price_formula
from billing.basis import BASIS_WORDS, FLAG_WORDS
from billing.bodies import stored_bodies
from billing.console import page_query, page_words, refusal_words, request_source
from billing.models import Attempt, RefusedRequest, UsageEvent
from billing.read_models import refusal_log, request_log
from exerati.drawing.charts import Chart
from exerati.drawing.small_charts import Phase, waterfall

Outcome = UsageEvent.Outcome
CHAT_ENDPOINTS = ("chat.completions", "completions", "responses", "messages")

OUTCOME_WORDS = {
    Outcome.FINISHED: "The provider answered to the end.",
    Outcome.CLIENT_LEFT: "The client left before the answer was complete.",
    Outcome.FAILED: "The provider did not complete the call.",
    Outcome.EMPTY: "The answer held nothing.",
    Outcome.LOST: "The process that served the call ended; its lease was settled at the last known progress.",
}


@require_safe
@organization_page(Action.VIEW)
def request_detail(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Show one request: what it used, how its price came about, and each attempt."""
    request_id = request_log.parse_id(public_id)
    event = request_log.find(request.organization, request_id) if request_id else None
    if event is None:
        return _refused(request, request_id=request_id)
    tries = request_log.attempts(event)
    usage = request_log.usage(event)
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
        **_again(request, event),
        "requests_url": reverse("dashboard:requests", args=[request.organization.slug]),
        "nav_active": "requests",
    }
    with timezone.override(page_query.zone(request)):
        return _page_or_panel(request, "request", context)


def _again(request: OrganizationRequest, event: UsageEvent) -> dict[str, Any]:
    """Return what it takes to look at the request's body and to make the request again."""
    organization, shown_id = request.organization, request_log.public_id(event.request_id)
    may_read = allows(request.membership.role, Action.READ_BODIES)
    now = timezone.now()
    replay_url = reverse("dashboard:playground", args=[organization.slug]) + f"?replay={shown_id}"
    return {
        "has_body": stored_bodies.is_kept(organization, event.request_id, now=now),
        "may_read_body": may_read,
        "body_url": reverse("dashboard:request_body", args=[organization.slug, shown_id]),
        "bodies_url": reverse("dashboard:body_settings", args=[organization.slug]),
        "curl": request_source.curl(
            base_url=settings.API_BASE_URL,
            endpoint=event.endpoint.replace(".", "/"),
            model=event.model,
            streamed=event.streamed,
        ),
        "replay_url": replay_url if event.endpoint in CHAT_ENDPOINTS else "",
    }


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
        "advice": refusal_words.advice(refusal),
        "change_label": change_label,
        "change_url": change_url,
        "docs_url": reverse("docs_page", args=["budgets"]) if refusal.limit_kind else "",
        "requests_url": reverse("dashboard:requests", args=[request.organization.slug]),
        "nav_active": "requests",
    }
    with timezone.override(page_query.zone(request)):
        return _page_or_panel(request, "refused", context)


def _page_or_panel(
    request: OrganizationRequest, name: str, context: dict[str, Any]
) -> HttpResponse:
    """Render the page, or what is in it for the log's panel."""
    panel = request.headers.get("HX-Request") == "true"
    answer = render(
        request, f"billing/{'_' if panel else ''}{name}.html", {**context, "panel": panel}
    )
    answer.headers["vary"] = "HX-Request, Cookie"
    return answer


def _change(refusal: RefusedRequest, *, slug: str) -> tuple[str, str]:
    """Return what to press to change what refused, and where that is."""
    if refusal.scope == refusal_words.PAST_DUE:
        return "See the invoices", reverse("dashboard:invoices", args=[slug])
    if refusal.scope == "wallet":
        return "Add credit", reverse("dashboard:billing", args=[slug])
    if refusal.scope == "member":
        return "See the team's budgets", reverse("dashboard:team", args=[slug])
    if refusal.scope in ("organization", "project") or refusal.key.is_seat:
        return "See the budgets", reverse("dashboard:overview", args=[slug])
    label = "Change the key's limits" if refusal.limit_kind else "Open the key"
    return label, reverse("dashboard:key", args=[slug, refusal.key.public_id])


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
        why = page_words.ATTEMPT_WORDS.get(attempt.error_code, attempt.error_code)
        reason = ", ".join(str(part) for part in (attempt.status, why) if part)
        return [Phase(label, start, total, "failed", note=reason)]
    wait = min(attempt.first_byte_ms if attempt.first_byte_ms is not None else total, total)
    phases = [Phase(label, start, wait, "wait", note="to the first byte")]
    if total > wait:
        phases.append(Phase("Answer", start + wait, total - wait, "stream"))
    return phases
