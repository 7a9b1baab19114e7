"""The control of every amount of money that people type: a text field behind a dollar sign."""

from typing import Any

from django import forms


class MoneyInput(forms.TextInput):
    """A text field for US dollars, with the digits' keyboard on phones."""

    template_name = "django/forms/widgets/money.html"

    def __init__(self, **attributes: Any) -> None:
        super().__init__(attrs={"inputmode": "decimal", "autocomplete": "off", **attributes})


def typed_amount(value: object) -> str:
    """Return what was typed without the dollar sign and the thousands separators that people write."""
    return (
        str(value if value is not None else "").strip().removeprefix("$").replace(",", "").strip()
    )
