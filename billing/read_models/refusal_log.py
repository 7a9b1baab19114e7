"""
Read models of refused requests, and of the log that shows them between the calls that were admitted.

Every function takes the organization and sees nothing outside it.
"""

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import Organization
from billing.models import RefusedRequest
from billing.read_models import request_log
from billing.read_models.request_log import REFUSED, Cursor, LogFilters, LogPage, LogRow


def page(
    organization: Organization, *, filters: LogFilters, cursor: Cursor | None = None
) -> LogPage:
    """Return one page of calls and refusals; runs one query for each, whatever the depth."""
    found = []
    if filters.status != REFUSED:
        found += request_log.rows(organization, filters=filters, cursor=cursor)
    if may_match(filters):
        found += _rows(organization, filters=filters, cursor=cursor)
    newer = cursor is not None and cursor.direction == "newer"
    found.sort(key=lambda row: (row.occurred_at, row.id), reverse=not newer)
    return request_log.page_of(found, cursor=cursor)


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
    found = _refusals(organization, filters).filter(occurred_at__gt=since)
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
) -> list[LogRow]:
    found = request_log.next_to(cursor, _refusals(organization, filters))
    return [_log_row(refusal) for refusal in found]


def _refusals(organization: Organization, filters: LogFilters) -> QuerySet[RefusedRequest]:
    given = {
        "model": filters.model,
        **request_log.key_filter(filters.key),
        "project__public_id": filters.project,
        "key__created_by__memberships__public_id": filters.member,
        "code": filters.error,
        "mode": filters.mode,
        "client_request_id": filters.search,
        "occurred_at__gte": filters.since,
        "occurred_at__lt": filters.until,
    }
    return RefusedRequest.objects.filter(
        request_log.status(filters.status),
        organization=organization,
        **{name: value for name, value in given.items() if value},
    ).select_related("key")


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
