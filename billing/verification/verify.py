"""
The invariants of money, checked over the live database: each as one query that finds what breaks it.

All checks read one snapshot (REPEATABLE READ), so calls that are under way do not disturb them.
"""

from dataclasses import dataclass

from django.db import connection, transaction

from billing.verification import verify_calls, verify_credit, verify_invoices, verify_owners
from billing.verification.invariant import Invariant


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: how many rows it is about, how many break it, and a few of those."""

    name: str
    meaning: str
    checked: int
    broken: int
    examples: tuple[str, ...]


EXAMPLES = 5

INVARIANTS = (
    Invariant(
        "held",
        "A counter holds the bounds of the open reservations that name it.",
        "SELECT count(*) FROM billing_budget",
        """
        SELECT format('%s %s %s: %s held, %s open', b.scope, b.scope_id, b.period, b.held_nanousd, coalesce(s.open, 0))
        FROM billing_budget b LEFT JOIN (
            SELECT u.id, sum(r.upper_nanousd) AS open FROM billing_reservation r CROSS JOIN unnest(r.budget_ids) u (id)
            WHERE r.state = 'open' GROUP BY u.id
        ) s ON s.id = b.id
        WHERE b.held_nanousd <> coalesce(s.open, 0)
        """,
    ),
    Invariant(
        "posted",
        "The counters of all time have posted what the events were charged.",
        "SELECT count(*) FROM billing_budget WHERE period = 'total'",
        """
        SELECT format('%s %s: %s posted, %s charged', b.scope, b.scope_id, b.posted_nanousd, coalesce(s.charged, 0))
        FROM billing_budget b LEFT JOIN (
            SELECT CASE WHEN grouping(organization_id) = 0 THEN 'wallet' WHEN grouping(project_id) = 0 THEN 'project'
                        WHEN grouping(model) = 1 THEN 'key' ELSE 'key_model' END AS scope,
                   coalesce(organization_id, project_id, key_id) AS id, coalesce(model, '') AS model,
                   sum(charge_nanousd) AS charged
            FROM billing_usageevent
            GROUP BY GROUPING SETS ((organization_id), (project_id), (key_id), (key_id, model))
        ) s ON s.scope = b.scope AND s.id = b.scope_id AND s.model = b.model
        WHERE b.period = 'total' AND b.posted_nanousd <> coalesce(s.charged, 0)
        """,
    ),
    Invariant(
        "one event",
        "A settled reservation has exactly one event with its charge; an open one has none.",
        "SELECT count(*) FROM billing_reservation",
        """
        SELECT format('%s is %s and has %s events', r.request_id, r.state, count(e.request_id))
        FROM billing_reservation r
        LEFT JOIN billing_usageevent e
            ON e.request_id = r.request_id AND e.charge_nanousd IS NOT DISTINCT FROM r.charge_nanousd
        GROUP BY r.request_id, r.state
        HAVING count(e.request_id) <> CASE r.state WHEN 'settled' THEN 1 ELSE 0 END
        """,
    ),
    Invariant(
        "within the bound",
        "No event was charged less than nothing or more than was reserved, and no test call anything.",
        "SELECT count(*) FROM billing_usageevent",
        """
        SELECT request_id::text FROM billing_usageevent
        WHERE charge_nanousd < 0 OR charge_nanousd > upper_nanousd OR (mode = 'test' AND charge_nanousd > 0)
        """,
    ),
    Invariant(
        "ledger of calls",
        "Every event has one transfer of what it was first charged, and every transfer for usage its event.",
        "SELECT count(*) FROM billing_ledgertransfer WHERE kind = 'usage'",
        """
        SELECT format('%s: %s charged, %s transferred', coalesce('request:' || e.request_id, t.idempotency_key),
                      coalesce(e.first, 0), coalesce(t.amount_nanousd, 0))
        FROM (
            SELECT e.request_id, e.charge_nanousd - coalesce(u.applied_nanousd, 0) AS first
            FROM billing_usageevent e LEFT JOIN billing_trueup u USING (request_id)
            WHERE e.charge_nanousd <> coalesce(u.applied_nanousd, 0)
        ) e
        FULL JOIN (SELECT * FROM billing_ledgertransfer WHERE kind = 'usage') t
            ON t.idempotency_key = 'request:' || e.request_id
        WHERE e.first IS DISTINCT FROM t.amount_nanousd
        """,
    ),
    Invariant(
        "true-ups",
        "A late settlement changed the estimate of a swept call by one transfer, within the bound and what was wanted.",
        "SELECT count(*) FROM billing_trueup",
        """
        SELECT format('%s: %s applied to %s, %s charged, %s transferred', coalesce('trueup:' || u.request_id,
                      t.idempotency_key), u.applied_nanousd, u.estimated_nanousd, e.charge_nanousd, t.amount)
        FROM billing_trueup u
        LEFT JOIN billing_usageevent e ON e.request_id = u.request_id AND e.occurred_at = u.occurred_at
        FULL JOIN (
            SELECT t.idempotency_key,
                   CASE a.kind WHEN 'revenue' THEN t.amount_nanousd ELSE -t.amount_nanousd END AS amount
            FROM billing_ledgertransfer t JOIN billing_ledgeraccount a ON a.id = t.credit_account_id
            WHERE t.kind = 'trueup'
        ) t ON t.idempotency_key = 'trueup:' || u.request_id
        WHERE e.charge_nanousd IS DISTINCT FROM u.estimated_nanousd + u.applied_nanousd
           OR coalesce(t.amount, 0) <> coalesce(u.applied_nanousd, 0) OR u.request_id IS NULL
           OR e.charge_nanousd NOT BETWEEN 0 AND e.upper_nanousd OR u.wanted_nanousd NOT BETWEEN 0 AND e.upper_nanousd
           OR u.applied_nanousd > greatest(u.wanted_nanousd - u.estimated_nanousd, 0)
        """,
    ),
    Invariant(
        "wallets",
        "A wallet's accounts in the ledger, debts included, are what was credited less what was posted.",
        "SELECT count(*) FROM billing_budget WHERE scope = 'wallet'",
        """
        SELECT format('organization %s: counter %s, ledger %s', b.scope_id, b.credited_nanousd - b.posted_nanousd,
                      coalesce(s.balance, 0))
        FROM billing_budget b
        LEFT JOIN billing_billingaccount p ON p.organization_id = b.scope_id
        LEFT JOIN (
            SELECT a.organization_id, sum(CASE WHEN t.credit_account_id = a.id THEN t.amount_nanousd
                                               ELSE -t.amount_nanousd END) AS balance
            FROM billing_ledgeraccount a
            JOIN billing_ledgertransfer t ON a.id IN (t.credit_account_id, t.debit_account_id)
            WHERE a.kind IN ('wallet', 'unbilled', 'receivable', 'rounding_carry') GROUP BY a.organization_id
        ) s ON s.organization_id = b.scope_id
        WHERE b.scope = 'wallet' AND b.credited_nanousd - b.posted_nanousd <> coalesce(s.balance, 0)
        """,
    ),
    *verify_calls.INVARIANTS,
    *verify_credit.INVARIANTS,
    Invariant(
        "roll-ups",
        "The hourly sums and what waits in the outbox are all events, with their charges and costs.",
        "SELECT count(*) FROM billing_usagerollup",
        """
        WITH event AS (
            SELECT organization_id AS id, count(*) AS n, sum(charge_nanousd) AS charge,
                   coalesce(sum(provider_cost_nanousd), 0) AS cost
            FROM billing_usageevent GROUP BY 1
        ), summed AS (
            SELECT x.id, sum(x.n) AS n, sum(x.charge) AS charge, sum(x.cost) AS cost FROM (
                SELECT organization_id AS id, requests AS n, charge_nanousd AS charge, provider_cost_nanousd AS cost
                FROM billing_usagerollup
                UNION ALL
                SELECT m.organization_id, 1, e.charge_nanousd, coalesce(e.provider_cost_nanousd, 0)
                FROM billing_outboxmessage m LEFT JOIN billing_usageevent e USING (request_id, occurred_at)
            ) x GROUP BY x.id
        )
        SELECT format('organization %s: %s events of %s, %s in roll-ups and outbox of %s', id, coalesce(e.n, 0),
                      coalesce(e.charge, 0), coalesce(s.n, 0), coalesce(s.charge, 0))
        FROM event e FULL JOIN summed s USING (id)
        WHERE (e.n, e.charge, e.cost) IS DISTINCT FROM (s.n, s.charge, s.cost)
        """,
    ),
    Invariant(
        "sums of days",
        "The sums of days are those of their hours, of calls and of tags.",
        "SELECT count(*) FROM billing_usagedayrollup",
        """
        SELECT format('organization %s, %s on %s: by days %s requests and %s nano-USD more than by hours', id, kind,
                      day::date, sum(n), sum(charge))
        FROM (
            SELECT organization_id AS id, 'calls' AS kind, day, requests AS n, charge_nanousd AS charge
            FROM billing_usagedayrollup
            UNION ALL
            SELECT organization_id, 'calls', date_trunc('day', hour, 'UTC'), -requests, -charge_nanousd
            FROM billing_usagerollup
            UNION ALL
            SELECT organization_id, 'tags', day, requests, charge_nanousd FROM billing_tagdayrollup
            UNION ALL
            SELECT organization_id, 'tags', date_trunc('day', hour, 'UTC'), -requests, -charge_nanousd
            FROM billing_tagrollup
        ) x GROUP BY id, kind, day HAVING sum(n) <> 0 OR sum(charge) <> 0
        """,
    ),
    Invariant(
        "leases",
        "No open reservation has been without its process for more than a minute.",
        "SELECT count(*) FROM billing_reservation WHERE state = 'open'",
        """
        SELECT request_id::text FROM billing_reservation
        WHERE state = 'open' AND lease_until < clock_timestamp() - interval '1 minute'
        """,
    ),
    *(Invariant(*each) for each in verify_invoices.INVARIANTS),
    *verify_owners.INVARIANTS,
)


def verify() -> list[Finding]:
    """Check every invariant; runs two queries for each in one transaction, and changes nothing."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        findings = []
        for invariant in INVARIANTS:
            cursor.execute(invariant.rows)
            checked = cursor.fetchone()[0]
            cursor.execute(invariant.broken)
            broken = [row[0] for row in cursor.fetchall()]
            findings.append(
                Finding(
                    invariant.name,
                    invariant.meaning,
                    checked,
                    len(broken),
                    tuple(broken[:EXAMPLES]),
                )
            )
    return findings
