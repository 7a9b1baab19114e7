"""HTML page of one's own data, and the file of it."""

from typing import cast

from allauth.account.decorators import reauthentication_required
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import own_data
from accounts.middleware import OrganizationRequest
from accounts.models import User
from accounts.once_more import once_more
from accounts.view_as import is_viewed_as


@require_safe
@login_required
def page(request: HttpRequest) -> HttpResponse:
    """Say what is in the file, and lead to it."""
    return render(request, "accounts/own_data.html")


@never_cache
@require_safe
@login_required
@once_more
@reauthentication_required  # type: ignore[untyped-decorator]  # allauth ships no types
def file(request: HttpRequest) -> HttpResponse:
    """Answer the data as JSON: after one more sign-in, and never to staff who look as a customer."""
    if is_viewed_as(cast(OrganizationRequest, request)):
        raise PermissionDenied
    data = own_data.export(cast(User, request.user), now=timezone.now())
    response = JsonResponse(data, json_dumps_params={"indent": 2})
    response["Content-Disposition"] = 'attachment; filename="exerati-my-data.json"'
    return response
