"""Read model of the audit log; every function takes the organization and sees nothing outside it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_datetime

from accounts.models import AuditEvent, Organization
from exerati.drawing import formats
from exerati.lib import money
from exerati.lib.csv_text import spreadsheet_text

PAGE_ROWS = 50
OFFERED_FROM = 2_000  # the newest events
HEAD = ("time", "who", "action", "target", "details")
SYSTEM = "system"
NANOUSD = {"_nanousd": 1, "_cents": money.NANOUSD_PER_CENT}
# Details whose names say nothing to whoever reads the page; the CSV has the names.
WORDS = {
    "old_last4": "old secret ends with",
    "old_works_until": "old secret works until",
}


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """What of the log is wanted: an action, the address of who did it (or `system`), and the id it was done to."""

    action: str = ""
    actor: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One event; `changes` are its details as (what, before, after), `before` "" where it was none."""

    occurred_at: datetime
    actor: str
    action: str
    target: str
    changes: list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of events, newest first, and the place where the older ones begin, "" for none."""

    rows: list[AuditRow]
    older: str


def page(organization: Organization, *, filters: AuditFilters, before: str) -> AuditPage:
    """Return the events before a place (of `AuditPage.older`), or the newest; runs one query."""
    found = _filtered(organization, filters)
    at, _, last = before.partition("_")
    moment = _moment(at)
    if moment is not None and last.isdecimal():
        found = found.filter(Q(occurred_at__lt=moment) | Q(occurred_at=moment, pk__lt=int(last)))
    events = list(found.order_by("-occurred_at", "-pk")[: PAGE_ROWS + 1])
    shown = events[:PAGE_ROWS]
    older = f"{shown[-1].occurred_at.isoformat()}_{shown[-1].pk}" if len(events) > PAGE_ROWS else ""
    return AuditPage([_row(event) for event in shown], older)


def csv_rows(organization: Organization, *, filters: AuditFilters) -> Iterator[tuple[str, ...]]:
    """Yield the head and then every event that passes, newest first."""
    yield HEAD
    events = _filtered(organization, filters).order_by("-occurred_at", "-pk")
    for event in events.iterator(chunk_size=1000):
        yield (
            event.occurred_at.isoformat(),
            spreadsheet_text(_actor(event)),
            event.action,
            event.target,
            spreadsheet_text(json.dumps(event.details, sort_keys=True)),
        )


def actions(organization: Organization) -> list[str]:
    """Return the actions that occur among the newest events, by name."""
    return sorted(set(_newest(organization).values_list("action", flat=True)))


def actors(organization: Organization) -> list[str]:
    """Return the addresses of those who did something lately, by name."""
    found = set(_newest(organization).values_list("actor__email", flat=True))
    return sorted(email for email in found if email)


def _newest(organization: Organization) -> QuerySet[AuditEvent]:
    """Return so many events that the filters offer what matters, along the index of the page."""
    return organization.audit_events.order_by("-occurred_at")[:OFFERED_FROM]


def _filtered(organization: Organization, filters: AuditFilters) -> QuerySet[AuditEvent]:
    found = organization.audit_events.select_related("actor")
    if filters.action:
        found = found.filter(action=filters.action)
    if filters.actor == SYSTEM:
        found = found.filter(actor=None)
    elif filters.actor:
        found = found.filter(actor__email=filters.actor)
    if filters.target:
        found = found.filter(target=filters.target)
    return found


def _row(event: AuditEvent) -> AuditRow:
    return AuditRow(
        occurred_at=event.occurred_at,
        actor=_actor(event),
        action=event.action,
        target=event.target,
        changes=list(_changes(event.details)),
    )


def _actor(event: AuditEvent) -> str:
    return event.actor.email if event.actor else SYSTEM


def _changes(details: dict[str, object]) -> Iterator[tuple[str, str, str]]:
    """Yield the details in order; the one thing that was changed, such as a role, comes last, without a name."""
    is_one = {"from", "to"} <= set(details)
    for name, value in details.items():
        if not (is_one and name in ("from", "to")):
            yield _change(name, value)
    if is_one:
        yield "", _text(details["from"]), _text(details["to"])


def _change(name: str, value: object) -> tuple[str, str, str]:
    for unit, nanousd in NANOUSD.items():
        if name.endswith(unit):
            return _change(name.removesuffix(unit), _in_dollars(value, unit_nanousd=nanousd))
    words = WORDS.get(name, name.replace("_", " "))
    if isinstance(value, dict) and set(value) == {"from", "to"}:
        return words, _text(value["from"]), _text(value["to"])
    return words, "", _text(value)


def _in_dollars(value: object, *, unit_nanousd: int) -> object:
    """Return an amount, or what it was and is, as people read it."""
    if isinstance(value, dict):
        return {key: _in_dollars(one, unit_nanousd=unit_nanousd) for key, one in value.items()}
    return f"${money.usd_text(value * unit_nanousd)}" if isinstance(value, int) else value


def _text(value: object) -> str:
    if value is None or value in ([], ""):
        return "none"
    if isinstance(value, list):
        return ", ".join(_text(one) for one in value)
    if not isinstance(value, str):
        return json.dumps(value)
    at = _moment(value)
    return value if at is None else formats.moment_text(at)


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
