"""What must hold of billing periods and invoices, for `billing.verification.verify`: name, meaning, count, breach."""

# Per organization: what its ledger accounts hold (below zero: it owes), and what its invoices say of that.
BALANCES = """
    SELECT a.organization_id AS id,
        coalesce(sum(x.amount) FILTER (WHERE a.kind = 'unbilled'), 0) AS unbilled,
        coalesce(sum(x.amount) FILTER (WHERE a.kind = 'receivable'), 0) AS receivable,
        coalesce(sum(x.amount) FILTER (WHERE a.kind = 'tax_receivable'), 0) AS tax,
        coalesce(sum(x.amount) FILTER (WHERE a.kind = 'rounding_carry'), 0) AS carry
    FROM billing_ledgeraccount a JOIN (
        SELECT credit_account_id AS id, sum(amount_nanousd) AS amount FROM billing_ledgertransfer GROUP BY 1
        UNION ALL
        SELECT debit_account_id, -sum(amount_nanousd) FROM billing_ledgertransfer GROUP BY 1
    ) x ON x.id = a.id
    WHERE a.kind IN ('unbilled', 'receivable', 'tax_receivable', 'rounding_carry') GROUP BY 1
"""

INVARIANTS = (
    (
        "unbilled",
        "What an organization owes without an invoice is its postpaid events that no sealed invoice has, adjusted.",
        "SELECT count(*) FROM billing_ledgeraccount WHERE kind = 'unbilled'",
        """
        SELECT format('organization %s: %s in the ledger, %s unbilled', coalesce(b.id, s.id), -b.unbilled, s.amount)
        FROM (BALANCES) b
        FULL JOIN (
            SELECT x.id, sum(x.amount) AS amount FROM (
                SELECT e.organization_id AS id, e.charge_nanousd AS amount FROM billing_usageevent e
                LEFT JOIN billing_invoiceline l ON l.id = e.invoice_line_id
                LEFT JOIN billing_invoice i ON i.uuid = l.invoice_id
                WHERE e.postpaid AND (i.uuid IS NULL OR i.state = 'closing')
                UNION ALL
                SELECT a.organization_id, a.amount_nanousd FROM billing_adjustment a
                LEFT JOIN billing_invoice i ON i.uuid = a.invoice_id
                WHERE i.uuid IS NULL OR i.state = 'closing'
            ) x GROUP BY x.id
        ) s ON s.id = b.id
        WHERE coalesce(-b.unbilled, 0) <> coalesce(s.amount, 0)
        """.replace("BALANCES", BALANCES),
    ),
    (
        "cents",
        "All that was ever sealed is the cents of invoices and a carried part of one cent, as in the ledger.",
        "SELECT count(*) FROM billing_invoice WHERE sealed_at IS NOT NULL",
        """
        SELECT format('organization %s: %s sealed, %s cents, %s carried, %s in the ledger', s.id, s.nano, s.cents,
                      s.carry, -b.carry)
        FROM (
            SELECT i.organization_id AS id, sum(l.nano) AS nano, sum(i.net_cents) AS cents,
                   (array_agg(i.carry_after_nanousd ORDER BY p.period_start DESC, i.version DESC))[1] AS carry
            FROM billing_invoice i JOIN billing_billingperiod p ON p.id = i.period_id
            LEFT JOIN (
                SELECT invoice_id, sum(charge_nanousd) AS nano FROM billing_invoiceline GROUP BY 1
            ) l ON l.invoice_id = i.uuid
            WHERE i.state <> 'closing' GROUP BY 1
        ) s LEFT JOIN (BALANCES) b ON b.id = s.id
        WHERE coalesce(s.nano, 0) <> s.cents * 10000000 + s.carry OR s.carry NOT BETWEEN 0 AND 9999999
           OR coalesce(-b.carry, 0) <> s.carry
        """.replace("BALANCES", BALANCES),
    ),
    (
        "invoice lines",
        "A line is its events, at its price; the parts and shares of an invoice are its lines, its cents their sum.",
        "SELECT count(*) FROM billing_invoiceline",
        """
        SELECT format('line %s of invoice %s: %s charged, %s in events, %s in parts', l.id, i.public_id,
                      l.charge_nanousd, e.charge, p.charge)
        FROM billing_invoiceline l JOIN billing_invoice i ON i.uuid = l.invoice_id
        LEFT JOIN (
            SELECT invoice_line_id AS id, sum(charge_nanousd) AS charge, count(*) AS n,
                   min(concat_ws(' ', model, price_version_id, service_tier)) AS first_kind,
                   max(concat_ws(' ', model, price_version_id, service_tier)) AS last_kind
            FROM billing_usageevent WHERE invoice_line_id IS NOT NULL GROUP BY 1
        ) e ON e.id = l.id
        CROSS JOIN LATERAL (VALUES (concat_ws(' ', l.model, l.price_version_id, l.service_tier))) own (kind)
        LEFT JOIN (
            SELECT line_id AS id, sum(amount_nanousd) AS charge FROM billing_invoicepart GROUP BY 1
        ) p ON p.id = l.id
        WHERE (l.price_version_id IS NOT NULL AND (l.charge_nanousd, l.requests, own.kind, own.kind)
                   IS DISTINCT FROM (e.charge, e.n, e.first_kind, e.last_kind))
           OR (i.state <> 'closing' AND l.charge_nanousd IS DISTINCT FROM p.charge)
        UNION ALL
        SELECT format('invoice %s: %s usage, %s in shares; %s cents, %s in parts', i.public_id, i.usage_nanousd,
                      s.charge, i.net_cents, p.cents)
        FROM billing_invoice i
        LEFT JOIN (SELECT invoice_id, sum(charge_nanousd) AS charge FROM billing_invoiceshare GROUP BY 1) s
            ON s.invoice_id = i.uuid
        LEFT JOIN (
            SELECT l.invoice_id, sum(p.amount_cents) AS cents
            FROM billing_invoicepart p JOIN billing_invoiceline l ON l.id = p.line_id GROUP BY 1
        ) p ON p.invoice_id = i.uuid
        WHERE i.state NOT IN ('carried', 'zero') AND (i.usage_nanousd <> coalesce(s.charge, 0)
            OR (i.state <> 'closing' AND i.net_cents <> coalesce(p.cents, 0)))
        """,
    ),
    (
        "one payer",
        "A call is paid out of the wallet or by an invoice, as its posting says, never by both.",
        "SELECT count(*) FROM billing_usageevent WHERE postpaid OR invoice_line_id IS NOT NULL",
        """
        SELECT format('%s: postpaid %s, posted to %s, line %s', e.request_id, e.postpaid, a.kind, e.invoice_line_id)
        FROM billing_usageevent e
        LEFT JOIN billing_ledgertransfer t ON t.kind = 'usage' AND t.idempotency_key = 'request:' || e.request_id
        LEFT JOIN billing_ledgeraccount a ON a.id = t.debit_account_id
        WHERE (e.invoice_line_id IS NOT NULL AND NOT e.postpaid)
           OR (e.charge_nanousd > 0 AND a.kind IS NOT NULL AND e.postpaid <> (a.kind = 'unbilled'))
        """,
    ),
    (
        "periods",
        "The billing periods of an organization follow each other, overlap nowhere, and have one invoice once sealed.",
        "SELECT count(*) FROM billing_billingperiod",
        """
        SELECT format('organization %s: the period of %s follows that of %s to %s', p.organization_id, p.period_start,
                      p.before_start, p.before_end)
        FROM (
            SELECT p.*, lag(p.period_start) OVER own AS before_start, lag(p.period_end) OVER own AS before_end,
                   lag(p.ended_by) OVER own AS before_ended
            FROM billing_billingperiod p WINDOW own AS (PARTITION BY p.organization_id ORDER BY p.period_start)
        ) p
        WHERE p.period_start < p.before_end OR (p.period_start > p.before_end AND p.before_ended <> 'left')
        UNION ALL
        SELECT format('period %s is %s and has %s invoices', p.id, p.state, count(i.uuid))
        FROM billing_billingperiod p
        LEFT JOIN billing_invoice i ON i.period_id = p.id AND i.state NOT IN ('void', 'closing')
        GROUP BY p.id, p.state
        HAVING count(i.uuid) <> CASE p.state WHEN 'sealed' THEN 1 ELSE 0 END
           AND NOT EXISTS (SELECT FROM billing_invoice v WHERE v.period_id = p.id AND v.state = 'void')
        """,
    ),
    (
        "receivable",
        "What is owed by invoices in the ledger is what the open ones ask for, net and tax apart.",
        "SELECT count(*) FROM billing_invoice WHERE state IN ('sealed', 'open')",
        """
        SELECT format('organization %s: %s + %s in the ledger, %s + %s open', coalesce(b.id, i.id), -b.receivable,
                      -b.tax, i.net, i.tax)
        FROM (BALANCES) b
        FULL JOIN (
            SELECT organization_id AS id, sum(net_cents - credited_cents) * 10000000 AS net,
                   sum(tax_cents - credited_tax_cents) * 10000000 AS tax
            FROM billing_invoice WHERE state IN ('sealed', 'open') GROUP BY 1
        ) i ON i.id = b.id
        WHERE coalesce(-b.receivable, 0) <> coalesce(i.net, 0) OR coalesce(-b.tax, 0) <> coalesce(i.tax, 0)
        """.replace("BALANCES", BALANCES),
    ),
    (
        "invoice money back",
        "What left us of paid invoices is their refunds and disputes: as in the ledger, and never more than was asked.",
        "SELECT (SELECT count(*) FROM billing_invoicerefund) + (SELECT count(*) FROM billing_invoicedispute)",
        """
        SELECT format('organization %s: %s back, %s lost, %s held in the ledger; %s, %s, %s in rows', id, t.away,
                      t.lost, t.held, r.away, r.lost, r.held)
        FROM (
            SELECT t.organization_id AS id,
                sum(t.amount_nanousd * ((c.kind = 'stripe_clearing')::int - (d.kind = 'stripe_clearing')::int)) AS away,
                sum(t.amount_nanousd * ((c.kind = 'disputed')::int - (d.kind = 'disputed')::int))
                    FILTER (WHERE t.kind IN ('invoice_dispute_lost', 'invoice_dispute_unlost')) AS lost,
                sum(t.amount_nanousd * ((d.kind = 'disputed')::int - (c.kind = 'disputed')::int)) AS held
            FROM billing_ledgertransfer t
            JOIN billing_ledgeraccount c ON c.id = t.credit_account_id
            JOIN billing_ledgeraccount d ON d.id = t.debit_account_id
            WHERE t.kind IN ('invoice_refund', 'invoice_refund_failed', 'invoice_dispute', 'invoice_dispute_won',
                             'invoice_dispute_lost', 'invoice_dispute_unlost') GROUP BY 1
        ) t
        FULL JOIN (
            SELECT id, sum(away) * 10000000 AS away, sum(lost) * 10000000 AS lost, sum(held) * 10000000 AS held FROM (
                SELECT i.organization_id AS id, x.net_cents + x.tax_cents AS away, 0 AS lost, 0 AS held
                FROM billing_invoicerefund x JOIN billing_invoice i ON i.uuid = x.invoice_id WHERE x.state <> 'failed'
                UNION ALL
                SELECT i.organization_id, x.withdrawn_cents - x.reinstated_cents, x.lost_net_cents + x.lost_tax_cents,
                       x.withdrawn_cents - x.reinstated_cents - x.lost_net_cents - x.lost_tax_cents
                FROM billing_invoicedispute x JOIN billing_invoice i ON i.uuid = x.invoice_id
            ) x GROUP BY id
        ) r USING (id)
        WHERE coalesce(t.away, 0) <> coalesce(r.away, 0) OR coalesce(t.lost, 0) <> coalesce(r.lost, 0)
           OR coalesce(t.held, 0) <> coalesce(r.held, 0)
        UNION ALL
        SELECT format('invoice %s: %s cents went back of %s', i.public_id, x.cents, i.net_cents + i.tax_cents)
        FROM billing_invoice i
        CROSS JOIN LATERAL (
            SELECT coalesce((SELECT sum(net_cents + tax_cents) FROM billing_invoicerefund
                             WHERE invoice_id = i.uuid AND state <> 'failed'), 0)
                 + coalesce((SELECT sum(withdrawn_cents - reinstated_cents) FROM billing_invoicedispute
                             WHERE invoice_id = i.uuid), 0) AS cents
        ) x
        WHERE x.cents > i.net_cents + i.tax_cents
        """,
    ),
)
