"""The public status page, and the same as JSON."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_cookie

from exerati.drawing import formats
from exerati.drawing.small_charts import uptime_strip
from gateway.models import Incident, ProbeMinute
from gateway.service_status import status
from gateway.service_status.status import Component, Status

HEADLINES = {
    "works": ("ok", "check", "Everything works"),
    "fails": ("danger", "triangle-alert", "Something does not work"),
    "unknown": ("warn", "clock", "No recent probe"),
}
STATES = {
    "works": ("ok", "check", "Works"),
    "fails": ("danger", "ban", "Fails"),
    "unknown": ("warn", "clock", "Not known"),
}
IMPACT_TONES = {
    Incident.Impact.MINOR: "warn",
    Incident.Impact.MAJOR: "danger",
    Incident.Impact.CRITICAL: "danger",
    Incident.Impact.MAINTENANCE: "accent",
}


@require_safe
@vary_on_cookie
def page(request: HttpRequest) -> HttpResponse:
    """Show whether everything works, each component's last 90 days, providers, and incidents."""
    found = status.current()
    context = {
        "status": found,
        "headline": HEADLINES[found.state],
        "components": [
            (one, STATES[one.state], _strip(one), _took(one)) for one in found.components
        ],
        "incidents": [
            (title, [(one, IMPACT_TONES[Incident.Impact(one.impact)]) for one in incidents])
            for title, incidents in (
                ("Going on", found.open_incidents),
                ("Past 90 days", found.past_incidents),
            )
            if incidents
        ],
        "nav_active": "status",
    }
    return render(request, "gateway/status.html", context)


@require_safe
def as_json(request: HttpRequest) -> JsonResponse:
    """Return the same for programs."""
    return JsonResponse(_wire(status.current()), headers={"Access-Control-Allow-Origin": "*"})


def _strip(component: Component) -> SafeString:
    days = [(f"{day.on:%-d %b}", day.percent) for day in component.days]
    return mark_safe(uptime_strip(component.title, days=days))  # noqa: S308  our own words and numbers


def _took(component: Component) -> str:
    """Return what the newest probe measured, in words."""
    if component.took_ms is None:
        return ""
    took = formats.milliseconds_text(component.took_ms)
    if component.name == ProbeMinute.Component.BACKGROUND:
        return "nothing waits" if component.took_ms == 0 else f"oldest entry waits {took}"
    return f"answered in {took}"


def _wire(found: Status) -> dict[str, Any]:
    return {
        "status": found.state,
        "made_at": formats.machine_text(found.made_at),
        "components": [
            {
                "name": one.name,
                "title": one.title,
                "status": one.state,
                "uptime_90d_percent": one.percent,
                "days": [{"date": day.on.isoformat(), "percent": day.percent} for day in one.days],
            }
            for one in found.components
        ],
        "providers": [
            {
                "name": one.title,
                "calls_24h": one.calls,
                "uptime_24h_percent": one.uptime_percent,
                "first_token_1h_ms": one.first_token_ms,
                "tokens_per_second_1h": one.tokens_per_second,
            }
            for one in found.providers
        ],
        "incidents": [
            {
                "title": one.title,
                "impact": one.impact,
                "started_at": formats.machine_text(one.started_at),
                "resolved_at": formats.machine_text(one.resolved_at) if one.resolved_at else None,
            }
            for one in (*found.open_incidents, *found.past_incidents)
        ],
    }
