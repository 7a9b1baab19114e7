"""
Writes the shipped catalog into the database: providers, models, routes, prices.

Run any number of times; it changes what the files say otherwise, and leaves alone what operators decided:
addresses and accounts, what is switched off or hidden, and prices set by hand.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

from django.conf import settings
from django.db import transaction

from billing import price_versions
from billing.price_versions import Dated, RateSheet
from gateway import catalog_data
from gateway.models import Model, Provider, Route
from gateway.providers.sandbox import SANDBOX_MODELS

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
PROVIDER_FIELDS = ["title", "api", "quirks"]
MODEL_FIELDS = [
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
    "sources",
    "created_at",
]


@dataclass(frozen=True, slots=True)
class Counts:
    """What there is after a load, and what the load made."""

    providers: int
    models: int
    routes: int
    new_providers: int
    new_models: int
    new_routes: int
    new_prices: int
    new_costs: int


@transaction.atomic
def load(catalog: catalog_data.Catalog, *, now: datetime) -> Counts:
    """Write the catalog and the sandbox's models; all or nothing."""
    before = _row_counts()
    _write_providers(catalog.providers.values())
    _write_models([*map(_model, catalog.models.values()), *_sandbox_models()])
    _write_routes(catalog)
    prices, costs = _sheets(catalog)
    new_prices = price_versions.publish_prices(prices, now=now)
    new_costs = price_versions.publish_costs(costs, now=now)
    after = _row_counts()
    made = {f"new_{name}": count - before[name] for name, count in after.items()}
    return Counts(**after, **made, new_prices=new_prices, new_costs=new_costs)


def _row_counts() -> dict[str, int]:
    return {
        "providers": Provider.objects.count(),
        "models": Model.objects.count(),
        "routes": Route.objects.count(),
    }


def _write_providers(providers: Iterable[catalog_data.Provider]) -> None:
    """
    Add providers and refresh their facts; an address is written only where there is none.

    Servers that run without a key are the operator's own: their usual address is a guess, so they get
    none until `provider add` or EXERATI_PROVIDER_<NAME>_BASE_URL names one.
    """
    rows = [provider_row(provider) for provider in providers]
    Provider.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["name"], update_fields=PROVIDER_FIELDS
    )
    for row in rows:
        if row.base_url:
            Provider.objects.filter(name=row.name, base_url="").update(base_url=row.base_url)


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


def _write_models(rows: Sequence[Model]) -> None:
    Model.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["name"], update_fields=MODEL_FIELDS
    )


def _model(model: catalog_data.Model) -> Model:
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


def _sandbox_models() -> list[Model]:
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


def _write_routes(catalog: catalog_data.Catalog) -> None:
    """Add routes and put them in the order of the files."""
    models = dict(Model.objects.values_list("name", "pk"))
    providers = dict(Provider.objects.values_list("name", "pk"))
    listed = [
        (model.name, route.provider, route.upstream_model, priority)
        for model in catalog.models.values()
        for priority, route in enumerate(model.routes)
    ]
    listed += [(model.name, SANDBOX, model.name, 0) for model in SANDBOX_MODELS]
    rows = [
        Route(
            model_id=models[name],
            provider_id=providers[provider],
            upstream_model=upstream_model,
            priority=priority,
        )
        for name, provider, upstream_model, priority in listed
    ]
    Route.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["model", "provider", "upstream_model"],
        update_fields=["priority"],
    )


Prices = dict[str, list[Dated]]
Costs = dict[tuple[str, str], list[Dated]]


def _sheets(catalog: catalog_data.Catalog) -> tuple[Prices, Costs]:
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
    for sandbox in SANDBOX_MODELS:
        sheet = RateSheet(SANDBOX_RATES[sandbox.kind])
        prices[sandbox.name] = [Dated(SANDBOX_SINCE, sheet, f"{price_versions.CATALOG}: sandbox")]
    return prices, costs


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
