"""
What a request wants of its routing: `provider` and `models` as OpenRouter has them, and `include_route`. Pure.

What is not served here (quantizations and the like) is named as ignored, as every unknown parameter is. Source:
https://openrouter.ai/docs/guides/routing/provider-selection (read 2026-11).
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from gateway import wire_checks
from gateway.routes.strategy_names import Strategy
from gateway.wire_checks import unsupported_value, wrong_type, wrong_value

TIMEOUT_HEADER: Final = b"x-exerati-timeout"
MAX_TIMEOUT_SECONDS: Final = 3_600
FIELDS: Final = frozenset({"models", "provider", "include_route"})
MAX_MODELS: Final = 8
MAX_NAMES: Final = 50
_MICRO: Final = 1_000_000
_HEADER_SAFE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_STRATEGIES: Final[Mapping[str, Strategy]] = {
    "price": "cheapest",
    "latency": "latency",
    "throughput": "throughput",
    "priority": "priority",
    "weighted": "weighted",
    "cheapest": "cheapest",
    "fastest": "fastest",
    "sticky": "sticky",
}


@dataclass(frozen=True, slots=True)
class Preferences:
    """
    One request's wishes. `max_prompt` and `max_completion` are micro-USD per million tokens; `models` are those
    to try after the first, in order. The default wishes nothing.
    """

    models: tuple[str, ...] = ()
    strategy: Strategy | None = None
    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    no_training: bool = False
    zero_retention: bool = False
    max_prompt: int | None = None
    max_completion: int | None = None
    include_route: bool = False
    ignored: tuple[str, ...] = ()


NONE: Final = Preferences()


def timeout_seconds(header: str) -> float | None:
    """Return the deadline that a request's header sets, None for none; raises InvalidRequest."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MAX_TIMEOUT_SECONDS:
        wrong_value(
            TIMEOUT_HEADER.decode(), f"expected seconds, above 0 and up to {MAX_TIMEOUT_SECONDS}."
        )
    return seconds


def take(body: dict[str, Any]) -> Preferences:
    """Return the wishes of a request's body and take them out of it; raises InvalidRequest."""
    if FIELDS.isdisjoint(body):
        return NONE
    wishes = NONE
    include = body.pop("include_route", None)
    if include is not None:
        wire_checks.boolean(include, "include_route")
        wishes = replace(wishes, include_route=include)
    provider = body.pop("provider", None)
    if provider is not None:
        wishes = replace(wishes, **_provider(provider))
    models = body.pop("models", None)
    if models is not None:
        wishes = replace(wishes, models=_models(models, body))
    return wishes


def _models(value: Any, body: dict[str, Any]) -> tuple[str, ...]:
    """Return the models after the first; a body without `model` takes the first of the list as it."""
    names = _names(value, "models", most=MAX_MODELS)
    if names and body.get("model") is None:
        body["model"] = names[0]
    first = body.get("model")
    return tuple(name for name in names if name != first)


def _provider(value: Any) -> dict[str, Any]:
    wire_checks.mapping(value, "provider")
    found: dict[str, Any] = {}
    ignored = []
    for name, item in value.items():
        read = _FIELDS.get(name)
        if read is None:
            ignored.append(f"provider.{name if _HEADER_SAFE.fullmatch(name) else '?'}")
        elif item is not None:
            found |= read(item, f"provider.{name}")
    return {**found, "ignored": tuple(dict.fromkeys(ignored))[:MAX_NAMES]}


def _names(value: Any, param: str, *, most: int = MAX_NAMES) -> tuple[str, ...]:
    if value.__class__ is not list:
        wrong_type(value, param, expected="an array of strings")
    if len(value) > most:
        wrong_value(param, f"expected at most {most} names, but got {len(value)}.")
    for position, item in enumerate(value):
        wire_checks.name(item, f"{param}[{position}]")
    return tuple(dict.fromkeys(value))


def _providers(field: str) -> Callable[[Any, str], dict[str, Any]]:
    def read(value: Any, param: str) -> dict[str, Any]:
        return {field: tuple(name.lower().replace(" ", "-") for name in _names(value, param))}

    return read


def _regions(value: Any, param: str) -> dict[str, Any]:
    names = _names([value] if value.__class__ is str else value, param)
    return {"regions": tuple(name.lower() for name in names)}


def _switch(field: str) -> Callable[[Any, str], dict[str, Any]]:
    def read(value: Any, param: str) -> dict[str, Any]:
        wire_checks.boolean(value, param)
        return {field: value}

    return read


def _sort(value: Any, param: str) -> dict[str, Any]:
    """OpenRouter also takes {"by": ..., "partition": ...}."""
    if value.__class__ is dict:
        value, param = value.get("by"), f"{param}.by"
    wire_checks.name(value, param)
    if value not in _STRATEGIES:
        unsupported_value(param, f"expected one of {', '.join(_STRATEGIES)}.")
    return {"strategy": _STRATEGIES[value]}


def _data_collection(value: Any, param: str) -> dict[str, Any]:
    wire_checks.choice("allow", "deny")(value, param)
    return {"no_training": value == "deny"}


def _max_price(value: Any, param: str) -> dict[str, Any]:
    """USD per million tokens, as numbers or decimal strings."""
    wire_checks.mapping(value, param)
    found = {}
    for name, item in value.items():
        if name not in ("prompt", "completion"):
            unsupported_value(f"{param}.{name[:60]}", "use 'prompt' and 'completion'.")
        found[f"max_{name}"] = _microusd(item, f"{param}.{name}")
    return found


def _microusd(value: Any, param: str) -> int:
    try:
        amount = Decimal(str(value)) if value.__class__ in (int, float, str) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or not 0 <= amount <= _MICRO:
        wrong_value(param, "expected US dollars per million tokens, 0 or more.")
    return int(amount * _MICRO)


_FIELDS: Final[Mapping[str, Callable[[Any, str], dict[str, Any]]]] = {
    "order": _providers("order"),
    "only": _providers("only"),
    "ignore": _providers("ignore"),
    "allow_fallbacks": _switch("allow_fallbacks"),
    "sort": _sort,
    "max_price": _max_price,
    "data_collection": _data_collection,
    "zdr": _switch("zero_retention"),
    "region": _regions,
}
