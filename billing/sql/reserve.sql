-- Admit a batch of calls, each against all of its scopes or not at all, in the order given.
--
-- `calls` is an array of billing.types.ReserveRequest as objects; the answer is an array in the same order of
-- {"verdict": "ok" | "settled" | "unknown" | "revoked" | "disabled" | "expired" | "suspended" | "over", ...}.
-- An "over" names the scope that refused with its counters in nano-USD. A repeated request id answers "ok" while
-- its reservation is open, and "settled" after.
CREATE OR REPLACE FUNCTION billing_reserve(calls jsonb, owner uuid, lease_seconds int) RETURNS jsonb
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    organizations bigint[];
    moment timestamptz;
    verdicts jsonb[] := ARRAY[]::jsonb[];
    counters bigint[];   -- the counters of the batch, by slot
    used bigint[];       -- posted + held of each slot, as calls of this batch are admitted
    added bigint[];      -- what this batch adds to held of each slot
    call record;
    scope_no int;
    verdict jsonb;
BEGIN
    SELECT array_agg(DISTINCT (c ->> 'organization_id')::bigint) INTO organizations
    FROM jsonb_array_elements(calls) c WHERE c ->> 'mode' = 'live';
    IF organizations IS NOT NULL THEN
        PERFORM billing_lock_wallets(organizations);
    END IF;
    moment := clock_timestamp();
    PERFORM billing_open_budget(s.organization_id, s.scope, s.scope_id, s.model, s.period, moment)
    FROM (SELECT DISTINCT x.organization_id, x.scope, x.scope_id, x.model, x.period
          FROM billing_scopes(calls, moment) x WHERE x.counter IS NULL) s;

    FOR call IN
        WITH scoped AS MATERIALIZED (
            SELECT s.*, dense_rank() OVER (ORDER BY s.counter)::int AS slot FROM billing_scopes(calls, moment) s
        ), slots AS (
            SELECT array_agg(x.counter ORDER BY x.slot) AS ids, array_agg(x.posted + x.held ORDER BY x.slot) AS used
            FROM (SELECT DISTINCT slot, counter, posted, held FROM scoped) x
        ), bound AS (
            SELECT s.n, array_agg(s.slot) AS slots, array_agg(s.cap) AS caps, array_agg(s.counter) AS ids,
                   array_agg(s.scope) AS scopes, array_agg(s.period) AS periods, array_agg(s.posted) AS posted,
                   array_agg(s.held) AS held, array_agg(s.period_end) AS ends
            FROM (SELECT * FROM scoped ORDER BY n, cap NULLS LAST) s GROUP BY s.n
        )
        SELECT c.*, k.id AS known, k.revoked_at, k.disabled_at, k.expires_at, o.suspended_at, r.state,
               b.slots, b.caps, coalesce(b.ids, '{}') AS ids, b.scopes, b.periods, b.posted, b.held, b.ends,
               slots.ids AS all_ids, slots.used AS all_used
        FROM ROWS FROM (jsonb_to_recordset(calls) AS (
            request_id uuid, organization_id bigint, project_id bigint, key_id bigint, mode text, endpoint text,
            model text, price_version_id bigint, upper_nanousd bigint, streamed boolean
        )) WITH ORDINALITY AS c (request_id, organization_id, project_id, key_id, mode, endpoint, model,
                                 price_version_id, upper_nanousd, streamed, n)
        LEFT JOIN apikeys_apikey k ON k.id = c.key_id AND k.organization_id = c.organization_id
                                  AND k.project_id = c.project_id AND k.mode = c.mode
        LEFT JOIN accounts_organization o ON o.id = c.organization_id
        LEFT JOIN billing_reservation r ON r.request_id = c.request_id
        LEFT JOIN bound b ON b.n = c.n
        CROSS JOIN slots
        ORDER BY c.n
    LOOP
        IF counters IS NULL THEN
            counters := coalesce(call.all_ids, '{}');
            used := coalesce(call.all_used, '{}');
            added := array_fill(0::bigint, ARRAY[greatest(cardinality(counters), 1)]);
        END IF;
        verdict := CASE
            WHEN call.state = 'open' THEN '{"verdict": "ok"}'
            WHEN call.state IS NOT NULL THEN '{"verdict": "settled"}'
            WHEN call.known IS NULL THEN '{"verdict": "unknown"}'
            WHEN call.revoked_at IS NOT NULL THEN '{"verdict": "revoked"}'
            WHEN call.disabled_at IS NOT NULL THEN '{"verdict": "disabled"}'
            WHEN call.expires_at <= moment THEN '{"verdict": "expired"}'
            WHEN call.suspended_at IS NOT NULL THEN '{"verdict": "suspended"}'
        END;
        IF verdict IS NULL AND call.mode = 'live' THEN
            FOR scope_no IN 1 .. cardinality(call.slots) LOOP
                IF call.caps[scope_no] < used[call.slots[scope_no]] + call.upper_nanousd THEN
                    verdict := jsonb_build_object(
                        'verdict', 'over', 'scope', call.scopes[scope_no], 'period', call.periods[scope_no],
                        'cap', call.caps[scope_no], 'posted', call.posted[scope_no],
                        'held', used[call.slots[scope_no]] - call.posted[scope_no],
                        'needed', call.upper_nanousd, 'frees_at',
                        CASE WHEN call.periods[scope_no] <> 'total' THEN call.ends[scope_no] END);
                    EXIT;
                END IF;
            END LOOP;
        END IF;
        IF verdict IS NULL THEN
            IF call.mode = 'live' THEN
                FOR scope_no IN 1 .. cardinality(call.slots) LOOP
                    used[call.slots[scope_no]] := used[call.slots[scope_no]] + call.upper_nanousd;
                    added[call.slots[scope_no]] := added[call.slots[scope_no]] + call.upper_nanousd;
                END LOOP;
            END IF;
            INSERT INTO billing_reservation (
                request_id, organization_id, project_id, key_id, mode, endpoint, model, price_version_id, upper_nanousd,
                budget_ids, state, owner, lease_until, progress_input_tokens, progress_output_tokens,
                progress_nanousd, streamed, created_at)
            VALUES (
                call.request_id, call.organization_id, call.project_id, call.key_id, call.mode, call.endpoint,
                call.model, call.price_version_id, CASE call.mode WHEN 'live' THEN call.upper_nanousd ELSE 0 END,
                call.ids, 'open', owner, moment + make_interval(secs => lease_seconds), 0, 0, 0, call.streamed, moment);
            verdict := '{"verdict": "ok"}';
        END IF;
        verdicts := verdicts || verdict;
    END LOOP;

    UPDATE billing_budget b SET held_nanousd = b.held_nanousd + u.amount
    FROM unnest(counters, added) u (id, amount) WHERE b.id = u.id AND u.amount > 0;
    RETURN to_jsonb(verdicts);
END $$;
