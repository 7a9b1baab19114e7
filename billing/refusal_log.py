"""
Read models of refused requests, and of the log that shows them between the calls that were admitted.

Every function takes the organization and sees nothing outside it.
"""

from uuid import UUID

from accounts.models import Organization
from billing import request_log
from billing.models import RefusedRequest
from billing.request_log import REFUSED, Cursor, LogFilters, LogPage, LogRow


def page(
    organization: Organization, *, filters: LogFilters, cursor: Cursor | None = None
) -> LogPage:
    """Return one page of calls and refusals; runs one query for each, whatever the depth."""
    found = []
    if filters.status != REFUSED:
        found += request_log.rows(organization, filters=filters, cursor=cursor)
    if not (filters.outcome or filters.search or filters.tag or filters.status == "ok"):
        found += _rows(organization, filters=filters, cursor=cursor)
    newer = cursor is not None and cursor.direction == "newer"
    found.sort(key=lambda row: (row.occurred_at, row.id), reverse=not newer)
    return request_log.page_of(found, cursor=cursor)


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
    given = {
        "model": filters.model,
        "key__public_id": filters.key,
        "project__public_id": filters.project,
        "key__created_by__memberships__public_id": filters.member,
        "code": filters.error,
        "mode": filters.mode,
        "occurred_at__gte": filters.since,
        "occurred_at__lt": filters.until,
    }
    refusals = RefusedRequest.objects.filter(
        request_log.status(filters.status),
        organization=organization,
        **{name: value for name, value in given.items() if value},
    ).select_related("key")
    return [_log_row(refusal) for refusal in request_log.next_to(cursor, refusals)]


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
