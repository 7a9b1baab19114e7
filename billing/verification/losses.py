"""
What faults have cost us: the part of our providers' charges that no customer paid, because a call ended as an
estimate or was waived, or its true settlement came too late to be charged whole. 0 where nothing failed.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

# An estimate may lie below what the provider charged by what it sent after the last progress report; nobody can
# know that. Known costs only: an event without a cost card is counted, not guessed.
_LOSSES = """
SELECT count(*) FILTER (WHERE e.provider_cost_nanousd > e.charge_nanousd),
       coalesce(sum(greatest(e.provider_cost_nanousd - e.charge_nanousd, 0)), 0)::bigint,
       count(*) FILTER (WHERE e.provider_cost_nanousd IS NULL),
       (SELECT coalesce(sum(u.wanted_nanousd - u.estimated_nanousd - u.applied_nanousd), 0)::bigint
        FROM billing_trueup u WHERE u.occurred_at >= %(since)s AND u.occurred_at < %(until)s
          AND u.wanted_nanousd > u.estimated_nanousd + u.applied_nanousd),
       (SELECT coalesce(sum(u.estimated_nanousd + u.applied_nanousd - u.wanted_nanousd), 0)::bigint
        FROM billing_trueup u WHERE u.occurred_at >= %(since)s AND u.occurred_at < %(until)s
          AND u.wanted_nanousd < u.estimated_nanousd + u.applied_nanousd)
FROM billing_usageevent e
WHERE e.occurred_at >= %(since)s AND e.occurred_at < %(until)s AND e.mode = 'live'
  AND (e.basis IN ('estimated', 'waived') OR e.request_id IN (SELECT request_id FROM billing_trueup))
"""


@dataclass(frozen=True, slots=True)
class Losses:
    """
    In nano-USD, of the live calls admitted in a time.

    `provider_cost` is what `calls` cost us beyond their charges; `unknown_calls` are those whose provider has no
    cost card. `not_charged` is what late settlements wanted and found no room for; `owed` is what customers paid too
    much on invoices that late settlements found made already.
    """

    calls: int
    provider_cost_nanousd: int
    unknown_calls: int
    not_charged_nanousd: int
    owed_nanousd: int


def losses(*, since: datetime, until: datetime) -> Losses:
    """Return the losses of calls admitted in `[since, until)`; runs one query."""
    with connection.cursor() as cursor:
        cursor.execute(_LOSSES, {"since": since, "until": until})
        return Losses(*cursor.fetchone())
