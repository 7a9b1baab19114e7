"""Read model of one key: what it was charged in the present day, week and month of its organization, and ever."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from apikeys.models import ApiKey

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
