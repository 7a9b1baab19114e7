"""The invariants of single calls, and of counters by day, week and month."""

from billing.verification.invariant import Invariant

# Periods that ended more than 35 days ago are closed: nothing is posted to them any more.
SPENT = """
    SELECT b.id, sum(e.charge_nanousd) AS charged
    FROM COUNTERS b JOIN billing_usageevent e
        ON MATCH AND e.occurred_at >= b.period_start AND e.occurred_at < b.period_end
    WHERE b.scope = 'SCOPE' AND b.period <> 'total' AND b.period_end > now() - interval '35 days'
      AND e.occurred_at > now() - interval '70 days'
    GROUP BY b.id
"""
MATCHES = {
    "organization": "e.organization_id = b.scope_id",
    "project": "e.project_id = b.scope_id",
    "key": "e.key_id = b.scope_id",
    "key_model": "e.key_id = b.scope_id AND e.model = b.model",
    "member": "e.key_id = b.key_id",
}
# A member's counter once for each key that the member made.
OF_MEMBERS = """(
        SELECT c.*, k.id AS key_id FROM billing_budget c JOIN accounts_membership m ON m.id = c.scope_id
        JOIN apikeys_apikey k ON k.organization_id = m.organization_id AND k.created_by_id = m.user_id
        WHERE c.scope = 'member'
    )"""


def _spent() -> str:
    """Return what was charged in the period of each counter; one join for each scope, so that all are by hash."""
    parts = (
        SPENT.replace("COUNTERS", OF_MEMBERS if scope == "member" else "billing_budget")
        .replace("MATCH", match)
        .replace("SCOPE", scope)
        for scope, match in MATCHES.items()
    )
    return " UNION ALL ".join(parts)


INVARIANTS = (
    Invariant(
        "periods of budgets",
        "A counter of a day, week or month has posted what the calls admitted in it were charged.",
        "SELECT count(*) FROM billing_budget WHERE period <> 'total' AND period_end > now() - interval '35 days'",
        """
        SELECT format('%s %s %s, %s from %s: %s posted, %s charged', b.scope, b.scope_id, b.model, b.period,
                      b.period_start, b.posted_nanousd, coalesce(s.charged, 0))
        FROM billing_budget b LEFT JOIN (SPENT) s ON s.id = b.id
        WHERE b.period <> 'total' AND b.period_end > now() - interval '35 days'
          AND b.posted_nanousd <> coalesce(s.charged, 0)
          -- Who left takes the counter along: nothing binds it any more.
          AND (b.scope <> 'member' OR EXISTS (SELECT FROM accounts_membership m WHERE m.id = b.scope_id))
        """.replace("SPENT", _spent()),
    ),
    Invariant(
        "overdrawn",
        "A wallet without a credit limit, of which nothing was taken back, is never used or held beyond its credit.",
        "SELECT count(*) FROM billing_budget WHERE scope = 'wallet'",
        """
        SELECT format('organization %s: %s credited, %s posted, %s held', b.scope_id, b.credited_nanousd,
                      b.posted_nanousd, b.held_nanousd)
        FROM billing_budget b
        WHERE b.scope = 'wallet' AND b.posted_nanousd + b.held_nanousd > b.credited_nanousd
          AND NOT EXISTS (SELECT FROM billing_billingaccount a WHERE a.organization_id = b.scope_id)
          AND NOT EXISTS (SELECT FROM billing_creditlot l WHERE l.organization_id = b.scope_id
                          AND l.reversed_nanousd + l.expired_nanousd + l.frozen_nanousd > 0)
        """,
    ),
    Invariant(
        "reserved first",
        "Every event of the last five weeks has the reservation that admitted its call, with the same bound.",
        "SELECT count(*) FROM billing_usageevent WHERE occurred_at > now() - interval '35 days'",
        """
        SELECT format('%s: %s bound, %s reserved', e.request_id, e.upper_nanousd, r.upper_nanousd)
        FROM billing_usageevent e LEFT JOIN billing_reservation r USING (request_id)
        WHERE e.occurred_at > now() - interval '35 days' AND r.upper_nanousd IS DISTINCT FROM e.upper_nanousd
        """,
    ),
    Invariant(
        "attempts",
        "Every event has a row for each of its attempts; one that was never sent, or lost at once, has none.",
        "SELECT count(*) FROM billing_attempt",
        """
        SELECT format('%s: %s attempts, %s rows', e.request_id, e.attempts, coalesce(a.rows, 0))
        FROM billing_usageevent e FULL JOIN (
            SELECT request_id, count(*) AS rows FROM billing_attempt GROUP BY request_id
        ) a USING (request_id)
        WHERE e.attempts IS DISTINCT FROM coalesce(a.rows, 1)
        """,
    ),
)
