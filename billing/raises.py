"""Temporary raises of a cap: an amount more, from one moment to another, by somebody, for a reason."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import audit
from accounts.models import Organization, Project, User
from apikeys.models import ApiKey
from billing.models import BudgetRaise

Target = Organization | Project | ApiKey


@transaction.atomic
def raise_cap(
    target: Target,
    *,
    period: BudgetRaise.Period,
    extra_nanousd: int,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    actor: User | None,
    model: str = "",
) -> BudgetRaise:
    """
    Add to the cap of an organization, project, key, or of a key on one model, in `[starts_at, ends_at)`.

    It holds from the next call on, in every process; where nothing is capped it changes nothing. Writes an audit
    event. Raises ValidationError.
    """
    if extra_nanousd <= 0:
        raise ValidationError({"extra_nanousd": "A raise adds something."})
    if ends_at <= starts_at:
        raise ValidationError({"ends_at": "A raise ends after its start."})
    if model and not isinstance(target, ApiKey):
        raise ValidationError({"model": "Only a key has caps on single models."})
    row = BudgetRaise.objects.create(
        organization=target if isinstance(target, Organization) else target.organization,
        scope=_scope(target, model),
        scope_id=target.pk,
        model=model,
        period=period,
        extra_nanousd=extra_nanousd,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=reason,
        created_by=actor,
    )
    _record(row, "budget.raised", target=target.public_id, actor=actor)
    return row


@transaction.atomic
def end_raise(row: BudgetRaise, *, now: datetime, actor: User | None) -> bool:
    """Let a raise end now; return whether it had not ended before. Calls under way keep what they hold."""
    ended = BudgetRaise.objects.filter(pk=row.pk, ends_at__gt=now, starts_at__lte=now)
    if not ended.update(ends_at=now):
        return False
    row.ends_at = now
    _record(row, "budget.raise_ended", target="", actor=actor)
    return True


def _scope(target: Target, model: str) -> BudgetRaise.Scope:
    match target:
        case Organization():
            return BudgetRaise.Scope.ORGANIZATION
        case Project():
            return BudgetRaise.Scope.PROJECT
        case ApiKey():
            return BudgetRaise.Scope.KEY_MODEL if model else BudgetRaise.Scope.KEY


def _record(row: BudgetRaise, action: str, *, target: str, actor: User | None) -> None:
    details = {
        "scope": row.scope,
        "period": row.period,
        "model": row.model,
        "extra_nanousd": row.extra_nanousd,
        "starts_at": row.starts_at.isoformat(),
        "ends_at": row.ends_at.isoformat(),
        "reason": row.reason,
    }
    audit.record(row.organization, action=action, actor=actor, target=target, details=details)
