"""All about one model of the catalog: rates in tables, the history of its price, its routes and how they do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from billing import price_book
from billing.models import PriceVersion
from billing.types import Price, Rates
from gateway.catalog import price_history
from gateway.catalog.catalog_pages import CatalogRow, row_of
from gateway.catalog.price_history import PER_MTOK, Cell, RateKey
from gateway.models import Model
from gateway.routes import route_stats

MAX_COLUMNS = 4  # of prices, that stand side by side on a desk


def _with_figures(row: CatalogRow, *, now: datetime) -> CatalogRow:
    """Return the row with the uptime of the last day and the speed of the last hour of each route."""
    found = route_stats.read([route.key for route in row.routes], now=now.timestamp())
    routes = [
        replace(
            route,
            uptime_percent=found[route.key]["24h"].uptime_percent,
            first_token_ms=found[route.key]["1h"].first_token_ms,
            tokens_per_second=found[route.key]["1h"].tokens_per_second,
        )
        if route.key in found
        else route
        for route in row.routes
    ]
    return replace(row, routes=tuple(routes))


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The rates of one service tier: a column for each prompt size, a row for each class that has a rate."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int | None, ...]], ...]


@dataclass(frozen=True, slots=True)
class Version:
    """One price version of the history, with a cell for every rate that any version has."""

    effective_from: datetime
    price: Price
    state: Literal["past", "current", "coming"]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class ModelDetail:
    """All about one model."""

    row: CatalogRow
    supported_parameters: tuple[str, ...]
    knowledge_cutoff: str
    prices: tuple[PriceTable, ...]
    versions: tuple[Version, ...]
    history: tuple[tuple[str, tuple[tuple[Version, Cell], ...]], ...]  # a row for each rate


def detail(name: str, *, now: datetime) -> ModelDetail | None:
    """Return a listed model with its routes and price history; runs three queries, and reads Redis."""
    model = Model.objects.filter(name=name, hidden_at=None).first()
    if model is None:
        return None
    versions, rates = _versions(name, now=now)
    current = next((version for version in versions if version.state == "current"), None)
    if current is None:
        return None
    routes = model.routes.select_related("provider").order_by("priority", "pk")
    return ModelDetail(
        row=_with_figures(
            row_of(model, current.price, routes, since=current.effective_from, today=now.date()),
            now=now,
        ),
        supported_parameters=tuple(model.supported_parameters),
        knowledge_cutoff=model.knowledge_cutoff,
        prices=tuple(price_tables(current.price)),
        versions=tuple(versions),
        history=tuple(
            (key.title, tuple((version, version.cells[place]) for version in versions))
            for place, key in enumerate(rates)
        ),
    )


def _versions(name: str, *, now: datetime) -> tuple[list[Version], tuple[RateKey, ...]]:
    """Return the versions of a model's price, newest first, and the rates that their cells stand for."""
    found = []
    stored = PriceVersion.objects.filter(model=name).order_by("-effective_from")
    dated = [(row.effective_from, price_book.price_of(row)) for row in stored]
    prices = [price for _, price in dated]
    among = price_history.columns(prices)
    state: Literal["past", "current", "coming"] = "coming"
    for place, (since, price) in enumerate(dated, start=1):
        before = prices[place] if place < len(prices) else None
        if since <= now:
            state = "current" if state == "coming" else "past"
        cells = price_history.cells(price, before, among=among)
        found.append(Version(since, price, state, cells))
    return found, among


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
        for name, label in PER_MTOK.items()
    )
    rows = tuple(row for row in classes if any(row[1]))
    return PriceTable(title, tuple(head for head, _ in columns), rows)


def _up_to(tokens: int) -> str:
    return f"Up to {tokens:,}"
