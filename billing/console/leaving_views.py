"""HTML page on which somebody deletes the account, or learns what has to be done before."""

from typing import cast

from allauth.account.decorators import reauthentication_required
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import deletion
from accounts.middleware import OrganizationRequest
from accounts.models import User
from accounts.once_more import once_more
from accounts.view_as import is_viewed_as
from billing import leaving
from billing.console.forms import DeletionForm


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@once_more
@reauthentication_required  # type: ignore[untyped-decorator]  # allauth ships no types
def account_delete(request: HttpRequest) -> HttpResponse:
    """
    Say what deleting the account means, and do it on a POST: after one more sign-in, with password or passkey.

    Staff who look as a customer are kept out, and staff themselves stay staff until a colleague changes that.
    """
    if is_viewed_as(cast(OrganizationRequest, request)):
        raise PermissionDenied
    user = cast(User, request.user)
    form = DeletionForm(request.POST or None, user=user)
    if request.method != "POST" or not form.is_valid():
        return _page(request, user=user, form=form)
    try:
        leaving.delete_account(user, now=timezone.now())
    except (leaving.CannotLeave, deletion.StaffAccount):
        return _page(request, user=user, form=form)  # it says why: this came up in between
    logout(request)
    return render(request, "billing/account_deleted.html")


def _page(request: HttpRequest, *, user: User, form: DeletionForm) -> HttpResponse:
    obstacles = leaving.obstacles(user)
    is_staff = user.is_staff or user.is_superuser
    context = {
        "form": form,
        "obstacles": obstacles,
        "is_staff": is_staff,
        "ending": leaving.ending(user),
        "keys_made": user.api_keys.filter(revoked_at=None).count(),
    }
    if request.method != "POST":
        return render(request, "billing/account_delete.html", context)
    status = 409 if obstacles or is_staff else 422
    return render(request, "billing/account_delete.html", context, status=status)
