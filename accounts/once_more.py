"""
One more sign-in before what matters, for whoever has neither a password nor a second factor.

allauth asks for those itself (`reauthentication_required`), and lets everybody pass who has neither: people who came by
Google or GitHub. They go there once more, and come back to where they were.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account import app_settings
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.socialaccount.models import SocialAccount
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.social_providers import offered

View = Callable[..., HttpResponse]


def is_due(request: HttpRequest) -> bool:
    """Say whether the visitor signed in too long ago, and allauth has nothing to ask for."""
    if not request.user.is_authenticated or get_reauthentication_flows(request.user):
        return False
    records = get_authentication_records(request, request.user)
    latest = max((record["at"] for record in records), default=0.0)
    return bool(time.time() - latest >= app_settings.REAUTHENTICATION_TIMEOUT)


def once_more(view: View) -> View:
    """Decorate a view that such people see after one more sign-in alone; it is to stand above allauth's decorator."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return ask(request) if is_due(request) else view(request, *args, **kwargs)

    return guarded


def ask(request: HttpRequest) -> HttpResponse:
    """Answer the page that leads to the person's own providers and back."""
    own = set(
        SocialAccount.objects.filter(user_id=request.user.pk).values_list("provider", flat=True)
    )
    context = {
        "only": own & {app.provider for app in offered()},
        "back": request.path,
    }
    return render(request, "account/reauthenticate_elsewhere.html", context, status=403)
