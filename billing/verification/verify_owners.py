"""What must hold between organizations, and between our rows and the money that Stripe moved."""

from billing.verification.invariant import Invariant

INVARIANTS = (
    Invariant(
        "tenants",
        "A call, its key, project, price and line, a posting, and a payment's customer belong to one organization.",
        "SELECT (SELECT count(*) FROM billing_usageevent) + (SELECT count(*) FROM billing_ledgertransfer)",
        """
        SELECT format('call %s of organization %s', e.request_id, e.organization_id)
        FROM billing_usageevent e
        LEFT JOIN apikeys_apikey k ON k.id = e.key_id
        LEFT JOIN accounts_project p ON p.id = e.project_id
        LEFT JOIN billing_priceversion v ON v.id = e.price_version_id
        LEFT JOIN billing_invoiceline l ON l.id = e.invoice_line_id
        LEFT JOIN billing_invoice i ON i.uuid = l.invoice_id
        WHERE e.organization_id <> ANY (ARRAY[
            coalesce(k.organization_id, e.organization_id), coalesce(p.organization_id, e.organization_id),
            coalesce(v.organization_id, e.organization_id), coalesce(i.organization_id, e.organization_id)])
        UNION ALL
        SELECT format('posting %s of organization %s', t.idempotency_key, t.organization_id)
        FROM billing_ledgertransfer t
        JOIN billing_ledgeraccount d ON d.id = t.debit_account_id
        JOIN billing_ledgeraccount c ON c.id = t.credit_account_id
        WHERE t.organization_id IS DISTINCT FROM coalesce(d.organization_id, t.organization_id)
           OR t.organization_id IS DISTINCT FROM coalesce(c.organization_id, t.organization_id)
        UNION ALL
        SELECT format('%s of organization %s for a customer of organization %s', x.what, x.id, s.organization_id)
        FROM (
            SELECT 'top-up ' || uuid AS what, organization_id AS id, customer_id FROM billing_topup
            UNION ALL
            SELECT 'invoice ' || public_id, organization_id, customer_id FROM billing_invoice
        ) x
        JOIN billing_stripecustomer s ON s.stripe_id = x.customer_id AND s.stripe_id <> ''
        WHERE s.organization_id <> x.id
        UNION ALL
        SELECT format('invoice %s of organization %s for a period of %s', i.public_id, i.organization_id,
                      p.organization_id)
        FROM billing_invoice i JOIN billing_billingperiod p ON p.id = i.period_id
        WHERE p.organization_id <> i.organization_id
        """,
    ),
    Invariant(
        "money in",
        "What Stripe brought and took, by the ledger, is paid top-ups and invoices less what went back and fees.",
        "SELECT (SELECT count(*) FROM billing_topup) + (SELECT count(*) FROM billing_invoice)",
        """
        SELECT format('organization %s: %s moved in the ledger, %s by rows', id, coalesce(t.moved, 0),
                      coalesce(r.cents, 0) * 10000000)
        FROM (
            SELECT t.organization_id AS id,
                sum(t.amount_nanousd * ((d.kind = 'stripe_clearing')::int - (c.kind = 'stripe_clearing')::int)) AS moved
            FROM billing_ledgertransfer t
            JOIN billing_ledgeraccount d ON d.id = t.debit_account_id
            JOIN billing_ledgeraccount c ON c.id = t.credit_account_id
            WHERE 'stripe_clearing' IN (d.kind, c.kind) GROUP BY 1
        ) t
        FULL JOIN (
            SELECT id, sum(cents) AS cents FROM (
                SELECT organization_id AS id, net_cents + tax_cents AS cents FROM billing_topup
                WHERE state = 'credited'
                UNION ALL
                SELECT t.organization_id, -(x.net_cents + x.tax_cents)
                FROM billing_refund x JOIN billing_topup t ON t.uuid = x.topup_id WHERE x.state <> 'failed'
                UNION ALL
                SELECT t.organization_id, x.reinstated_cents - x.withdrawn_cents - x.fee_cents
                FROM billing_dispute x JOIN billing_topup t ON t.uuid = x.topup_id
                UNION ALL
                SELECT i.organization_id, i.net_cents + i.tax_cents - coalesce((
                    SELECT sum(n.net_cents + n.tax_cents) FROM billing_creditnote n
                    WHERE n.invoice_id = i.uuid AND NOT n.after_payment), 0)
                FROM billing_invoice i WHERE i.state = 'paid'
                UNION ALL
                SELECT i.organization_id, -(x.net_cents + x.tax_cents)
                FROM billing_invoicerefund x JOIN billing_invoice i ON i.uuid = x.invoice_id WHERE x.state <> 'failed'
                UNION ALL
                SELECT i.organization_id, x.reinstated_cents - x.withdrawn_cents - x.fee_cents
                FROM billing_invoicedispute x JOIN billing_invoice i ON i.uuid = x.invoice_id
            ) x GROUP BY id
        ) r USING (id)
        WHERE coalesce(t.moved, 0) <> coalesce(r.cents, 0) * 10000000
        """,
    ),
)
