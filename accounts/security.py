"""What protects an account, as a list to work off; the account page shows it."""

from dataclasses import dataclass

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.urls import reverse

from accounts.models import User
from accounts.second_factor import TYPES
from accounts.social_providers import CLASSES

FEW_CODES = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that protects the account: how it stands, in words, and where it is changed."""

    title: str
    is_done: bool
    state: str
    url: str
    label: str


def checks(user: User) -> list[Check]:
    """Return what protects the account, the weightiest first; recovery codes come with a second factor."""
    factor = _second_factor(user)
    codes = [_recovery_codes(user)] if factor.is_done else []
    return [factor, *codes, _address(user), *_other_accounts(user), _sessions(user)]


def _second_factor(user: User) -> Check:
    found = Authenticator.objects.filter(user=user, type__in=TYPES)
    kinds = {one.type for one in found}
    names = {"webauthn": "a passkey", "totp": "an authenticator app"}
    has = " and ".join(name for kind, name in names.items() if kind in kinds)
    return Check(
        title="Second factor",
        is_done=bool(kinds),
        state=f"You have {has}." if kinds else _without_second_factor(user),
        url=reverse("mfa_index"),
        label="Manage" if kinds else "Set one up",
    )


def _without_second_factor(user: User) -> str:
    if user.has_usable_password():
        return "A stolen password is enough to get in."
    return "Whoever gets into your connected account gets in here."


def _other_accounts(user: User) -> list[Check]:
    """Return a line about the accounts that somebody signs in with, who has some: they are another way in."""
    found = (
        SocialAccount.objects.filter(user=user).order_by("pk").values_list("provider", flat=True)
    )
    names = [CLASSES[provider].name for provider in dict.fromkeys(found) if provider in CLASSES]
    if not names:
        return []
    has_other = len(found) > 1 or user.has_usable_password()
    state = f"You sign in with {' and '.join(names)}"
    return [
        Check(
            title="Other accounts",
            is_done=has_other,
            state=f"{state}."
            if has_other
            else f"{state} alone. Set a password in case you lose it.",
            url=reverse("socialaccount_connections" if has_other else "account_set_password"),
            label="Manage" if has_other else "Set a password",
        )
    ]


def _recovery_codes(user: User) -> Check:
    found = Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).first()
    left = len(RecoveryCodes(found).get_unused_codes()) if found else 0
    if found is None:
        state = "None yet. They let you in when the second factor is lost."
    else:
        state = f"{left} {'code is' if left == 1 else 'codes are'} left."
    return Check("Recovery codes", left >= FEW_CODES, state, reverse("mfa_index"), "Manage")


def _address(user: User) -> Check:
    primary = EmailAddress.objects.filter(user=user, primary=True, verified=True).first()
    return Check(
        title="Email address",
        is_done=primary is not None,
        state=f"{primary.email} is confirmed." if primary else "Your address is not confirmed yet.",
        url=reverse("account_email"),
        label="Change" if primary else "Confirm",
    )


def _sessions(user: User) -> Check:
    count = UserSession.objects.filter(user=user).count()
    return Check(
        title="Sessions",
        is_done=count <= 1,
        state="You are signed in with this browser alone."
        if count <= 1
        else f"You are signed in with {count} browsers. Do you know all of them?",
        url=reverse("usersessions_list"),
        label="Look at them",
    )
