"""The catalog as a gateway process keeps it in memory: models, their routes and prices, our provider accounts."""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from billing import price_book
from billing.price_book import Dated
from exerati.lib.encryption import CannotDecrypt, decrypt
from gateway.models import Model, Provider, Route
from gateway.providers.base import Upstream
from gateway.providers.registry import ADAPTERS

logger = logging.getLogger(__name__)

SANDBOX = "sandbox"
KEY_OPTIONAL = "key_optional"  # the quirk of servers that also answer without a key

# Changes whenever a row of the catalog does: every update gives a row a new xmin.
SIGNATURE_QUERY = """
SELECT concat_ws(',',
    (SELECT concat(count(*), '/', sum(xmin::text::bigint)) FROM gateway_model),
    (SELECT concat(count(*), '/', sum(xmin::text::bigint)) FROM gateway_provider),
    (SELECT concat(count(*), '/', sum(xmin::text::bigint)) FROM gateway_route),
    (SELECT concat(count(*), '/', max(id)) FROM billing_priceversion),
    (SELECT concat(count(*), '/', max(id)) FROM billing_providercostversion))
"""


@dataclass(frozen=True, slots=True)
class RouteSnapshot:
    """One way to serve a model, with our cost there (no versions: unknown)."""

    upstream: Upstream
    upstream_model: str
    costs: tuple[Dated, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """One model: its facts for `/v1/models`, its routes in order, its price versions."""

    name: str
    title: str
    kind: str
    owned_by: str
    description: str
    created: int
    context_tokens: int | None
    max_output_tokens: int | None
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]
    features: tuple[str, ...]
    supported_parameters: tuple[str, ...]
    deprecated_on: str | None
    shutdown_on: str | None
    routes: tuple[RouteSnapshot, ...]
    prices: tuple[Dated, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """All models by public name."""

    models: dict[str, ModelSnapshot]
    sandbox: Upstream


def load_catalog() -> Catalog:
    """Read the catalog; runs five queries, so it belongs in a thread."""
    book = price_book.load()
    upstreams = {
        provider.pk: _upstream(provider) for provider in Provider.objects.all() if is_on(provider)
    }
    routes: dict[int, list[RouteSnapshot]] = {}
    for route in Route.objects.filter(disabled_at=None).order_by("priority", "pk"):
        upstream = upstreams.get(route.provider_id)
        if upstream is not None:
            costs = book.costs.get((upstream.name, route.upstream_model), ())
            routes.setdefault(route.model_id, []).append(
                RouteSnapshot(upstream, route.upstream_model, costs)
            )
    rows = Model.objects.filter(hidden_at=None).order_by("name")
    models = _models(rows, routes, book.prices)
    return Catalog(
        models={model.name: model for model in models}, sandbox=Upstream(SANDBOX, SANDBOX, "")
    )


def is_on(provider: Provider) -> bool:
    """Whether a provider can be called: not switched off, speaking an API we know, with the account it needs."""
    if provider.disabled_at is not None or provider.api not in ADAPTERS:
        return False
    if provider.api == Provider.Api.SANDBOX:
        return True
    try:
        has_key = bool(credential(provider))
    except CannotDecrypt:  # one account that cannot be read must not stop all the others
        logger.exception(
            "provider %s is off: its stored credential cannot be opened", provider.name
        )
        return False
    needs_key = provider.api_key_env and KEY_OPTIONAL not in provider.quirks
    return bool(base_url(provider)) and (has_key or not needs_key)


def base_url(provider: Provider) -> str:
    """Return the provider's address: the environment's, else the stored one."""
    name = provider.name.upper().replace("-", "_")
    return os.environ.get(f"EXERATI_PROVIDER_{name}_BASE_URL", provider.base_url or "").rstrip("/")


def credential(provider: Provider) -> str:
    """Return our account's secret: the stored one, else the environment's; "" when there is none."""
    if provider.sealed_credential:
        return decrypt(provider.sealed_credential, context=f"provider:{provider.name}")
    return os.environ.get(provider.api_key_env, "") if provider.api_key_env else ""


def _upstream(provider: Provider) -> Upstream:
    return Upstream(
        name=provider.name,
        api=provider.api,
        base_url=base_url(provider),
        credential=credential(provider),
        quirks=frozenset(provider.quirks),
    )


def _models(
    rows: Iterable[Model],
    routes: dict[int, list[RouteSnapshot]],
    prices: dict[str, tuple[Dated, ...]],
) -> list[ModelSnapshot]:
    return [
        ModelSnapshot(
            name=row.name,
            title=row.title,
            kind=row.kind,
            owned_by=row.owned_by,
            description=row.description,
            created=_created(row),
            context_tokens=row.context_tokens,
            max_output_tokens=row.max_output_tokens,
            input_modalities=tuple(row.input_modalities),
            output_modalities=tuple(row.output_modalities),
            features=tuple(row.features),
            supported_parameters=tuple(row.supported_parameters),
            deprecated_on=_text(row.deprecated_on),
            shutdown_on=_text(row.shutdown_on),
            routes=tuple(routes.get(row.pk, ())),
            prices=prices[row.name],
        )
        for row in rows
        if row.name in prices  # no price: not routable, and so not listed
    ]


def _created(row: Model) -> int:
    return int(row.created_at.timestamp())


def _text(value: Any) -> str | None:
    return value.isoformat() if value is not None else None
