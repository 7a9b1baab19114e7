"""Celery tasks of accounts: thin, idempotent, by name."""

from datetime import datetime
from smtplib import SMTPException

from celery import shared_task

from accounts import account_mail
from accounts.models import Invitation, Membership, User


@shared_task(
    name="accounts.mail_invitation",
    autoretry_for=(SMTPException, OSError),
    retry_backoff=10,
    max_retries=5,
)
def mail_invitation(*, invitation_id: int) -> None:
    """Send the link of an invitation that is still open."""
    invitation = (
        Invitation.objects.select_related("organization", "invited_by")
        .filter(pk=invitation_id, accepted_at=None, withdrawn_at=None)
        .first()
    )
    if invitation is not None:
        account_mail.invitation_mail(invitation).send()


@shared_task(
    name="accounts.mail_new_owner",
    autoretry_for=(SMTPException, OSError),
    retry_backoff=10,
    max_retries=5,
)
def mail_new_owner(*, membership_id: int, actor_id: int, user_id: int) -> None:
    """Tell a user that an organization has a new owner, unless that was taken back meanwhile."""
    new = (
        Membership.objects.select_related("organization", "user")
        .filter(pk=membership_id, role=Membership.Role.OWNER)
        .first()
    )
    people = User.objects.in_bulk([actor_id, user_id])
    if new is not None and len(people) == len({actor_id, user_id}):
        account_mail.new_owner_mail(new, actor=people[actor_id], to=people[user_id]).send()


@shared_task(
    name="accounts.mail_account_deleted",
    autoretry_for=(SMTPException, OSError),
    retry_backoff=10,
    max_retries=5,
)
def mail_account_deleted(*, address: str, at: str) -> None:
    """Tell somebody that the account is deleted; the address is known to this message alone by now."""
    account_mail.account_deleted_mail(address, at=datetime.fromisoformat(at)).send()
