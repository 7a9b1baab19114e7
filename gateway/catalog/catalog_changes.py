"""
Proposes changes of the catalog and decides on them: who, when and why stays on record with each.

A change that was rejected is not proposed again as long as old and new value are the same. Applying one is the
work of `gateway.catalog.catalog_apply`.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.models import User
from gateway.catalog import catalog_apply, catalog_data, catalog_diff
from gateway.catalog.catalog_diff import Difference
from gateway.models import CatalogChange, CatalogRun

State = CatalogChange.State
Kind = CatalogChange.Kind
OVERTAKEN: Final = "the files say otherwise since"
DATED: Final = (Kind.PRICE, Kind.COST)


class ChangeDecided(Exception):
    """The change was approved, rejected or overtaken before; it carries the state that it is in."""

    def __init__(self, change: CatalogChange) -> None:
        super().__init__(f"{change} is {change.get_state_display()}")
        self.change = change


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose files were compared, the day they speak of, and the SHA-256 of `models.json`."""

    name: str
    as_of: date | None
    digest: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decides (None: an operator at the command line), why and when; a price may be given a later start."""

    reason: str
    actor: User | None
    now: datetime
    effective_from: datetime | None = None


def open_changes() -> QuerySet[CatalogChange]:
    """Return what waits for a decision, in the order of the files."""
    return CatalogChange.objects.filter(state=State.PROPOSED).order_by("pk")


def record_run(origin: Origin, *, now: datetime) -> CatalogRun:
    """Write down that files were compared or loaded."""
    return CatalogRun.objects.create(
        origin=origin.name[:200], as_of=origin.as_of, digest=origin.digest, created_at=now
    )


@transaction.atomic
def propose(catalog: catalog_data.Catalog, *, origin: Origin, now: datetime) -> CatalogRun:
    """
    Propose what the files say otherwise than what is sold; return the run.

    A change that waits already is kept and moves to this run; one that the files no longer ask for is overtaken.
    """
    run = record_run(origin, now=now)
    waiting = {_dated(change): change for change in open_changes().select_for_update()}
    settled = _settled(now=now)
    wanted = {
        _dated(one): one
        for one in catalog_diff.differences(catalog, now=now)
        if _said(one) not in settled
    }
    overtaken = [change.pk for said, change in waiting.items() if said not in wanted]
    CatalogChange.objects.filter(pk__in=overtaken).update(
        state=State.SUPERSEDED, decided_at=now, reason=OVERTAKEN
    )
    open_changes().update(run=run)
    new = [_row(one, run) for said, one in wanted.items() if said not in waiting]
    CatalogChange.objects.bulk_create(new)
    return run


@transaction.atomic
def approve(change: CatalogChange, decision: Decision) -> None:
    """
    Apply a change. A price or cost becomes a new version, which holds from the latest of now, the files' day and
    `decision.effective_from`. Raises ChangeDecided, ChangeStale.
    """
    named = (change.effective_from, decision.effective_from, decision.now)
    moment = max(day for day in named if day is not None)
    if change.kind in DATED:
        _decide(change, State.APPROVED, decision, effective_from=moment)
    else:
        _decide(change, State.APPROVED, decision)
    catalog_apply.apply(change, moment=moment, now=decision.now, is_to_come=named[0] is not None)


@transaction.atomic
def approve_all(changes: QuerySet[CatalogChange], decision: Decision) -> int:
    """Approve and apply all of these that wait, or none; return how many. Raises ChangeStale."""
    waiting = list(changes.filter(state=State.PROPOSED).order_by("pk"))
    for change in waiting:
        approve(change, decision)
    return len(waiting)


@transaction.atomic
def reject_all(changes: QuerySet[CatalogChange], decision: Decision) -> int:
    """Leave what is sold as it is, for all of these that wait; return how many."""
    waiting = list(changes.filter(state=State.PROPOSED).order_by("pk"))
    for change in waiting:
        _decide(change, State.REJECTED, decision)
    return len(waiting)


def _decide(
    change: CatalogChange, state: CatalogChange.State, decision: Decision, **values: Any
) -> None:
    """Move an open change to its end; of two who decide at once, the second is told."""
    decided = open_changes().filter(pk=change.pk)
    if not decided.update(
        state=state,
        decided_by=decision.actor,
        decided_at=decision.now,
        reason=decision.reason,
        **values,
    ):
        change.refresh_from_db()
        raise ChangeDecided(change)


def _settled(*, now: datetime) -> set[str]:
    """Return what need not be asked again: what was rejected, and prices approved for a day that is to come."""
    rejected = Q(state=State.REJECTED)
    coming = Q(state=State.APPROVED, effective_from__gt=now)
    return set(map(_said, CatalogChange.objects.filter(rejected | coming)))


def _said(one: CatalogChange | Difference) -> str:
    """Return what a change says, in one text by which it is found again."""
    return json.dumps([one.model, one.field, one.old, one.new], sort_keys=True)


def _dated(one: CatalogChange | Difference) -> tuple[str, datetime | None]:
    return _said(one), one.effective_from


def _row(one: Difference, run: CatalogRun) -> CatalogChange:
    return CatalogChange(
        run=run,
        kind=one.kind,
        model=one.model,
        field=one.field,
        old=one.old,
        new=one.new,
        effective_from=one.effective_from,
        source=one.source[:200],
    )
