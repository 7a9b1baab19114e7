"""The catalog as a gateway process keeps it in memory: models, their routes and prices, our provider accounts."""

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

from billing import price_book
from billing.price_book import Dated
from exerati.lib.encryption import CannotDecrypt, decrypt
from gateway.models import Model, Provider, ProviderAccount, Route
from gateway.providers import credentials
from gateway.providers.base import Upstream
from gateway.providers.credentials import CredentialInvalid
from gateway.providers.registry import ADAPTERS
from gateway.routes.strategy_names import Strategy

logger = logging.getLogger(__name__)

SANDBOX = "sandbox"
KEY_OPTIONAL = "key_optional"  # the quirk of servers that also answer without a key

# Changes whenever a row of the catalog does: every update gives a row a new xmin.
SIGNATURE_QUERY = """
SELECT concat_ws(',',
    (SELECT concat(count(*), '/', sum(xmin::text::bigint)) FROM gateway_model),
    (SELECT concat(count(*), '/', sum(xmin::text::bigint)) FROM gateway_provider),
    (SELECT concat(count(*), '/', sum(xmin::text::bigint)) FROM gateway_provideraccount),
    (SELECT concat(count(*), '/', sum(xmin::text::bigint)) FROM gateway_route),
    (SELECT concat(count(*), '/', max(id)) FROM billing_priceversion),
    (SELECT concat(count(*), '/', max(id)) FROM billing_providercostversion))
"""


@dataclass(frozen=True, slots=True)
class RouteSnapshot:
    """
    One way to serve a model, with our cost there (no versions: unknown).

    `key` names it in statistics; the sandbox, whose failures are asked for, has none. `through` is the same route
    by each of our accounts, where there are several.
    """

    upstream: Upstream
    upstream_model: str
    costs: tuple[Dated, ...] = ()
    key: str = ""
    priority: int = 0
    weight: int = 1
    region: str = ""
    through: "tuple[RouteSnapshot, ...]" = ()


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
    strategy: Strategy = "priority"


@dataclass(frozen=True, slots=True)
class Catalog:
    """
    All models by public name.

    `own_models` are the same models as organizations with prices of their own see them, by row id and name;
    `plan_models` as those do who are on a plan with prices of its own. Most specific first: organization, plan, list.
    """

    models: dict[str, ModelSnapshot]
    sandbox: Upstream
    own_models: dict[tuple[int, str], ModelSnapshot] = field(default_factory=dict)
    plan_models: dict[tuple[str, str], ModelSnapshot] = field(default_factory=dict)
    postpaid: frozenset[int] = frozenset()

    def model_for(self, organization_id: int, name: str) -> ModelSnapshot | None:
        """Return a model at the prices of one organization."""
        if self.own_models or self.plan_models:
            own = self._priced_for(organization_id, name)
            if own is not None:
                return own
        return self.models.get(name)

    def _priced_for(self, organization_id: int, name: str) -> ModelSnapshot | None:
        """Return a model at the prices of the organization's own, else at those of its plan; None without either."""
        own = self.own_models.get((organization_id, name))
        if own is not None or not self.plan_models:
            return own
        plan = "postpaid" if organization_id in self.postpaid else "prepaid"
        return self.plan_models.get((plan, name))

    def models_for(self, organization_id: int) -> Iterator[ModelSnapshot]:
        """Yield every model at the prices of one organization."""
        for name, model in self.models.items():
            yield self._priced_for(organization_id, name) or model


def load_catalog() -> Catalog:
    """Read the catalog; runs eight queries or nine, so it belongs in a thread."""
    book = price_book.load()
    upstreams = {
        provider.pk: _upstreams(provider)
        for provider in Provider.objects.prefetch_related("accounts")
        if is_on(provider)
    }
    routes: dict[int, list[RouteSnapshot]] = {}
    for route in Route.objects.filter(disabled_at=None).order_by("priority", "pk"):
        accounts = upstreams.get(route.provider_id)
        if accounts:
            routes.setdefault(route.model_id, []).append(_route(route, accounts, book.costs))
    rows = Model.objects.filter(hidden_at=None).order_by("name")
    models = {model.name: model for model in _models(rows, routes, book.prices)}
    return Catalog(
        models=models,
        sandbox=Upstream(SANDBOX, SANDBOX, ""),
        own_models={
            (organization_id, name): _at_own_prices(models[name], versions)
            for (organization_id, name), versions in book.own.items()
            if name in models
        },
        plan_models={
            (plan, name): _at_own_prices(models[name], versions)
            for (plan, name), versions in book.plans.items()
            if name in models
        },
        postpaid=book.postpaid,
    )


def _at_own_prices(model: ModelSnapshot, own: tuple[Dated, ...]) -> ModelSnapshot:
    """Return the model with its list prices up to the first price of the organization's own, and those from then on."""
    before = tuple(dated for dated in model.prices if dated.effective_from < own[0].effective_from)
    return replace(model, prices=before + own)


def _route(
    route: Route, accounts: list[Upstream], costs: dict[tuple[str, str], tuple[Dated, ...]]
) -> RouteSnapshot:
    name = accounts[0].name
    made = RouteSnapshot(
        accounts[0],
        route.upstream_model,
        costs.get((name, route.upstream_model), ()),
        key="" if accounts[0].api == SANDBOX else route_key(name, route.upstream_model),
        priority=route.priority,
        weight=route.weight,
        region=route.region,
    )
    if len(accounts) == 1:
        return made
    return replace(made, through=tuple(replace(made, upstream=account) for account in accounts))


def route_key(provider: str, upstream_model: str) -> str:
    """Return the name of a route in statistics."""
    return f"{provider}/{upstream_model}"


def is_on(provider: Provider) -> bool:
    """Whether a provider can be called: not switched off, speaking an API we know, with the account it needs."""
    if provider.disabled_at is not None or provider.api not in ADAPTERS:
        return False
    if provider.api == Provider.Api.SANDBOX:
        return True
    try:
        secret = credential(provider)
    except CannotDecrypt:  # one account that cannot be read must not stop all the others
        logger.exception(
            "provider %s is off: its stored credential cannot be opened", provider.name
        )
        return False
    if address_problem(provider, credential=secret):
        return False
    has_key = bool(secret) or any(row.disabled_at is None for row in provider.accounts.all())
    needs_key = provider.api_key_env and KEY_OPTIONAL not in provider.quirks
    return bool(base_url(provider)) and (has_key or not needs_key)


def address_problem(provider: Provider, *, credential: str) -> str:
    """Return what keeps the provider's address from being completed by its credential, "" where nothing does."""
    if not credential:
        return ""  # there is no account of its own, or none is needed
    try:
        fields = credentials.unpack(provider.api, credential)
        credentials.filled(base_url(provider), fields)
    except CredentialInvalid as error:
        return error.reason
    return ""


def base_url(provider: Provider) -> str:
    """Return the provider's address: the environment's, else the stored one."""
    name = provider.name.upper().replace("-", "_")
    return os.environ.get(f"EXERATI_PROVIDER_{name}_BASE_URL", provider.base_url or "").rstrip("/")


def credential(provider: Provider) -> str:
    """Return our account's secret: the stored one, else the environment's; "" when there is none."""
    if provider.sealed_credential:
        return decrypt(provider.sealed_credential, context=sealed_for(provider))
    return os.environ.get(provider.api_key_env, "") if provider.api_key_env else ""


def sealed_for(holder: Provider | ProviderAccount) -> str:
    """Return the context that a credential is sealed with, so that it opens nowhere else."""
    if isinstance(holder, Provider):
        return f"provider:{holder.name}"
    return f"provider:{holder.provider.name}:{holder.name}"


def account_credential(row: ProviderAccount) -> str:
    """Return the secret of an account beside the provider's own; raises CannotDecrypt."""
    if not row.sealed_credential:
        return ""
    return decrypt(row.sealed_credential, context=sealed_for(row))


def _upstreams(provider: Provider) -> list[Upstream]:
    """Return the provider through each of our accounts: its own, where it has one, and those beside it."""
    own = Upstream(
        name=provider.name,
        api=provider.api,
        base_url=base_url(provider),
        credential=credential(provider),
        quirks=frozenset(provider.quirks),
        max_open=provider.max_connections,
        no_training=provider.no_training,
        zero_retention=provider.zero_retention,
    )
    others = [_account(own, row) for row in provider.accounts.all() if row.disabled_at is None]
    found = [account for account in others if account is not None]
    return [own, *found] if own.credential or not found else found


def _account(own: Upstream, row: ProviderAccount) -> Upstream | None:
    try:
        secret = account_credential(row)
    except CannotDecrypt:  # one account that cannot be read must not stop all the others
        logger.exception("account %s of %s is off: it cannot be opened", row.name, own.name)
        return None
    return replace(
        own,
        account=row.name,
        base_url=row.base_url.rstrip("/") or own.base_url,
        credential=secret,
        weight=row.weight,
        requests_per_minute=row.requests_per_minute,
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
            strategy=cast(Strategy, row.strategy),
        )
        for row in rows
        if row.name in prices  # no price: not routable, and so not listed
    ]


def _created(row: Model) -> int:
    return int(row.created_at.timestamp())


def _text(value: Any) -> str | None:
    return value.isoformat() if value is not None else None
