"""Price and cost versions as frozen values, for a process to keep in memory."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from billing.models import BillingAccount, PriceVersion, ProviderCostVersion, RateCard
from billing.types import RATE_NAMES, Price, Rates, Tier


class Dated(NamedTuple):
    """A price and the Unix time from which it holds."""

    effective_from: float
    price: Price


class PriceBook(NamedTuple):
    """
    All versions, oldest first: prices by model, costs by (provider, upstream model).

    `own` are the prices of single organizations, by the organization's row and the model; `plans` those of plans, by
    plan and model, with the organizations that are on the plan which is not the usual one.
    """

    prices: dict[str, tuple[Dated, ...]]
    costs: dict[tuple[str, str], tuple[Dated, ...]]
    own: dict[tuple[int, str], tuple[Dated, ...]]
    plans: dict[tuple[str, str], tuple[Dated, ...]]
    postpaid: frozenset[int]


def load() -> PriceBook:
    """Return every version there is; runs four queries, and one more where a plan has prices."""
    prices = _by_subject(
        (row.model, row) for row in PriceVersion.objects.order_by("effective_from")
    )
    costs = _by_subject(
        ((row.provider, row.upstream_model), row)
        for row in ProviderCostVersion.objects.order_by("effective_from")
    )
    own = _by_subject(
        ((row.organization_id, row.model), row)
        for row in PriceVersion.every.exclude(organization=None).order_by("effective_from")
    )
    plans = _by_subject(
        ((row.plan, row.model), row)
        for row in PriceVersion.every.exclude(plan="").order_by("effective_from")
    )
    return PriceBook(prices, costs, own, plans, _postpaid() if plans else frozenset())


def _postpaid() -> frozenset[int]:
    found = BillingAccount.objects.filter(plan=BillingAccount.Plan.POSTPAID)
    return frozenset(found.values_list("organization_id", flat=True))


def at(versions: tuple[Dated, ...], now: float) -> Price | None:
    """Return the price that holds at a Unix time, or None when none does yet."""
    for version in reversed(versions):
        if version.effective_from <= now:
            return version.price
    return None


def price_of(row: RateCard) -> Price:
    """Return a stored rate card as a value."""
    rates = Rates(**{name: getattr(row, name) for name in RATE_NAMES})
    base = Price(version_id=row.pk, rates=rates, tiers=_tiers(rates, row.tiers))
    return replace(
        base, service_tiers={name: _changed(base, card) for name, card in row.service_tiers.items()}
    )


def _by_subject(rows: Iterable[tuple[Any, RateCard]]) -> dict[Any, tuple[Dated, ...]]:
    grouped: dict[Any, list[Dated]] = defaultdict(list)
    for subject, row in rows:
        grouped[subject].append(Dated(row.effective_from.timestamp(), price_of(row)))
    return {subject: tuple(versions) for subject, versions in grouped.items()}


def _changed(base: Price, card: dict[str, Any]) -> Price:
    """A service tier names the rates it changes, and its own prompt-size tiers in place of the base ones."""
    rates = _with(base.rates, card)
    return Price(
        version_id=base.version_id, rates=rates, tiers=_tiers(rates, card.get("tiers", []))
    )


def _tiers(base: Rates, rows: list[dict[str, Any]]) -> tuple[Tier, ...]:
    tiers = (Tier(row["above_input_tokens"], _with(base, row)) for row in rows)
    return tuple(sorted(tiers, key=lambda tier: tier.above_input_tokens))


def _with(base: Rates, changes: dict[str, Any]) -> Rates:
    return replace(base, **{name: changes[name] for name in RATE_NAMES if name in changes})
