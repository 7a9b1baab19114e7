"""
What the catalog's files say as rows: models, routes, dated prices and costs, none of them stored yet.

Also the rows of the sandbox, which come from the code. `gateway.catalog.catalog_load` writes them where nothing is sold
yet; `gateway.catalog.catalog_diff` compares them with what is.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final

from django.conf import settings

from billing import price_versions
from billing.price_versions import Dated, RateSheet
from gateway.catalog import catalog_data
from gateway.models import Model, Provider
from gateway.providers.sandbox.sandbox import SANDBOX_MODELS

SANDBOX = "sandbox"
SANDBOX_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
SANDBOX_RATES = {
    "chat": {"input_microusd_per_mtok": 100_000, "output_microusd_per_mtok": 400_000},
    "embedding": {"input_microusd_per_mtok": 100_000},
    "image": {"image_nanousd": 1_000_000},
    "speech": {"character_nanousd": 1_000},
    "transcription": {"second_nanousd": 10_000},
    "moderation": {"call_nanousd": 0},
    "rerank": {"search_nanousd": 100_000},
}
SANDBOX_MODALITIES = {
    "image": (["text", "image"], ["image"]),
    "speech": (["text"], ["audio"]),
    "transcription": (["audio"], ["text"]),
}
TEXT_ONLY = (["text"], ["text"])
SANDBOX_CONTEXT_TOKENS = 128_000
SANDBOX_OUTPUT_TOKENS = 16_384
FACTS: Final = (
    "title",
    "owned_by",
    "kind",
    "description",
    "input_modalities",
    "output_modalities",
    "context_tokens",
    "max_output_tokens",
    "features",
    "supported_parameters",
    "knowledge_cutoff",
    "released_on",
    "deprecated_on",
    "shutdown_on",
    "created_at",
)

Prices = dict[str, list[Dated]]
Costs = dict[tuple[str, str], list[Dated]]


@dataclass(frozen=True, slots=True)
class Listed:
    """A route as the files list it; the first of a model has priority 0."""

    model: str
    provider: str
    upstream_model: str
    priority: int


def provider_row(provider: catalog_data.Provider) -> Provider:
    """Return a provider of the catalog as a row that is not stored yet."""
    quirks: list[str] = list(provider.quirks)
    if provider.usage_in_stream != "asked":
        quirks.append("no_stream_options")
    return Provider(
        name=provider.name,
        title=provider.title,
        api=provider.api,
        base_url="" if "key_optional" in quirks else provider.base_url or "",
        api_key_env=provider.api_key_env or "",
        quirks=quirks,
    )


def model_row(model: catalog_data.Model) -> Model:
    """Return a model of the catalog as a row that is not stored yet."""
    return Model(
        name=model.name,
        title=model.title,
        owned_by=model.owned_by,
        kind=model.kind,
        description=model.description,
        input_modalities=list(model.input_modalities),
        output_modalities=list(model.output_modalities),
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        features=[name for name, able in asdict(model.supports).items() if able],
        supported_parameters=list(model.supported_parameters),
        knowledge_cutoff=model.knowledge_cutoff or "",
        released_on=model.released_on,
        deprecated_on=model.deprecated_on,
        shutdown_on=model.shutdown_on,
        sources=dict(model.sources),
        created_at=_midnight(model.created_on),
    )


def sandbox_rows() -> list[Model]:
    """Return the sandbox's models as rows that are not stored yet."""
    return [
        Model(
            name=model.name,
            title=model.title,
            owned_by=SANDBOX,
            kind=model.kind,
            description=model.description,
            input_modalities=SANDBOX_MODALITIES.get(model.kind, TEXT_ONLY)[0],
            output_modalities=SANDBOX_MODALITIES.get(model.kind, TEXT_ONLY)[1],
            context_tokens=SANDBOX_CONTEXT_TOKENS if model.kind in ("chat", "embedding") else None,
            max_output_tokens=SANDBOX_OUTPUT_TOKENS if model.kind == "chat" else None,
            features=["streaming", "tools"] if model.kind == "chat" else [],
            sources={"curated": "the sandbox of Exerati"},
            created_at=SANDBOX_SINCE,
        )
        for model in SANDBOX_MODELS
    ]


def routes(model: catalog_data.Model) -> list[Listed]:
    """Return a model's routes in the order of the files."""
    return [
        Listed(model.name, route.provider, route.upstream_model, priority)
        for priority, route in enumerate(model.routes)
    ]


def sandbox_routes() -> list[Listed]:
    """Return the routes of the sandbox's models."""
    return [Listed(model.name, SANDBOX, model.name, 0) for model in SANDBOX_MODELS]


def sheets(catalog: catalog_data.Catalog) -> tuple[Prices, Costs]:
    """Return our prices by model, and the providers' costs by provider and upstream model."""
    markup = Decimal(settings.MARKUP_PERCENT)
    prices: Prices = {}
    costs: Costs = {}
    for model in catalog.models.values():
        source = model.sources.get("prices", "curated")
        prices[model.name] = _price_history(model, source=source, markup=markup)
        for route in model.routes:
            history = _cost_history(model, route=route, source=source)
            costs[route.provider, route.upstream_model] = history
    return prices, costs


def sandbox_prices() -> Prices:
    """Return the prices of the sandbox's models."""
    return {
        model.name: [
            Dated(
                SANDBOX_SINCE,
                RateSheet(SANDBOX_RATES[model.kind]),
                f"{price_versions.CATALOG}: sandbox",
            )
        ]
        for model in SANDBOX_MODELS
    }


def _price_history(model: catalog_data.Model, *, source: str, markup: Decimal) -> list[Dated]:
    return [
        Dated(
            _midnight(price.effective_from),
            _sheet(price.provider_cost).marked_up(markup),
            f"{price_versions.CATALOG}: {source}, plus {markup} %",
        )
        for price in model.prices
    ]


def _cost_history(
    model: catalog_data.Model, *, route: catalog_data.Route, source: str
) -> list[Dated]:
    """Return a route's own cost, or the model's where it names none."""
    label = f"{price_versions.CATALOG}: {source}"
    if route.provider_cost is not None:
        since = _midnight(model.prices[-1].effective_from)
        return [Dated(since, _sheet(route.provider_cost), label)]
    return [
        Dated(_midnight(price.effective_from), _sheet(price.provider_cost), label)
        for price in model.prices
    ]


def _sheet(cost: catalog_data.Cost) -> RateSheet:
    return RateSheet(
        cost.rates.given(),
        _tiers(cost),
        {
            name: {**tier.rates.given(), **({"tiers": _tiers(tier)} if tier.tiers else {})}
            for name, tier in cost.service_tiers.items()
        },
    )


def _tiers(cost: catalog_data.Cost) -> list[Mapping[str, int]]:
    return [
        {"above_input_tokens": tier.above_input_tokens, **tier.rates.given()} for tier in cost.tiers
    ]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
