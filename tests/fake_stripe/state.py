"""What the stand-in knows: its objects by kind, its clock, its events, and the words of Stripe's errors."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fake_stripe import contract

Object = dict[str, Any]


class StripeError(Exception):
    """An error in Stripe's envelope. `body` is what stands under `error`, beside its type."""

    def __init__(self, status: int, type: str, message: str, **body: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"type": type, "message": message, **body}


def not_found(kind: str, id: str, *, param: str = "id") -> StripeError:
    """Return Stripe's answer for an object that is not there."""
    message = f"No such {kind}: '{id}'"
    return StripeError(404, "invalid_request_error", message, code="resource_missing", param=param)


def invalid(message: str, *, code: str = "", param: str = "", status: int = 400) -> StripeError:
    """Return Stripe's answer to a request that makes no sense at this moment."""
    extra = {name: value for name, value in (("code", code), ("param", param)) if value}
    return StripeError(status, "invalid_request_error", message, **extra)


PREFIXES = {
    "customer": "cus",
    "payment_method": "pm",
    "setup_intent": "seti",
    "payment_intent": "pi",
    "charge": "ch",
    "refund": "re",
    "dispute": "du",
    "balance_transaction": "txn",
    "checkout.session": "cs_test",
    "billing_portal.session": "bps",
    "product": "prod",
    "price": "price",
    "invoice": "in",
    "line_item": "il",
    "invoiceitem": "ii",
    "invoice_payment": "inpay",
    "credit_note": "cn",
    "customer_balance_transaction": "cbtxn",
    "event": "evt",
    "webhook_endpoint": "we",
    "tax_id": "txi",
    "tax.calculation": "taxcalc",
}


@dataclass
class Store:
    """All objects, in the order they were made. `on_event` is told of each new event."""

    base_url: str = ""
    objects: dict[str, dict[str, Object]] = field(
        default_factory=lambda: defaultdict(dict[str, Object])
    )
    clock_offset: float = 0.0
    first_number: int = 0  # ids begin behind it
    numbers: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    secrets: dict[str, str] = field(default_factory=dict)  # of webhook endpoints, by id
    cards: dict[str, str] = field(default_factory=dict)  # how a payment method behaves, by id
    on_event: Callable[[Object], None] = lambda event: None

    @property
    def now(self) -> int:
        """The stand-in's time in Unix seconds, which tests may move."""
        return int(time.time() + self.clock_offset)

    def new_id(self, kind: str) -> str:
        """Return the next id of a kind; ids of one kind sort by age."""
        self.numbers[kind] += 1
        return f"{PREFIXES[kind]}_{self.first_number + self.numbers[kind]:012d}"

    def add(self, kind: str, **values: Any) -> Object:
        """Make and keep an object: all that the document requires, and these values."""
        made = contract.blank(kind)
        made.update(id=self.new_id(kind), livemode=False, created=self.now)
        if kind in {"line_item", "customer_balance_transaction"}:
            made["livemode"] = False
        known = contract.document()["components"]["schemas"][kind]["properties"]
        made = {name: value for name, value in made.items() if name in known}
        made.update(values)
        self.objects[kind][made["id"]] = made
        return made

    def get(self, kind: str, id: str, *, param: str = "id") -> Object:
        """Return an object. Raises Stripe's 404."""
        found = self.objects[kind].get(id)
        if found is None:
            raise not_found(kind.replace(".", " "), id, param=param)
        return found

    def all(self, kind: str, **equal: Any) -> list[Object]:
        """Return the objects of a kind with these values, newest first."""
        found = [
            item
            for item in self.objects[kind].values()
            if all(item.get(name) == value for name, value in equal.items() if value is not None)
        ]
        return found[::-1]

    def emit(
        self, type: str, object: Object, *, previous: Mapping[str, Any] | None = None
    ) -> Object:
        """Record an event with the object as it is now, and tell who delivers."""
        data: Object = {"object": snapshot(object)}
        if previous is not None:
            data["previous_attributes"] = dict(previous)
        event = self.add(
            "event",
            type=type,
            data=data,
            api_version=contract.API_VERSION,
            pending_webhooks=len(self.objects["webhook_endpoint"]),
            request={"id": None, "idempotency_key": None},
        )
        self.on_event(event)
        return event


def snapshot(value: Any) -> Any:
    """Return a copy that later changes do not touch."""
    if isinstance(value, dict):
        return {name: snapshot(item) for name, item in value.items()}
    if isinstance(value, list):
        return [snapshot(item) for item in value]
    return value


def listing(items: list[Object], params: Mapping[str, Any], *, url: str) -> Object:
    """Return a page of a list, newest first, by Stripe's cursors."""
    items = _after(items, params)
    created = params.get("created")
    if isinstance(created, dict):
        items = [item for item in items if _within(item["created"], created)]
    elif created is not None:
        items = [item for item in items if item["created"] == created]
    limit = params.get("limit", 10)
    return {
        "object": "list",
        "data": items[:limit],
        "has_more": len(items) > limit,
        "url": url,
    }


def _after(items: list[Object], params: Mapping[str, Any]) -> list[Object]:
    ids = [item["id"] for item in items]
    if (start := params.get("starting_after")) is not None:
        if start not in ids:
            raise not_found("object", start, param="starting_after")
        return items[ids.index(start) + 1 :]
    if (end := params.get("ending_before")) is not None:
        if end not in ids:
            raise not_found("object", end, param="ending_before")
        return items[: ids.index(end)]
    return items


def _within(moment: int, bounds: Mapping[str, int]) -> bool:
    return (
        moment >= bounds.get("gte", moment)
        and moment > bounds.get("gt", moment - 1)
        and moment <= bounds.get("lte", moment)
        and moment < bounds.get("lt", moment + 1)
    )


def change(target: Object, params: Mapping[str, Any], names: tuple[str, ...]) -> Object:
    """Take over the named parameters; metadata is merged, an empty text unsets. Returns what was before."""
    before = {}
    for name in names:
        if name not in params:
            continue
        before[name] = snapshot(target.get(name))
        value = params[name]
        if name == "metadata":
            merged = {**(target.get(name) or {}), **(value or {})} if value != "" else {}
            target[name] = {key: text for key, text in merged.items() if text != ""}
        else:
            target[name] = None if value == "" else value
    return before
