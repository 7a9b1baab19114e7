"""Who of our staff gets into the admin, and where those are led who do not."""

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.models import User
from accounts.second_factor import has_second_factor


def is_let_in(request: HttpRequest) -> bool:
    """Say whether the visitor may use the admin: active staff, in production with a second factor alone."""
    return is_staff_let_in(request.user)


def is_staff_let_in(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Say it of a user; runs one query where a second factor is needed."""
    if not isinstance(user, User) or not user.is_active or not user.is_staff:
        return False
    return not settings.STAFF_NEED_SECOND_FACTOR or has_second_factor(user)


def may_view_as(*, hijacker: User, hijacked: User | None) -> bool:
    """Say whether staff may look at the site as a user: superusers, at active users who are not staff."""
    if hijacked is None or not hijacker.is_superuser or not is_staff_let_in(hijacker):
        return False
    return hijacked.is_active and not hijacked.is_staff and not hijacked.is_superuser


@secure_admin_login  # type: ignore[untyped-decorator]  # allauth ships no types
def login(request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
    """
    Lead staff on: into the admin, or to the set-up of a second factor.

    Strangers are sent to the site's own login before this. Django's form of the admin is never shown: it asks for
    a password alone, so that whoever is in could pass by the second factor of a colleague.
    """
    if is_let_in(request):
        return redirect("admin:index")
    return render(request, "accounts/second_factor_needed.html", status=403)
