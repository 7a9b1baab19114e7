"""What Exerati adds to django-allauth: an organization at sign-up, six-digit codes, credit once verified."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.db import transaction
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.crypto import get_random_string

from accounts import devices, invitations, services
from accounts.models import Membership, Organization, User
from accounts.permissions import Action, allows

CODE_DIGITS = 6
SIGNATURE = "Exerati"
# What the addresses in allauth's mails are for.
BUTTONS = {
    "activate_url": "Confirm the address",
    "password_reset_url": "Choose a new password",
    "signup_url": "Make an account",
}


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Named by the setting ACCOUNT_ADAPTER."""

    def generate_email_verification_code(self) -> str:
        """Return six digits: quick to type from a phone; allauth ends the code after three wrong tries."""
        return get_random_string(CODE_DIGITS, "0123456789")

    @transaction.atomic
    def save_user(
        self, request: HttpRequest, user: User, form: BaseForm, commit: bool = True
    ) -> User:
        """Store the user and the organization named in the sign-up form, both or neither; none for an invited one."""
        saved: User = super().save_user(request, user, form, commit=commit)
        if "organization" in form.fields:
            services.create_organization(name=form.cleaned_data["organization"], owner=saved)
        return saved

    def render_mail(
        self,
        template_prefix: str,
        email: str | list[str],
        context: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> EmailMessage:
        """
        Return the mail as allauth makes it from its text, with the same text in our HTML frame beside it.

        Its links begin with the site's own address: allauth takes that of the request, which an attacker names.
        """
        ours = {name: _at_our_site(name, value) for name, value in context.items()}
        if "user_agent" in ours:
            ours["user_agent"] = devices.name_of(ours["user_agent"])
        mail: EmailMessage = super().render_mail(template_prefix, email, ours, headers)
        if isinstance(mail, EmailMultiAlternatives) and not mail.alternatives:
            told = {"title": mail.subject, **_parts(str(mail.body), ours)}
            mail.attach_alternative(render_to_string("emails/plain.html", told), "text/html")
        return mail

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Lead who came by an invitation back to it."""
        invitation = invitations.visitor_invitation()
        if invitation is not None:
            return invitations.path_of(invitation)
        return str(super().get_login_redirect_url(request))

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        """Lead who signed up by an invitation back to it."""
        return self.get_login_redirect_url(request)

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the link of the mail; its origin is the site's own, whatever host the request named."""
        return settings.SITE_URL + reverse(
            "account_reset_password_from_key",
            kwargs=dict(zip(("uidb36", "key"), key.split("-", 1), strict=True)),
        )

    def post_login(
        self, request: HttpRequest, user: User, *, signup: bool, **arguments: Any
    ) -> HttpResponse:
        """Tell by mail of a sign-in with a browser that this person has not used before, and remember it."""
        response: HttpResponse = super().post_login(request, user, signup=signup, **arguments)
        if not signup and not devices.is_known(request, user):
            self.send_notification_mail("account/email/new_sign_in", user)
        devices.remember(request, response, user)
        return response

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Mark the address as verified, and start the trial credit."""
        confirmed: bool = super().confirm_email(request, email_address)
        if confirmed:
            services.start_trial(email_address.user)
        return confirmed


def _parts(text: str, context: Mapping[str, Any]) -> dict[str, object]:
    """Return the paragraphs of a text without its signature, and which of them is a code or the address of a button."""
    parts = [part.strip() for part in text.split("\n\n")]
    return {
        "parts": [part for part in parts if part not in ("", SIGNATURE)],
        "code": context.get("code"),
        "labels": {context[name]: label for name, label in BUTTONS.items() if name in context},
    }


def _at_our_site(name: str, value: Any) -> Any:
    """Return an address of the context of a mail with the site's own origin, anything else as it is."""
    if not name.endswith("_url") or not isinstance(value, str):
        return value
    return settings.SITE_URL + urlunsplit(("", "", *urlsplit(value)[2:]))


def mark_email_verified(user: User) -> None:
    """Store the user's address as verified, for users whom an operator makes."""
    EmailAddress.objects.update_or_create(
        user=user, email=user.email, defaults={"verified": True, "primary": True}
    )


def verified_addresses(organization: Organization, *, action: Action) -> list[str]:
    """Return the verified addresses of the members whose role allows an action, in the order they came."""
    roles = [role for role in Membership.Role.values if allows(role, action)]
    found = EmailAddress.objects.filter(
        verified=True,
        primary=True,
        user__is_active=True,
        user__memberships__organization=organization,
        user__memberships__role__in=roles,
    )
    return list(
        found.order_by("user__memberships__created_at", "pk").values_list("email", flat=True)
    )
