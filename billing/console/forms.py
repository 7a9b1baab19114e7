"""The forms of billing's pages."""

from django import forms

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
