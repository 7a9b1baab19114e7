"""
The models of the public catalog with the prices in force.

A model without a price is not routable and not listed. Amounts are the integers of the price versions.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from django.utils import timezone

from billing import price_book
from billing.models import PriceVersion
from billing.price_formula import Formula, explain
from billing.pricing import PriceMissing, charge_nanousd
from billing.types import Price, Rates, TokenUsage
from exerati.drawing import formats
from gateway.models import Model, Route
from gateway.snapshot import SANDBOX, route_key

NEW_FOR = timedelta(days=60)
# Makers whose newest model stands for them where there is room for a few.
KNOWN_OWNERS = ("openai", "anthropic", "google", "mistral", "deepseek", "meta", "xai", "alibaba")
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
# What is not paid by the token: how many of a unit people compare, and what that is called.
UNITS = {
    "image": (1, "image"),
    "second": (60, "minute"),
    "character": (1_000_000, "million characters"),
    "search": (1, "search"),
    "call": (1, "call"),
}
FEATURE_TITLES = {
    "tools": "Tools",
    "structured_output": "Structured output",
    "reasoning": "Reasoning",
    "vision": "Vision",
    "streaming": "Streaming",
    "open_weights": "Open weights",
}


@dataclass(frozen=True, slots=True)
class Serving:
    """One way a model is served; how it has done lately is None where nobody has asked it."""

    provider: str
    upstream_model: str
    is_on: bool
    key: str = ""
    uptime_percent: float | None = None
    first_token_ms: int | None = None
    tokens_per_second: float | None = None


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
    price_since: datetime
    today: date
    came_on: date  # to the market; where that is not known, to the catalog
    call_nanousd: int | None = None  # what the visitor's call would cost

    @property
    def rates(self) -> Rates:
        """Return the base rates."""
        return self.price.rates

    @property
    def unit_prices(self) -> list[tuple[str, str]]:
        """Return (price, unit) of everything that is not paid by the token; each call is priced by the single unit."""
        found = ((getattr(self.rates, f"{unit}_nanousd"), *told) for unit, told in UNITS.items())
        return [(formats.exact_text(rate * many), title) for rate, many, title in found if rate]

    @property
    def shown_features(self) -> list[str]:
        """Return the names of the features people choose by; streaming is what nearly all have."""
        return [FEATURE_TITLES.get(name, name) for name in self.features if name != "streaming"]

    @property
    def context_text(self) -> str:
        """Return the context as it fits a column."""
        return formats.compact_text(self.context_tokens) if self.context_tokens else ""

    @property
    def max_output_text(self) -> str:
        """Return the longest output as it fits a column."""
        return formats.compact_text(self.max_output_tokens) if self.max_output_tokens else ""

    @property
    def is_new(self) -> bool:
        """Say whether it came out lately."""
        return self.today - self.came_on <= NEW_FOR

    @property
    def is_retired(self) -> bool:
        """Say whether its provider has stopped serving it."""
        return self.shutdown_on is not None and self.shutdown_on <= self.today

    @property
    def is_sandbox(self) -> bool:
        """Say whether it imitates a model, for tests of programs."""
        return self.name.startswith(f"{SANDBOX}/")


def rows(*, now: datetime) -> list[CatalogRow]:
    """Return every listed model with its price in force; runs three queries."""
    prices = {row.model: row for row in _prices_at(now)}
    routes: dict[int, list[Route]] = defaultdict(list)
    for route in Route.objects.select_related("provider").order_by("priority", "pk"):
        routes[route.model_id].append(route)
    models = Model.objects.filter(hidden_at=None).order_by("name")
    return [
        row_of(
            model,
            price_book.price_of(prices[model.name]),
            routes[model.pk],
            since=prices[model.name].effective_from,
            today=now.date(),
        )
        for model in models
        if model.name in prices
    ]


def for_sale(*, now: datetime) -> list[CatalogRow]:
    """Return what a visitor may choose from: every listed model but the sandbox's, which imitate models for tests."""
    return [row for row in rows(now=now) if not row.is_sandbox]


def _prices_at(now: datetime) -> Iterable[PriceVersion]:
    """Return the newest version of each model that is in force."""
    found = PriceVersion.objects.filter(effective_from__lte=now)
    return found.order_by("model", "-effective_from").distinct("model")


def row_of(
    model: Model, price: Price, routes: Iterable[Route], *, since: datetime, today: date
) -> CatalogRow:
    """Return a model with a price that has held since then."""
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
        price_since=since,
        today=today,
        came_on=model.released_on or model.created_at.date(),
    )


def _serving(route: Route) -> Serving:
    return Serving(
        route.provider.title,
        route.upstream_model,
        route.provider.disabled_at is None,
        route_key(route.provider.name, route.upstream_model),
    )


def owner_title(owned_by: str) -> str:
    """Return a maker's name as it writes itself."""
    return OWNER_TITLES.get(owned_by, owned_by.replace("-", " ").title())


def newest_of_each(listed: Sequence[CatalogRow]) -> list[CatalogRow]:
    """Return the newest chat model of each of the best known makers that is priced by the token and not deprecated."""
    newest: dict[str, CatalogRow] = {}
    for row in sorted(listed, key=lambda row: row.came_on):
        by_token = row.rates.input_microusd_per_mtok and row.rates.output_microusd_per_mtok
        is_going = row.deprecated_on is not None or row.shutdown_on is not None
        if row.kind == Model.Kind.CHAT and by_token and not is_going:
            newest[row.owned_by] = row
    return [newest[owner] for owner in KNOWN_OWNERS if owner in newest]


@dataclass(frozen=True, slots=True)
class Offer:
    """What the front page tells of the catalog: a few prices of today, the known makers, and how much there is."""

    sample: Sequence[CatalogRow]
    makers: Sequence[str]
    models: int
    other_makers: int


def offer(count: int = 6) -> Offer:
    """Return it as of now; what is retired does not count."""
    listed = [row for row in for_sale(now=timezone.now()) if not row.is_retired]
    owners = {row.owned_by: row.owner for row in listed}
    known = [owners[name] for name in KNOWN_OWNERS if name in owners]
    return Offer(newest_of_each(listed)[:count], known, len(listed), len(owners) - len(known))


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


def with_call(listed: Sequence[CatalogRow], *, usage: TokenUsage) -> list[CatalogRow]:
    """Return the models with what a call of so many tokens costs; None where it has no price there."""
    return [
        replace(
            row, call_nanousd=found.nanousd if (found := estimate(row.price, usage=usage)) else None
        )
        for row in listed
    ]
