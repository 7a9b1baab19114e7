"""
What the overview tells of the newest calls: errors by kind, how fast they were answered, on what they were charged.

Every function takes the organization and sees nothing outside it.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from accounts.models import Organization
from billing.basis import BASIS_WORDS
from billing.models import UsageEvent
from billing.read_models import request_log

RECENT_ROWS = 10_000  # how far back it looks: an index scan of bounded length


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
            ErrorGroup(status, code, model, count, last_at, request_log.public_id(newest))
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
