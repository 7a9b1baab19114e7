"""The table of what the stand-in can do: method and path to a function of the store and the parameters."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.fake_stripe import contract
from tests.fake_stripe.state import Object, Store

Handler = Callable[..., Object]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: its template, the pattern that matches paths, and its handler."""

    method: str
    path: str
    pattern: re.Pattern[str]
    handler: Handler


_routes: list[Route] = []


def operation(method: str, path: str) -> Callable[[Handler], Handler]:
    """Enter a handler `(store, params, *path_values)` for an operation of Stripe's document."""

    def enter(handler: Handler) -> Handler:
        pattern = re.compile(re.sub(r"\{[^}]+\}", r"([^/]+)", path))
        _routes.append(Route(method, path, pattern, handler))
        return handler

    return enter


def routes() -> list[Route]:
    """Return every operation there is."""
    return list(_routes)


def find(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """Return the route of a path and the values in it; literal paths win over patterns."""
    best = None
    for route in _routes:
        if route.method == method and (match := route.pattern.fullmatch(path)):
            if "{" not in route.path:
                return route, ()
            best = best or (route, match.groups())
    return best


def perform(store: Store, route: Route, values: tuple[str, ...], params: dict[str, Any]) -> Object:
    """Do it and return the answer, with `expand` followed. Raises StripeError."""
    expand = params.pop("expand", None) or []
    answer = route.handler(store, params, *values)
    for path in expand:
        answer = expanded(store, answer, path.split("."))
    return answer


_KINDS = {
    "customer": "customer",
    "payment_intent": "payment_intent",
    "setup_intent": "setup_intent",
    "latest_charge": "charge",
    "charge": "charge",
    "invoice": "invoice",
    "payment_method": "payment_method",
    "default_payment_method": "payment_method",
    "balance_transaction": "balance_transaction",
    "refund": "refund",
    "source": "charge",
}


def expanded(store: Store, value: Any, path: list[str]) -> Any:
    """Return the object with the id at the path replaced by its object, as Stripe does on demand."""
    if not path or not isinstance(value, dict):
        return value
    if value.get("object") == "list" and path[0] == "data":
        return {**value, "data": [expanded(store, item, path[1:]) for item in value["data"]]}
    name = path[0]
    inner = value.get(name)
    if isinstance(inner, str) and name in _KINDS:
        inner = next(_found(store, _KINDS[name], inner), inner)
    return {**value, name: expanded(store, inner, path[1:])} if name in value else value


def _found(store: Store, kind: str, id: str) -> Iterator[Object]:
    for each in (kind, "refund", "dispute"):
        if id in store.objects[each]:
            yield store.objects[each][id]


def response_schema(route: Route) -> dict[str, Any]:
    """Return the schema of the answer, by Stripe's document."""
    return contract.operation(route.method, route.path).response
