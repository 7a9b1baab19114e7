"""HTML pages of notifications and of the settings of alerts."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.middleware import OrganizationRequest
from accounts.permissions import Action, allows, organization_page
from billing.alerting import alert_settings as settings_of
from billing.alerting import notices
from billing.console import page_query
from billing.console.forms import AlertSettingsForm


@require_safe
@organization_page(Action.VIEW)
def notifications(request: OrganizationRequest) -> HttpResponse:
    """List what the organization was told, newest first."""
    organization, role = request.organization, request.membership.role
    found, older = notices.page(
        organization, user=request.user, before=page_query.text(request.GET, "before")
    )
    context = {
        "notices": found,
        "has_unread": any(not notice.is_read for notice in found),
        "older_url": page_query.link(request.GET, before=older) if older else "",
        "newest_url": reverse("dashboard:notifications", args=[organization.slug])
        if request.GET.get("before")
        else "",
        "may_change": allows(role, Action.MANAGE_BILLING),
        "may_manage_keys": allows(role, Action.MANAGE_KEYS),
        "nav_active": "notifications",
    }
    return render(request, "billing/notifications.html", context)


@require_POST
@organization_page(Action.VIEW)
def notifications_read(request: OrganizationRequest) -> HttpResponse:
    """Mark one notification as read by the visitor, or all."""
    notices.mark_read(
        request.organization, user=request.user, public_id=page_query.text(request.POST, "notice")
    )
    return redirect("dashboard:notifications", slug=request.organization.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.MANAGE_BILLING)
def alert_settings(request: OrganizationRequest) -> HttpResponse:
    """Show and change which alerts the organization wants."""
    present = settings_of.of(request.organization)
    form = AlertSettingsForm(request.POST or None, instance=present)
    if request.method == "POST" and form.is_valid():
        settings_of.change(request.organization, actor=request.user, **form.cleaned_data)
        messages.success(request, "Alerts saved.")
        return redirect("dashboard:notifications", slug=request.organization.slug)
    context = {
        "form": form,
        "notifications_url": reverse("dashboard:notifications", args=[request.organization.slug]),
        "nav_active": "notifications",
    }
    status = 422 if form.errors else 200
    return render(request, "billing/alert_settings.html", context, status=status)
