"""The invariants of credit: lots and what is drawn of them, top-ups, and what went back."""

from billing.verification.invariant import Invariant

INVARIANTS = (
    Invariant(
        "credit lots",
        "What was credited to a wallet is in its lots, less what went back, expired, is frozen, or settled debts.",
        "SELECT count(*) FROM billing_creditlot",
        """
        SELECT format('organization %s: %s credited, %s in lots, %s of debts settled', b.scope_id, b.credited_nanousd,
                      coalesce(s.amount, 0), coalesce(d.amount, 0))
        FROM billing_budget b LEFT JOIN (
            SELECT organization_id, sum(amount_nanousd - reversed_nanousd - expired_nanousd - frozen_nanousd) AS amount
            FROM billing_creditlot GROUP BY organization_id
        ) s ON s.organization_id = b.scope_id
        LEFT JOIN (
            SELECT a.organization_id, sum(CASE a.id WHEN t.credit_account_id THEN t.amount_nanousd
                                          ELSE -t.amount_nanousd END) AS amount
            FROM billing_ledgeraccount a
            JOIN billing_ledgertransfer t ON a.id IN (t.credit_account_id, t.debit_account_id)
            WHERE a.kind IN ('unbilled', 'receivable', 'rounding_carry') AND t.kind NOT IN ('usage', 'trueup')
            GROUP BY a.organization_id
        ) d ON d.organization_id = b.scope_id
        WHERE b.scope = 'wallet' AND b.credited_nanousd <> coalesce(s.amount, 0) + coalesce(d.amount, 0)
        """,
    ),
    Invariant(
        "parts of lots",
        "A lot is what remains, was drawn, taken back, expired or frozen of it; none of these is below zero.",
        "SELECT count(*) FROM billing_creditlot",
        """
        SELECT format('lot %s: %s, its parts %s', l.id, l.amount_nanousd, s.parts)
        FROM billing_creditlot l CROSS JOIN LATERAL (
            SELECT coalesce(sum(d.amount_nanousd), 0) AS drawn, coalesce(sum(d.amount_nanousd), 0) + l.remaining_nanousd
                + l.reversed_nanousd + l.expired_nanousd + l.frozen_nanousd AS parts
            FROM billing_lotdraw d WHERE d.lot_id = l.id
        ) s
        WHERE s.parts <> l.amount_nanousd OR s.drawn < 0 OR l.remaining_nanousd < 0
        """,
    ),
    Invariant(
        "draws",
        "What calls took from a wallet, so far, is drawn of its lots, or a debt once they are empty.",
        "SELECT count(*) FROM billing_walletdraws",
        """
        SELECT format('organization %s: %s used, %s drawn, %s uncovered, %s by hours', d.organization_id, u.used,
                      l.drawn, d.uncovered_nanousd, h.taken)
        FROM billing_walletdraws d
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(CASE t.debit_account_id WHEN a.id THEN t.amount_nanousd ELSE -t.amount_nanousd END),
                            0) AS used
            FROM billing_ledgeraccount a
            JOIN billing_ledgertransfer t ON a.id IN (t.debit_account_id, t.credit_account_id)
            WHERE a.organization_id = d.organization_id AND a.kind = 'wallet' AND t.kind IN ('usage', 'trueup')
              AND t.organization_id = d.organization_id AND t.id <= d.transfer_id
        ) u
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(w.amount_nanousd), 0) AS drawn, (SELECT coalesce(sum(r.remaining_nanousd), 0)
                FROM billing_creditlot r WHERE r.organization_id = d.organization_id) AS remaining
            FROM billing_creditlot l JOIN billing_lotdraw w ON w.lot_id = l.id
            WHERE l.organization_id = d.organization_id
        ) l
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(h.taken_nanousd), 0) AS taken FROM billing_wallethour h
            WHERE h.organization_id = d.organization_id
        ) h
        WHERE u.used <> l.drawn + d.uncovered_nanousd OR u.used <> h.taken
           OR (d.uncovered_nanousd > 0 AND l.remaining > 0)
        """,
    ),
    Invariant(
        "top-ups",
        "Every top-up that was paid is one lot and one posting, and every lot that was bought one such top-up.",
        "SELECT count(*) FROM billing_topup WHERE state = 'credited'",
        """
        SELECT format('%s: %s cents paid, lot of %s, posted %s', coalesce('topup:' || t.uuid, l.idempotency_key),
                      t.net_cents, l.amount_nanousd, p.amount_nanousd)
        FROM (SELECT * FROM billing_topup WHERE state = 'credited') t
        FULL JOIN (SELECT * FROM billing_creditlot WHERE source = 'purchase') l
            ON l.idempotency_key = 'topup:' || t.uuid AND l.organization_id = t.organization_id
        LEFT JOIN billing_ledgertransfer p
            ON p.idempotency_key = l.idempotency_key AND p.leg = 0 AND p.kind = 'topup'
        WHERE l.amount_nanousd IS DISTINCT FROM t.net_cents * 10000000::bigint
           OR p.amount_nanousd IS DISTINCT FROM l.amount_nanousd
        """,
    ),
    Invariant(
        "money back",
        "What was taken back of a lot that was bought is its refunds and what disputes have kept of it.",
        "SELECT (SELECT count(*) FROM billing_refund) + (SELECT count(*) FROM billing_dispute)",
        """
        SELECT format('%s: %s taken back, %s by refunds and disputes', l.idempotency_key, l.reversed_nanousd,
                      (r.net + d.net) * 10000000)
        FROM billing_topup t
        JOIN billing_creditlot l ON l.idempotency_key = 'topup:' || t.uuid
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(r.net_cents), 0) AS net FROM billing_refund r
            WHERE r.topup_id = t.uuid AND r.state <> 'failed'
        ) r
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(d.kept_net_cents), 0) AS net FROM billing_dispute d WHERE d.topup_id = t.uuid
        ) d
        WHERE l.reversed_nanousd <> (r.net + d.net) * 10000000
        """,
    ),
)
