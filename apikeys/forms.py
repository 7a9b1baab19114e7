"""The form of a key's rules, with presets; money is typed in USD and stored in nano-USD."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, cast

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from accounts.models import Organization, Project
from apikeys.models import BUDGET_PERIODS, ApiKey, Endpoint, Modality, validate_network
from apikeys.services import KeyRules
from exerati.lib import money
from exerati.money_input import MoneyInput, typed_amount

USD = money.NANOUSD_PER_USD
LIMIT_NAMES = ("requests_per_minute", "tokens_per_minute", "concurrency", "max_output_tokens")
RULE_NAMES = tuple(rule.name for rule in fields(KeyRules))


class UsdField(forms.Field):
    """An amount of USD that is zero or more, as nano-USD."""

    def __init__(self, *, label: str, help_text: str = "") -> None:
        widget = MoneyInput(placeholder="no cap")
        super().__init__(required=False, label=label, help_text=help_text, widget=widget)

    def to_python(self, value: Any) -> int | None:
        """Return nano-USD, or None for an empty field."""
        text = typed_amount(value)
        if not text:
            return None
        try:
            nanousd = money.parse_usd(text)
        except ValueError:
            nanousd = -1
        if nanousd < 0:
            raise ValidationError("Enter an amount in USD, such as 50 or 0.25.")
        return nanousd

    def prepare_value(self, value: Any) -> Any:
        """Return USD for the stored nano-USD; what the visitor typed stays as it is."""
        return money.usd_text(value) if isinstance(value, int) else value


class LinesField(forms.Field):
    """A list of words, one a line or separated by commas."""

    def __init__(self, *, label: str, help_text: str, placeholder: str) -> None:
        widget = forms.Textarea(
            attrs={"rows": 3, "placeholder": placeholder, "spellcheck": "false"}
        )
        super().__init__(required=False, label=label, help_text=help_text, widget=widget)

    def to_python(self, value: Any) -> list[str]:
        """Return the words in their order, each once."""
        return list(dict.fromkeys(str(value or "").replace(",", " ").split()))

    def prepare_value(self, value: Any) -> Any:
        """Return the text of the stored list."""
        return "\n".join(value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Group:
    """Fields of a form that stand together; closed until opened unless something in it is set."""

    title: str
    fields: list[forms.BoundField]
    is_open: bool


FIRST_FIELDS = ("name", "mode", "project", "expires_at")
GROUPS = (
    (
        "Budgets",
        (*(f"budget_{period}_nanousd" for period in BUDGET_PERIODS), "max_request_nanousd"),
    ),
    ("Models and endpoints", ("model_patterns", "modalities", "endpoints")),
    ("Limits", LIMIT_NAMES),
    ("Security and behaviour", ("ip_allow_list", "strict_parameters", "drain_on_disconnect")),
)


def _choices(label: str, choices: list[tuple[str, str]]) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        choices=choices,
        required=False,
        label=label,
        help_text="None ticked means all.",
        widget=forms.CheckboxSelectMultiple,
    )


class KeyForm(forms.ModelForm):
    """What may be changed about a key at any time."""

    model_patterns = LinesField(
        label="Models",
        help_text="One a line; * stands for any characters. Empty means every model.",
        placeholder="gpt-4o*\nclaude-*",
    )
    modalities = _choices("Kinds of model", Modality.choices)
    endpoints = _choices("Endpoints", Endpoint.choices)
    budget_day_nanousd = UsdField(label="Budget a day, USD")
    budget_week_nanousd = UsdField(label="Budget a week, USD")
    budget_month_nanousd = UsdField(label="Budget a month, USD")
    budget_total_nanousd = UsdField(
        label="Budget in all, USD", help_text="A hard cap: a call that might pass it is refused."
    )
    max_request_nanousd = UsdField(
        label="Cap for one call, USD", help_text="A call that might cost more is refused."
    )
    ip_allow_list = LinesField(
        label="Allowed addresses",
        help_text="IP addresses or networks, one a line. Empty means any.",
        placeholder="203.0.113.7\n10.0.0.0/8",
    )
    expires_at = forms.DateTimeField(
        required=False,
        label="Expires",
        help_text="In UTC. Empty means never.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    class Meta:
        model = ApiKey
        fields = [
            "name",
            *(f"budget_{period}_nanousd" for period in BUDGET_PERIODS),
            "max_request_nanousd",
            "expires_at",
            "model_patterns",
            "modalities",
            "endpoints",
            "requests_per_minute",
            "tokens_per_minute",
            "concurrency",
            "max_output_tokens",
            "ip_allow_list",
            "strict_parameters",
            "drain_on_disconnect",
        ]
        labels = {
            "requests_per_minute": "Requests a minute",
            "tokens_per_minute": "Tokens a minute",
            "concurrency": "Calls at the same time",
            "max_output_tokens": "Most output tokens a call",
            "strict_parameters": "Refuse unknown parameters",
            "drain_on_disconnect": "Let calls finish when the client leaves",
        }
        error_messages = {
            name: {"min_value": "Enter 1 or more, or leave it empty."} for name in LIMIT_NAMES
        }
        help_texts = {
            "strict_parameters": "Otherwise they are left out, and named in a header of the answer.",
            "drain_on_disconnect": "Otherwise the provider is told to stop, which costs less.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, default in (
            ("requests_per_minute", settings.KEY_DEFAULT_RPM),
            ("tokens_per_minute", settings.KEY_DEFAULT_TPM),
            ("concurrency", settings.KEY_DEFAULT_CONCURRENCY),
        ):
            self.fields[name].widget.attrs["placeholder"] = f"{default:,}"

    def clean_ip_allow_list(self) -> list[str]:
        """Name each entry that is no address; the column's own check would count it among array items."""
        networks: list[str] = self.cleaned_data["ip_allow_list"]
        errors = []
        for network in networks:
            try:
                validate_network(network)
            except ValidationError as error:
                errors.append(error)
        if errors:
            raise ValidationError(errors)
        return networks

    def groups(self) -> list[Group]:
        """Return the fields below the first ones, in groups."""
        grouped = [(title, [self[name] for name in names]) for title, names in GROUPS]
        return [
            Group(title, bound, any(field.errors or field.value() for field in bound))
            for title, bound in grouped
        ]

    def first_fields(self) -> list[forms.BoundField]:
        """Return the fields that always show: whom the key is for, and how long."""
        return [self[name] for name in FIRST_FIELDS if name in self.fields]

    def rules(self) -> KeyRules:
        """Return the rules of a valid form; what has no field here keeps its present value."""
        present = {name: getattr(self.instance, name) for name in RULE_NAMES}
        asked = {name: self.cleaned_data[name] for name in RULE_NAMES if name in self.cleaned_data}
        return KeyRules(**present | asked)


class NewKeyForm(KeyForm):
    """What is asked at creation: also mode and project; the nonce tells a reload from a second key."""

    nonce = forms.CharField(widget=forms.HiddenInput, max_length=32)
    project: "forms.ModelChoiceField[Project]" = forms.ModelChoiceField(
        queryset=None, to_field_name="public_id", required=False
    )

    class Meta(KeyForm.Meta):
        fields = ["name", "mode", *KeyForm.Meta.fields[1:]]

    def __init__(self, *args: Any, organization: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        projects = organization.projects.filter(archived_at=None).order_by("-is_default", "name")
        if len(projects) > 1:
            project = cast("forms.ModelChoiceField[Project]", self.fields["project"])
            project.queryset = projects
            project.empty_label = None
        else:
            del self.fields["project"]
        self.fields[
            "mode"
        ].help_text = "Test keys cost nothing: every model is simulated, so answers are not real."
        self.fields["nonce"].initial = uuid.uuid4().hex


class RotateForm(forms.Form):
    """How long the old secret goes on working beside the new one."""

    overlap = forms.TypedChoiceField(
        coerce=int,
        choices=[(0, "at once"), (1, "in 1 hour"), (24, "in 24 hours"), (24 * 7, "in 7 days")],
        initial=24,
        label="The present secret stops working",
        help_text="Until then both are accepted, so that you can put the new one in place first.",
    )
    nonce = forms.CharField(widget=forms.HiddenInput, max_length=32)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["nonce"].initial = uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Preset:
    """A starting point for a new key's rules."""

    title: str
    description: str
    values: Mapping[str, Any] = field(default_factory=dict)
    lifetime: timedelta | None = None

    def initial(self, now: datetime) -> dict[str, Any]:
        """Return the form's first values."""
        expires_at = {"expires_at": now + self.lifetime} if self.lifetime else {}
        return {**self.values, **expires_at}


def presets() -> dict[str, Preset]:
    """Return the starting points by their name in the address; the first one is the default."""
    monthly = {"budget_month_nanousd": settings.KEY_BUDGET_SUGGESTED_NANOUSD}
    return {
        "production": Preset(
            "Production", "A server that runs for years.", {"name": "production", **monthly}
        ),
        "ci": Preset(
            "CI",
            "Short runs, a small budget a day.",
            {"name": "ci", "budget_day_nanousd": 5 * USD, "concurrency": 5, **monthly},
        ),
        "agent": Preset(
            "Agent",
            "Calls on its own: capped by call, day and month.",
            {
                "name": "agent",
                "max_request_nanousd": 1 * USD,
                "budget_day_nanousd": 10 * USD,
                **monthly,
            },
        ),
        "throwaway": Preset(
            "Throw-away",
            "Ends by itself after 24 hours.",
            {"name": "throw-away", "budget_total_nanousd": 5 * USD},
            lifetime=timedelta(hours=24),
        ),
    }
