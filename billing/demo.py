"""The demo organization that `manage.py up` makes, so that the first call works at once."""

import secrets
from collections.abc import Mapping
from typing import TypedDict, cast

from django.conf import settings
from django.db import transaction

from accounts import services
from accounts.adapters import mark_email_verified
from accounts.models import Organization, User
from apikeys import keys
from apikeys import services as key_services
from billing import wallet
from billing.models import CreditLot
from exerati.lib import money

EMAIL = "demo@exerati.test"
NAME = "Demo"
CREDIT_NANOUSD = 5 * money.NANOUSD_PER_USD
KEY_NAMES = {"live": "demo", "test": "demo test"}


class Demo(TypedDict):
    """What scripts need to use the demo organization; all of it is secret outside a local machine."""

    email: str
    password: str
    api_key: str
    test_api_key: str
    organization: str


@transaction.atomic
def ensure(*, existing: Mapping[str, object], password: str = "") -> Demo:
    """
    Return a demo organization with credit, a login and two keys that work.

    `existing` is what an earlier call returned, or empty; as long as it still holds it is returned
    again. Otherwise password and keys are made anew (they cannot be read back), and the old ones end.
    """
    user = User.objects.filter(email=EMAIL).first() or User.objects.create_user(EMAIL)
    mark_email_verified(user)
    organization = _organization(user)
    wallet.grant(
        organization,
        amount_nanousd=CREDIT_NANOUSD,
        source=CreditLot.Source.GRANT,
        idempotency_key=f"demo:{organization.pk}",
        reason="Demo credit",
    )
    if _still_holds(existing, user=user, organization=organization, password=password):
        return cast(Demo, {name: existing[name] for name in Demo.__annotations__})
    return _renew(user, organization=organization, password=password)


def _organization(user: User) -> Organization:
    owned = user.memberships.select_related("organization").order_by("pk").first()
    return owned.organization if owned else services.create_organization(name=NAME, owner=user)


def _still_holds(
    existing: Mapping[str, object], *, user: User, organization: Organization, password: str
) -> bool:
    """Say whether login and keys of an earlier call still work."""
    if existing.get("email") != EMAIL or existing.get("organization") != organization.slug:
        return False
    known_password = str(existing.get("password", ""))
    return (
        password in ("", known_password)
        and user.check_password(known_password)
        and _is_live(organization, secret=existing.get("api_key"), mode="live")
        and _is_live(organization, secret=existing.get("test_api_key"), mode="test")
    )


def _is_live(organization: Organization, *, secret: object, mode: str) -> bool:
    digest = keys.digest(str(secret), pepper=settings.KEY_PEPPER)
    usable = organization.api_keys.filter(revoked_at=None, disabled_at=None)
    return usable.filter(key_hash=digest, mode=mode).exists()


def _renew(user: User, *, organization: Organization, password: str) -> Demo:
    """Set a password and make both keys, in place of the demo keys there were."""
    for old in organization.api_keys.filter(name__in=KEY_NAMES.values(), revoked_at=None):
        key_services.revoke_key(old, actor=None)
    password = password or secrets.token_urlsafe(12)
    user.set_password(password)
    user.save(update_fields=["password"])
    return Demo(
        email=user.email,
        password=password,
        api_key=_make_key(organization, user=user, mode="live"),
        test_api_key=_make_key(organization, user=user, mode="test"),
        organization=organization.slug,
    )


def _make_key(organization: Organization, *, user: User, mode: keys.Mode) -> str:
    budget = settings.KEY_BUDGET_SUGGESTED_NANOUSD if mode == "live" else None
    created = key_services.create_key(
        organization,
        name=KEY_NAMES[mode],
        mode=mode,
        created_by=user,
        rules=key_services.KeyRules(budget_month_nanousd=budget),
    )
    return created.secret
