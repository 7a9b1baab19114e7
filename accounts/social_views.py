"""Where sign-in with Google and GitHub starts and comes back to; 404 for a provider that is not offered."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.socialaccount.providers.github import views as github
from allauth.socialaccount.providers.google import views as google
from django.http import Http404, HttpRequest, HttpResponse

from accounts.social_providers import offered

View = Callable[..., HttpResponse]


def _if_offered(name: str, view: View) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if name not in {app.provider for app in offered()}:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


google_login = _if_offered("google", google.oauth2_login)
google_callback = _if_offered("google", google.oauth2_callback)
github_login = _if_offered("github", github.oauth2_login)
github_callback = _if_offered("github", github.oauth2_callback)
