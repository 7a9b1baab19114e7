"""
Read models of refused requests, and of the log that shows them between the calls that were admitted.

Every function takes the organization and sees nothing outside it.
"""

from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.models import Organization
from billing.models import RefusedRequest
from billing.read_models import log_scan, log_status, request_log
from billing.read_models.log_scan import Cursor, Found
from billing.read_models.request_log import REFUSED, LogFilters, LogPage, LogRow


def page(
    organization: Organization, *, filters: LogFilters, cursor: Cursor | None = None
) -> LogPage:
    """Return one page of calls and refusals; a query or two for each, whatever the depth."""
    filters = request_log.resolved(organization, filters)
    found: list[LogRow] = []
    edges: list[Cursor] = []
    for read, is_wanted in (
        (request_log.rows, filters.status != REFUSED),
        (_rows, may_match(filters)),
    ):
        if is_wanted:
            part = read(organization, filters=filters, cursor=cursor)
            found += part.rows
            edges += [part.edge] if part.edge else []
    newer = cursor is not None and cursor.direction == "newer"
    found.sort(key=lambda row: (row.occurred_at, row.id), reverse=not newer)
    edge = _nearest(edges, newer=newer)
    if edge:  # beyond it, one of the two was not looked at yet
        found = [row for row in found if _is_within(row, edge)]
    return request_log.page_of(found, cursor=cursor, edge=edge)


def _nearest(edges: list[Cursor], *, newer: bool) -> Cursor | None:
    choose = min if newer else max
    return choose(edges, key=lambda edge: (edge.occurred_at, edge.request_id), default=None)


def _is_within(row: LogRow, edge: Cursor) -> bool:
    place = (edge.occurred_at, request_log.public_id(edge.request_id))
    mine = (row.occurred_at, row.id)
    return mine <= place if edge.direction == "newer" else mine >= place


def may_match(filters: LogFilters) -> bool:
    """Say whether a refused request can pass the filters: it has no outcome, no basis, no tag and no cost."""
    only_of_calls = (
        filters.outcome
        or filters.basis
        or filters.tag
        or filters.line
        or filters.cost_over_nanousd is not None
    )
    return not (only_of_calls or filters.status == "ok")


def refused_since(
    organization: Organization, *, filters: LogFilters, since: datetime
) -> list[tuple[datetime, LogRow]]:
    """Return the requests refused after a moment with that moment, newest first, at most a page. One query."""
    filters = request_log.resolved(organization, filters)
    narrowed = _narrowed(filters)
    found = _refusals(organization, filters).filter(narrowed, occurred_at__gt=since)
    newest = found.order_by("-occurred_at", "-request_id")[: request_log.PAGE_ROWS]
    return [(refusal.occurred_at, _log_row(refusal)) for refusal in newest]


def find(organization: Organization, request_id: UUID) -> RefusedRequest | None:
    """Return one refusal with its key and project; runs one query."""
    return (
        RefusedRequest.objects.filter(organization=organization, request_id=request_id)
        .select_related("key", "project")
        .first()
    )


def _rows(
    organization: Organization, *, filters: LogFilters, cursor: Cursor | None
) -> Found[LogRow]:
    found = log_scan.next_to(
        cursor,
        _refusals(organization, filters),
        narrowed=_narrowed(filters) or None,
        at_most=request_log.PAGE_ROWS + 1,
    )
    return Found([_log_row(refusal) for refusal in found.rows], found.edge)


def _refusals(organization: Organization, filters: LogFilters) -> QuerySet[RefusedRequest]:
    """Return the refusals of a range of time, which an index finds."""
    given = {"occurred_at__gte": filters.since, "occurred_at__lt": filters.until}
    return RefusedRequest.objects.filter(
        organization=organization, **{name: value for name, value in given.items() if value}
    ).select_related("key")


def _narrowed(filters: LogFilters) -> Q:
    """Return what has to be looked for among them."""
    given = {
        "model": filters.model,
        **request_log.key_filter(filters.key),
        "project_id": filters.project_id,
        "key__created_by__memberships__public_id": filters.member,
        "code": filters.error,
        "mode": filters.mode,
        "client_request_id": filters.search,
    }
    named = Q(**{name: value for name, value in given.items() if value not in ("", None)})
    # Every refusal is an error, so that those are nothing to look for.
    return named if filters.status == "error" else named & log_status.condition(filters.status)


def _log_row(refusal: RefusedRequest) -> LogRow:
    return LogRow(
        id=request_log.public_id(refusal.request_id),
        occurred_at=refusal.occurred_at,
        model=refusal.model,
        key_name=refusal.key.name,
        key_id=refusal.key.public_id,
        mode=refusal.mode,
        status=refusal.status,
        outcome=REFUSED,
        outcome_label="Refused",
        error_code=refusal.code,
        streamed=False,
        count=refusal.count,
    )
