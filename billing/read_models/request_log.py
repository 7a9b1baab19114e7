"""
Read models of the request log: pages by keyset, one request in full, recent errors and latency.

Every function takes the organization and sees nothing outside it. Only admitted calls are here: what was
refused before a reservation has no usage event and is in `billing.read_models.refusal_log`, which also joins the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar
from uuid import UUID

from django.db import connection
from django.db.models import Model, Q, QuerySet

from accounts.models import Organization
from apikeys.models import ApiKey
from billing.basis import BASIS_WORDS
from billing.models import Attempt, Reservation, UsageEvent
from exerati.lib import ids

PAGE_ROWS = 50
TAIL = timedelta(minutes=5)
RECENT_ROWS = 10_000  # how far back errors and latency look: an index scan of bounded length
PLAYGROUND = "playground"  # the key to filter by, of calls that sessions made
REFUSED = "refused"  # the outcome, and the status to filter by, of what has no event
ID_PREFIXES = ("req_", "chatcmpl-", "cmpl-", "resp_", "msg_", "embd-")
Direction = Literal["older", "newer"]
Row = TypeVar("Row", bound=Model)


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


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the log: just below (older) or above (newer) one row."""

    direction: Direction
    occurred_at: datetime
    request_id: UUID


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
    """Some rows, newest first, and the texts of the cursors to both sides ("" where there is nothing)."""

    rows: tuple[LogRow, ...]
    newer: str = ""
    older: str = ""


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Errors of one kind on one model; `example` is the id of the newest."""

    status: int
    code: str
    model: str
    count: int
    last_at: datetime
    example: str


@dataclass(frozen=True, slots=True)
class BasisGroup:
    """How many of the newest requests were charged on one basis, and why."""

    label: str
    words: str
    count: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Medians and 95th percentiles of successful requests in milliseconds, None where nothing was measured."""

    requests: int = 0
    duration_p50: int | None = None
    duration_p95: int | None = None
    first_token_p50: int | None = None
    first_token_p95: int | None = None


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


def cursor_text(occurred_at: datetime, request_id: UUID) -> str:
    """Return a cursor for an address: microseconds since 1970 and the id."""
    return f"{_micros(occurred_at)}-{ids.encode(request_id)}"


def _micros(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def parse_cursor(text: str, *, direction: Direction) -> Cursor | None:
    """Return the place a text names, None for anything else."""
    micros, _, ident = text.partition("-")
    try:
        moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(micros))
        return Cursor(direction, moment, ids.decode(ident))
    except (ValueError, OverflowError):
        return None


def page(
    organization: Organization, *, filters: LogFilters, cursor: Cursor | None = None
) -> LogPage:
    """Return one page of admitted calls; runs one query, whatever the depth."""
    return page_of(rows(organization, filters=filters, cursor=cursor), cursor=cursor)


def rows(
    organization: Organization, *, filters: LogFilters, cursor: Cursor | None = None
) -> list[LogRow]:
    """Return the admitted calls next to a place, nearest first: one more than a page, if there are. One query."""
    found = _filtered(organization, filters).select_related("key")
    return [_log_row(event) for event in next_to(cursor, found)]


def events(
    organization: Organization, *, filters: LogFilters, cursor: Cursor | None = None
) -> list[UsageEvent]:
    """Return the same calls as they are stored, with key and project; runs one query."""
    found = _filtered(organization, filters).select_related("key", "project")
    return list(next_to(cursor, found))


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


def next_to(cursor: Cursor | None, found: QuerySet[Row]) -> QuerySet[Row]:
    """Return the rows beyond a place, nearest first, one more than a page; they have `occurred_at`, `request_id`."""
    if cursor is not None:
        found = found.filter(_beyond(cursor))
    newer = cursor is not None and cursor.direction == "newer"
    order = ("occurred_at", "request_id") if newer else ("-occurred_at", "-request_id")
    return found.order_by(*order)[: PAGE_ROWS + 1]


def page_of(found: Sequence[LogRow], *, cursor: Cursor | None) -> LogPage:
    """Return the page that rows in the order of `rows` make."""
    newer = cursor is not None and cursor.direction == "newer"
    more, kept = len(found) > PAGE_ROWS, list(found[:PAGE_ROWS])
    if newer:
        kept.reverse()
    if not kept:
        return LogPage(())
    return LogPage(
        rows=tuple(kept),
        newer=_at(kept[0]) if (more if newer else cursor is not None) else "",
        older=_at(kept[-1]) if (newer or more) else "",
    )


def _filtered(organization: Organization, filters: LogFilters) -> QuerySet[UsageEvent]:
    given = {
        "model": filters.model,
        **key_filter(filters.key),
        "project__public_id": filters.project,
        "key__created_by__memberships__public_id": filters.member,
        "tags__contains": [filters.tag] if filters.tag else [],
        "outcome": filters.outcome,
        "basis": filters.basis,
        "error_code": filters.error,
        "mode": filters.mode,
        "invoice_line_id": filters.line,
        "occurred_at__gte": filters.since,
        "occurred_at__lt": filters.until,
    }
    events = UsageEvent.objects.filter(organization=organization)
    if filters.search:  # `chatcmpl-…` of a provider, or the id that the client sent
        same = Q(upstream_id=filters.search) | Q(client_request_id=filters.search)
        events = events.filter(same)
    if filters.cost_over_nanousd is not None:
        events = events.filter(charge_nanousd__gt=filters.cost_over_nanousd)
    return events.filter(status(filters.status), **{k: v for k, v in given.items() if v})


def key_filter(wanted: str) -> dict[str, str]:
    """Return the condition for one key by its public id, or for the seats of members' sessions."""
    if wanted == PLAYGROUND:
        return {"key__kind": ApiKey.Kind.SEAT}
    return {"key__public_id": wanted}


def status(wanted: str) -> Q:
    """Return the condition for `ok`, `error`, `4xx`, `5xx` or an exact status; all for anything else."""
    if wanted.isdecimal() and len(wanted) == 3:
        return Q(status=int(wanted))
    return {
        "ok": Q(status__lt=400),
        "error": Q(status__gte=400),
        "4xx": Q(status__gte=400, status__lt=500),
        "5xx": Q(status__gte=500),
    }.get(wanted, Q())


def _beyond(cursor: Cursor) -> Q:
    """Return the rows past a place; the first condition alone bounds the index scan."""
    if cursor.direction == "older":
        edge = Q(occurred_at__lte=cursor.occurred_at)
        return edge & (Q(occurred_at__lt=cursor.occurred_at) | Q(request_id__lt=cursor.request_id))
    edge = Q(occurred_at__gte=cursor.occurred_at)
    return edge & (Q(occurred_at__gt=cursor.occurred_at) | Q(request_id__gt=cursor.request_id))


def _at(row: LogRow) -> str:
    return f"{_micros(row.occurred_at)}-{row.id.removeprefix('req_')}"


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


def attempts(event: UsageEvent) -> Sequence[Attempt]:
    """Return the tries of a request in order; runs one query."""
    return list(Attempt.objects.filter(request_id=event.request_id).order_by("number"))


def recent_errors(
    organization: Organization, *, since: datetime, at_most: int = 6
) -> list[ErrorGroup]:
    """Return the errors of the newest requests by kind and model, the most frequent first; runs one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT status, error_code, model, count(*), max(occurred_at),
                (array_agg(request_id ORDER BY occurred_at DESC))[1]
            FROM (SELECT status, error_code, model, occurred_at, request_id FROM billing_usageevent
                WHERE organization_id = %s AND occurred_at >= %s ORDER BY occurred_at DESC, request_id DESC LIMIT %s) e
            WHERE status >= 400 GROUP BY 1, 2, 3 ORDER BY 4 DESC, 5 DESC LIMIT %s""",
            [organization.pk, since, RECENT_ROWS, at_most],
        )
        return [
            ErrorGroup(status, code, model, count, last_at, public_id(newest))
            for status, code, model, count, last_at, newest in cursor.fetchall()
        ]


def latency(organization: Organization, *, since: datetime) -> Latency:
    """Return how fast the newest requests were answered; runs one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms),
                percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms),
                percentile_disc(0.5) WITHIN GROUP (ORDER BY first_token_ms),
                percentile_disc(0.95) WITHIN GROUP (ORDER BY first_token_ms)
            FROM (SELECT duration_ms, first_token_ms, status FROM billing_usageevent
                WHERE organization_id = %s AND occurred_at >= %s ORDER BY occurred_at DESC, request_id DESC LIMIT %s) e
            WHERE status < 400""",
            [organization.pk, since, RECENT_ROWS],
        )
        return Latency(*cursor.fetchone())


def bases(organization: Organization, *, since: datetime) -> list[BasisGroup]:
    """Return on what the newest requests were charged, the most frequent first; runs one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT basis, count(*) FROM (SELECT basis FROM billing_usageevent
                WHERE organization_id = %s AND occurred_at >= %s ORDER BY occurred_at DESC, request_id DESC LIMIT %s) e
            GROUP BY 1 ORDER BY 2 DESC, 1""",
            [organization.pk, since, RECENT_ROWS],
        )
        return [
            BasisGroup(UsageEvent.Basis(basis).label, BASIS_WORDS[basis], count)
            for basis, count in cursor.fetchall()
        ]
