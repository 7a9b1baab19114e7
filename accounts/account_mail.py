"""Mails about people, as text and as HTML; every link begins with the site's own address, never with a request's."""

from datetime import datetime

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from accounts import invitations
from accounts.models import Invitation
from accounts.permissions import deeds_of


def invitation_mail(invitation: Invitation) -> EmailMultiAlternatives:
    """Return the mail that invites somebody."""
    inviter = invitation.invited_by.email if invitation.invited_by else "A member"
    context = {
        "organization": invitation.organization,
        "inviter": inviter,
        "role": invitation.get_role_display(),
        "deeds": deeds_of(invitation.role),
        "expires_at": invitation.expires_at,
        "action_label": "See the invitation",
        "action_url": invitations.link_of(invitation),
    }
    return message("invitation", to=invitation.email, context=context)


def account_deleted_mail(address: str, *, at: datetime) -> EmailMultiAlternatives:
    """Return the last mail to somebody: the account is gone."""
    return message("account_deleted", to=address, context={"address": address, "at": at})


def message(name: str, *, to: str, context: dict[str, object]) -> EmailMultiAlternatives:
    """Return a mail made of `emails/<name>.subject.txt`, `.txt` and `.html`."""
    subject = render_to_string(f"emails/{name}.subject.txt", context)
    mail = EmailMultiAlternatives(
        subject=" ".join(subject.split()),
        body=render_to_string(f"emails/{name}.txt", context).strip() + "\n",
        to=[to],
        headers={"Auto-Submitted": "auto-generated"},
    )
    mail.attach_alternative(render_to_string(f"emails/{name}.html", context), "text/html")
    return mail
