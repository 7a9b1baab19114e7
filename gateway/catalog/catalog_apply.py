"""
Makes an approved change of the catalog hold: facts and routes are written, a price becomes a new version.

What is sold must still be what the change was proposed against; otherwise the approver has not read what there is.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from django.db.models import Field

from billing import price_versions
from billing.price_versions import Dated, RateSheet
from gateway.catalog import catalog_diff
from gateway.models import CatalogChange, Model, Provider, Route

Kind = CatalogChange.Kind


class ChangeStale(Exception):
    """What is sold no longer is what the change was proposed against."""

    def __init__(self, change: CatalogChange) -> None:
        super().__init__(f"{change} is no longer what it was when the change was proposed")
        self.change = change


def apply(change: CatalogChange, *, moment: datetime, now: datetime, is_to_come: bool) -> None:
    """
    Write a change, inside the transaction of its approval; a version of a price holds from `moment`.

    `is_to_come`: the price was proposed for a later day, so that what holds now says nothing about it.
    Raises ChangeStale.
    """
    if change.kind in (Kind.PRICE, Kind.COST):
        _version(change, moment=moment, now=None if is_to_come else now)
    else:
        _WRITE[Kind(change.kind)](change, now)


def _version(change: CatalogChange, *, moment: datetime, now: datetime | None) -> None:
    subject = catalog_diff.subject_of(change.field)
    if now is not None:
        holds = (
            price_versions.price_at(change.model, now)
            if change.kind == Kind.PRICE
            else price_versions.cost_at(subject, now)
        )
        _check(change, None if holds is None else holds.plain())
    dated = Dated(moment, RateSheet.from_plain(_object(change)), change.source)
    if change.kind == Kind.PRICE:
        price_versions.add_price(change.model, dated=dated)
    else:
        price_versions.add_cost(subject, dated=dated)


def _model(change: CatalogChange, now: datetime) -> None:
    """Add a model with its routes, its prices and what it costs us; rates that stand already are kept."""
    if Model.objects.filter(name=change.model).exists():
        raise ChangeStale(change)
    said = _object(change)
    row = Model(name=change.model, sources=said["sources"])
    for name, value in said["facts"].items():
        _set_fact(row, name, value)
    row.save()
    for route in said["routes"]:
        _add_route(row, route, now)
    history = [*map(catalog_diff.from_plain, said["prices"])]
    price_versions.publish_prices({change.model: history}, now=now)


def _fact(change: CatalogChange, now: datetime) -> None:
    row = _locked(change)
    _check(change, catalog_diff.fact(row, change.field))
    _set_fact(row, change.field, change.new)
    source = catalog_diff.SOURCE_OF.get(change.field, catalog_diff.LIMITS)
    row.sources = {**row.sources, source: change.source}
    row.save(update_fields=[change.field, "sources"])


def _route(change: CatalogChange, now: datetime) -> None:
    """Add a route, or move it in the order."""
    row = _locked(change)
    provider, upstream_model = catalog_diff.subject_of(change.field)
    found = Route.objects.filter(
        model=row, provider__name=provider, upstream_model=upstream_model
    ).first()
    _check(change, None if found is None else {"priority": found.priority})
    if found is None:
        _add_route(row, _object(change), now)
    else:
        found.priority = _object(change)["priority"]
        found.save(update_fields=["priority"])


def _add_route(row: Model, said: Mapping[str, Any], now: datetime) -> None:
    Route.objects.create(
        model=row,
        provider=Provider.objects.get(name=said["provider"]),
        upstream_model=said["upstream_model"],
        priority=said["priority"],
    )
    subject = (said["provider"], said["upstream_model"])
    history = [*map(catalog_diff.from_plain, said["costs"])]
    price_versions.publish_costs({subject: history}, now=now)


def _locked(change: CatalogChange) -> Model:
    row = Model.objects.select_for_update().filter(name=change.model).first()
    if row is None:
        raise ChangeStale(change)
    return row


def _check(change: CatalogChange, present: Any) -> None:
    if present != change.old:
        raise ChangeStale(change)


def _set_fact(row: Model, name: str, value: Any) -> None:
    field = Model._meta.get_field(name)
    assert isinstance(field, Field)  # noqa: S101  facts are columns
    setattr(row, name, field.to_python(value))


def _object(change: CatalogChange) -> Mapping[str, Any]:
    """Return the new value of a change that is no single fact: a JSON object."""
    assert isinstance(change.new, dict)  # noqa: S101  `catalog_diff` wrote it
    return change.new


_WRITE: Final[Mapping[CatalogChange.Kind, Callable[[CatalogChange, datetime], None]]] = {
    Kind.MODEL: _model,
    Kind.FACT: _fact,
    Kind.ROUTE: _route,
}
