-- Every counter of an organization is changed only by who holds the row lock on its wallet. That one lock, taken
-- in id order, is why no two of these functions can deadlock, and why a counter made in mid-period is exact.
CREATE OR REPLACE FUNCTION billing_lock_wallets(organizations bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found_wallets int;
BEGIN
    PERFORM 1 FROM billing_budget
    WHERE scope = 'wallet' AND scope_id = ANY (organizations) AND model = '' AND period = 'total'
    ORDER BY id FOR UPDATE;
    GET DIAGNOSTICS found_wallets = ROW_COUNT;
    IF found_wallets = cardinality(organizations) THEN
        RETURN;
    END IF;
    INSERT INTO billing_budget (organization_id, scope, scope_id, model, period, period_start, period_end,
                                posted_nanousd, held_nanousd, credited_nanousd)
    SELECT o.id, 'wallet', o.id, '', 'total', p.period_start, p.period_end, 0, 0, 0
    FROM accounts_organization o, billing_period('total', now(), 'UTC', 1, 1) p
    WHERE o.id = ANY (organizations)
    ORDER BY o.id
    ON CONFLICT DO NOTHING;
    INSERT INTO billing_ledgeraccount (organization_id, kind)
    SELECT o.id, k FROM accounts_organization o, unnest(ARRAY['wallet', 'unbilled']) k
    WHERE o.id = ANY (organizations)
    ORDER BY o.id, k
    ON CONFLICT DO NOTHING;
    INSERT INTO billing_ledgeraccount (organization_id, kind) VALUES (NULL, 'revenue') ON CONFLICT DO NOTHING;
    PERFORM 1 FROM billing_budget
    WHERE scope = 'wallet' AND scope_id = ANY (organizations) AND model = '' AND period = 'total'
    ORDER BY id FOR UPDATE;
END $$;

-- Make the counter of a scope in the present period. It starts at what the period has already seen: the charges
-- of its settled events, and its open reservations, which are made to hold on it from now on. The caller holds
-- the wallet's lock. A `total` counter starts at zero, since it is made at the scope's first call.
CREATE OR REPLACE FUNCTION billing_open_budget(
    organization bigint, wanted_scope text, wanted_id bigint, wanted_model text, wanted_period text, moment timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    bounds record;
    budget_id bigint;
BEGIN
    SELECT p.* INTO bounds FROM accounts_organization o,
        billing_period(wanted_period, moment, o.time_zone, o.week_start, o.month_day) p WHERE o.id = organization;
    INSERT INTO billing_budget (organization_id, scope, scope_id, model, period, period_start, period_end,
                                posted_nanousd, held_nanousd, credited_nanousd)
    VALUES (organization, wanted_scope, wanted_id, wanted_model, wanted_period, bounds.period_start,
            bounds.period_end, 0, 0, 0)
    ON CONFLICT DO NOTHING
    RETURNING id INTO budget_id;
    IF budget_id IS NULL OR (wanted_period = 'total' AND wanted_scope <> 'key_model') THEN
        RETURN;
    END IF;
    PERFORM 1 FROM billing_reservation r
    WHERE r.organization_id = organization AND r.state = 'open' ORDER BY r.request_id FOR UPDATE;
    UPDATE billing_reservation r SET budget_ids = r.budget_ids || budget_id
    WHERE r.organization_id = organization AND r.state = 'open' AND r.mode = 'live'
      AND r.created_at >= bounds.period_start AND r.created_at < bounds.period_end
      AND billing_in_scope(wanted_scope, wanted_id, wanted_model, r.organization_id, r.project_id, r.key_id, r.model);
    UPDATE billing_budget b SET
        held_nanousd = (
            SELECT coalesce(sum(r.upper_nanousd), 0) FROM billing_reservation r
            WHERE r.organization_id = organization AND r.state = 'open' AND r.budget_ids @> ARRAY[budget_id]),
        posted_nanousd = (
            SELECT coalesce(sum(e.charge_nanousd), 0) FROM billing_usageevent e
            WHERE e.organization_id = organization
              AND e.occurred_at >= bounds.period_start AND e.occurred_at < bounds.period_end
              AND billing_in_scope(wanted_scope, wanted_id, wanted_model, e.organization_id, e.project_id, e.key_id, e.model))
    WHERE b.id = budget_id;
END $$;

CREATE OR REPLACE FUNCTION billing_in_scope(
    wanted_scope text, wanted_id bigint, wanted_model text, organization bigint, project bigint, api_key bigint, called text
) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE wanted_scope
        WHEN 'organization' THEN wanted_id = organization
        WHEN 'project' THEN wanted_id = project
        WHEN 'key' THEN wanted_id = api_key
        ELSE wanted_id = api_key AND wanted_model = called
    END
$$;

-- The scopes that bind each call of a batch: every `total` counter, and every period that has a cap.
-- `cap` is null where nothing is capped; `counter` is null where the period's counter is still to be made.
CREATE OR REPLACE FUNCTION billing_scopes(calls jsonb, moment timestamptz) RETURNS TABLE (
    n bigint, organization_id bigint, scope text, scope_id bigint, model text, period text, cap bigint, counter bigint,
    posted bigint, held bigint, period_end timestamptz
) LANGUAGE sql STABLE ROWS 100 AS $$
    WITH call AS MATERIALIZED (
        SELECT c.* FROM ROWS FROM (jsonb_to_recordset(calls) AS (
            organization_id bigint, project_id bigint, key_id bigint, mode text, model text
        )) WITH ORDINALITY AS c (organization_id, project_id, key_id, mode, model, n)
        WHERE c.mode = 'live'
    ), wanted AS (
        SELECT call.n, call.organization_id, s.*
        FROM call
        JOIN accounts_organization o ON o.id = call.organization_id
        JOIN accounts_project p ON p.id = call.project_id
        JOIN apikeys_apikey k ON k.id = call.key_id
        CROSS JOIN LATERAL (VALUES
            ('wallet', o.id, '', 'total', o.budget_total_nanousd),
            ('organization', o.id, '', 'day', o.budget_day_nanousd),
            ('organization', o.id, '', 'week', o.budget_week_nanousd),
            ('organization', o.id, '', 'month', o.budget_month_nanousd),
            ('project', p.id, '', 'total', p.budget_total_nanousd),
            ('project', p.id, '', 'day', p.budget_day_nanousd),
            ('project', p.id, '', 'week', p.budget_week_nanousd),
            ('project', p.id, '', 'month', p.budget_month_nanousd),
            ('key', k.id, '', 'total', k.budget_total_nanousd),
            ('key', k.id, '', 'day', k.budget_day_nanousd),
            ('key', k.id, '', 'week', k.budget_week_nanousd),
            ('key', k.id, '', 'month', k.budget_month_nanousd)
        ) s (scope, scope_id, model, period, cap)
        WHERE s.cap IS NOT NULL OR s.period = 'total'
        UNION ALL
        SELECT call.n, call.organization_id, 'key_model', m.key_id, m.model, m.period, m.cap_nanousd
        FROM call JOIN apikeys_keymodelbudget m ON m.key_id = call.key_id AND m.model = call.model
    )
    SELECT w.n, w.organization_id, w.scope, w.scope_id, w.model, w.period,
           CASE w.scope WHEN 'wallet' THEN least(w.cap, b.credited_nanousd + coalesce(a.credit_limit_nanousd, 0))
                ELSE w.cap END,
           b.id, b.posted_nanousd, b.held_nanousd, b.period_end
    FROM wanted w
    LEFT JOIN billing_billingaccount a ON w.scope = 'wallet' AND a.organization_id = w.organization_id
    LEFT JOIN LATERAL (
        SELECT * FROM billing_budget x
        WHERE x.scope = w.scope AND x.scope_id = w.scope_id AND x.model = w.model AND x.period = w.period
          AND x.period_start <= moment
        ORDER BY x.period_start DESC LIMIT 1
    ) b ON b.period_end > moment
$$;
