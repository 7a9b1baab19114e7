"""Says changes of the catalog in words for staff: what stands there now, and what is to stand there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from exerati.drawing import formats
from gateway.models import CatalogChange

Kind = CatalogChange.Kind
NOTHING: Final = "—"
_TOKENS: Final = "_microusd_per_mtok"
_UNITS: Final = "_nanousd"
_TIERS: Final = ("tiers", "service_tiers")


@dataclass(frozen=True, slots=True)
class Line:
    """One value before and after."""

    name: str
    old: str
    new: str


def lines(change: CatalogChange) -> list[Line]:
    """Return what changes, one line for each value; of a price, only the rates that differ."""
    if change.kind in (Kind.PRICE, Kind.COST):
        return list(_rates(change.old or {}, change.new or {}))
    if change.kind == Kind.MODEL:
        return [Line(name, NOTHING, text) for name, text in _model(change.new or {})]
    if change.kind == Kind.ROUTE:
        old, new = (_place(value) for value in (change.old, change.new))
        return [Line(change.field, old, new)]
    return [Line(change.field, _text(change.old), _text(change.new))]


def _rates(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[Line]:
    """Return the rates that differ, with how much by; those of tiers are named behind the tier."""
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if name in _TIERS:
            tiers = [_tiers(value) for value in (before, after)]
            for tier in dict.fromkeys((*tiers[0], *tiers[1])):
                yield from _rates(
                    tiers[0].get(tier, {}), tiers[1].get(tier, {}), f"{prefix}{tier} "
                )
        else:
            yield Line(prefix + _title(name), _amount(name, before), _amount(name, after, before))


def _tiers(value: Any) -> dict[str, Mapping[str, Any]]:
    """Return the rates of each tier under its name."""
    if isinstance(value, list):
        return {
            f"above {formats.count_text(tier['above_input_tokens'], 'tokens')}": {
                name: rate for name, rate in tier.items() if name != "above_input_tokens"
            }
            for tier in value
        }
    return {f"{name} tier": rates for name, rates in (value or {}).items()}


def _title(name: str) -> str:
    return name.removesuffix(_TOKENS).removesuffix(_UNITS).replace("_", " ")


def _amount(name: str, rate: int | None, before: int | None = None) -> str:
    if rate is None:
        return NOTHING
    told = (
        f"{formats.price_text(rate)} per million tokens"
        if name.endswith(_TOKENS)
        else f"{formats.exact_text(rate)} each"
    )
    return f"{told} ({(rate - before) * 100 / before:+.1f} %)" if before else told


def _model(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in said["facts"].items():
        if value not in (None, "", []):
            yield name, _text(value)
    yield "routes", _text([f"{one['provider']}:{one['upstream_model']}" for one in said["routes"]])
    for dated in said["prices"]:
        day = dated["effective_from"][:10]
        for line in _rates({}, dated["rates"]):
            yield f"price from {day}: {line.name}", line.new


def _place(value: Mapping[str, Any] | None) -> str:
    return NOTHING if value is None else f"place {value['priority'] + 1}"


def _text(value: Any) -> str:
    if value in (None, "", []):
        return NOTHING
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return formats.count_text(value) if isinstance(value, int) else str(value)
