"""
Writes catalog files into the database: at once where nothing is sold yet, later only what staff approve.

Run any number of times. What belongs to the program (how a provider is spoken to, the sandbox) follows the files
and the code without asking, since it is neither a price nor a fact about a model; what operators decided
(addresses and accounts, what is switched off or hidden, prices set by hand) is left alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from billing import price_versions
from billing.models import PriceVersion, ProviderCostVersion
from gateway.catalog import catalog_changes, catalog_data, catalog_rows
from gateway.catalog.catalog_changes import Decision, Origin
from gateway.catalog.catalog_rows import Listed
from gateway.models import Model, Provider, Route

PROVIDER_FIELDS = ["title", "api", "quirks"]
MODEL_FIELDS = [*catalog_rows.FACTS, "sources"]
COMMAND = "loaded by `catalog load`"


@dataclass(frozen=True, slots=True)
class Counts:
    """What there is after a run, what the run made, and how many changes wait for a decision."""

    providers: int
    models: int
    routes: int
    new_providers: int
    new_models: int
    new_routes: int
    new_prices: int
    new_costs: int
    open_changes: int


def load(catalog: catalog_data.Catalog, *, origin: Origin, now: datetime) -> Counts:
    """Write all that the files say, on an operator's word; all or nothing. Each change stays on record."""
    return _counted(catalog, origin=origin, now=now, approve=True)


def propose(catalog: catalog_data.Catalog, *, origin: Origin, now: datetime) -> Counts:
    """Propose what the files say otherwise than what is sold. Where nothing is, write them at once."""
    return _counted(catalog, origin=origin, now=now, approve=False)


@transaction.atomic
def _counted(
    catalog: catalog_data.Catalog, *, origin: Origin, now: datetime, approve: bool
) -> Counts:
    before = _row_counts()
    first = not Model.objects.filter(name__in=catalog.models).exists()
    _write_own(catalog, now=now)
    if first:
        _write_all(catalog, now=now)
        catalog_changes.record_run(origin, now=now)
    else:
        run = catalog_changes.propose(catalog, origin=origin, now=now)
        if approve:
            decision = Decision(reason=COMMAND, actor=None, now=now)
            catalog_changes.approve_all(run.changes.all(), decision)
    after = _row_counts()
    made = {f"new_{name}": count - before[name] for name, count in after.items()}
    kept = {name: after[name] for name in ("providers", "models", "routes")}
    return Counts(**kept, **made, open_changes=catalog_changes.open_changes().count())


def _row_counts() -> dict[str, int]:
    return {
        "providers": Provider.objects.count(),
        "models": Model.objects.count(),
        "routes": Route.objects.count(),
        "prices": PriceVersion.objects.count(),
        "costs": ProviderCostVersion.objects.count(),
    }


def _write_own(catalog: catalog_data.Catalog, *, now: datetime) -> None:
    """Write what the program needs as the files and the code have it: providers and the sandbox."""
    _write_providers(catalog.providers.values())
    _write_models(catalog_rows.sandbox_rows())
    _write_routes(catalog_rows.sandbox_routes())
    price_versions.publish_prices(catalog_rows.sandbox_prices(), now=now)


def _write_all(catalog: catalog_data.Catalog, *, now: datetime) -> None:
    models = catalog.models.values()
    _write_models([catalog_rows.model_row(model) for model in models])
    _write_routes([route for model in models for route in catalog_rows.routes(model)])
    prices, costs = catalog_rows.sheets(catalog)
    price_versions.publish_prices(prices, now=now)
    price_versions.publish_costs(costs, now=now)


def _write_providers(providers: Iterable[catalog_data.Provider]) -> None:
    """
    Add providers and refresh their facts; an address is written only where there is none.

    Servers that run without a key are the operator's own: their usual address is a guess, so they get
    none until `provider add` or EXERATI_PROVIDER_<NAME>_BASE_URL names one.
    """
    rows = [catalog_rows.provider_row(provider) for provider in providers]
    Provider.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["name"], update_fields=PROVIDER_FIELDS
    )
    for row in rows:
        if row.base_url:
            Provider.objects.filter(name=row.name, base_url="").update(base_url=row.base_url)


def _write_models(rows: Sequence[Model]) -> None:
    Model.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["name"], update_fields=MODEL_FIELDS
    )


def _write_routes(listed: Sequence[Listed]) -> None:
    """Add routes and put them in the order of the files."""
    models = dict(Model.objects.values_list("name", "pk"))
    providers = dict(Provider.objects.values_list("name", "pk"))
    rows = [
        Route(
            model_id=models[one.model],
            provider_id=providers[one.provider],
            upstream_model=one.upstream_model,
            priority=one.priority,
        )
        for one in listed
    ]
    Route.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["model", "provider", "upstream_model"],
        update_fields=["priority"],
    )
