"""The forms with which people buy credit, ask for it back, and let it be bought by itself; amounts in cents inside."""

from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings

from billing.payments.auto_topups import Wish
from exerati.drawing import formats
from exerati.lib.money import NANOUSD_PER_CENT
from exerati.money_input import MoneyInput, typed_amount

OTHER = "other"


def dollars(cents: int) -> str:
    """Return `$25`, or `$25.50` where there are cents."""
    return formats.sum_text(cents * NANOUSD_PER_CENT).removesuffix(".00")


class DollarField(forms.DecimalField):
    """An amount in US dollars with at most two decimals, between two sums in cents; cleaned to cents."""

    def __init__(self, *, least_cents: int, most_cents: int, **options: Any) -> None:
        super().__init__(
            min_value=Decimal(least_cents).scaleb(-2),
            max_value=Decimal(most_cents).scaleb(-2),
            decimal_places=2,
            max_digits=9,
            widget=MoneyInput(),
            error_messages={
                "invalid": "Write an amount in US dollars, such as 25 or 25.50.",
                "min_value": f"At least {dollars(least_cents)}.",
                "max_value": f"At most {dollars(most_cents)}.",
                "max_decimal_places": "At most two decimals: cents are the smallest that can be paid.",
            },
            **options,
        )

    def to_python(self, value: object) -> Decimal | None:  # type: ignore[override]  # stubs say int
        """Take a dollar sign and thousands separators as people write them."""
        return super().to_python(typed_amount(value) if isinstance(value, str) else value)


def _cents(amount: Decimal) -> int:
    return int(amount.scaleb(2))


class TopUpForm(forms.Form):
    """How much credit to buy: one of a few sums, or another."""

    preset = forms.ChoiceField(label="Amount", widget=forms.RadioSelect, required=False)
    keep_card = forms.BooleanField(
        label="Keep the card for automatic top-ups",
        required=False,
        help_text="Nothing is charged by itself until you switch automatic top-up on.",
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        presets = settings.TOPUP_PRESETS_CENTS
        choices = [(str(cents), dollars(cents)) for cents in presets]
        preset = self.fields["preset"]
        assert isinstance(preset, forms.ChoiceField)  # noqa: S101  declared so above
        preset.choices = [*choices, (OTHER, "Other")]
        preset.initial = str(presets[1])
        least, most = settings.TOPUP_LEAST_CENTS, settings.TOPUP_MOST_CENTS
        self.fields["amount"] = DollarField(
            label="Other amount, in US dollars",
            least_cents=least,
            most_cents=most,
            required=False,
            help_text=f"{dollars(least)} to {dollars(most)}.",
        )

    def clean(self) -> dict[str, Any]:
        """Find the one amount that is meant: a written one counts, whatever button is chosen."""
        cleaned = super().clean() or self.cleaned_data
        amount, preset = cleaned.get("amount"), cleaned.get("preset")
        if amount is not None:
            cleaned["cents"] = _cents(amount)
        elif preset and preset != OTHER:
            cleaned["cents"] = int(preset)
        elif "amount" not in self.errors:
            self.add_error("amount", "Write the amount that you want to add.")
        return cleaned


class RefundForm(forms.Form):
    """How much unused credit of a payment goes back, and why."""

    reason = forms.CharField(
        label="Why, in a few words", max_length=120, required=False, help_text="It helps us."
    )

    def __init__(self, *arguments: Any, most_cents: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        amount = DollarField(
            label="Amount, in US dollars",
            least_cents=1,
            most_cents=most_cents,
            help_text=f"At most {dollars(most_cents)}: what is unused of it now.",
        )
        amount.initial = Decimal(most_cents).scaleb(-2)
        self.fields = {"amount": amount, **self.fields}

    @property
    def cents(self) -> int:
        """Return the amount."""
        return _cents(self.cleaned_data["amount"])


class AutoTopUpForm(forms.Form):
    """When the wallet fills itself, to what, and how much a month at most; and the consent to it."""

    consent = forms.BooleanField(
        label="I allow Exerati to charge our saved card in this way without asking again",
        error_messages={"required": "Without your consent no card is charged by itself."},
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        least, most = settings.TOPUP_LEAST_CENTS, settings.TOPUP_MOST_CENTS
        limits = {
            "threshold": ("When the available credit is below", 100, most, ""),
            "target": (
                "fill it up to",
                least,
                most,
                f"At least {dollars(least)} above the threshold.",
            ),
            "ceiling": (
                "but charge no more in a calendar month than",
                least,
                settings.AUTO_TOPUP_CEILING_CENTS,
                "By the days of UTC. Top-ups that you pay yourself do not count.",
            ),
        }
        fields = {
            name: DollarField(label=label, least_cents=low, most_cents=high, help_text=hint)
            for name, (label, low, high, hint) in limits.items()
        }
        self.fields = {**fields, **self.fields}

    def clean(self) -> dict[str, Any]:
        """Refuse a target that a top-up of the least allowed sum would pass."""
        cleaned = super().clean() or self.cleaned_data
        threshold, target = cleaned.get("threshold"), cleaned.get("target")
        least = settings.TOPUP_LEAST_CENTS
        if threshold is not None and target is not None and _cents(target - threshold) < least:
            room = dollars(_cents(threshold) + least)
            self.add_error("target", f"At least {room}: {dollars(least)} above the threshold.")
        return cleaned

    @property
    def wish(self) -> Wish:
        """Return what is wanted, in cents."""
        return Wish(
            threshold_cents=_cents(self.cleaned_data["threshold"]),
            target_cents=_cents(self.cleaned_data["target"]),
            ceiling_cents=_cents(self.cleaned_data["ceiling"]),
        )
