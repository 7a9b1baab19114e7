-- Every counter of an organization is changed only by who holds the row lock on its wallet. That one lock, taken
-- in id order, is why no two of these functions can deadlock, and why a counter made in mid-period is exact.
CREATE OR REPLACE FUNCTION billing_lock_wallets(organizations bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM billing_budget
        WHERE scope = 'wallet' AND scope_id = ANY (organizations) AND model = '' AND period = 'total'
    ) < cardinality(organizations) THEN
        -- Wallets are made under one lock that is taken before any other, or two batches with some new organizations
        -- and some old ones could wait for each other.
        PERFORM pg_advisory_xact_lock(hashtext('billing_make_wallets'));
        PERFORM billing_make_wallets(organizations);
    END IF;
    PERFORM 1 FROM billing_budget
    WHERE scope = 'wallet' AND scope_id = ANY (organizations) AND model = '' AND period = 'total'
    ORDER BY id FOR UPDATE;
END $$;

CREATE OR REPLACE FUNCTION billing_make_wallets(organizations bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing_ledgeraccount (organization_id, kind)
    SELECT o.id, k FROM accounts_organization o, unnest(ARRAY['wallet', 'unbilled']) k
    WHERE o.id = ANY (organizations)
    ON CONFLICT DO NOTHING;
    INSERT INTO billing_ledgeraccount (organization_id, kind) VALUES (NULL, 'revenue') ON CONFLICT DO NOTHING;
    INSERT INTO billing_budget (organization_id, scope, scope_id, model, period, period_start, period_end,
                                posted_nanousd, held_nanousd, credited_nanousd)
    SELECT o.id, 'wallet', o.id, '', 'total', p.period_start, p.period_end, 0, 0, 0
    FROM accounts_organization o, billing_period('total', now(), 'UTC', 1, 1) p
    WHERE o.id = ANY (organizations)
    ON CONFLICT DO NOTHING;
END $$;

-- The caps on calls of these organizations, projects and keys, with what temporary raises add to them at a moment. A
-- `total` without a cap is among them, since it is counted always; the organization's is counted by its wallet.
-- Tables are read by lists of ids and joined by hash, so that the plan does not depend on statistics.
CREATE OR REPLACE FUNCTION billing_caps(
    organizations bigint[], projects bigint[], keys bigint[], moment timestamptz
) RETURNS TABLE (
    organization_id bigint, scope text, scope_id bigint, model text, period text, cap bigint
) LANGUAGE sql STABLE AS $$
    WITH own AS (
        SELECT o.id AS organization_id, 'wallet' AS scope, o.id AS scope_id, '' AS model, 'total' AS period,
               o.budget_total_nanousd AS cap
        FROM accounts_organization o WHERE o.id = ANY (organizations)
        UNION ALL
        SELECT o.id, 'organization', o.id, '', c.period, c.cap
        FROM accounts_organization o CROSS JOIN LATERAL (VALUES
            ('day', o.budget_day_nanousd), ('week', o.budget_week_nanousd), ('month', o.budget_month_nanousd)
        ) c (period, cap) WHERE o.id = ANY (organizations) AND c.cap IS NOT NULL
        UNION ALL
        SELECT p.organization_id, 'project', p.id, '', c.period, c.cap
        FROM accounts_project p CROSS JOIN LATERAL (VALUES
            ('total', p.budget_total_nanousd), ('day', p.budget_day_nanousd), ('week', p.budget_week_nanousd),
            ('month', p.budget_month_nanousd)
        ) c (period, cap) WHERE p.id = ANY (projects) AND (c.cap IS NOT NULL OR c.period = 'total')
        UNION ALL
        SELECT k.organization_id, 'key', k.id, '', c.period, c.cap
        FROM apikeys_apikey k CROSS JOIN LATERAL (VALUES
            ('total', k.budget_total_nanousd), ('day', k.budget_day_nanousd), ('week', k.budget_week_nanousd),
            ('month', k.budget_month_nanousd)
        ) c (period, cap) WHERE k.id = ANY (keys) AND (c.cap IS NOT NULL OR c.period = 'total')
        UNION ALL
        SELECT k.organization_id, 'key_model', m.key_id, m.model, m.period, m.cap_nanousd
        FROM apikeys_keymodelbudget m JOIN apikeys_apikey k ON k.id = m.key_id
        WHERE m.key_id = ANY (keys) AND k.id = ANY (keys)
        UNION ALL
        -- A member's caps bind the keys that the member made. Members are found by those keys alone, not by reading all
        -- of an organization; one too many (the owner of a key elsewhere) binds no call.
        SELECT m.organization_id, 'member', m.id, '', c.period, c.cap
        FROM accounts_membership m CROSS JOIN LATERAL (VALUES
            ('day', m.budget_day_nanousd), ('week', m.budget_week_nanousd), ('month', m.budget_month_nanousd)
        ) c (period, cap)
        WHERE m.user_id = ANY (ARRAY(SELECT k.created_by_id FROM apikeys_apikey k WHERE k.id = ANY (keys)))
          AND m.organization_id = ANY (organizations) AND c.cap IS NOT NULL
    ), raised AS (
        SELECT CASE WHEN r.scope = 'organization' AND r.period = 'total' THEN 'wallet' ELSE r.scope END AS scope,
               r.scope_id, r.model, r.period, sum(r.extra_nanousd)::bigint AS extra
        FROM billing_budgetraise r
        WHERE r.organization_id = ANY (organizations) AND r.starts_at <= moment AND r.ends_at > moment
        GROUP BY 1, 2, 3, 4
    )
    SELECT own.organization_id, own.scope, own.scope_id, own.model, own.period, own.cap + coalesce(raised.extra, 0)
    FROM own LEFT JOIN raised ON raised.scope = own.scope AND raised.scope_id = own.scope_id
        AND raised.model = own.model AND raised.period = own.period
$$;

-- What is left of these counters of one key's calls, in nano-USD: of any period, also one that has ended; null where
-- nothing is capped.
CREATE OR REPLACE FUNCTION billing_room(
    counters bigint[], organization bigint, project bigint, api_key bigint, moment timestamptz
) RETURNS TABLE (id bigint, model text, room bigint) LANGUAGE sql STABLE AS $$
    SELECT b.id, b.model,
           CASE b.scope WHEN 'wallet' THEN least(c.cap, b.credited_nanousd + coalesce(a.credit_limit_nanousd, 0))
                ELSE c.cap END - b.posted_nanousd - b.held_nanousd
    FROM billing_budget b
    LEFT JOIN billing_caps(ARRAY[organization], ARRAY[project], ARRAY[api_key], moment) c
        ON c.scope = b.scope AND c.scope_id = b.scope_id AND c.model = b.model AND c.period = b.period
    LEFT JOIN (
        SELECT * FROM billing_billingaccount x WHERE x.organization_id = organization
    ) a ON a.organization_id = b.organization_id
    WHERE b.id = ANY (counters)
$$;

-- The counters that bind calls of these organizations, projects and keys, with their caps: every `total`, every
-- period that has a cap, and every counter of a present period whose cap was taken away (it goes on counting, so
-- that it is right if the cap comes back). `cap` is null where nothing is capped, `counter` where it is still to be
-- made.
CREATE OR REPLACE FUNCTION billing_scopes(
    organizations bigint[], projects bigint[], keys bigint[], moment timestamptz
) RETURNS TABLE (
    organization_id bigint, scope text, scope_id bigint, model text, period text, cap bigint, capped_by text,
    counter bigint, posted bigint, held bigint, period_end timestamptz
) LANGUAGE sql STABLE AS $$
    WITH counted AS (
        SELECT * FROM billing_budget b WHERE b.scope = 'wallet' AND b.scope_id = ANY (organizations) AND b.period_end > moment
        UNION ALL
        SELECT * FROM billing_budget b WHERE b.scope = 'organization' AND b.scope_id = ANY (organizations) AND b.period_end > moment
        UNION ALL
        SELECT * FROM billing_budget b WHERE b.scope = 'project' AND b.scope_id = ANY (projects) AND b.period_end > moment
        UNION ALL
        SELECT * FROM billing_budget b WHERE b.scope = 'key' AND b.scope_id = ANY (keys) AND b.period_end > moment
        UNION ALL
        SELECT * FROM billing_budget b WHERE b.scope = 'key_model' AND b.scope_id = ANY (keys) AND b.period_end > moment
        UNION ALL
        SELECT * FROM billing_budget b WHERE b.scope = 'member' AND b.period_end > moment AND b.scope_id = ANY (ARRAY(
            SELECT m.id FROM accounts_membership m
            WHERE m.user_id = ANY (ARRAY(SELECT k.created_by_id FROM apikeys_apikey k WHERE k.id = ANY (keys)))
              AND m.organization_id = ANY (organizations)))
    )
    SELECT coalesce(w.organization_id, b.organization_id), coalesce(w.scope, b.scope), coalesce(w.scope_id, b.scope_id),
           coalesce(w.model, b.model), coalesce(w.period, b.period),
           -- An invoice that is long overdue closes the wallet, even for what costs nothing.
           CASE WHEN w.scope = 'wallet' AND a.blocked_at IS NOT NULL THEN -1
                WHEN w.scope = 'wallet' THEN least(w.cap, b.credited_nanousd + coalesce(a.credit_limit_nanousd, 0))
                ELSE w.cap END,
           -- The organization's total is counted by its wallet.
           CASE WHEN w.scope = 'wallet' AND a.blocked_at IS NOT NULL THEN 'past_due'
                WHEN w.scope = 'wallet' AND w.cap < b.credited_nanousd + coalesce(a.credit_limit_nanousd, 0)
                THEN 'organization' ELSE w.scope END,
           b.id, b.posted_nanousd, b.held_nanousd, b.period_end
    FROM billing_caps(organizations, projects, keys, moment) w
    FULL JOIN counted b ON b.scope = w.scope AND b.scope_id = w.scope_id AND b.model = w.model AND b.period = w.period
    LEFT JOIN (
        SELECT x.organization_id, x.credit_limit_nanousd, x.blocked_at FROM billing_billingaccount x
        WHERE x.organization_id = ANY (organizations)
    ) a ON a.organization_id = w.organization_id
$$;

-- Make the missing counters of the scopes that bind a batch. The caller holds the wallets' locks.
CREATE OR REPLACE FUNCTION billing_open_budgets(
    organizations bigint[], projects bigint[], keys bigint[], moment timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Lease renewals hold no wallet: the rows they share with us are locked in their order, before any is changed.
    PERFORM 1 FROM billing_reservation r
    WHERE r.organization_id = ANY (organizations) AND r.state = 'open' ORDER BY r.request_id FOR UPDATE;
    PERFORM billing_open_budget(s.organization_id, s.scope, s.scope_id, s.model, s.period, moment)
    FROM billing_scopes(organizations, projects, keys, moment) s WHERE s.counter IS NULL;
END $$;

-- Make the counter of a scope in the present period. It starts at what the period has already seen: the charges
-- of its settled events, and its open reservations, which are made to hold on it from now on. A `total` counter
-- starts at zero, since it is made at the scope's first call; only that of a key on a model may come later.
CREATE OR REPLACE FUNCTION billing_open_budget(
    organization bigint, wanted_scope text, wanted_id bigint, wanted_model text, wanted_period text, moment timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    since timestamptz;
    until timestamptz;
    budget_id bigint;
BEGIN
    SELECT p.period_start, p.period_end INTO since, until FROM accounts_organization o,
        billing_period(wanted_period, moment, o.time_zone, o.week_start, o.month_day) p WHERE o.id = organization;
    -- After a change of the time zone the period begins where the last one ended, so that no charge counts twice.
    SELECT greatest(since, max(b.period_end)) INTO since FROM billing_budget b
    WHERE b.scope = wanted_scope AND b.scope_id = wanted_id AND b.model = wanted_model AND b.period = wanted_period
      AND b.period_end <= moment;
    INSERT INTO billing_budget (organization_id, scope, scope_id, model, period, period_start, period_end,
                                posted_nanousd, held_nanousd, credited_nanousd)
    VALUES (organization, wanted_scope, wanted_id, wanted_model, wanted_period, since, until, 0, 0, 0)
    RETURNING id INTO budget_id;
    IF wanted_period = 'total' AND wanted_scope <> 'key_model' THEN
        RETURN;
    END IF;
    WITH adopted AS (
        UPDATE billing_reservation r SET budget_ids = r.budget_ids || budget_id
        WHERE r.organization_id = organization AND r.state = 'open' AND r.mode = 'live'
          AND r.created_at >= since AND r.created_at < until
          AND (billing_in_scope(wanted_scope, wanted_id, wanted_model, r.organization_id, r.project_id, r.key_id, r.model)
               OR (wanted_scope = 'key_model' AND wanted_id = r.key_id AND wanted_model = ANY (r.fallback_models)))
        RETURNING r.upper_nanousd
    )
    UPDATE billing_budget b SET
        held_nanousd = (SELECT coalesce(sum(upper_nanousd), 0) FROM adopted),
        posted_nanousd = billing_posted(organization, wanted_scope, wanted_id, wanted_model, since)
    WHERE b.id = budget_id;
END $$;

-- What was charged within a scope for the calls admitted from a moment until now: the hourly sums, the events that
-- are not in them yet, and the events of the part of an hour with which the time may begin. The caller holds the
-- wallet's lock, and one statement reads all three, so each event is counted once however many there are. Events are
-- found by their ids or by an index's range, never by reading the table: the plan must not depend on statistics.
CREATE OR REPLACE FUNCTION billing_posted(
    organization bigint, wanted_scope text, wanted_id bigint, wanted_model text, since timestamptz
) RETURNS bigint LANGUAGE plpgsql STABLE
SET enable_nestloop = on SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE
    whole_hours timestamptz := date_trunc('hour', since + interval '1 hour' - interval '1 microsecond', 'UTC');
    own_keys bigint[];  -- of a member, so that each row is compared with a list and looks nothing up
BEGIN
    IF wanted_scope = 'member' THEN
        SELECT coalesce(array_agg(k.id), '{}') INTO own_keys FROM apikeys_apikey k JOIN accounts_membership m
            ON m.user_id = k.created_by_id AND m.organization_id = k.organization_id
        WHERE m.id = wanted_id;
    END IF;
    RETURN (
        SELECT coalesce(sum(part.charge_nanousd), 0) FROM (
            SELECT u.charge_nanousd, u.project_id, u.key_id, u.model FROM billing_usagerollup u
            WHERE u.organization_id = organization AND u.hour >= whole_hours
            UNION ALL
            SELECT e.charge_nanousd, e.project_id, e.key_id, e.model
            FROM billing_outboxmessage m JOIN billing_usageevent e USING (request_id, occurred_at)
            WHERE m.organization_id = organization AND m.occurred_at >= whole_hours
            UNION ALL
            SELECT e.charge_nanousd, e.project_id, e.key_id, e.model FROM billing_usageevent e
            WHERE e.organization_id = organization AND e.occurred_at >= since AND e.occurred_at < whole_hours
        ) part
        WHERE CASE WHEN own_keys IS NOT NULL THEN part.key_id = ANY (own_keys) ELSE billing_in_scope(
            wanted_scope, wanted_id, wanted_model, organization, part.project_id, part.key_id, part.model) END
    );
END $$;

-- Whether a member made a key: a seat, too, and one that is revoked by now. Of its own, so that `billing_in_scope` can
-- still be inlined.
CREATE OR REPLACE FUNCTION billing_is_of_member(member bigint, api_key bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM apikeys_apikey k JOIN accounts_membership m
            ON m.user_id = k.created_by_id AND m.organization_id = k.organization_id
        WHERE k.id = api_key AND m.id = member)
$$;

CREATE OR REPLACE FUNCTION billing_in_scope(
    wanted_scope text, wanted_id bigint, wanted_model text, organization bigint, project bigint, api_key bigint, called text
) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE wanted_scope
        WHEN 'organization' THEN wanted_id = organization
        WHEN 'project' THEN wanted_id = project
        WHEN 'key' THEN wanted_id = api_key
        WHEN 'member' THEN billing_is_of_member(wanted_id, api_key)
        ELSE wanted_id = api_key AND wanted_model = called
    END
$$;
