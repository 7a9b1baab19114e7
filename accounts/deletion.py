"""
The end of an account: the person goes, what was done for an organization stays.

The row of the user is kept as a nameless stand-in, so that audit events, payments and keys still say that one and the
same person did this and that, and no longer who it was (decision 0039).
"""

import re
from collections.abc import Iterable
from datetime import datetime

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.utils.crypto import get_random_string

from accounts import audit, services
from accounts.models import AuditEvent, Invitation, Membership, Organization, User

NAME_CHARACTERS = "abcdefghjkmnpqrstvwxyz0123456789"
DOMAIN = "deleted.invalid"  # RFC 2606: nobody ever gets a mail there
OWNER = Membership.Role.OWNER


class StaffAccount(Exception):
    """The account may enter the admin: a colleague takes that right away first."""


def locked_organizations(user: User) -> list[Organization]:
    """Return the organizations that somebody belongs to, locked in one order. Belongs into a transaction."""
    found = Organization.objects.filter(
        pk__in=list(user.memberships.values_list("organization_id", flat=True))
    )
    # Not FOR UPDATE: rows that name the organization are written under its wallet's lock, which may come after this.
    return list(found.order_by("pk").select_for_update(no_key=True))


def is_only_owner(organization: Organization, *, user: User) -> bool:
    """Say whether somebody owns an organization that nobody else owns."""
    owners = organization.memberships.filter(role=OWNER).values_list("user_id", flat=True)
    return list(owners) == [user.pk]


def has_others(organization: Organization, *, user: User) -> bool:
    """Say whether an organization has other members."""
    return organization.memberships.exclude(user=user).exists()


@transaction.atomic
def erase(user: User, *, now: datetime) -> str:
    """
    Take the person out of everything; return the address that stands for the person from now on.

    Raises StaffAccount, and LastOwner where other members would be left without an owner. An organization without any
    other member is left without members: ending it is the caller's part.
    """
    stored = User.objects.select_for_update().get(pk=user.pk)
    if stored.is_staff or stored.is_superuser:
        raise StaffAccount
    addresses = addresses_of(stored)
    alias = f"deleted-{get_random_string(10, NAME_CHARACTERS)}@{DOMAIN}"
    for organization in locked_organizations(stored):
        _leave(organization, user=stored, alias=alias)
    _end_invitations(stored, addresses, alias=alias, now=now)
    for address in addresses:
        _rewrite_audit(address, alias=alias)
    _end_credentials(stored)
    _rename(stored, alias=alias, now=now)
    return alias


def addresses_of(user: User) -> list[str]:
    """Return every address that somebody is known by."""
    others = EmailAddress.objects.filter(user=user).values_list("email", flat=True)
    return sorted({user.email.lower(), *(address.lower() for address in others)})


def _leave(organization: Organization, *, user: User, alias: str) -> None:
    if is_only_owner(organization, user=user) and has_others(organization, user=user):
        raise services.LastOwner
    membership = organization.memberships.get(user=user)
    audit.record(
        organization,
        action="member.deleted_account",
        actor=user,
        target=membership.public_id,
        details={"member": alias, "role": membership.role},
    )
    membership.delete()


def _end_invitations(user: User, addresses: Iterable[str], *, alias: str, now: datetime) -> None:
    """Take the address out of invitations, and withdraw those that still wait for an answer."""
    to_person = Q(accepted_by=user)
    for address in addresses:
        to_person |= Q(email__iexact=address)
    for invitation in Invitation.objects.filter(to_person).select_related("organization"):
        invitation.email = alias
        if invitation.accepted_at is None and invitation.withdrawn_at is None:
            invitation.withdrawn_at = now
            audit.record(
                invitation.organization,
                action="member.invitation_withdrawn",
                actor=user,
                target=invitation.public_id,
                details={"email": alias, "role": invitation.role},
            )
        invitation.save(update_fields=["email", "withdrawn_at"])


def _rewrite_audit(address: str, *, alias: str) -> None:
    """Put the alias in place of an address in the details of every audit event; reads the whole table once."""
    whole = re.compile(rf"(?<![\w.+-]){re.escape(address)}(?![\w-]|\.\w)", re.IGNORECASE)
    told = AuditEvent.objects.annotate(text=Cast("details", TextField()))
    for event in told.filter(text__icontains=address).iterator(chunk_size=500):
        AuditEvent.objects.filter(pk=event.pk).update(details=_renamed(event.details, whole, alias))


def _renamed(value: object, whole: re.Pattern[str], alias: str) -> object:
    """Return a JSON value with an alias in place of the address that the pattern finds."""
    if isinstance(value, str):
        return whole.sub(alias, value)
    if isinstance(value, list):
        return [_renamed(one, whole, alias) for one in value]
    if isinstance(value, dict):
        return {name: _renamed(one, whole, alias) for name, one in value.items()}
    return value


def _end_credentials(user: User) -> None:
    """End every session, and forget addresses, other accounts, passkeys, authenticator apps and recovery codes."""
    for session in UserSession.objects.filter(user=user):
        session.end()
    Authenticator.objects.filter(user=user).delete()
    SocialAccount.objects.filter(user=user).delete()
    EmailAddress.objects.filter(user=user).delete()


def _rename(user: User, *, alias: str, now: datetime) -> None:
    user.email, user.first_name, user.last_name, user.time_zone = alias, "", "", "UTC"
    user.last_login, user.is_active, user.deleted_at = None, False, now
    user.set_unusable_password()  # ends what a session of another kind would still hold
    user.save()
    user.groups.clear()
    user.user_permissions.clear()
