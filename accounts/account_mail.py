"""Mails about people, as text and as HTML; every link begins with the site's own address, never with a request's."""

from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import invitations
from accounts.models import Invitation, Membership, User
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


def new_owner_mail(new: Membership, *, actor: User, to: User) -> EmailMultiAlternatives:
    """Return the mail that tells an owner, the new one or another, who owns the organization from now on."""
    present = new.organization.memberships.filter(user=actor).first()
    team = reverse("dashboard:team", args=[new.organization.slug])
    context = {
        "organization": new.organization,
        "new": new.user,
        "is_new": to == new.user,
        "actor": actor,
        "is_actor": to == actor,
        "actor_role": present.get_role_display()
        if present and present.role != Membership.Role.OWNER
        else "",
        "action_label": "See the team",
        "action_url": f"{settings.SITE_URL}{team}",
    }
    return message("new_owner", to=to.email, context=context)


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
