-- Raise the bounds of open calls, each on all of its counters or not at all: for streams of providers that take no
-- bound or go beyond it. `calls` are {"request_id", "step", "more_nanousd"}; steps of a call are numbered from 1, and
-- one that was taken before is not taken again. The answer is an array in the same order of {"verdict": "ok" | "over"
-- | "lost", "upper": nano-USD}; "lost": the call is no longer open under this process.
CREATE OR REPLACE FUNCTION billing_extend(calls jsonb, process uuid) RETURNS jsonb
LANGUAGE plpgsql SET enable_seqscan = off SET enable_nestloop = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    ids uuid[];
    organizations bigint[];
    wish record;
    call billing_reservation;
    verdicts jsonb := '[]';
    verdict text;
BEGIN
    SELECT array_agg(c.request_id) INTO ids FROM jsonb_to_recordset(calls) AS c (request_id uuid);
    SELECT array_agg(DISTINCT r.organization_id) INTO organizations
    FROM billing_reservation r WHERE r.request_id = ANY (ids) AND r.mode = 'live';
    PERFORM billing_lock_wallets(organizations) WHERE organizations IS NOT NULL;
    PERFORM billing_open_missing(ids, clock_timestamp());
    PERFORM 1 FROM billing_reservation r WHERE r.request_id = ANY (ids) ORDER BY r.request_id FOR UPDATE;
    FOR wish IN
        SELECT c.* FROM ROWS FROM (jsonb_to_recordset(calls) AS (request_id uuid, step int, more_nanousd bigint))
            WITH ORDINALITY AS c (request_id, step, more_nanousd, n) ORDER BY c.n
    LOOP
        SELECT * INTO call FROM billing_reservation r
        WHERE r.request_id = wish.request_id AND r.settled_at IS NULL AND r.owner = process;
        verdict := CASE
            WHEN call.request_id IS NULL THEN 'lost'
            WHEN wish.step <= call.extensions THEN 'ok'
            WHEN wish.more_nanousd < 0 THEN 'over'
            WHEN call.mode = 'live' AND EXISTS (
                SELECT FROM billing_room(call.budget_ids, call.organization_id, call.project_id, call.key_id,
                                         clock_timestamp()) s WHERE s.room < wish.more_nanousd) THEN 'over'
            ELSE 'more' END;
        IF verdict = 'more' THEN
            verdict := 'ok';
            call.upper_nanousd := call.upper_nanousd + CASE call.mode WHEN 'live' THEN wish.more_nanousd ELSE 0 END;
            UPDATE billing_budget b SET held_nanousd = b.held_nanousd + wish.more_nanousd
            WHERE b.id = ANY (call.budget_ids);
            UPDATE billing_reservation r SET upper_nanousd = call.upper_nanousd, extensions = wish.step
            WHERE r.request_id = call.request_id;
        END IF;
        verdicts := verdicts || jsonb_build_object('verdict', verdict, 'upper', call.upper_nanousd);
    END LOOP;
    RETURN verdicts;
END $$;

-- Make the counters that calls would be held on if they were admitted now: a cap set since binds what is added to them,
-- too, although no call has met it yet. The caller holds the wallets.
CREATE OR REPLACE FUNCTION billing_open_missing(call_ids uuid[], moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted record;
BEGIN
    SELECT array_agg(DISTINCT r.organization_id) AS organizations, array_agg(DISTINCT r.project_id) AS projects,
           array_agg(DISTINCT r.key_id) AS keys
    INTO wanted FROM billing_reservation r WHERE r.request_id = ANY (call_ids) AND r.mode = 'live';
    IF EXISTS (SELECT FROM billing_scopes(wanted.organizations, wanted.projects, wanted.keys, moment) s
               WHERE s.counter IS NULL) THEN
        PERFORM billing_open_budgets(wanted.organizations, wanted.projects, wanted.keys, moment);
    END IF;
END $$;
