"""
The catalog that ships with the code: JSON files in, checked and frozen dataclasses out.

Owns the shape of `gateway/catalog/providers.json` and `models.json`, and the rules each row must
keep; `docs/catalog.md` describes both. Pure: no Django, no network. Loading it into the database
(and adding our markup) is the work of `manage.py catalog load`.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, TypeVar, get_args

from billing.types import RATE_NAMES, Rates, Tier
from gateway.catalog.catalog_row import CatalogInvalid, Row

Api = Literal[
    "openai",
    "anthropic",
    "gemini",
    "bedrock",
    "cohere",
    "vertex",
    "vertex-claude",
    "azure",
    "sandbox",
]
UsageInStream = Literal["asked", "always", "never"]
Kind = Literal["chat", "embedding", "image", "speech", "transcription", "rerank", "moderation"]
Modality = Literal["text", "image", "audio", "video", "file"]
Quirk = Literal[
    "api_key_header",
    "key_optional",
    "keepalive_comments",
    "keeps_extensions",
    "least_10_seconds",
    "max_tokens_only",
    "no_developer_role",
    "no_output_bound",
    "no_stream_options",
    "no_token_inputs",
    "no_transcript_format",
    "reasoning_field",
    "reasoning_content_field",
    "reports_cost",
    "rerank_top_k",
    "service_tiers",
    "usage_in_x_groq",
]

FREE: Final = "call_nanousd"
FOLDER: Final = Path(__file__).parent
DESCRIPTION_MAX_CHARACTERS: Final = 200

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One upstream. A `base_url` of None must be set by whoever runs the gateway."""

    name: str
    title: str
    api: Api
    base_url: str | None
    api_key_env: str | None
    docs_url: str | None
    quirks: tuple[Quirk, ...]
    usage_in_stream: UsageInStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """
    What a provider asks; a tier names only the rates it changes.

    A service tier (`flex`, `priority`) names only the rates it changes; its own `tiers` stand in
    place of these.
    """

    rates: Rates
    tiers: tuple[Tier, ...] = ()
    service_tiers: Mapping[str, "Cost"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A version of a model's provider cost, in force from `effective_from` (UTC) to the next."""

    effective_from: date
    provider_cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way to serve a model. `provider_cost` is None where it is the model's own."""

    provider: str
    upstream_model: str
    provider_cost: Cost | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Supports:
    """What a model can do."""

    tools: bool
    structured_output: bool
    reasoning: bool
    vision: bool
    streaming: bool
    open_weights: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """
    One model of the catalog under its public name.

    `created_on` is always known (the release, or the day a source first listed it).
    `knowledge_cutoff` is a year, month or day as the provider gives it. `sources` names the origin
    and date of the fields.
    """

    name: str
    title: str
    owned_by: str
    kind: Kind
    description: str
    created_on: date
    released_on: date | None
    deprecated_on: date | None
    shutdown_on: date | None
    knowledge_cutoff: str | None
    input_modalities: tuple[Modality, ...]
    output_modalities: tuple[Modality, ...]
    context_tokens: int | None
    max_output_tokens: int | None
    supports: Supports
    supported_parameters: tuple[str, ...]
    routes: tuple[Route, ...]
    prices: tuple[Price, ...]
    sources: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Providers and models by name, in the order of the files."""

    providers: Mapping[str, Provider]
    models: Mapping[str, Model]


def load(folder: Path = FOLDER) -> Catalog:
    """
    Return the whole catalog.

    Raises CatalogInvalid, naming file, row and field, at the first rule that is broken.
    """
    providers = _read_rows(folder / "providers.json", read=_provider)
    models = _read_rows(folder / "models.json", read=_model)
    for model in models.values():
        for route in model.routes:
            if route.provider not in providers:
                raise CatalogInvalid(
                    file="models.json",
                    row=model.name,
                    field="routes.provider",
                    problem=f"no provider is named {route.provider!r}",
                )
    return Catalog(providers=providers, models=models)


def _read_rows(path: Path, *, read: Callable[[Row], Item]) -> dict[str, Item]:
    """Return the rows of a file by their name; each name once."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(rows, list):
        raise CatalogInvalid(file=path.name, row="(file)", field="(file)", problem="must be a list")
    found: dict[str, Item] = {}
    for number, values in enumerate(rows, start=1):
        name = values.get("name") if isinstance(values, dict) else None
        row = Row(values, file=path.name, row=str(name or f"row {number}"))
        if row.row in found:
            raise row.invalid("name", "is used twice")
        found[row.row] = read(row)
        row.end()
    return found


def _provider(row: Row) -> Provider:
    return Provider(
        name=row.slug("name"),
        title=row.text("title"),
        api=row.choice("api", get_args(Api)),
        base_url=row.optional("base_url", row.text),
        api_key_env=row.optional("api_key_env", row.text),
        docs_url=row.optional("docs_url", row.text),
        quirks=row.choices("quirks", get_args(Quirk)),
        usage_in_stream=row.choice("usage_in_stream", get_args(UsageInStream)),
    )


def _model(row: Row) -> Model:
    model = Model(
        name=row.slug("name"),
        title=row.text("title"),
        owned_by=row.slug("owned_by"),
        kind=row.choice("kind", get_args(Kind)),
        description=row.text("description"),
        created_on=row.day("created_on"),
        released_on=row.optional("released_on", row.day),
        deprecated_on=row.optional("deprecated_on", row.day),
        shutdown_on=row.optional("shutdown_on", row.day),
        knowledge_cutoff=row.optional("knowledge_cutoff", row.text),
        input_modalities=row.choices("input_modalities", get_args(Modality)),
        output_modalities=row.choices("output_modalities", get_args(Modality)),
        context_tokens=row.optional("context_tokens", row.positive),
        max_output_tokens=row.optional("max_output_tokens", row.positive),
        supports=_supports(row),
        supported_parameters=row.texts("supported_parameters"),
        routes=_routes(row),
        prices=_prices(row),
        sources=_sources(row),
    )
    for field_name, problem in _contradictions(model):
        raise row.invalid(field_name, problem)
    return model


def _supports(row: Row) -> Supports:
    inner = row.nested(row.take("supports"), field="supports")
    flags = {item.name: inner.flag(item.name) for item in fields(Supports)}
    inner.end()
    return Supports(**flags)


def _sources(row: Row) -> dict[str, str]:
    inner = row.nested(row.take("sources"), field="sources")
    return {name: inner.text(name) for name in tuple(inner.values)}


def _routes(row: Row) -> tuple[Route, ...]:
    routes = []
    for number, values in enumerate(row.items("routes")):
        inner = row.nested(values, field=f"routes[{number}]")
        provider, upstream_model = inner.slug("provider"), inner.text("upstream_model")
        cost = inner.optional("provider_cost", partial(_cost, inner))
        inner.end()
        routes.append(Route(provider=provider, upstream_model=upstream_model, provider_cost=cost))
    return tuple(routes)


def _prices(row: Row) -> tuple[Price, ...]:
    prices = []
    for number, values in enumerate(row.items("prices")):
        inner = row.nested(values, field=f"prices[{number}]")
        effective_from = inner.day("effective_from")
        prices.append(
            Price(effective_from=effective_from, provider_cost=_cost(inner, "provider_cost"))
        )
        inner.end()
    return tuple(prices)


def _cost(row: Row, field_name: str) -> Cost:
    inner = row.nested(row.take(field_name), field=field_name)
    tiers = tuple(_tiers(inner)) if "tiers" in inner.values else ()
    service_tiers: dict[str, Cost] = {}
    if "service_tiers" in inner.values:
        named = inner.nested(inner.take("service_tiers"), field="service_tiers")
        service_tiers = {name: _cost(named, name) for name in tuple(named.values)}
    cost = Cost(rates=_rates(inner), tiers=tiers, service_tiers=service_tiers)
    inner.end()
    return cost


def _tiers(row: Row) -> Iterable[Tier]:
    above = 0
    for number, values in enumerate(row.items("tiers")):
        inner = row.nested(values, field=f"tiers[{number}]")
        tier = Tier(above_input_tokens=inner.positive("above_input_tokens"), rates=_rates(inner))
        if tier.above_input_tokens <= above:
            raise inner.invalid("above_input_tokens", "must be larger than the tier before")
        inner.end()
        above = tier.above_input_tokens
        yield tier


def _rates(row: Row) -> Rates:
    """
    Read the rates that are there; an absent one is None, a zero is refused.

    What is free says so: its only rate is a fee of 0 for the call.
    """
    if row.values == {FREE: 0}:
        row.take(FREE)
        return Rates(**{FREE: 0})
    names = [name for name in RATE_NAMES if name in row.values]
    if not names:
        raise row.invalid("", "names no rate")
    return Rates(**{name: row.optional(name, row.positive) for name in names})


def _contradictions(model: Model) -> Iterable[tuple[str, str]]:
    """Yield (field, problem) for each rule over several fields that the model breaks."""
    if not model.routes:
        yield "routes", "must name at least one provider"
    if not model.prices:
        yield "prices", "must hold at least one version: a model without a price is not listed"
    if any(a.effective_from >= b.effective_from for a, b in pairwise(model.prices)):
        yield "prices", "must be in order of effective_from, each day once"
    if len(model.description) > DESCRIPTION_MAX_CHARACTERS or not model.description.endswith("."):
        yield (
            "description",
            f"must be a sentence of {DESCRIPTION_MAX_CHARACTERS} characters at most",
        )
    if model.supports.vision != ("image" in model.input_modalities):
        yield "supports.vision", "must say whether image is among input_modalities"
    if not model.input_modalities or not model.output_modalities:
        yield "input_modalities", "and output_modalities must name at least one each"
    if model.kind == "chat":
        yield from _chat_contradictions(model)


def _chat_contradictions(model: Model) -> Iterable[tuple[str, str]]:
    """Yield what a chat model lacks: the bound of a reservation needs limits and both rates."""
    for name in ("context_tokens", "max_output_tokens"):
        if getattr(model, name) is None:
            yield name, "must be known for a chat model"
    for price in model.prices:
        rates = price.provider_cost.rates
        if rates.input_microusd_per_mtok is None or rates.output_microusd_per_mtok is None:
            yield "prices", "must price input and output of a chat model"
