"""HTML page of one's own account: what protects it, and the time zone of pages."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts import security, services
from accounts.forms import ProfileForm
from accounts.middleware import OrganizationRequest
from accounts.models import User
from accounts.view_as import is_viewed_as


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def profile(request: HttpRequest) -> HttpResponse:
    """Show what protects the account, and change the time zone; staff who look as a customer change nothing."""
    user = cast(User, request.user)
    form = ProfileForm(request.POST or None, initial={"time_zone": user.time_zone})
    if request.method == "POST" and is_viewed_as(cast(OrganizationRequest, request)):
        raise PermissionDenied
    if request.method == "POST" and form.is_valid():
        services.change_time_zone(user, time_zone=form.cleaned_data["time_zone"])
        messages.success(request, "Saved. Pages that offer your own time zone use it from now on.")
        return redirect("profile")
    context = {"form": form, "checks": security.checks(user)}
    return render(request, "accounts/profile.html", context, status=422 if form.errors else 200)
