"""HTML forms about the browsers that somebody is signed in with; the list is a page of the account library."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts import devices, sessions
from accounts.middleware import OrganizationRequest
from accounts.models import User
from accounts.view_as import is_viewed_as


@require_POST
@login_required
def session_end(request: HttpRequest) -> HttpResponse:
    """Sign one browser out; staff who look as a customer sign nobody out."""
    if is_viewed_as(cast(OrganizationRequest, request)):
        raise PermissionDenied
    ended = sessions.end(cast(User, request.user), handle=request.POST.get("session", ""))
    messages.success(request, f"{devices.name_of(ended.user_agent)} is signed out.")
    return redirect("usersessions_list")
