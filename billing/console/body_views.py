"""HTML pages of stored bodies: one request's, and the switch of the organization."""

import json

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts import audit, view_as
from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, allows, organization_page, roles_that
from billing.bodies import stored_bodies
from billing.read_models import request_log

DAY_WORDS = {0: "Off: nothing is stored", 1: "1 day", 7: "7 days", 30: "30 days", 90: "90 days"}


@require_safe
@organization_page(Action.READ_BODIES)
def request_body(request: OrganizationRequest, *, public_id: str) -> HttpResponse:
    """Show what a request asked and was answered; a look by our staff is in the customer's audit trail."""
    request_id = request_log.parse_id(public_id)
    body = (
        stored_bodies.read(request.organization, request_id, now=timezone.now())
        if request_id
        else None
    )
    if body is None or request_id is None:
        raise Http404
    if view_as.is_viewed_as(request):
        audit.record(
            request.organization,
            action="body.viewed_by_staff",
            actor=view_as.staff_behind(request),
            target=request_log.public_id(request_id),
        )
    context = {
        "id": request_log.public_id(request_id),
        "body": body,
        "request_json": _pretty(body.request),
        "answer_json": _pretty(body.answer),
        "nav_active": "requests",
    }
    panel = request.headers.get("HX-Request") == "true"
    template = "billing/_body.html" if panel else "billing/body.html"
    answer = render(request, template, context)
    answer.headers["cache-control"] = "no-store"
    return answer


@require_safe
@organization_page(Action.VIEW)
def body_settings(request: OrganizationRequest) -> HttpResponse:
    """Show whether bodies are stored, and what that means."""
    context = {
        "may_change": allows(request.membership.role, Action.MANAGE_ORGANIZATION),
        "choices": [
            (days, DAY_WORDS[days], days == request.organization.body_days)
            for days in stored_bodies.DAYS
        ],
        "readers": roles_that(Action.READ_BODIES),
        "changers": roles_that(Action.MANAGE_ORGANIZATION),
        "requests_url": reverse("dashboard:requests", args=[request.organization.slug]),
        "nav_active": "requests",
    }
    return render(request, "billing/body_settings.html", context)


@require_POST
@organization_page(Action.MANAGE_ORGANIZATION)
def body_days(request: OrganizationRequest) -> HttpResponse:
    """Change for how long bodies are stored, or switch it off."""
    days = request.POST.get("days", "")
    if not days.isdecimal() or int(days) not in stored_bodies.DAYS:
        messages.error(request, "Choose one of the times.")
    else:
        stored_bodies.change_days(request.organization, days=int(days), actor=request.user)
        messages.success(request, "Saved. It holds in every process within seconds.")
    return redirect("dashboard:body_settings", slug=request.organization.slug)


def _pretty(text: str) -> str:
    """Return JSON in lines, anything else as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
