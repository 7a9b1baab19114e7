"""Who has a second factor: an authenticator app or a passkey. The only reader of allauth's authenticators."""

from collections.abc import Iterable

from allauth.mfa.models import Authenticator

from accounts.models import User

# Recovery codes alone are none: they only stand in for one that is lost.
TYPES = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def has_second_factor(user: User) -> bool:
    """Say whether the user has one; runs one query."""
    return bool(Authenticator.objects.filter(user=user, type__in=TYPES).exists())


def those_with_second_factor(users: Iterable[User]) -> set[int]:
    """Return the primary keys of those who have one; runs one query."""
    found = Authenticator.objects.filter(user__in=list(users), type__in=TYPES)
    return set(found.values_list("user_id", flat=True))
