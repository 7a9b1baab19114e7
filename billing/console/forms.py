"""The forms of billing's pages."""

from typing import Any

from django import forms

from accounts.models import Organization, User
from apikeys.forms import UsdField
from billing.models import AlertSettings
from billing.models.alerts import THRESHOLDS


class AlertSettingsForm(forms.ModelForm):
    """Which alerts an organization wants."""

    thresholds = forms.TypedMultipleChoiceField(
        label="Tell at",
        coerce=int,
        choices=[(share, f"{share} %") for share in THRESHOLDS],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="Of each budget, and of the credit since the last payment.",
    )

    class Meta:
        model = AlertSettings
        fields = ["budgets", "wallet", "spikes", "thresholds", "by_mail", "freeze_on_spike"]
        help_texts = {
            "budgets": "Budgets of the organization, its projects and keys as they fill.",
            "wallet": "Your credit as it is used up.",
            "spikes": "A key that spends 30 times its usual within an hour.",
            "by_mail": "To every owner, admin and billing member. The page here has them all anyway.",
            "freeze_on_spike": "Disable such a key at once, until somebody enables it again. Its calls are refused "
            "meanwhile.",
        }

    def clean_thresholds(self) -> list[int]:
        """Return them in order."""
        return sorted(self.cleaned_data["thresholds"])


class DeletionForm(forms.Form):
    """One's own address once more, so that a slip of the hand deletes nothing."""

    address = forms.EmailField(
        label="Type your email address to confirm",
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user

    def clean_address(self) -> str:
        """Refuse any other address."""
        address = str(self.cleaned_data["address"])
        if address.lower() != self._user.email.lower():
            raise forms.ValidationError(f"That is not the address of this account ({self._user}).")
        return address


class MemberBudgetForm(forms.Form):
    """What a member's keys may spend together."""

    day = UsdField(label="Budget a day, USD")
    week = UsdField(label="Budget a week, USD")
    month = UsdField(
        label="Budget a month, USD",
        help_text="Hard caps: a call that might pass one is refused. They hold for every key that the member made, and "
        "for the member's playground.",
    )


class ModelBudgetForm(forms.Form):
    """What a key may spend on one model."""

    model = forms.CharField(
        max_length=120,
        help_text="As calls name it, such as gpt-4o-mini.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    period = forms.ChoiceField(
        choices=[("month", "a month"), ("week", "a week"), ("day", "a day"), ("total", "in all")]
    )
    cap = UsdField(label="Budget, USD", help_text="Empty takes the budget away.")


class ClosingForm(forms.Form):
    """The organization's name once more, so that a slip of the hand ends nothing."""

    name = forms.CharField(
        label="Type the organization's name to confirm",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, organization: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._organization = organization

    def clean_name(self) -> str:
        """Refuse any other name."""
        name = str(self.cleaned_data["name"])
        if name.strip().casefold() != self._organization.name.strip().casefold():
            raise forms.ValidationError(f"That is not “{self._organization.name}”.")
        return name


class ReferencesForm(forms.Form):
    """What invoices and receipts should show."""

    purchase_order = forms.CharField(label="Purchase order", max_length=60, required=False)
    cost_centre = forms.CharField(label="Cost centre", max_length=60, required=False)
