"""
Invitations by mail: made, sent again, withdrawn, accepted.

The link's token is derived from the invitation and the moment it was sent, so it is stored nowhere, and the link of an
earlier mail ends with the next one. Who holds the link may accept, under whatever address: the link is the right.
"""

from datetime import timedelta

from allauth.core import context
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts import audit, services
from accounts.models import Invitation, Membership, Organization, User
from exerati.lib.queue import enqueue

LIFE = timedelta(days=7)
SESSION_KEY = "invitation"  # public id and token of the link that a visitor came by
RESEND_AFTER = timedelta(minutes=1)
OPEN_AT_MOST = 100  # of one organization: each is a mail to somebody who has not asked for it


class AlreadyMember(Exception):
    """The address belongs to a member."""


class TooManyInvitations(Exception):
    """The organization has too many open invitations."""


class SentJustNow(Exception):
    """The last mail went out less than a minute ago."""


class InvitationEnded(Exception):
    """The invitation was accepted, withdrawn, has expired, or the link is not its latest one."""


def open_ones(organization: Organization) -> QuerySet[Invitation]:
    """Return those neither accepted nor withdrawn, expired ones too: they can be sent again."""
    return organization.invitations.filter(accepted_at=None, withdrawn_at=None)


@transaction.atomic
def invite(organization: Organization, *, email: str, role: str, actor: User) -> Invitation:
    """Invite an address and mail it the link; an open invitation of that address is renewed with the role."""
    Organization.objects.select_for_update().get(pk=organization.pk)
    if organization.memberships.filter(user__email__iexact=email).exists():
        raise AlreadyMember
    found = open_ones(organization).filter(email__iexact=email).first()
    if found is None:
        if open_ones(organization).count() >= OPEN_AT_MOST:
            raise TooManyInvitations
        found = Invitation(organization=organization, email=email)
    elif timezone.now() - found.sent_at < RESEND_AFTER:
        raise SentJustNow
    found.role, found.invited_by = role, actor
    _send(found)
    _record(found, "member.invited", actor=actor)
    return found


@transaction.atomic
def resend(invitation: Invitation, *, actor: User) -> None:
    """Mail a new link, good for another week; the one before ends. Raises SentJustNow, InvitationEnded."""
    stored = _locked(invitation)
    if timezone.now() - stored.sent_at < RESEND_AFTER:
        raise SentJustNow
    _send(stored)
    _record(stored, "member.invited_again", actor=actor)


@transaction.atomic
def withdraw(invitation: Invitation, *, actor: User) -> None:
    """End an invitation, so that its link lets nobody in; raises InvitationEnded."""
    stored = _locked(invitation)
    stored.withdrawn_at = timezone.now()
    stored.save(update_fields=["withdrawn_at"])
    _record(stored, "member.invitation_withdrawn", actor=actor)


@transaction.atomic
def accept(invitation: Invitation, *, user: User) -> Membership:
    """
    Make the user a member with the role of the invitation; raises InvitationEnded, AlreadyMember.

    A member keeps the present role, and the invitation stays open for whom it was meant.
    """
    stored = _locked(invitation)
    if not stored.is_open_at(timezone.now()):
        raise InvitationEnded
    if stored.organization.memberships.filter(user=user).exists():
        raise AlreadyMember
    stored.accepted_at, stored.accepted_by = timezone.now(), user
    stored.save(update_fields=["accepted_at", "accepted_by"])
    _record(stored, "member.invitation_accepted", actor=user)
    return services.add_member(stored.organization, user=user, role=stored.role, actor=user)


def find(public_id: str, token: str) -> Invitation | None:
    """Return the invitation that a link names, if the token is that of its latest mail; ended ones too."""
    found = (
        Invitation.objects.select_related("organization", "invited_by")
        .filter(public_id=public_id)
        .first()
    )
    if found is None or not constant_time_compare(token, token_of(found)):
        return None
    return found


def visitor_invitation() -> Invitation | None:
    """Return the open invitation whose link the visitor of the present request came by."""
    request = context.request
    kept = request.session.get(SESSION_KEY) if request is not None else None
    found = find(*kept) if kept else None
    return found if found is not None and found.is_open_at(timezone.now()) else None


def token_of(invitation: Invitation) -> str:
    """Return what makes the link of the latest mail more than a guess."""
    value = f"{invitation.public_id}:{invitation.sent_at.timestamp():.6f}"
    return salted_hmac("accounts.invitations", value, algorithm="sha256").hexdigest()[:40]


def link_of(invitation: Invitation) -> str:
    """Return the address that the mail names; its origin is the site's own, whatever the request said."""
    return f"{settings.SITE_URL}{path_of(invitation)}"


def path_of(invitation: Invitation) -> str:
    """Return the link without its origin."""
    return f"/invitations/{invitation.public_id}/{token_of(invitation)}/"


def _send(invitation: Invitation) -> None:
    now = timezone.now()
    invitation.sent_at, invitation.expires_at = now, now + LIFE
    invitation.save()
    enqueue("accounts.mail_invitation", invitation_id=invitation.pk)


def _locked(invitation: Invitation) -> Invitation:
    """Return the row as it is now; raises InvitationEnded when there is nothing left to change."""
    stored = (
        Invitation.objects.select_for_update(of=("self",))
        .select_related("organization")
        .get(pk=invitation.pk)
    )
    if stored.accepted_at or stored.withdrawn_at:
        raise InvitationEnded
    return stored


def _record(invitation: Invitation, action: str, *, actor: User) -> None:
    audit.record(
        invitation.organization,
        action=action,
        actor=actor,
        target=invitation.public_id,
        details={"email": invitation.email, "role": invitation.role},
    )
