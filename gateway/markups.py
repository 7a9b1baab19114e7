"""
Markup rules of organizations and plans: each becomes price versions of its owner's own, which admission finds.

A rule is applied here, once, to the rates: provider cost plus the percentage, each rate rounded up to the integer, as
the price list is made. From there on the price is one like any other: the bound, the charge with its one rounding,
the formula and the invoice know of no markup.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.models import Organization, User
from billing import price_versions
from billing.models import MarkupRule
from billing.price_versions import RateSheet
from gateway.models import Model, Route


class ReasonMissing(Exception):
    """A rule is made with a reason, or not at all."""


@dataclass(frozen=True, slots=True)
class Applied:
    """How many versions a rule has made, and the models whose price it left alone, since their cost is not known."""

    made: int
    without_cost: tuple[str, ...]


@transaction.atomic
def set_rule(
    owner: Organization | str,
    *,
    model: str,
    percent: Decimal | None,
    reason: str,
    actor: User | None,
    now: datetime,
) -> tuple[MarkupRule, Applied]:
    """Make a rule of an organization or a plan, and the prices it means, from now on. Raises ReasonMissing."""
    if not reason.strip():
        raise ReasonMissing
    rule = MarkupRule.objects.create(
        **_whose(owner),
        model=model,
        percent=percent,
        reason=reason.strip()[:200],
        actor=actor,
        created_at=now,
    )
    applied = _apply([owner], now=now)
    if isinstance(owner, str):  # no organization's trail: the rule itself says who and why
        return rule, applied
    audit.record(
        owner,
        action="markup.set",
        actor=actor,
        details={
            "model": model,
            "percent": None if percent is None else str(percent),
            "reason": rule.reason,
            "prices": applied.made,
        },
    )
    return rule, applied


def has_rules() -> bool:
    """Say whether anybody has a rule; runs one query."""
    return MarkupRule.objects.exists()


def refresh(now: datetime) -> Applied:
    """Bring the prices of all rules to the costs of now; a price that says the same is not made again."""
    organizations = Organization.objects.filter(markup_rules__isnull=False).distinct()
    plans = MarkupRule.objects.exclude(plan="").values_list("plan", flat=True).distinct()
    return _apply([*organizations, *plans], now=now)


def _whose(owner: Organization | str) -> dict[str, Any]:
    return {"plan": owner} if isinstance(owner, str) else {"organization": owner}


def _apply(owners: Iterable[Organization | str], *, now: datetime) -> Applied:
    listed = {name: price_versions.price_at(name, now) for name in _names()}
    costs = _costs(now)
    made, without = 0, set()
    for owner in owners:
        # The newest of a subject comes last, a rule for one model after those for all.
        rules = sorted(
            MarkupRule.objects.filter(**_whose(owner)),
            key=lambda rule: (bool(rule.model), rule.created_at, rule.pk),
        )
        for name, sheet in listed.items():
            rule = next((r for r in reversed(rules) if r.model in ("", name)), None)
            if rule is None or sheet is None:
                continue
            wanted = (
                sheet if rule.percent is None else _marked_up(sheet, costs.get(name), rule.percent)
            )
            if wanted is None:
                without.add(name)
            else:
                made += price_versions.publish_own(
                    owner, name, sheet=wanted, source=f"markup rule: {rule}", now=now
                )
    return Applied(made, tuple(sorted(without)))


def _names() -> list[str]:
    return list(Model.objects.filter(hidden_at=None).values_list("name", flat=True))


def _costs(now: datetime) -> dict[str, RateSheet]:
    """Return what each model costs us now, where it is served first."""
    found: dict[str, RateSheet] = {}
    routes = Route.objects.filter(disabled_at=None).select_related("model", "provider")
    for route in routes.order_by("priority", "pk"):
        if route.model.name not in found:
            sheet = price_versions.cost_at((route.provider.name, route.upstream_model), now)
            if sheet is not None:
                found[route.model.name] = sheet
    return found


def _marked_up(listed: RateSheet, cost: RateSheet | None, percent: Decimal) -> RateSheet | None:
    """Return the cost with the markup; None where the cost lacks a rate that is sold."""
    if cost is None or not set(listed.rates) <= set(cost.rates):
        return None
    if len(listed.tiers) != len(cost.tiers) or set(listed.service_tiers) != set(cost.service_tiers):
        return None
    return cost.marked_up(percent)
