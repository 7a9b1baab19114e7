"""
From a public model name to the routes that may serve it. Rows in, rows out: no query, no I/O.

Which of them may serve a call is settled here, before anything is reserved; in which order they are tried is
decided by `gateway.routes.strategies` when the call is sent.
"""

import time
from collections.abc import Callable, Iterable

from apikeys.snapshots import KeySnapshot
from billing import price_book
from gateway.routes import preferences
from gateway.routes.preferences import Preferences
from gateway.snapshot import SANDBOX, Catalog, ModelSnapshot, RouteSnapshot


class ModelNotFound(Exception):
    """No model of that name, or none of the kind that the endpoint serves."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


class ModelNotAllowed(Exception):
    """The key's scope does not take in the model."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


class NoRoute(Exception):
    """The model is known, but no provider that serves it is switched on."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


class NoMatchingRoute(Exception):
    """The model is served, but not as the request's `provider` preferences ask; `param` is the one that left none."""

    def __init__(self, model: str, *, param: str) -> None:
        super().__init__(model)
        self.model = model
        self.param = param


def find_model(name: str, *, kind: str, key: KeySnapshot, catalog: Catalog) -> ModelSnapshot:
    """Return the model; raises ModelNotFound or ModelNotAllowed. Scope comes first, so it cannot be probed."""
    if not key.allows_model(name):
        raise ModelNotAllowed(name)
    model = catalog.model_for(key.organization_id, name)
    if model is None or model.kind != kind:
        raise ModelNotFound(name)
    if not key.allows_kind(model.kind):
        raise ModelNotAllowed(name)
    return model


def routes_for(
    model: ModelSnapshot,
    *,
    key: KeySnapshot,
    catalog: Catalog,
    wishes: Preferences = preferences.NONE,
) -> tuple[RouteSnapshot, ...]:
    """
    Return the routes that may serve a call, by priority; a test key is always served by the sandbox.

    Raises NoRoute, or NoMatchingRoute when the wishes leave none.
    """
    if key.mode == "test" or model.name.startswith(f"{SANDBOX}/"):
        return (RouteSnapshot(catalog.sandbox, model.name),)
    if not model.routes:
        raise NoRoute(model.name)
    return model.routes if wishes is preferences.NONE else _matching(model, wishes)


def _matching(model: ModelSnapshot, wishes: Preferences) -> tuple[RouteSnapshot, ...]:
    """Apply the wishes one by one, so that a refusal can name the one that left nothing."""
    if not _is_affordable(model, wishes):
        raise NoMatchingRoute(model.name, param="provider.max_price")
    found = model.routes
    for param, keeps in _filters(wishes):
        found = tuple(route for route in found if keeps(route))
        if not found:
            raise NoMatchingRoute(model.name, param=param)
    return found


def _filters(wishes: Preferences) -> Iterable[tuple[str, Callable[[RouteSnapshot], bool]]]:
    """Return the wishes that bind, each with the name of its field."""
    if wishes.only:
        yield "provider.only", lambda route: route.upstream.name in wishes.only
    if wishes.ignore:
        yield "provider.ignore", lambda route: route.upstream.name not in wishes.ignore
    if wishes.order and not wishes.allow_fallbacks:
        yield "provider.order", lambda route: route.upstream.name in wishes.order
    if wishes.regions:
        yield "provider.region", lambda route: route.region in wishes.regions
    if wishes.no_training:
        yield "provider.data_collection", lambda route: route.upstream.no_training
    if wishes.zero_retention:
        yield "provider.zdr", lambda route: route.upstream.zero_retention


def _is_affordable(model: ModelSnapshot, wishes: Preferences) -> bool:
    """Whether the model's price of this moment is within the wished one; whichever route serves, it is the same."""
    price = price_book.at(model.prices, time.time())
    if price is None:
        return True  # admission refuses it
    prompt = price.rates.input_microusd_per_mtok or 0
    completion = price.rates.output_microusd_per_mtok or 0
    return (wishes.max_prompt is None or prompt <= wishes.max_prompt) and (
        wishes.max_completion is None or completion <= wishes.max_completion
    )
