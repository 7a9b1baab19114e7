"""The playground's form for browsers without scripts: one turn, one model, the whole answer."""

from typing import Any

from django import forms

from apikeys.models import ApiKey
from gateway.console.playground import PARAMETERS

MOST_CHARACTERS = 200_000


class PlaygroundForm(forms.Form):
    """What to send; the gateway itself checks what it means."""

    model = forms.CharField(max_length=120)
    system = forms.CharField(
        required=False,
        max_length=MOST_CHARACTERS,
        label="System instructions",
        widget=forms.Textarea,
    )
    message = forms.CharField(max_length=MOST_CHARACTERS, widget=forms.Textarea)
    mode = forms.ChoiceField(choices=ApiKey.Mode.choices, required=False)
    project = forms.CharField(required=False, max_length=40)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Add a field for each parameter."""
        super().__init__(*args, **kwargs)
        for parameter in PARAMETERS:
            self.fields[parameter.name] = _field(parameter.kind, parameter.step, parameter.choices)


def _field(kind: str, step: str, choices: tuple[str, ...]) -> forms.Field:
    if kind == "choice":
        return forms.ChoiceField(
            choices=[("", ""), *((one, one) for one in choices)], required=False
        )
    if kind == "lines":
        return forms.CharField(required=False, max_length=2_000)
    return forms.IntegerField(required=False) if step == "1" else forms.FloatField(required=False)
