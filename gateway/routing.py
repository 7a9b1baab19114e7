"""From a public model name to the routes to try, in order. Rows in, rows out: no query, no I/O."""

from apikeys.snapshots import KeySnapshot
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


def find_model(name: str, *, kind: str, key: KeySnapshot, catalog: Catalog) -> ModelSnapshot:
    """Return the model; raises ModelNotFound or ModelNotAllowed. Scope comes first, so it cannot be probed."""
    if not key.allows_model(name):
        raise ModelNotAllowed(name)
    model = catalog.models.get(name)
    if model is None or model.kind != kind:
        raise ModelNotFound(name)
    if not key.allows_kind(model.kind):
        raise ModelNotAllowed(name)
    return model


def routes_for(
    model: ModelSnapshot, *, key: KeySnapshot, catalog: Catalog
) -> tuple[RouteSnapshot, ...]:
    """Return the routes in the order to try; a test key is always served by the sandbox. Raises NoRoute."""
    if key.mode == "test" or model.name.startswith(f"{SANDBOX}/"):
        return (RouteSnapshot(catalog.sandbox, model.name),)
    if not model.routes:
        raise NoRoute(model.name)
    return model.routes
