"""Read models of money: what the wallet holds, and each cap with what was posted and is held."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db import connection

from accounts.models import Organization
from apikeys.models import ApiKey
from billing.models import Budget

# Every cap in force with its counter. A counter is made at the first call of its period; until then the sum is
# that of the hours since, of what is not yet rolled up, and of the part of an hour with which a period may begin.
# An organization's total is the wallet's counter. Those of one key alone: its own, also for one model, its owner's, its
# project's and its organization's.
_BUDGETS = """
WITH cap AS (
    SELECT 'organization' AS scope, o.id, '' AS model, o.name, '' AS public_id, v.*
    FROM accounts_organization o CROSS JOIN LATERAL (VALUES
        ('day', o.budget_day_nanousd), ('week', o.budget_week_nanousd), ('month', o.budget_month_nanousd),
        ('total', o.budget_total_nanousd)) v (period, cap) WHERE o.id = %(organization)s
    UNION ALL
    SELECT 'project', p.id, '', p.name, p.public_id, v.*
    FROM accounts_project p CROSS JOIN LATERAL (VALUES
        ('day', p.budget_day_nanousd), ('week', p.budget_week_nanousd), ('month', p.budget_month_nanousd),
        ('total', p.budget_total_nanousd)) v (period, cap)
    WHERE p.organization_id = %(organization)s AND p.archived_at IS NULL
      AND (%(project)s::bigint IS NULL OR p.id = %(project)s)
    UNION ALL
    SELECT 'member', m.id, '', u.email, m.public_id, v.*
    FROM accounts_membership m JOIN accounts_user u ON u.id = m.user_id CROSS JOIN LATERAL (VALUES
        ('day', m.budget_day_nanousd), ('week', m.budget_week_nanousd), ('month', m.budget_month_nanousd)
    ) v (period, cap)
    WHERE m.organization_id = %(organization)s
      AND (%(key)s::bigint IS NULL OR billing_is_of_member(m.id, %(key)s))
    UNION ALL
    SELECT 'key', k.id, '', k.name, k.public_id, v.*
    FROM apikeys_apikey k CROSS JOIN LATERAL (VALUES
        ('day', k.budget_day_nanousd), ('week', k.budget_week_nanousd), ('month', k.budget_month_nanousd),
        ('total', k.budget_total_nanousd)) v (period, cap)
    WHERE k.organization_id = %(organization)s AND k.revoked_at IS NULL AND k.mode = 'live'
      AND (%(key)s::bigint IS NULL OR k.id = %(key)s)
    UNION ALL
    SELECT 'key_model', k.id, m.model, m.model, k.public_id, m.period, m.cap_nanousd
    FROM apikeys_keymodelbudget m JOIN apikeys_apikey k ON k.id = m.key_id
    WHERE k.organization_id = %(organization)s AND k.mode = 'live' AND k.id = %(key)s
)
SELECT cap.scope, cap.name, cap.public_id, cap.period, cap.cap + coalesce(raised.extra, 0)::bigint,
    coalesce(b.posted_nanousd, CASE WHEN cap.period <> 'total' OR cap.scope = 'key_model' THEN (
        SELECT sum(part.charge_nanousd) FROM (
            SELECT u.charge_nanousd, u.project_id, u.key_id, u.model FROM billing_usagerollup u
            WHERE u.organization_id = o.id AND u.hour >= bounds.whole_hours AND u.hour < bounds.period_end
            UNION ALL
            SELECT e.charge_nanousd, e.project_id, e.key_id, e.model
            FROM billing_outboxmessage m JOIN billing_usageevent e USING (request_id, occurred_at)
            WHERE m.organization_id = o.id AND m.occurred_at >= bounds.whole_hours
            UNION ALL
            SELECT e.charge_nanousd, e.project_id, e.key_id, e.model FROM billing_usageevent e
            WHERE e.organization_id = o.id AND e.occurred_at >= bounds.period_start
              AND e.occurred_at < bounds.whole_hours
        ) part WHERE billing_in_scope(cap.scope, cap.id, cap.model, o.id, part.project_id, part.key_id, part.model)
    ) END, 0)::bigint,
    coalesce(b.held_nanousd, 0)::bigint, CASE WHEN cap.period <> 'total' THEN bounds.period_end END,
    coalesce(raised.extra, 0)::bigint, raised.until
FROM cap
JOIN accounts_organization o ON o.id = %(organization)s
CROSS JOIN LATERAL (
    SELECT p.*, date_trunc('hour', p.period_start + interval '1 hour' - interval '1 microsecond', 'UTC') AS whole_hours
    FROM billing_period(cap.period, %(now)s, o.time_zone, o.week_start, o.month_day) p
) bounds
LEFT JOIN billing_budget b ON b.scope_id = cap.id AND b.model = cap.model AND b.period = cap.period
    AND b.scope = CASE WHEN cap.scope = 'organization' AND cap.period = 'total' THEN 'wallet' ELSE cap.scope END
    AND b.period_start = bounds.period_start
CROSS JOIN LATERAL (
    SELECT sum(r.extra_nanousd) AS extra, min(r.ends_at) AS until FROM billing_budgetraise r
    WHERE r.organization_id = o.id AND r.scope = cap.scope AND r.scope_id = cap.id AND r.model = cap.model
      AND r.period = cap.period AND r.starts_at <= %(now)s AND r.ends_at > %(now)s
) raised
WHERE cap.cap IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Wallet:
    """What an organization has: credited less charged, and what open calls hold of it; all in nano-USD."""

    balance_nanousd: int = 0
    held_nanousd: int = 0

    @property
    def available_nanousd(self) -> int:
        """Return what new calls may still reserve."""
        return self.balance_nanousd - self.held_nanousd


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """
    One cap and its counters in nano-USD; `ends_at` is None for a total, which never starts anew.

    A cap of one key on one model (`key_model`) has the model's name. `raised_nanousd` is what a temporary raise,
    inside of `cap_nanousd`, adds until `raised_until` (of several: the first that ends).
    """

    scope: Literal["organization", "project", "member", "key", "key_model"]
    name: str
    public_id: str
    period: str
    cap_nanousd: int
    posted_nanousd: int
    held_nanousd: int
    ends_at: datetime | None
    raised_nanousd: int = 0
    raised_until: datetime | None = None

    @property
    def used_nanousd(self) -> int:
        """Return what is charged or held: what counts against the cap."""
        return self.posted_nanousd + self.held_nanousd

    @property
    def left_nanousd(self) -> int:
        """Return what still fits, 0 where a lowered cap is already passed."""
        return max(0, self.cap_nanousd - self.used_nanousd)

    @property
    def share(self) -> float:
        """Return used / cap; a cap of 0 is full."""
        return self.used_nanousd / self.cap_nanousd if self.cap_nanousd else 1.0


def wallet(organization: Organization) -> Wallet:
    """Return what the wallet holds; runs one query."""
    found = Budget.objects.filter(
        organization=organization, scope=Budget.Scope.WALLET, model="", period="total"
    ).first()
    if found is None:
        return Wallet()
    return Wallet(found.credited_nanousd - found.posted_nanousd, found.held_nanousd)


def budgets(organization: Organization, *, now: datetime) -> list[BudgetLine]:
    """Return every cap in force, the organization's first, then the fullest; runs one query."""
    lines = _lines(organization, now=now)
    return sorted(lines, key=lambda line: (line.scope != "organization", -line.share, line.name))


def binding(key: ApiKey, *, now: datetime) -> list[BudgetLine]:
    """Return every cap that binds the calls of one live key, the fullest first; none for a test key. One query."""
    if key.mode == ApiKey.Mode.TEST:
        return []
    lines = _lines(key.organization, now=now, key=key)
    return sorted(lines, key=lambda line: (-line.share, line.left_nanousd))


def _lines(
    organization: Organization, *, now: datetime, key: ApiKey | None = None
) -> list[BudgetLine]:
    values = {
        "organization": organization.pk,
        "project": key.project_id if key else None,
        "key": key.pk if key else None,
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(_BUDGETS, values)
        return [BudgetLine(*row) for row in cursor.fetchall()]
