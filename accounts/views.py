"""HTML pages of the dashboard's root and of the organization's settings."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts import services
from accounts.forms import OrganizationForm, SettingsForm
from accounts.middleware import OrganizationRequest
from accounts.models import User
from accounts.permissions import Action, allows, last_organization, organization_page


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Send a member to the organization visited last, or the first; one who has none may make one."""
    own = last_organization(request)
    if own is None:
        return redirect("dashboard:organization_create")
    return redirect("dashboard:overview", slug=own.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def organization_create(request: HttpRequest) -> HttpResponse:
    """Make one more organization, owned by the visitor."""
    form = OrganizationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        organization = services.create_organization(
            name=form.cleaned_data["organization"], owner=cast(User, request.user)
        )
        return redirect("dashboard:overview", slug=organization.slug)
    status = 422 if form.errors else 200
    return render(request, "accounts/organization_create.html", {"form": form}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@organization_page(Action.MANAGE_ORGANIZATION)
def settings(request: OrganizationRequest) -> HttpResponse:
    """Show and change the organization's name and calendar."""
    form = SettingsForm(request.POST or None, instance=request.organization)
    if request.method == "POST" and form.is_valid():
        request.organization.refresh_from_db()  # the form has already written into the instance
        services.change_settings(request.organization, actor=request.user, **form.cleaned_data)
        messages.success(request, "Settings saved.")
        return redirect("dashboard:settings", slug=request.organization.slug)
    status = 422 if form.errors else 200
    may_close = allows(request.membership.role, Action.MANAGE_OWNERS)
    context = {"form": form, "may_close": may_close, "nav_active": "settings"}
    return render(request, "accounts/settings.html", context, status=status)
