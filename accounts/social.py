"""
Sign-in with an account of Google or GitHub: who is let in by it, and what a newcomer gets.

Whoever has an account here is never taken for its owner because of an address (decision 0046): they sign in as ever,
and connect the other account then. A second factor is asked for behind this as behind a password, by allauth.
"""

import logging
from typing import Any

from allauth.account.internal.flows.manage_email import assess_unique_email
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal import ratelimit
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base import AuthProcess, Provider
from django.contrib import messages
from django.db import transaction
from django.forms import BaseForm
from django.http import Http404, HttpRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from accounts import invitations, once_more, services
from accounts.models import Organization, User
from accounts.social_providers import CLASSES, app_of, offered

logger = logging.getLogger(__name__)


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Named by the setting SOCIALACCOUNT_ADAPTER."""

    error_messages = DefaultSocialAccountAdapter.error_messages | {
        "no_password": "You would have no way to sign in: set a password or connect another account first.",
        "no_verified_email": "You would have no way to sign in: confirm an address first.",
    }

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """Return our registrations at the providers, by the settings alone; runs no query."""
        return [
            app
            for app in offered()
            if provider in (None, app.provider) and client_id in (None, app.client_id)
        ]

    def list_providers(self, request: HttpRequest) -> list[Provider]:
        """Return the providers that are offered."""
        return [CLASSES[app.provider](request, app=app) for app in offered()]

    def get_provider(
        self, request: HttpRequest, provider: str, client_id: str | None = None
    ) -> Provider:
        """Return a provider by its name, one that is no longer offered too: its accounts can still be disconnected."""
        if provider not in CLASSES:
            raise Http404
        return CLASSES[provider](request, app=app_of(provider))

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """
        Stop sign-ups that come too fast, and those of an address that somebody has here already.

        It is said openly only to whom the provider calls the owner of the address; anybody else gets allauth's answer,
        which looks as if the address were new. The token has done its part, and must not get into a session.
        """
        sociallogin.token = None
        process = sociallogin.state.get("process")
        if process == AuthProcess.CONNECT and once_more.is_due(request):
            raise ImmediateHttpResponse(redirect("socialaccount_connections"))  # which asks
        if sociallogin.is_existing or process != AuthProcess.LOGIN:
            return
        if refusal := ratelimit.consume_or_429(
            request, app="allauth.account", action="signup", limit_get=True
        ):
            raise ImmediateHttpResponse(refusal)
        for address in sociallogin.email_addresses:
            if address.verified and assess_unique_email(address.email) is not True:
                raise ImmediateHttpResponse(_sign_in_first(request, sociallogin, address.email))

    @transaction.atomic
    def save_user(
        self, request: HttpRequest, sociallogin: SocialLogin, form: BaseForm | None = None
    ) -> User:
        """Store the user with the other account and, without a form, an organization; none for an invited one."""
        user: User = super().save_user(request, sociallogin, form=form)
        if form is None and invitations.visitor_invitation() is None:
            services.create_organization(name=_organization_name(user), owner=user)
        if EmailAddress.objects.filter(user=user, verified=True).exists():
            services.start_trial(user)
        return user

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Provider,
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """Leave a line for whoever runs this: a wrong secret or an outage there shows here alone."""
        logger.warning(
            "Sign-in with %s failed: %s %s", provider.id, error, type(exception).__name__
        )


def _sign_in_first(request: HttpRequest, sociallogin: SocialLogin, email: str) -> Any:
    """Lead who has an account here to the sign-in, and from there to where the other one is connected."""
    provider = sociallogin.provider.name
    messages.warning(
        request,
        f"You have an Exerati account with {email} already. Sign in to it as you always do; then you can connect "
        f"{provider}.",
    )
    query = urlencode({"next": reverse("socialaccount_connections")})
    return redirect(f"{reverse('account_login')}?{query}")


def _organization_name(user: User) -> str:
    """Return what the first organization is called until its owner renames it in the settings."""
    most = Organization._meta.get_field("name").max_length or 0
    ending = "'s organization"
    return user.email.partition("@")[0][: most - len(ending)] + ending
