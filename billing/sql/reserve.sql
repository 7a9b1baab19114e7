-- Admit a batch of calls, each against all of its scopes or not at all, in the order given.
--
-- `calls` is an array of billing.types.ReserveRequest as objects; the answer is an array in the same order of
-- {"verdict": "ok" | "settled" | "unknown" | "revoked" | "disabled" | "expired" | "suspended" | "over", ...}.
-- An "over" names the scope with the least room, with its counters in nano-USD. A repeated request id answers "ok"
-- while its reservation is open, and "settled" after.
CREATE OR REPLACE FUNCTION billing_reserve(calls jsonb, owner uuid, lease_seconds int) RETURNS jsonb
LANGUAGE plpgsql SET enable_seqscan = off SET enable_nestloop = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    request_ids uuid[];
    all_keys bigint[];
    all_organizations bigint[];
    organizations bigint[];  -- of the live calls with a key of their own, as are these:
    projects bigint[];
    keys bigint[];
    moment timestamptz;
    counters record;         -- arrays over the counters that bind the batch
    used bigint[];           -- posted + held of each, as calls of this batch are admitted
    call record;
    slots int[];             -- of the counters that bind the call, and their ids
    ids bigint[];
    slot int;
    tightest int;
    budget_ids text[] := '{}';  -- of each admitted call; null where none was admitted (arrays do not nest unequally)
    verdicts jsonb[] := '{}';
    verdict jsonb;
    admitted CONSTANT jsonb := '{"verdict": "ok"}';
BEGIN
    SELECT array_agg(c.request_id), array_agg(DISTINCT c.key_id), array_agg(DISTINCT c.organization_id)
    INTO request_ids, all_keys, all_organizations
    FROM jsonb_to_recordset(calls) AS c (request_id uuid, key_id bigint, organization_id bigint);
    SELECT array_agg(DISTINCT k.organization_id), array_agg(DISTINCT k.project_id), array_agg(DISTINCT k.id)
    INTO organizations, projects, keys
    FROM apikeys_apikey k JOIN (
        SELECT DISTINCT c.* FROM jsonb_to_recordset(calls) AS c (
            key_id bigint, organization_id bigint, project_id bigint, mode text)
        WHERE c.mode = 'live'
    ) c ON c.key_id = k.id AND c.organization_id = k.organization_id AND c.project_id = k.project_id AND c.mode = k.mode
    WHERE k.id = ANY (all_keys);
    PERFORM billing_lock_wallets(organizations) WHERE organizations IS NOT NULL;
    moment := clock_timestamp();

    FOR round IN 1 .. 2 LOOP
        SELECT array_agg(s.counter) AS ids, array_agg(s.cap) AS caps, array_agg(s.posted) AS posted,
               array_agg(s.posted + s.held) AS used, array_agg(s.scope) AS scopes, array_agg(s.scope_id) AS scope_ids,
               array_agg(s.model) AS models, array_agg(s.period) AS periods, array_agg(s.capped_by) AS capped_by,
               array_agg(s.period_end) AS ends
        INTO counters FROM billing_scopes(organizations, projects, keys, moment) s;
        EXIT WHEN array_position(counters.ids, NULL) IS NULL;
        PERFORM billing_open_budgets(organizations, projects, keys, moment);
    END LOOP;
    used := counters.used;

    FOR call IN
        WITH thing AS MATERIALIZED (
            SELECT CASE s.scope WHEN 'wallet' THEN 'organization' ELSE s.scope END AS scope, s.scope_id, s.model,
                   array_agg(s.slot::int) AS slots, array_agg(s.id) AS ids
            FROM unnest(counters.scopes, counters.scope_ids, counters.models, counters.ids)
                WITH ORDINALITY s (scope, scope_id, model, id, slot)
            GROUP BY 1, 2, 3
        ), member AS MATERIALIZED (
            SELECT m.organization_id, m.user_id, thing.slots, thing.ids
            FROM thing JOIN (
                SELECT * FROM accounts_membership
                WHERE id = ANY (ARRAY(SELECT scope_id FROM thing WHERE scope = 'member'))
            ) m ON m.id = thing.scope_id
            WHERE thing.scope = 'member'
        )
        SELECT c.*, k.id AS known, k.revoked_at, k.disabled_at, k.expires_at, o.suspended_at, r.state,
               org.slots || project.slots || key.slots || model.slots || member.slots AS slots,
               org.ids || project.ids || key.ids || model.ids || member.ids AS ids
        FROM ROWS FROM (jsonb_to_recordset(calls) AS (
            request_id uuid, organization_id bigint, project_id bigint, key_id bigint, mode text, model text,
            fallback_models text[], upper_nanousd bigint
        )) WITH ORDINALITY AS c (
            request_id, organization_id, project_id, key_id, mode, model, fallback_models, upper_nanousd, n)
        LEFT JOIN (SELECT * FROM apikeys_apikey WHERE id = ANY (all_keys)) k
            ON k.id = c.key_id AND k.organization_id = c.organization_id AND k.project_id = c.project_id AND k.mode = c.mode
        LEFT JOIN (SELECT * FROM accounts_organization WHERE id = ANY (all_organizations)) o ON o.id = c.organization_id
        LEFT JOIN (SELECT * FROM billing_reservation WHERE request_id = ANY (request_ids)) r ON r.request_id = c.request_id
        LEFT JOIN thing org ON org.scope = 'organization' AND org.scope_id = c.organization_id
        LEFT JOIN thing project ON project.scope = 'project' AND project.scope_id = c.project_id
        LEFT JOIN thing key ON key.scope = 'key' AND key.scope_id = c.key_id
        LEFT JOIN thing model ON model.scope = 'key_model' AND model.scope_id = c.key_id AND model.model = c.model
        LEFT JOIN member ON member.organization_id = k.organization_id AND member.user_id = k.created_by_id
        ORDER BY c.n
    LOOP
        verdict := CASE
            WHEN call.state = 'open' THEN admitted
            WHEN call.state IS NOT NULL THEN '{"verdict": "settled"}'
            WHEN call.known IS NULL THEN '{"verdict": "unknown"}'
            WHEN call.revoked_at IS NOT NULL THEN '{"verdict": "revoked"}'
            WHEN call.disabled_at IS NOT NULL THEN '{"verdict": "disabled"}'
            WHEN call.expires_at <= moment THEN '{"verdict": "expired"}'
            WHEN call.suspended_at IS NOT NULL THEN '{"verdict": "suspended"}'
        END;
        IF verdict IS NULL AND call.mode = 'live' THEN
            slots := call.slots;
            ids := call.ids;
            IF call.fallback_models <> '{}' THEN
                SELECT slots || array_agg(s.slot::int), ids || array_agg(s.id) INTO slots, ids
                FROM unnest(counters.scopes, counters.scope_ids, counters.models, counters.ids)
                    WITH ORDINALITY s (scope, scope_id, model, id, slot)
                WHERE s.scope = 'key_model' AND s.scope_id = call.key_id AND s.model <> call.model
                  AND s.model = ANY (call.fallback_models);
            END IF;
            tightest := NULL;
            FOREACH slot IN ARRAY slots LOOP
                IF counters.caps[slot] IS NOT NULL AND (
                    tightest IS NULL OR counters.caps[slot] - used[slot] < counters.caps[tightest] - used[tightest]
                ) THEN
                    tightest := slot;
                END IF;
            END LOOP;
            -- The wallet is always capped, so there always is a tightest.
            IF counters.caps[tightest] - used[tightest] < call.upper_nanousd THEN
                verdict := jsonb_build_object(
                    'verdict', 'over', 'scope', counters.capped_by[tightest], 'period', counters.periods[tightest],
                    'cap', counters.caps[tightest], 'posted', counters.posted[tightest],
                    'held', used[tightest] - counters.posted[tightest], 'needed', call.upper_nanousd,
                    'frees_at', CASE WHEN counters.periods[tightest] <> 'total' THEN counters.ends[tightest] END);
            ELSE
                FOREACH slot IN ARRAY slots LOOP
                    used[slot] := used[slot] + call.upper_nanousd;
                END LOOP;
            END IF;
        END IF;
        IF verdict IS NULL THEN
            verdict := admitted;
            budget_ids[call.n] := CASE call.mode WHEN 'live' THEN ids::text ELSE '{}' END;
        END IF;
        verdicts := verdicts || verdict;
    END LOOP;

    INSERT INTO billing_reservation (
        request_id, organization_id, project_id, key_id, mode, endpoint, model, fallback_models, price_version_id,
        service_tier, upper_nanousd, input_cost_nanousd, budget_ids, state, owner, lease_until, progress_input_tokens,
        progress_output_tokens, progress_nanousd, streamed, created_at)
    SELECT c.request_id, c.organization_id, c.project_id, c.key_id, c.mode, c.endpoint, c.model,
        coalesce(c.fallback_models, '{}'), c.price_version_id, coalesce(c.service_tier, ''),
        CASE c.mode WHEN 'live' THEN c.upper_nanousd ELSE 0 END, c.input_cost_nanousd, budget_ids[c.n]::bigint[],
        'open', owner, moment + make_interval(secs => lease_seconds), 0, 0, 0, c.streamed, moment
    FROM ROWS FROM (jsonb_to_recordset(calls) AS (
        request_id uuid, organization_id bigint, project_id bigint, key_id bigint, mode text, endpoint text, model text,
        fallback_models text[], price_version_id bigint, upper_nanousd bigint, input_cost_nanousd bigint,
        streamed boolean, service_tier text
    )) WITH ORDINALITY AS c (request_id, organization_id, project_id, key_id, mode, endpoint, model, fallback_models,
                             price_version_id, upper_nanousd, input_cost_nanousd, streamed, service_tier, n)
    WHERE budget_ids[c.n] IS NOT NULL;
    UPDATE billing_budget b SET held_nanousd = b.held_nanousd + u.after - u.before
    FROM unnest(counters.ids, used, counters.used) u (id, after, before)
    WHERE b.id = ANY (counters.ids) AND b.id = u.id AND u.after > u.before;
    RETURN to_jsonb(verdicts);
END $$;
