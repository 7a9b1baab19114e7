"""
Keeps what a comparison finds: each difference once, told once, gone when it is gone, acknowledged with a reason.

Nothing is put right here. Whoever acknowledges a difference says why it may stay; what has to be posted is posted by
its own deed, and the next run finds the difference gone.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.models import Organization, User
from billing.models import ReconItem, ReconRun
from exerati.drawing import formats
from exerati.lib.queue import enqueue

Kind = ReconItem.Kind
SHOWN = 50  # of the differences in one mail


class ReasonMissing(Exception):
    """A difference is acknowledged with a reason, or not at all."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What one side says and the other does not; the amount is theirs less ours, in nano-USD."""

    kind: Kind
    object_id: str
    theirs: dict[str, Any] = field(default_factory=dict)
    ours: dict[str, Any] = field(default_factory=dict)
    difference_nanousd: int = 0
    organization: Organization | None = None

    @property
    def fingerprint(self) -> str:
        """Return what stays the same as long as both sides say the same."""
        said = json.dumps([self.theirs, self.ours], sort_keys=True, default=str)
        return hashlib.sha256(said.encode()).hexdigest()


def begin(subject: ReconRun.Subject, *, since: datetime, until: datetime) -> ReconRun:
    """Open a run."""
    return ReconRun.objects.create(subject=subject, since=since, until=until)


@transaction.atomic
def finish(
    run: ReconRun,
    differences: Iterable[Difference],
    *,
    checked: dict[str, int],
    totals: dict[str, Any],
) -> list[ReconItem]:
    """Store what was found and what is gone; return what is new, of which staff is told after the commit."""
    new, seen = [], []
    for found in differences:
        item, made = ReconItem.objects.get_or_create(
            kind=found.kind,
            object_id=found.object_id[:300],
            fingerprint=found.fingerprint,
            defaults={
                "run": run,
                "last_run": run,
                "organization": found.organization,
                "theirs": found.theirs,
                "ours": found.ours,
                "difference_nanousd": found.difference_nanousd,
            },
        )
        seen.append(item.pk)
        if made:
            new.append(item)
    ReconItem.objects.filter(pk__in=seen).update(last_run=run, gone_at=None)
    now = timezone.now()
    before = ReconItem.objects.filter(run__subject=run.subject, gone_at=None)
    before.exclude(pk__in=seen).update(gone_at=now)
    run.checked, run.totals, run.finished_at = checked, totals, now
    run.save(update_fields=["checked", "totals", "finished_at"])
    if new:
        enqueue("billing.tell_differences", run_id=run.pk)
    return new


def fail(run: ReconRun, error: str) -> None:
    """Say of a run that it could not be done."""
    run.error, run.finished_at = error[:200], timezone.now()
    run.save(update_fields=["error", "finished_at"])


@transaction.atomic
def acknowledge(item: ReconItem, *, actor: User, reason: str) -> None:
    """Say why a difference may stay. Raises ReasonMissing; what was said before stays."""
    if not reason.strip():
        raise ReasonMissing
    changed = ReconItem.objects.filter(pk=item.pk, acknowledged_at=None).update(
        acknowledged_at=timezone.now(), acknowledged_by=actor, reason=reason.strip()[:300]
    )
    if changed and item.organization is not None:
        audit.record(
            item.organization,
            action="reconciliation.acknowledged",
            actor=actor,
            target=item.object_id[:60],
            details={"kind": item.kind, "reason": reason.strip()[:300]},
        )


def is_due(subject: ReconRun.Subject, *, now: datetime, every: Any) -> bool:
    """Say whether the last run that ended is long enough ago."""
    runs = ReconRun.objects.filter(subject=subject, error="", finished_at__gt=now - every)
    return not runs.exists()


def tell(run: ReconRun) -> int:
    """Mail the new differences of a run to all staff; return to how many. Raises what the mail backend raises."""
    staff = User.objects.filter(is_staff=True, is_active=True).order_by("email")
    addresses = list(staff.values_list("email", flat=True))
    items = list(run.items.select_related("organization").order_by("kind", "object_id"))
    if not addresses or not items:
        return 0
    EmailMessage(
        subject=f"{len(items)} new differences: {run.get_subject_display()}",
        body=_body(run, items),
        to=addresses,
        headers={"Auto-Submitted": "auto-generated"},
    ).send()
    return len(addresses)


def _body(run: ReconRun, items: list[ReconItem]) -> str:
    lines = [
        f"{item.get_kind_display()}: {item.object_id}"
        + (f", {item.organization.name}" if item.organization else "")
        + (f", {formats.sum_text(item.difference_nanousd)}" if item.difference_nanousd else "")
        for item in items[:SHOWN]
    ]
    if len(items) > SHOWN:
        lines.append(f"and {len(items) - SHOWN} more")
    listed = reverse("admin:billing_reconitem_changelist")
    return "\n".join(
        [
            f"The comparison of {run.since:%Y-%m-%d} to {run.until:%Y-%m-%d} (UTC) found what is new:",
            "",
            *lines,
            "",
            "Nothing was changed. See them, and say why one may stay:",
            f"{settings.SITE_URL}{listed}",
        ]
    )
