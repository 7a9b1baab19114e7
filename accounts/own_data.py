"""What we know of one person, for the person: profile, memberships, sessions, keys made (no secret) and deeds."""

from datetime import datetime

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession

from accounts.models import AuditEvent, User

Row = dict[str, object]


def export(user: User, *, now: datetime) -> Row:
    """
    Return everything as plain values and aware times.

    What belongs to an organization (requests, bills, keys of others) is not in it. Neither is any secret: no hash, no
    seed of an authenticator app, no key of a session.
    """
    return {
        "made_at": now,
        "profile": _profile(user),
        "memberships": _memberships(user),
        "sessions": _sessions(user),
        "keys": _keys(user),
        "audit_events": _deeds(user),
    }


def _profile(user: User) -> Row:
    addresses = EmailAddress.objects.filter(user=user).order_by("pk")
    others = SocialAccount.objects.filter(user=user).order_by("pk")
    factors = Authenticator.objects.filter(user=user).order_by("pk")
    return {
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "time_zone": user.time_zone,
        "joined_at": user.date_joined,
        "last_login_at": user.last_login,
        "email_addresses": list(addresses.values("email", "verified", "primary")),
        "other_accounts": [
            {
                "provider": one.provider,
                "id": one.uid,
                **one.extra_data,
                "connected_at": one.date_joined,
                "last_used_at": one.last_login,
            }
            for one in others
        ],
        "second_factors": [_factor(one) for one in factors],
    }


def _factor(factor: Authenticator) -> Row:
    """Return a second factor without its secret; a passkey has the name that its owner gave it."""
    named = {"name": factor.wrap().name} if factor.type == Authenticator.Type.WEBAUTHN else {}
    times = {"created_at": factor.created_at, "last_used_at": factor.last_used_at}
    return {"type": factor.type, **named, **times}


def _memberships(user: User) -> list[Row]:
    found = user.memberships.select_related("organization").order_by("pk")
    return [
        {
            "id": membership.public_id,
            "organization": membership.organization.public_id,
            "organization_name": membership.organization.name,
            "role": membership.role,
            "since": membership.created_at,
        }
        for membership in found
    ]


def _sessions(user: User) -> list[Row]:
    found = UserSession.objects.filter(user=user).order_by("pk")
    return list(found.values("ip", "user_agent", "created_at", "last_seen_at"))


def _keys(user: User) -> list[Row]:
    found = user.api_keys.select_related("organization").order_by("pk")
    return [
        {
            "id": key.public_id,
            "organization": key.organization.public_id,
            "name": key.name,
            "mode": key.mode,
            "prefix": key.key_prefix,
            "created_at": key.created_at,
            "revoked_at": key.revoked_at,
        }
        for key in found
    ]


def _deeds(user: User) -> list[Row]:
    found = AuditEvent.objects.filter(actor=user).select_related("organization").order_by("pk")
    return [
        {
            "occurred_at": event.occurred_at,
            "organization": event.organization.public_id,
            "action": event.action,
            "target": event.target,
            "details": event.details,
        }
        for event in found
    ]
