"""
Read models of the request log: pages by keyset, and one request in full.

Every function takes the organization and sees nothing outside it. Only admitted calls are here: what was
refused before a reservation has no usage event and is in `billing.read_models.refusal_log`, which also joins the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from uuid import UUID

from django.db.models import Q, QuerySet, Subquery

from accounts.models import Organization
from apikeys.models import ApiKey
from billing import price_formula
from billing.basis import BASIS_WORDS
from billing.models import Attempt, Reservation, UsageEvent
from billing.read_models import log_scan, log_status
from billing.read_models.log_scan import Cursor, Found
from billing.types import TokenUsage
from exerati.lib import ids

PAGE_ROWS = 50
TAIL = timedelta(minutes=5)
PLAYGROUND = "playground"  # the key to filter by, of calls that sessions made
REFUSED = "refused"  # the outcome, and the status to filter by, of what has no event
ID_PREFIXES = ("req_", "chatcmpl-", "cmpl-", "resp_", "msg_", "embd-")
NO_ROW = 0  # a row id that none has
DEAR_NANOUSD = 100_000_000  # calls that cost more are few, and in an index of their own
Basis, Outcome = UsageEvent.Basis, UsageEvent.Outcome


@dataclass(frozen=True, slots=True)
class LogFilters:
    """
    Which requests to show; empty means all. `key` is a key's public id, `member` that of the membership of its maker;
    times are `[since, until)`.
    """

    model: str = ""
    key: str = ""
    project: str = ""
    status: str = ""
    outcome: str = ""
    basis: str = ""
    error: str = ""
    mode: str = ""
    search: str = ""
    member: str = ""
    tag: str = ""
    cost_over_nanousd: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    line: int | None = None  # row id of the invoice line that charges them
    project_id: int | None = None  # row id of `project`, see `resolved`


@dataclass(frozen=True, slots=True)
class LogRow:
    """
    One request as the table shows it.

    Of a refused one nothing was used and nothing charged; `count` is how many it stands for.
    """

    id: str
    occurred_at: datetime
    model: str
    key_name: str
    key_id: str
    mode: str
    status: int
    outcome: str
    outcome_label: str
    error_code: str
    streamed: bool
    basis: str = ""
    basis_label: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    price_nanousd: int = 0
    charge_nanousd: int = 0
    first_token_ms: int | None = None
    duration_ms: int | None = None
    count: int = 1

    @property
    def is_refused(self) -> bool:
        """Say whether the request was refused before anything was reserved."""
        return self.outcome == REFUSED

    @property
    def is_test(self) -> bool:
        """Say whether a test key made it, so that nothing was charged."""
        return self.mode == "test"

    @property
    def basis_words(self) -> str:
        """Return why the charge rests on what it rests on."""
        return BASIS_WORDS.get(self.basis, "")

    @property
    def note(self) -> str:
        """Return what else there is to say than the status: the error, or how the call ended."""
        if self.error_code:
            return self.error_code
        return "" if self.outcome == UsageEvent.Outcome.FINISHED else self.outcome_label


@dataclass(frozen=True, slots=True)
class LogPage:
    """
    Some rows, newest first, and the texts of the cursors to both sides ("" where there is nothing).

    `looked_to` is how far they were looked for, where that is not the end of the log.
    """

    rows: tuple[LogRow, ...]
    newer: str = ""
    older: str = ""
    looked_to: datetime | None = None


def public_id(request_id: UUID) -> str:
    """Return the id people see."""
    return f"req_{ids.encode(request_id)}"


def parse_id(text: str) -> UUID | None:
    """Return the request a text names: our id with or without a prefix, or a UUID; else None."""
    text = text.strip()
    for prefix in ID_PREFIXES:
        text = text.removeprefix(prefix)
    for read in (ids.decode, UUID):
        try:
            return read(text)
        except ValueError:
            continue
    return None


def resolved(organization: Organization, filters: LogFilters) -> LogFilters:
    """
    Return the filters with the row id of the project they name; a query, where they name one.

    What a join would bring the planner cannot know, and sorts all that a page may look at.
    """
    if not filters.project or filters.project_id is not None:
        return filters
    own = organization.projects.filter(public_id=filters.project)
    return replace(filters, project_id=own.values_list("pk", flat=True).first() or NO_ROW)


def page(
    organization: Organization, *, filters: LogFilters, cursor: Cursor | None = None
) -> LogPage:
    """Return one page of admitted calls; see `look` for the queries it runs."""
    found = look(organization, filters=filters, cursor=cursor)
    return page_of([_log_row(event) for event in found.rows], cursor=cursor, edge=found.edge)


def rows(
    organization: Organization, *, filters: LogFilters, cursor: Cursor | None = None
) -> Found[LogRow]:
    """Return the admitted calls next to a place, nearest first: one more than a page, if there are."""
    found = look(organization, filters=filters, cursor=cursor)
    return Found([_log_row(event) for event in found.rows], found.edge)


def look(
    organization: Organization, *, filters: LogFilters, cursor: Cursor | None = None
) -> Found[UsageEvent]:
    """
    Return the same calls as they are stored, with key and project.

    One query where an index has what the filters name, two where not; where the calls that it looks at have nothing,
    it looks once more where the hourly sums say that there is something, with four more.
    """
    filters = resolved(organization, filters)
    found = _look(organization, filters, cursor)
    edge = found.edge
    if edge is None or edge.direction == "newer":
        return found
    further = log_scan.skip(organization, edge, used=_dimensions(filters), tag=filters.tag)
    if found.rows or further is None or further == edge:
        return Found(found.rows, further)
    found = _look(organization, filters, further)
    if found.edge is None:
        return found
    edge = log_scan.skip(organization, found.edge, used=_dimensions(filters), tag=filters.tag)
    return Found(found.rows, edge)


def _look(
    organization: Organization, filters: LogFilters, cursor: Cursor | None
) -> Found[UsageEvent]:
    indexed, narrowed = _conditions(organization, filters)
    implied = Q(status__gte=HTTPStatus.BAD_REQUEST) if log_status.is_error(filters.status) else None
    events = UsageEvent.objects.filter(indexed).select_related("key", "project")
    return log_scan.next_to(
        cursor, events, narrowed=narrowed, implied=implied, at_most=PAGE_ROWS + 1
    )


def settled_since(
    organization: Organization, *, filters: LogFilters, since: datetime
) -> list[tuple[datetime, LogRow]]:
    """
    Return the calls settled after a moment with that moment, newest first, at most a page. One query.

    It looks at those admitted within the last TAIL minutes, an index scan of bounded length: a call that took longer
    is not in the live tail, but on the page when it is loaded.
    """
    found = (
        _filtered(organization, filters)
        .filter(occurred_at__gte=since - TAIL, settled_at__gt=since)
        .select_related("key")
        .order_by("-settled_at", "-request_id")[:PAGE_ROWS]
    )
    return [(event.settled_at, _log_row(event)) for event in found]


def page_of(
    found: Sequence[LogRow], *, cursor: Cursor | None, edge: Cursor | None = None
) -> LogPage:
    """Return the page that rows in the order of `rows` make; `edge` is how far they were looked for."""
    newer = cursor is not None and cursor.direction == "newer"
    kept = list(found[:PAGE_ROWS])
    ahead = edge.text if edge else ""  # where the walk goes on
    if len(found) > PAGE_ROWS:
        edge, ahead = None, _at(kept[-1])
    behind = _at(kept[0]) if kept and cursor is not None else ""
    looked_to = edge.occurred_at if edge else None
    if newer:
        kept.reverse()
        return LogPage(tuple(kept), newer=ahead, older=behind, looked_to=looked_to)
    return LogPage(tuple(kept), newer=behind, older=ahead, looked_to=looked_to)


def _filtered(organization: Organization, filters: LogFilters) -> QuerySet[UsageEvent]:
    indexed, narrowed = _conditions(organization, resolved(organization, filters))
    return UsageEvent.objects.filter(indexed, narrowed or Q())


def _conditions(organization: Organization, filters: LogFilters) -> tuple[Q, Q | None]:
    """Return what an index finds in the order of time, and what has to be looked for among those (None: nothing)."""
    indexed = Q(organization=organization)
    if filters.since:
        indexed &= Q(occurred_at__gte=filters.since)
    if filters.until:
        indexed &= Q(occurred_at__lt=filters.until)
    if filters.search:  # `chatcmpl-…` of a provider, or the id that the client sent
        indexed &= Q(upstream_id=filters.search) | Q(client_request_id=filters.search)
    if filters.key and filters.key != PLAYGROUND:
        key = ApiKey.every.filter(organization=organization, public_id=filters.key)
        indexed &= Q(key_id=Subquery(key.values("pk")))
    if filters.status == "error":  # a status of its own is narrowed to below
        indexed &= Q(status__gte=HTTPStatus.BAD_REQUEST)
    if filters.outcome not in ("", Outcome.FINISHED) or filters.basis not in ("", Basis.REPORTED):
        indexed &= ~Q(outcome=Outcome.FINISHED) | ~Q(basis=Basis.REPORTED)
    if (filters.cost_over_nanousd or 0) >= DEAR_NANOUSD:
        indexed &= Q(charge_nanousd__gt=DEAR_NANOUSD)
    narrowed = _narrowed(filters)
    # The ids of the search are few, so that there is nothing to bound.
    return (indexed & narrowed, None) if filters.search else (indexed, narrowed or None)


def _narrowed(filters: LogFilters) -> Q:
    given = {
        **_dimensions(filters),
        "tags__contains": [filters.tag] if filters.tag else [],
        "outcome": filters.outcome,
        "basis": filters.basis,
        "error_code": filters.error,
        "invoice_line_id": filters.line,
    }
    if filters.key != PLAYGROUND:
        given.pop("key__public_id", None)
    narrowed = Q(**{name: value for name, value in given.items() if value not in ("", None, [])})
    if filters.cost_over_nanousd is not None:
        narrowed &= Q(charge_nanousd__gt=filters.cost_over_nanousd)
    if filters.status not in ("", "error"):
        narrowed &= log_status.condition(filters.status)
    return narrowed


def _dimensions(filters: LogFilters) -> dict[str, str | int]:
    """Return the conditions that calls and hourly sums have in common."""
    given: dict[str, str | int | None] = {
        "model": filters.model,
        **key_filter(filters.key),
        "project_id": filters.project_id,
        "key__created_by__memberships__public_id": filters.member,
        "mode": filters.mode,
    }
    return {name: value for name, value in given.items() if value not in ("", None)}


def key_filter(wanted: str) -> dict[str, str]:
    """Return the condition for one key by its public id, or for the seats of members' sessions."""
    if wanted == PLAYGROUND:
        return {"key__kind": ApiKey.Kind.SEAT}
    return {"key__public_id": wanted}


def _at(row: LogRow) -> str:
    return log_scan.cursor_text(row.occurred_at, ids.decode(row.id.removeprefix("req_")))


def _log_row(event: UsageEvent) -> LogRow:
    return LogRow(
        id=public_id(event.request_id),
        occurred_at=event.occurred_at,
        model=event.model,
        key_name=event.key.name if event.key else "",
        key_id=event.key.public_id if event.key else "",
        mode=event.mode,
        status=event.status,
        outcome=event.outcome,
        outcome_label=str(event.get_outcome_display()).capitalize(),
        error_code=event.error_code,
        streamed=event.streamed,
        basis=event.basis,
        basis_label=str(event.get_basis_display()),
        input_tokens=event.input_tokens,
        output_tokens=event.output_tokens,
        price_nanousd=event.price_nanousd,
        charge_nanousd=event.charge_nanousd,
        first_token_ms=event.first_token_ms,
        duration_ms=event.duration_ms,
    )


def has_any(organization: Organization) -> bool:
    """Say whether the organization ever made a call; runs one query."""
    return UsageEvent.objects.filter(organization=organization).exists()


def find(organization: Organization, request_id: UUID) -> UsageEvent | None:
    """Return one request with its key, project and price; runs one query."""
    return (
        UsageEvent.objects.filter(organization=organization, request_id=request_id)
        .select_related("key", "project", "price_version")
        .first()
    )


def find_upstream(organization: Organization, upstream_id: str) -> UsageEvent | None:
    """Return the newest request that a provider answered under its own id; runs one query."""
    return (
        UsageEvent.objects.filter(organization=organization, upstream_id=upstream_id)
        .exclude(upstream_id="")  # as the index says
        .select_related("key", "project", "price_version")
        .order_by("-settled_at")  # no index has it, so that of the ids is what is left to use
        .first()
    )


def find_open(organization: Organization, request_id: UUID) -> Reservation | None:
    """Return the reservation of a request that is still running; runs one query."""
    return Reservation.objects.filter(
        organization=organization, request_id=request_id, state=Reservation.State.OPEN
    ).first()


def token_counts(event: UsageEvent) -> dict[str, int]:
    """Return the token classes that have a column of their own."""
    return {
        "input_tokens": event.input_tokens,
        "output_tokens": event.output_tokens,
        "cache_read_tokens": event.cache_read_tokens,
        "reasoning_tokens": event.reasoning_tokens,
    }


def usage(event: UsageEvent) -> TokenUsage:
    """Return what a request used, as its price was made of it."""
    return price_formula.usage_of(
        token_counts(event), event.usage_details, service_tier=event.service_tier
    )


def attempts(event: UsageEvent) -> Sequence[Attempt]:
    """Return the tries of a request in order; runs one query."""
    return list(Attempt.objects.filter(request_id=event.request_id).order_by("number"))
