"""
Read model of the playground: the chat models with what each understands, and the parameters it offers.

One table of parameters serves the page with and without scripts; a parameter is sent only to models that support it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from django.utils import timezone

from apikeys.models import ApiKey
from billing import price_book
from billing.models import PriceVersion
from gateway.catalog.catalog_pages import owner_title
from gateway.console import error_advice
from gateway.models import Model, Provider, Route
from gateway.snapshot import SANDBOX, is_on

MOST_MODELS: Final = 3  # side by side
DEFAULT_MODELS: Final[tuple[str, ...]] = ("gpt-4o-mini", "sandbox/echo")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input of the settings: a number within bounds, a choice, or text that is split into lines."""

    name: str
    label: str
    kind: Literal["number", "choice", "lines"]
    hint: str = ""
    least: str = ""
    most: str = ""
    step: str = ""
    choices: tuple[str, ...] = ()


PARAMETERS: Final = (
    Parameter(
        "max_completion_tokens",
        "Most output tokens",
        "number",
        "Also bounds what is reserved. Empty: the model's own.",
        least="1",
        step="1",
    ),
    Parameter("temperature", "Temperature", "number", "0 to 2", least="0", most="2", step="0.1"),
    Parameter("top_p", "Top p", "number", "0 to 1", least="0", most="1", step="0.05"),
    Parameter(
        "reasoning_effort",
        "Reasoning effort",
        "choice",
        choices=("none", "minimal", "low", "medium", "high"),
    ),
    Parameter("seed", "Seed", "number", "The same seed gives similar answers.", step="1"),
    Parameter(
        "frequency_penalty", "Frequency penalty", "number", "-2 to 2", "-2", most="2", step="0.1"
    ),
    Parameter(
        "presence_penalty", "Presence penalty", "number", "-2 to 2", "-2", most="2", step="0.1"
    ),
    Parameter("stop", "Stop at", "lines", "One text a line, at most four."),
)
# The sandbox reads them all the same; it is there to try things out.
SANDBOX_PARAMETERS: Final = (
    "max_completion_tokens",
    "temperature",
    "stop",
    "seed",
    "tools",
    "response_format",
)


# All that the page asks a model's support of; the rest of what it supports would only make the page heavier.
OFFERED: Final = frozenset(
    {*(parameter.name for parameter in PARAMETERS), "max_tokens", "tools", "response_format"}
)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """One chat model; rates are micro-USD per million tokens, None where there is none."""

    name: str
    title: str
    owner: str
    inputs: tuple[str, ...]
    parameters: tuple[str, ...]
    input_rate: int | None
    output_rate: int | None
    is_served: bool


def choices() -> list[ModelChoice]:
    """Return the chat models that have a price, by name; those that nobody serves can be simulated only."""
    now = timezone.now()
    versions = PriceVersion.objects.filter(effective_from__lte=now).order_by("effective_from")
    prices = {row.model: price_book.price_of(row) for row in versions}
    providers = Provider.objects.filter(disabled_at=None).prefetch_related("accounts")
    switched_on = [provider.pk for provider in providers if is_on(provider)]
    served = set(
        Route.objects.filter(disabled_at=None, provider__in=switched_on).values_list(
            "model_id", flat=True
        )
    )
    models = Model.objects.filter(kind=Model.Kind.CHAT, hidden_at=None).order_by("name")
    return [
        _choice(model, prices[model.name].rates, is_served=model.pk in served)
        for model in models
        if model.name in prices and (model.shutdown_on is None or model.shutdown_on > now.date())
    ]


def _choice(model: Model, rates: Any, *, is_served: bool) -> ModelChoice:
    is_sandbox = model.name.startswith(f"{SANDBOX}/")
    return ModelChoice(
        name=model.name,
        title=model.title,
        owner=owner_title(model.owned_by),
        inputs=("text", "image", "audio") if is_sandbox else tuple(model.input_modalities),
        parameters=SANDBOX_PARAMETERS
        if is_sandbox
        else tuple(name for name in model.supported_parameters if name in OFFERED),
        input_rate=rates.input_microusd_per_mtok,
        output_rate=rates.output_microusd_per_mtok,
        is_served=is_served or is_sandbox,
    )


def default_model(found: list[ModelChoice], wanted: str) -> str:
    """Return the model to begin with: the wanted one if it is a choice, else one that answers."""
    names = {choice.name: choice for choice in found}
    if wanted in names:
        return wanted
    served = [name for name in DEFAULT_MODELS if name in names and names[name].is_served]
    return (served or [name for name, choice in names.items() if choice.is_served] or [""])[0]


def default_mode(found: list[ModelChoice], model: str) -> str:
    """Return the mode to begin with: a model that nobody serves can only be simulated."""
    is_served = any(choice.is_served for choice in found if choice.name == model)
    return ApiKey.Mode.LIVE if is_served else ApiKey.Mode.TEST


def page_data(found: list[ModelChoice]) -> dict[str, Any]:
    """Return what the page's script works with, as JSON holds it."""
    return {
        "models": [asdict(choice) for choice in found],
        "parameters": [asdict(parameter) for parameter in PARAMETERS],
        "advice": error_advice.ADVICE,
        "most": MOST_MODELS,
    }


def body_of(values: Mapping[str, Any], *, choice: ModelChoice | None) -> dict[str, Any]:
    """Return the request of the plain form: a chat of one turn, with the parameters that the model supports."""
    system = [{"role": "system", "content": values["system"]}] if values.get("system") else []
    body: dict[str, Any] = {
        "model": values["model"],
        "messages": [*system, {"role": "user", "content": values["message"]}],
    }
    for parameter in PARAMETERS:
        value = values.get(parameter.name)
        if value in (None, "") or (choice and not supports(choice, parameter.name)):
            continue
        body[parameter.name] = value.splitlines()[:4] if parameter.kind == "lines" else value
    return body


def supports(choice: ModelChoice, name: str) -> bool:
    """Say whether the model understands a parameter; every chat model takes one of the two names of the maximum."""
    if name == "max_completion_tokens":
        return not {"max_completion_tokens", "max_tokens"}.isdisjoint(choice.parameters)
    return name in choice.parameters
