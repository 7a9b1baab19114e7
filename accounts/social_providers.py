"""
What Exerati asks Google and GitHub for, and takes from their answers: an id that stays, and one address.

allauth's own providers take more (names, pictures, every address of a GitHub account, a whole profile into the
database), and let the query of the login's address widen what is asked for.
"""

from collections.abc import Mapping
from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base import ProviderException
from allauth.socialaccount.providers.github.provider import GitHubProvider as AllauthGitHub
from allauth.socialaccount.providers.google.provider import GoogleProvider as AllauthGoogle
from django.conf import settings
from django.http import HttpRequest

Answer = Mapping[str, Any]


class Narrow:
    """Asks for what the settings say, whatever the query adds; what is missing in an answer is no error of ours."""

    name: str

    def get_scope_from_request(self, request: HttpRequest) -> list[str]:
        """Return the scopes of the settings."""
        return self.get_scope()  # type: ignore[attr-defined, no-any-return]  # allauth ships no types

    def get_auth_params_from_request(self, request: HttpRequest, action: str) -> dict[str, str]:
        """Return the parameters of the settings."""
        return self.get_auth_params()  # type: ignore[attr-defined, no-any-return]

    def sociallogin_from_response(self, request: HttpRequest, response: Answer) -> SocialLogin:
        """Return who signs in; raises ProviderException, which allauth answers with its page of errors."""
        try:
            return super().sociallogin_from_response(request, response)  # type: ignore[misc]
        except (KeyError, TypeError, ValueError) as error:
            raise ProviderException("The answer lacks what it must have.") from error


class GoogleProvider(Narrow, AllauthGoogle):  # type: ignore[misc]  # allauth ships no types
    """
    Google, by OpenID Connect: `sub`, `email`, `email_verified`.

    https://developers.google.com/identity/openid-connect/openid-connect (2026-11-28)
    """

    def extract_common_fields(self, data: Answer) -> dict[str, Any]:
        """Return the address; names are not asked for."""
        return {"email": data.get("email")}

    def extract_extra_data(self, data: Answer) -> dict[str, Any]:
        """Return what is stored: the address, by which people know which of their accounts it is."""
        return {"email": data.get("email", "")}

    def extract_email_addresses(self, data: Answer) -> list[EmailAddress]:
        """Return the address, verified if Google says nothing less than true."""
        email = data.get("email")
        verified = data.get("email_verified", data.get("verified_email")) is True
        return [EmailAddress(email=email, verified=verified, primary=True)] if email else []


class GitHubProvider(Narrow, AllauthGitHub):  # type: ignore[misc]  # allauth ships no types
    """
    GitHub: `id` and `login` of the user, and the primary one of the addresses.

    https://docs.github.com/en/rest/users/emails (2026-11-28)
    """

    def extract_common_fields(self, data: Answer) -> dict[str, Any]:
        """Return the primary address; the one of the public profile is whatever its owner shows."""
        primary = _primary(data)
        return {"email": primary["email"] if primary else None}

    def extract_extra_data(self, data: Answer) -> dict[str, Any]:
        """Return what is stored: the user name, by which people know which of their accounts it is."""
        return {"login": data.get("login", "")}

    def extract_email_addresses(self, data: Answer) -> list[EmailAddress]:
        """Return the primary address alone, verified if GitHub says nothing less than true."""
        primary = _primary(data)
        if primary is None:
            return []
        verified = primary["verified"] is True
        return [EmailAddress(email=primary["email"], verified=verified, primary=True)]


def _primary(data: Answer) -> Answer | None:
    return next((one for one in data.get("emails") or () if one["primary"] is True), None)


CLASSES = {"google": GoogleProvider, "github": GitHubProvider}


def app_of(name: str) -> SocialApp:
    """Return our registration at a provider, as allauth wants it; never one of the database."""
    return SocialApp(provider=name, **settings.SOCIALACCOUNT_PROVIDERS[name]["APP"])


def offered() -> list[SocialApp]:
    """Return our registrations at those providers for which both values are set."""
    apps = [app_of(name) for name in CLASSES]
    return [app for app in apps if app.client_id and app.secret]
