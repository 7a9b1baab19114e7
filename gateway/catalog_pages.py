"""
Read models of the public catalog: models with the prices in force, filters, and all about one model.

A model without a price is not routable and not listed. Amounts are the integers of the price versions.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal

from billing import price_book
from billing.models import PriceVersion
from billing.price_formula import Formula, explain
from billing.pricing import PriceMissing, charge_nanousd
from billing.types import Price, Rates, TokenUsage
from exerati import formats
from gateway import route_stats
from gateway.models import Model, Route
from gateway.snapshot import route_key

Sort = Literal["name", "newest", "input", "output", "context"]

CALLABLE_KINDS = ("chat", "embedding")  # the kinds whose endpoints /v1 answers
OWNER_TITLES = {
    "openai": "OpenAI",
    "xai": "xAI",
    "zai": "Z.ai",
    "ibm": "IBM",
    "nvidia": "NVIDIA",
    "deepseek": "DeepSeek",
    "bytedance": "ByteDance",
    "minimax": "MiniMax",
    "stepfun": "StepFun",
}
RATE_TITLES = {
    "input": "Input",
    "cache_read": "Cached input",
    "cache_write_5m": "Cache write, 5 min",
    "cache_write_1h": "Cache write, 1 h",
    "output": "Output",
    "reasoning": "Reasoning",
    "audio_input": "Audio input",
    "audio_output": "Audio output",
    "image_input": "Image input",
    "image_output": "Image output",
}
UNIT_TITLES = {
    "image": "image",
    "second": "second",
    "character": "character",
    "search": "search",
    "call": "call",
}
SORT_TITLES: Mapping[Sort, str] = {
    "name": "Name",
    "newest": "Newest",
    "input": "Cheapest input",
    "output": "Cheapest output",
    "context": "Longest context",
}
FEATURE_TITLES = {
    "tools": "Tools",
    "structured_output": "Structured output",
    "reasoning": "Reasoning",
    "vision": "Vision",
    "streaming": "Streaming",
    "open_weights": "Open weights",
}
MAX_COLUMNS = 4  # of prices, that stand side by side on a desk
CONTEXT_STEPS = (32_000, 128_000, 200_000, 1_000_000)


@dataclass(frozen=True, slots=True)
class Serving:
    """One way a model is served; how it has done lately is None where nobody has asked it."""

    provider: str
    upstream_model: str
    is_on: bool
    key: str = ""
    uptime_percent: float | None = None
    first_token_ms: int | None = None


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """One model of the list with the rates that hold now."""

    name: str
    title: str
    owned_by: str
    owner: str
    kind: str
    description: str
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]
    context_tokens: int | None
    max_output_tokens: int | None
    features: tuple[str, ...]
    released_on: date | None
    deprecated_on: date | None
    shutdown_on: date | None
    price: Price
    routes: tuple[Serving, ...]

    @property
    def rates(self) -> Rates:
        """Return the base rates."""
        return self.price.rates

    @property
    def unit_prices(self) -> list[tuple[str, str]]:
        """Return (price, unit) of everything that is not paid by the token."""
        found = ((unit, getattr(self.rates, f"{unit}_nanousd")) for unit in UNIT_TITLES)
        return [(formats.exact_text(rate), UNIT_TITLES[unit]) for unit, rate in found if rate]

    @property
    def shown_features(self) -> list[str]:
        """Return the names of the features people choose by; streaming is what nearly all have."""
        return [FEATURE_TITLES.get(name, name) for name in self.features if name != "streaming"]

    @property
    def context_text(self) -> str:
        """Return the context as it fits a column."""
        return formats.compact_text(self.context_tokens) if self.context_tokens else ""

    @property
    def is_callable(self) -> bool:
        """Say whether /v1 has the endpoint of this kind."""
        return self.kind in CALLABLE_KINDS


@dataclass(frozen=True, slots=True)
class CatalogFilters:
    """Which models to list; empty means all."""

    search: str = ""
    kind: str = ""
    owner: str = ""
    modality: str = ""
    features: tuple[str, ...] = ()
    context: int = 0
    sort: Sort = "name"

    def matches(self, row: CatalogRow) -> bool:
        """Say whether the model passes every filter but the kind, which has its own counts."""
        words = self.search.lower().split()
        text = f"{row.name} {row.title} {row.owner} {row.owned_by}".lower()
        return (
            all(word in text for word in words)
            and self.owner in ("", row.owned_by)
            and (not self.modality or self.modality in row.input_modalities)
            and set(self.features) <= set(row.features)
            and (row.context_tokens or 0) >= self.context
        )


@dataclass(frozen=True, slots=True)
class Found:
    """The models that pass the filters in order, and how many of each kind pass all the others."""

    rows: tuple[CatalogRow, ...]
    kinds: tuple[tuple[str, int], ...]


def rows(*, now: datetime) -> list[CatalogRow]:
    """Return every listed model with its price in force; runs three queries."""
    prices = {row.model: price_book.price_of(row) for row in _prices_at(now)}
    routes: dict[int, list[Route]] = defaultdict(list)
    for route in Route.objects.select_related("provider").order_by("priority", "pk"):
        routes[route.model_id].append(route)
    models = Model.objects.filter(hidden_at=None).order_by("name")
    return [
        _row(model, prices[model.name], routes[model.pk])
        for model in models
        if model.name in prices
    ]


def _prices_at(now: datetime) -> Iterable[PriceVersion]:
    """Return the newest version of each model that is in force."""
    found = PriceVersion.objects.filter(effective_from__lte=now)
    return found.order_by("model", "-effective_from").distinct("model")


def _row(model: Model, price: Price, routes: Iterable[Route]) -> CatalogRow:
    return CatalogRow(
        name=model.name,
        title=model.title,
        owned_by=model.owned_by,
        owner=owner_title(model.owned_by),
        kind=model.kind,
        description=model.description,
        input_modalities=tuple(model.input_modalities),
        output_modalities=tuple(model.output_modalities),
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        features=tuple(model.features),
        released_on=model.released_on,
        deprecated_on=model.deprecated_on,
        shutdown_on=model.shutdown_on,
        price=price,
        routes=tuple(_serving(route) for route in routes if route.disabled_at is None),
    )


def _serving(route: Route) -> Serving:
    return Serving(
        route.provider.title,
        route.upstream_model,
        route.provider.disabled_at is None,
        route_key(route.provider.name, route.upstream_model),
    )


def _with_figures(row: CatalogRow, *, now: datetime) -> CatalogRow:
    """Return the row with the uptime of the last day and the speed of the last hour of each route."""
    found = route_stats.read([route.key for route in row.routes], now=now.timestamp())
    routes = [
        replace(
            route,
            uptime_percent=found[route.key]["24h"].uptime_percent,
            first_token_ms=found[route.key]["1h"].first_token_ms,
        )
        if route.key in found
        else route
        for route in row.routes
    ]
    return replace(row, routes=tuple(routes))


def owner_title(owned_by: str) -> str:
    """Return a maker's name as it writes itself."""
    return OWNER_TITLES.get(owned_by, owned_by.replace("-", " ").title())


def select(listed: Sequence[CatalogRow], filters: CatalogFilters) -> Found:
    """Return the models that pass, in the wanted order."""
    passing = [row for row in listed if filters.matches(row)]
    counts: dict[str, int] = defaultdict(int)
    for row in passing:
        counts[row.kind] += 1
    chosen = [row for row in passing if filters.kind in ("", row.kind)]
    chosen.sort(key=_ORDERS[filters.sort])
    return Found(tuple(chosen), tuple(sorted(counts.items(), key=lambda item: -item[1])))


def _dearness(rate: int | None) -> tuple[bool, int]:
    """Return a key that puts what is not priced by the token last."""
    return (rate is None, rate or 0)


_ORDERS: Mapping[Sort, Callable[[CatalogRow], Any]] = {
    "name": lambda row: row.name,
    "newest": lambda row: (-(row.released_on or date.min).toordinal(), row.name),
    "input": lambda row: (*_dearness(row.rates.input_microusd_per_mtok), row.name),
    "output": lambda row: (*_dearness(row.rates.output_microusd_per_mtok), row.name),
    "context": lambda row: (-(row.context_tokens or 0), row.name),
}


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The rates of one service tier: a column for each prompt size, a row for each class that has a rate."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int | None, ...]], ...]


@dataclass(frozen=True, slots=True)
class Version:
    """One price version of the history."""

    effective_from: datetime
    price: Price
    state: Literal["past", "current", "coming"]


@dataclass(frozen=True, slots=True)
class ModelDetail:
    """All about one model."""

    row: CatalogRow
    supported_parameters: tuple[str, ...]
    knowledge_cutoff: str
    prices: tuple[PriceTable, ...]
    versions: tuple[Version, ...]
    since: datetime


def detail(name: str, *, now: datetime) -> ModelDetail | None:
    """Return a listed model with its routes and price history; runs three queries, and reads Redis."""
    model = Model.objects.filter(name=name, hidden_at=None).first()
    if model is None:
        return None
    versions = _versions(name, now=now)
    current = next((version for version in versions if version.state == "current"), None)
    if current is None:
        return None
    routes = model.routes.select_related("provider").order_by("priority", "pk")
    return ModelDetail(
        row=_with_figures(_row(model, current.price, routes), now=now),
        supported_parameters=tuple(model.supported_parameters),
        knowledge_cutoff=model.knowledge_cutoff,
        prices=tuple(price_tables(current.price)),
        versions=tuple(versions),
        since=current.effective_from,
    )


def _versions(name: str, *, now: datetime) -> list[Version]:
    """Return the versions of a model's price, newest first."""
    found = []
    state: Literal["past", "current", "coming"] = "coming"
    for row in PriceVersion.objects.filter(model=name).order_by("-effective_from"):
        if row.effective_from <= now:
            state = "current" if state == "coming" else "past"
        found.append(Version(row.effective_from, price_book.price_of(row), state))
    return found


def price_tables(price: Price) -> list[PriceTable]:
    """Return all rates in one table where they fit, else a table for each service tier."""
    named = [("", price), *sorted(price.service_tiers.items())]
    columns = [(name, *column) for name, found in named for column in _columns(found)]
    if len(columns) > MAX_COLUMNS:
        return [_price_table(name, _columns(found)) for name, found in named]
    if len(named) == 1:
        return [_price_table("", _columns(price))]
    merged = [(_merged_head(name, head), rates) for name, head, rates in columns]
    return [_price_table("", merged)]


def _columns(price: Price) -> list[tuple[str, Rates]]:
    """Return (head, rates) for each prompt size."""
    if not price.tiers:
        return [("All prompts", price.rates)]
    sizes = [(f"Above {tier.above_input_tokens:,}", tier.rates) for tier in price.tiers]
    return [(_up_to(price.tiers[0].above_input_tokens), price.rates), *sizes]


def _merged_head(service_tier: str, head: str) -> str:
    """Return the head of a column among several service tiers."""
    name = service_tier.capitalize() or "Standard"
    return name if head == "All prompts" else f"{name}, {head.lower()}"


def _price_table(title: str, columns: Sequence[tuple[str, Rates]]) -> PriceTable:
    classes = (
        (label, tuple(getattr(rates, f"{name}_microusd_per_mtok") for _, rates in columns))
        for name, label in RATE_TITLES.items()
    )
    rows = tuple(row for row in classes if any(row[1]))
    return PriceTable(title, tuple(head for head, _ in columns), rows)


def _up_to(tokens: int) -> str:
    return f"Up to {tokens:,}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call of so many tokens costs by the present price."""

    nanousd: int
    formula: Formula | None


def estimate(price: Price, *, usage: TokenUsage) -> Estimate | None:
    """Return the price of a call, None where the model has no rate for such tokens."""
    try:
        nanousd = charge_nanousd(usage, price=price)
    except PriceMissing:
        return None
    return Estimate(nanousd, explain(usage, price=price, price_nanousd=nanousd))
