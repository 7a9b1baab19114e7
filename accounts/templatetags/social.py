"""The other accounts that one may sign in with, for buttons."""

from dataclasses import dataclass

from allauth.socialaccount.models import SocialAccount
from django import template
from django.urls import reverse

from accounts.social_providers import CLASSES, offered

register = template.Library()


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider: its id, which is its icon too, its name, and where sign-in with it starts."""

    id: str
    name: str
    url: str


@register.simple_tag
def social_offers() -> list[Offer]:
    """Return the providers that are offered, none where none is set up; runs no query."""
    return [
        Offer(app.provider, CLASSES[app.provider].name, reverse(f"{app.provider}_login"))
        for app in offered()
    ]


@register.filter
def provider_name(provider: str) -> str:
    """Return the name of a provider as people know it."""
    return CLASSES[provider].name if provider in CLASSES else provider


@register.filter
def account_name(account: SocialAccount) -> str:
    """Return what its owner knows an account by: a user name at GitHub, an address at Google."""
    data = account.extra_data
    return str(data.get("login") or data.get("email") or "")
