"""
Makes versions of prices and provider costs: immutable rows, each in force from a moment on.

A version that says the same as the one in force is not made again, and a price that staff set by hand
(its source does not start with the publisher's name) is never replaced by a later load of the catalog.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any

from django.db.models import QuerySet

from accounts.models import Organization
from billing.models import PriceVersion, ProviderCostVersion, RateCard
from billing.types import RATE_NAMES

CATALOG = "catalog"  # how the sources of versions made from the shipped catalog begin
ONE_TICK = timedelta(microseconds=1)
CORRECTIONS = timedelta(seconds=1)  # how far behind its date a corrected version may follow


@dataclass(frozen=True, slots=True)
class RateSheet:
    """All rates of one version in the form they are stored: base rates, tiers by prompt size, service tiers."""

    rates: Mapping[str, int]
    tiers: Sequence[Mapping[str, int]] = ()
    service_tiers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def marked_up(self, percent: Decimal) -> "RateSheet":
        """Return our price for this cost: each rate plus the percentage, rounded up to the integer."""
        tiers: Any = _marked_up(list(self.tiers), percent)
        service_tiers: Any = _marked_up(dict(self.service_tiers), percent)
        return RateSheet(_marked_up(dict(self.rates), percent), tiers, service_tiers)

    @classmethod
    def of(cls, row: RateCard) -> "RateSheet":
        """Return the rates of a stored version."""
        rates = {name: getattr(row, name) for name in RATE_NAMES}
        given = {name: rate for name, rate in rates.items() if rate is not None}
        return cls(given, row.tiers, row.service_tiers)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "RateSheet":
        """Return the sheet that `plain` wrote."""
        rates = {name: rate for name, rate in values.items() if name in RATE_NAMES}
        return cls(rates, values.get("tiers", ()), values.get("service_tiers", {}))

    def plain(self) -> dict[str, Any]:
        """Return the sheet as one JSON object that holds only what is priced."""
        columns = self.columns()
        return {name: value for name, value in columns.items() if value not in (None, [], {})}

    def columns(self) -> dict[str, Any]:
        """Return the values of a RateCard's columns."""
        return {
            **{name: self.rates.get(name) for name in RATE_NAMES},
            "tiers": [dict(tier) for tier in self.tiers],
            "service_tiers": {name: dict(card) for name, card in self.service_tiers.items()},
        }


@dataclass(frozen=True, slots=True)
class Dated:
    """A rate sheet and the moment from which it holds."""

    effective_from: datetime
    sheet: RateSheet
    source: str


@dataclass(frozen=True, slots=True)
class Due:
    """A version that is to be made, and what holds until then (None: nothing does)."""

    dated: Dated
    before: RateSheet | None


def _marked_up(value: Any, percent: Decimal) -> Any:
    """Raise every rate inside the value; thresholds stay."""
    if isinstance(value, list):
        return [_marked_up(item, percent) for item in value]
    if isinstance(value, dict):
        return {
            name: item if name == "above_input_tokens" else _marked_up(item, percent)
            for name, item in value.items()
        }
    raised = Decimal(value) * (100 + percent) / 100
    return int(raised.to_integral_value(ROUND_CEILING))


def due_prices(sheets: Mapping[str, Sequence[Dated]], *, now: datetime) -> dict[str, list[Due]]:
    """Return the price versions of models (by public name) that are new or changed, by model."""
    present = _by_subject((row.model, row) for row in PriceVersion.objects.filter(model__in=sheets))
    return _due(sheets, present=present, now=now)


def publish_prices(sheets: Mapping[str, Sequence[Dated]], *, now: datetime) -> int:
    """Make the price versions of models (by public name) that are new or changed; return how many."""
    made = [
        PriceVersion(model=model, **_row(due.dated))
        for model, versions in due_prices(sheets, now=now).items()
        for due in versions
    ]
    PriceVersion.objects.bulk_create(made)
    return len(made)


def price_at(model: str, moment: datetime) -> RateSheet | None:
    """Return what customers pay for a model at a moment, by the versions there are now."""
    return _sheet_at(PriceVersion.objects.filter(model=model), moment)


def add_price(model: str, *, dated: Dated) -> PriceVersion:
    """Make one price version; where one stands at its moment already, it follows that one at once."""
    moment = _free_moment(PriceVersion.objects.filter(model=model), dated.effective_from)
    row = _row(Dated(moment, dated.sheet, dated.source))
    return PriceVersion.objects.create(model=model, **row)


def set_price(model: str, *, sheet: RateSheet, source: str, now: datetime) -> bool:
    """Make the price hold for a model from now on; return False where it holds already."""
    row = (
        PriceVersion.objects.filter(model=model, effective_from__lte=now)
        .order_by("-effective_from")
        .first()
    )
    if row is not None and _says(row, sheet):
        return False
    PriceVersion.objects.create(model=model, **_row(Dated(now, sheet, source)))
    return True


def publish_own(
    owner: Organization | str, model: str, *, sheet: RateSheet, source: str, now: datetime
) -> int:
    """
    Make the price of one organization, or of a plan, hold from now on; return how many versions that took, 0 or 1.
    """
    whose: dict[str, Any] = {"plan": owner} if isinstance(owner, str) else {"organization": owner}
    present = PriceVersion.every.filter(**whose, model=model)
    row = present.filter(effective_from__lte=now).order_by("-effective_from").first()
    if row is not None and _says(row, sheet):
        return 0
    moment = _free_moment(present, now)
    row_values = _row(Dated(moment, sheet, source))
    PriceVersion.every.create(**whose, model=model, **row_values)
    return 1


Subject = tuple[str, str]  # provider and upstream model


def due_costs(
    sheets: Mapping[Subject, Sequence[Dated]], *, now: datetime
) -> dict[Subject, list[Due]]:
    """Return the cost versions (by provider and upstream model) that are new or changed, by subject."""
    rows = ProviderCostVersion.objects.filter(provider__in={provider for provider, _ in sheets})
    present = _by_subject(((row.provider, row.upstream_model), row) for row in rows)
    return _due(sheets, present=present, now=now)


def publish_costs(sheets: Mapping[Subject, Sequence[Dated]], *, now: datetime) -> int:
    """Make the cost versions (by provider and upstream model) that are new or changed; return how many."""
    made = [
        ProviderCostVersion(provider=subject[0], upstream_model=subject[1], **_row(due.dated))
        for subject, versions in due_costs(sheets, now=now).items()
        for due in versions
    ]
    ProviderCostVersion.objects.bulk_create(made)
    return len(made)


def cost_at(subject: Subject, moment: datetime) -> RateSheet | None:
    """Return what a provider charges us at a moment, by the versions there are now."""
    return _sheet_at(_costs_of(subject), moment)


def add_cost(subject: Subject, *, dated: Dated) -> ProviderCostVersion:
    """Make one cost version; where one stands at its moment already, it follows that one at once."""
    moment = _free_moment(_costs_of(subject), dated.effective_from)
    row = _row(Dated(moment, dated.sheet, dated.source))
    return ProviderCostVersion.objects.create(provider=subject[0], upstream_model=subject[1], **row)


def _costs_of(subject: Subject) -> QuerySet[ProviderCostVersion]:
    return ProviderCostVersion.objects.filter(provider=subject[0], upstream_model=subject[1])


def _sheet_at(versions: QuerySet[Any], moment: datetime) -> RateSheet | None:
    row = versions.filter(effective_from__lte=moment).order_by("-effective_from").first()
    return None if row is None else RateSheet.of(row)


def _free_moment(versions: QuerySet[Any], moment: datetime) -> datetime:
    while versions.filter(effective_from=moment).exists():
        moment += ONE_TICK
    return moment


def _due(
    sheets: Mapping[Any, Sequence[Dated]],
    *,
    present: defaultdict[Any, list[RateCard]],
    now: datetime,
) -> dict[Any, list[Due]]:
    found = {
        subject: _new_versions(versions, present=present[subject], now=now)
        for subject, versions in sheets.items()
    }
    return {subject: due for subject, due in found.items() if due}


def _by_subject(rows: Iterable[tuple[Any, RateCard]]) -> defaultdict[Any, list[RateCard]]:
    """Group versions by what they price, oldest first."""
    grouped: defaultdict[Any, list[RateCard]] = defaultdict(list)
    for subject, row in sorted(rows, key=lambda pair: pair[1].effective_from):
        grouped[subject].append(row)
    return grouped


def _new_versions(
    versions: Sequence[Dated], *, present: Sequence[RateCard], now: datetime
) -> list[Due]:
    """
    Return the versions to be made. The first time that is the whole history; later what is to come,
    and what now holds if it differs, from now on: a price is never changed backwards.
    """
    if not present:
        return [Due(dated, None) for dated in versions]
    if not present[-1].source.startswith(CATALOG):
        return []
    taken = {row.effective_from: row for row in present}
    wanted = [dated for dated in versions if dated.effective_from > now]
    holding = [dated for dated in versions if dated.effective_from <= now]
    if holding:
        wanted.insert(0, Dated(now, holding[-1].sheet, holding[-1].source))
    made: list[Due] = []
    for dated in wanted:
        latest = dated.effective_from + CORRECTIONS
        before = [row for row in present if row.effective_from <= latest]
        if before and _says(before[-1], dated.sheet):
            continue
        moment = dated.effective_from
        while moment in taken:  # a version to come was corrected: the correction follows at once
            moment += ONE_TICK
        holds = RateSheet.of(before[-1]) if before else None
        made.append(Due(Dated(moment, dated.sheet, dated.source), holds))
    return made


def _says(row: RateCard, sheet: RateSheet) -> bool:
    return all(getattr(row, name) == value for name, value in sheet.columns().items())


def _row(dated: Dated) -> dict[str, Any]:
    return {
        "effective_from": dated.effective_from,
        "source": dated.source[:200],
        **dated.sheet.columns(),
    }
