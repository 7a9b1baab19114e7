"""Django system checks of the project, with ids."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security, deploy=True)
def secrets_are_set(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse a deployment that still uses a local-only secret."""
    values = {
        "EXERATI_SECRET_KEY": settings.SECRET_KEY,
        "EXERATI_KEY_PEPPER": settings.KEY_PEPPER.decode(),
        "EXERATI_FIELD_KEY": settings.FIELD_KEY.decode(),
    }
    return [
        Error(
            f"{name} is not set.",
            hint="Set it to at least 32 random characters.",
            id="exerati.E001",
        )
        for name, value in values.items()
        if value.startswith("local-only")
    ]


@register(Tags.security, deploy=True)
def webhooks_have_a_secret(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse to take payments without the secret that tells Stripe's webhooks from forged ones."""
    if not settings.STRIPE_SECRET_KEY or settings.STRIPE_WEBHOOK_SECRET.startswith("whsec_"):
        return []
    return [
        Error(
            "STRIPE_SECRET_KEY is set, but STRIPE_WEBHOOK_SECRET is not.",
            hint="Make a webhook endpoint at Stripe for /stripe/webhook and set its secret (whsec_...).",
            id="exerati.E002",
        )
    ]


@register(Tags.security, deploy=True)
def payments_go_to_stripe(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse a deployment whose payments go to a stand-in."""
    if not settings.STRIPE_API_BASE:
        return []
    return [
        Error(
            "EXERATI_STRIPE_API_BASE is set: payments would go to a stand-in for Stripe.",
            hint="Unset it; it is for tests and for `manage.py up` on one machine.",
            id="exerati.E003",
        )
    ]
