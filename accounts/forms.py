"""The forms of sign-up, team and organization settings."""

import zoneinfo
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

from django import forms
from django.http import HttpRequest

from accounts.invitations import visitor_invitation
from accounts.models import Membership, Organization, User


@cache
def time_zones() -> list[tuple[str, str]]:
    """Return the IANA names, UTC first, without the old aliases such as `EST` or `posix/…`."""
    names = sorted(name for name in zoneinfo.available_timezones() if "/" in name)
    places = [
        name for name in names if not name.startswith(("Etc/", "SystemV/", "posix/", "right/"))
    ]
    return [(name, name.replace("_", " ")) for name in ["UTC", *places]]


class OrganizationForm(forms.Form):
    """The name of a new organization."""

    organization = forms.CharField(
        label="Organization",
        max_length=120,
        help_text="Your company or project. You can change it later.",
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )


class SignupForm(OrganizationForm):
    """
    What the sign-up page asks for besides email and password; named by ACCOUNT_SIGNUP_FORM_CLASS.

    Who comes by an invitation joins that organization, and is asked for none.
    """

    field_order = ["organization", "email", "password1"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        invitation = visitor_invitation()
        if invitation is not None:
            del self.fields["organization"]
            self.fields["email"].initial = invitation.email

    def signup(self, request: HttpRequest, user: User) -> None:
        """Do nothing more: allauth wants the hook, the adapter has stored user and organization together."""


class SettingsForm(forms.ModelForm):
    """The organization's name and the calendar its budgets follow."""

    time_zone = forms.ChoiceField(
        choices=time_zones, help_text="Budget days, weeks and months begin at midnight here."
    )

    month_day = forms.IntegerField(
        label="Month starts on day",
        min_value=1,
        max_value=28,
        help_text="Of budgets, 1 to 28. Invoices follow the calendar's months.",
    )

    class Meta:
        model = Organization
        fields = ["name", "time_zone", "week_start", "month_day", "leaked_keys"]
        labels = {"week_start": "Week starts on"}
        help_texts = {
            "leaked_keys": "Scanners report keys that they find in public code. Owners and admins are told in any case."
        }


class ProfileForm(forms.Form):
    """What people set for themselves."""

    time_zone = forms.ChoiceField(
        label="Your time zone",
        choices=time_zones,
        help_text="Usage pages offer it beside the organization's own and UTC. Budgets follow the organization's.",
    )


class InviteForm(forms.Form):
    """Whom to invite, and as what."""

    email = forms.EmailField(
        label="Email address", widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(
        choices=Membership.Role.choices, initial=Membership.Role.DEVELOPER, label="Role"
    )

    def __init__(
        self, *args: Any, roles: Sequence[tuple[str, str]] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if roles is not None:
            cast(forms.ChoiceField, self.fields["role"]).choices = list(roles)


class RoleForm(forms.Form):
    """A member's new role."""

    role = forms.ChoiceField(choices=Membership.Role.choices)
