"""Read models of keys: what one was charged in each period, and what it was used for lately."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import connection
from django.db.models import Count, Q, Sum
from django.utils import timezone

from accounts.models import Organization
from apikeys.models import ApiKey
from billing.models import UsageEvent, UsageRollup
from billing.read_models import periods

DAY = timedelta(hours=24)

# From the hourly sums, from what is not yet in them, and from the part of an hour with which a period may begin.
_SPENT = """
SELECT wanted.period, (
    SELECT coalesce(sum(part.charge_nanousd), 0)::bigint FROM (
        SELECT u.charge_nanousd FROM billing_usagerollup u
        WHERE u.organization_id = o.id AND u.key_id = %(key)s AND u.hour >= bounds.whole_hours
        UNION ALL
        SELECT e.charge_nanousd FROM billing_outboxmessage m JOIN billing_usageevent e USING (request_id, occurred_at)
        WHERE m.organization_id = o.id AND m.occurred_at >= bounds.whole_hours AND e.key_id = %(key)s
        UNION ALL
        SELECT e.charge_nanousd FROM billing_usageevent e
        WHERE e.key_id = %(key)s AND e.occurred_at >= bounds.period_start AND e.occurred_at < bounds.whole_hours
    ) part
)
FROM accounts_organization o
CROSS JOIN unnest(ARRAY['day', 'week', 'month']) wanted (period)
CROSS JOIN LATERAL (
    SELECT p.period_start,
        date_trunc('hour', p.period_start + interval '1 hour' - interval '1 microsecond', 'UTC') AS whole_hours
    FROM billing_period(wanted.period, %(now)s, o.time_zone, o.week_start, o.month_day) p
) bounds
WHERE o.id = %(organization)s
UNION ALL
SELECT 'total', (
    SELECT coalesce(sum(b.posted_nanousd), 0)::bigint FROM billing_budget b
    WHERE b.scope = 'key' AND b.scope_id = %(key)s AND b.model = '' AND b.period = 'total'
)
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one key was charged, in nano-USD."""

    day: int
    week: int
    month: int
    total: int


def spent(key: ApiKey, *, now: datetime) -> Spent:
    """Return what the key was charged so far; runs one query."""
    with connection.cursor() as cursor:
        cursor.execute(_SPENT, {"key": key.pk, "organization": key.organization_id, "now": now})
        return Spent(**dict(cursor.fetchall()))


@dataclass(frozen=True, slots=True)
class Recent:
    """What a key was used for in the last 24 hours; the charge in nano-USD."""

    calls: int = 0
    errors: int = 0
    charge_nanousd: int = 0
    models: tuple[str, ...] = ()


def recent(key: ApiKey, *, now: datetime) -> Recent:
    """Return what the key was used for in the 24 hours before a moment; one query, along an index of the key."""
    found = UsageEvent.objects.filter(key=key, occurred_at__gt=now - DAY, occurred_at__lte=now)
    sums = found.aggregate(
        calls=Count("pk"),
        errors=Count("pk", filter=Q(status__gte=400)),
        charge=Sum("charge_nanousd"),
        models=ArrayAgg("model", distinct=True, default=[]),
    )
    return Recent(sums["calls"], sums["errors"], sums["charge"] or 0, tuple(sums["models"]))


def spent_by_member(organization: Organization, *, now: datetime) -> dict[int, int]:
    """Return what the keys of each member were charged this month, by the member's row id; see `_spent_by`."""
    return _spent_by("key__created_by", organization, now=now)


def spent_by_key_this_month(organization: Organization) -> dict[int, int]:
    """Return what each key was charged this month, by the key's row id; see `_spent_by`."""
    return _spent_by("key", organization, now=timezone.now())


def spent_by_project(organization: Organization, *, now: datetime) -> dict[int, int]:
    """Return what the keys of each project were charged this month, by the project's row id; see `_spent_by`."""
    return _spent_by("project", organization, now=now)


def _spent_by(column: str, organization: Organization, *, now: datetime) -> dict[int, int]:
    """
    Return what was charged this month in nano-USD, by one column; what has none is left out.

    From the hourly sums, so it is some seconds behind. One query.
    """
    month = periods.period(
        "month", now=now, zone=ZoneInfo(organization.time_zone), month_day=organization.month_day
    )
    sums = (
        UsageRollup.objects.filter(organization=organization, hour__gte=month.start)
        .exclude(**{column: None})
        .values_list(column)
        .annotate(Sum("charge_nanousd"))
    )
    return dict(sums)
