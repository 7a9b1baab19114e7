"""What catalog files say otherwise than what is sold: each difference with its source. Reads rows, writes none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from billing import price_versions
from billing.price_versions import Dated, Due, RateSheet
from gateway.catalog import catalog_data, catalog_rows
from gateway.catalog.catalog_rows import Costs, Listed
from gateway.models import CatalogChange, Model, Route

Kind = CatalogChange.Kind
WHOLE_MODEL: Final = "whole model"
PRICE: Final = "price"
LIMITS: Final = "limits"
SOURCE_OF: Final[Mapping[str, str]] = {
    "created_at": "created_on",
    "released_on": "released_on",
    "shutdown_on": "shutdown_on",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that files say otherwise; `effective_from` is None where it is to hold at once."""

    kind: CatalogChange.Kind
    model: str
    field: str
    old: Any
    new: Any
    source: str
    effective_from: datetime | None = None


def differences(catalog: catalog_data.Catalog, *, now: datetime) -> list[Difference]:
    """Return all that the files say otherwise, model by model, in their order."""
    sold = {row.name: row for row in Model.objects.filter(name__in=catalog.models)}
    prices, costs = catalog_rows.sheets(catalog)
    routes = _routes_of(sold)
    due_prices = price_versions.due_prices(
        {name: prices[name] for name in sold if name in prices}, now=now
    )
    due_costs = price_versions.due_costs(
        {
            subject: costs[subject]
            for found in routes.values()
            for subject in found
            if subject in costs
        },
        now=now,
    )
    told: set[tuple[str, str]] = set()  # a cost that two models share is told once
    found: list[Difference] = []
    for model in catalog.models.values():
        row = sold.get(model.name)
        if row is None:
            found.append(_new_model(model, prices=prices[model.name], costs=costs))
            continue
        found += _facts(model, row)
        found += _routes(model, routes[model.name], costs=costs)
        found += _versions(
            model, due_prices.get(model.name, ()), kind=Kind.PRICE, field=PRICE, now=now
        )
        for subject in routes[model.name]:
            if subject not in told and subject in due_costs:
                told.add(subject)
                found += _versions(
                    model, due_costs[subject], kind=Kind.COST, field=cost_field(subject), now=now
                )
    return found


def facts(row: Model) -> dict[str, Any]:
    """Return the facts of a model as plain values."""
    return {name: fact(row, name) for name in catalog_rows.FACTS}


def fact(row: Model, name: str) -> Any:
    """Return one fact of a model as a plain value."""
    value = getattr(row, name)
    return value.isoformat() if isinstance(value, date) else value


def route_field(provider: str, upstream_model: str) -> str:
    """Return the name of a route as a field of its model."""
    return f"route {provider}:{upstream_model}"


def cost_field(subject: tuple[str, str]) -> str:
    """Return the name of a provider's cost as a field of the model it serves."""
    return f"cost {subject[0]}:{subject[1]}"


def subject_of(field: str) -> tuple[str, str]:
    """Return provider and upstream model of what `route_field` or `cost_field` wrote."""
    provider, _, upstream_model = field.partition(" ")[2].partition(":")
    return provider, upstream_model


def plain(dated: Dated) -> dict[str, Any]:
    """Return a dated rate sheet as plain values."""
    return {
        "effective_from": dated.effective_from.isoformat(),
        "source": dated.source,
        "rates": dated.sheet.plain(),
    }


def from_plain(values: Mapping[str, Any]) -> Dated:
    """Return the dated rate sheet that `plain` wrote."""
    moment = datetime.fromisoformat(values["effective_from"])
    return Dated(moment, RateSheet.from_plain(values["rates"]), values["source"])


def _routes_of(sold: Mapping[str, Model]) -> dict[str, dict[tuple[str, str], int]]:
    """Return the priority of each route of the models, by provider and upstream model."""
    found: dict[str, dict[tuple[str, str], int]] = {name: {} for name in sold}
    rows = Route.objects.filter(model__in=sold.values()).select_related("model", "provider")
    for row in rows.order_by("priority", "pk"):
        found[row.model.name][row.provider.name, row.upstream_model] = row.priority
    return found


def _new_model(model: catalog_data.Model, *, prices: Sequence[Dated], costs: Costs) -> Difference:
    row = catalog_rows.model_row(model)
    return Difference(
        kind=Kind.MODEL,
        model=model.name,
        field=WHOLE_MODEL,
        old=None,
        new={
            "facts": facts(row),
            "sources": dict(model.sources),
            "routes": [_route(route, costs) for route in catalog_rows.routes(model)],
            "prices": [plain(dated) for dated in prices],
        },
        source=_source(model),
    )


def _facts(model: catalog_data.Model, row: Model) -> Iterator[Difference]:
    wanted = facts(catalog_rows.model_row(model))
    for name, old in facts(row).items():
        if old != wanted[name]:
            yield Difference(
                kind=Kind.FACT,
                model=model.name,
                field=name,
                old=old,
                new=wanted[name],
                source=model.sources.get(SOURCE_OF.get(name, LIMITS)) or _source(model),
            )


def _routes(
    model: catalog_data.Model, present: Mapping[tuple[str, str], int], *, costs: Costs
) -> Iterator[Difference]:
    """Tell routes that are new, and those whose place in the order is another."""
    for route in catalog_rows.routes(model):
        priority = present.get((route.provider, route.upstream_model))
        if priority == route.priority:
            continue
        yield Difference(
            kind=Kind.ROUTE,
            model=model.name,
            field=route_field(route.provider, route.upstream_model),
            old=None if priority is None else {"priority": priority},
            new=_route(route, costs) if priority is None else {"priority": route.priority},
            source=_source(model),
        )


def _route(route: Listed, costs: Costs) -> dict[str, Any]:
    history = costs[route.provider, route.upstream_model]
    return {
        "provider": route.provider,
        "upstream_model": route.upstream_model,
        "priority": route.priority,
        "costs": [plain(dated) for dated in history],
    }


def _versions(
    model: catalog_data.Model,
    due: Sequence[Due],
    *,
    kind: CatalogChange.Kind,
    field: str,
    now: datetime,
) -> Iterator[Difference]:
    """Tell the version that is to hold from the approval on, and those of days to come."""
    passed = [one for one in due if one.dated.effective_from <= now]
    for one in [*passed[-1:], *(one for one in due if one.dated.effective_from > now)]:
        yield Difference(
            kind=kind,
            model=model.name,
            field=field,
            old=None if one.before is None else one.before.plain(),
            new=one.dated.sheet.plain(),
            source=one.dated.source,
            effective_from=None if one.dated.effective_from <= now else one.dated.effective_from,
        )


def _source(model: catalog_data.Model) -> str:
    return ", ".join(dict.fromkeys(model.sources.values()))
