-- End a batch of calls: reservation closed, holds released, charge posted, usage event, attempts, ledger transfer
-- and outbox row written, all in one statement. The answer is an array of {"request_id", "settled": bool,
-- "charge": nano-USD, "foreign": bool}: settled is false where the reservation was ended before, and `charge` is then
-- what stands. Only the process that holds the reservation may end it ("foreign" says that another tried); the sweep
-- names no process. A process that settles after the sweep trues the estimate up, once: see true_up.sql.
--
-- The event names the model that served, and of the counters of a key on a model only that model's gets the charge.
DROP FUNCTION IF EXISTS billing_settle(jsonb, boolean);
CREATE OR REPLACE FUNCTION billing_settle(calls jsonb, process uuid, swept boolean DEFAULT false) RETURNS jsonb
LANGUAGE plpgsql SET enable_seqscan = off SET enable_nestloop = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    ids uuid[];
    organizations bigint[];
    counters bigint[];
    answer jsonb;
    late uuid[];
    moment timestamptz;
BEGIN
    SELECT array_agg(c.request_id) INTO ids FROM jsonb_to_recordset(calls) AS c (request_id uuid);
    SELECT array_agg(DISTINCT r.organization_id) INTO organizations
    FROM billing_reservation r WHERE r.request_id = ANY (ids) AND r.mode = 'live';
    PERFORM billing_lock_wallets(organizations) WHERE organizations IS NOT NULL;
    PERFORM 1 FROM billing_reservation r WHERE r.request_id = ANY (ids) ORDER BY r.request_id FOR UPDATE;
    SELECT array_agg(DISTINCT u.id) INTO counters
    FROM billing_reservation r CROSS JOIN LATERAL unnest(r.budget_ids) u (id)
    WHERE r.request_id = ANY (ids) AND r.settled_at IS NULL;
    moment := clock_timestamp();

    -- Tables are read by lists of ids and joined by hash, so that the plan does not depend on statistics.
    WITH call AS MATERIALIZED (
        SELECT DISTINCT ON (c.request_id) c.* FROM ROWS FROM (jsonb_to_recordset(calls) AS (
            request_id uuid, outcome text, basis text, price_nanousd bigint, charge_nanousd bigint,
            provider_cost_nanousd bigint, provider text, upstream_model text, upstream_id text, status int,
            error_code text, finish_reason text, first_token_ms int, duration_ms int, client_request_id text,
            input_tokens bigint, output_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint,
            reasoning_tokens bigint, usage_details jsonb, attempts jsonb, model text, price_version_id bigint,
            usage_flag text, tags text[], service_tier text
        )) WITH ORDINALITY AS c (
            request_id, outcome, basis, price_nanousd, charge_nanousd, provider_cost_nanousd, provider, upstream_model,
            upstream_id, status, error_code, finish_reason, first_token_ms, duration_ms, client_request_id, input_tokens,
            output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_details, attempts, model, price_version_id,
            usage_flag, tags, service_tier, n)
        ORDER BY c.request_id, c.n
    ), counter AS MATERIALIZED (
        SELECT b.id, b.model FROM billing_budget b WHERE b.id = ANY (counters)
    ), account AS MATERIALIZED (
        SELECT a.organization_id, a.plan FROM billing_billingaccount a WHERE a.organization_id = ANY (organizations)
    ), closed AS (
        UPDATE billing_reservation r SET
            state = 'settled', settled_at = moment, swept_at = CASE WHEN swept THEN moment END,
            charge_nanousd = CASE r.mode WHEN 'live' THEN least(greatest(call.charge_nanousd, 0), r.upper_nanousd) ELSE 0 END
        FROM call
        -- Not `state = 'open'`: the planner would walk a partial index of all open calls instead of the key.
        WHERE r.request_id = ANY (ids) AND r.request_id = call.request_id AND r.settled_at IS NULL
          AND (NOT swept OR r.lease_until < moment) AND (process IS NULL OR r.owner = process)
        -- A model that holds nothing here has no name, so that the event is refused rather than posted beside a cap.
        RETURNING r.*, CASE WHEN coalesce(call.model, '') IN ('', r.model) THEN r.model
                            WHEN call.model = ANY (r.fallback_models) THEN call.model END AS served
    ), moved AS (
        UPDATE billing_budget b SET held_nanousd = b.held_nanousd - s.held, posted_nanousd = b.posted_nanousd + s.posted
        FROM (
            SELECT u.id, sum(c.upper_nanousd)::bigint AS held,
                   coalesce(sum(c.charge_nanousd) FILTER (WHERE counter.model IN ('', c.served)), 0)::bigint AS posted
            FROM closed c CROSS JOIN LATERAL unnest(c.budget_ids) u (id) JOIN counter USING (id) GROUP BY u.id
        ) s WHERE b.id = ANY (counters) AND b.id = s.id
    ), event AS (
        INSERT INTO billing_usageevent (
            request_id, occurred_at, settled_at, organization_id, project_id, key_id, mode, endpoint, model, provider,
            upstream_model, upstream_id, streamed, outcome, basis, status, error_code, finish_reason, input_tokens,
            output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, usage_details, price_version_id,
            upper_nanousd, price_nanousd, charge_nanousd, provider_cost_nanousd, attempts, first_token_ms, duration_ms,
            client_request_id, usage_flag, tags, service_tier, postpaid)
        SELECT r.request_id, r.created_at, moment, r.organization_id, r.project_id, r.key_id, r.mode, r.endpoint, r.served,
            c.provider, c.upstream_model, c.upstream_id, r.streamed, c.outcome, c.basis, c.status, c.error_code,
            c.finish_reason, c.input_tokens, c.output_tokens, c.cache_read_tokens, c.cache_write_tokens,
            c.reasoning_tokens, c.usage_details, coalesce(c.price_version_id, r.price_version_id), r.upper_nanousd, c.price_nanousd,
            r.charge_nanousd, c.provider_cost_nanousd, greatest(jsonb_array_length(c.attempts), 1), c.first_token_ms,
            coalesce(c.duration_ms, least(extract(epoch FROM moment - r.created_at) * 1000, 2147483647)::int), c.client_request_id,
            coalesce(c.usage_flag, ''), c.tags, coalesce(c.service_tier, ''),
            r.charge_nanousd > 0 AND a.plan IS NOT DISTINCT FROM 'postpaid'
        FROM closed r JOIN call c USING (request_id)
        LEFT JOIN account a ON a.organization_id = r.organization_id
    ), tries AS (
        INSERT INTO billing_attempt (
            request_id, number, provider, upstream_model, upstream_id, status, error_code, provider_cost_nanousd,
            first_byte_ms, duration_ms, started_at)
        SELECT r.request_id, a.* FROM closed r JOIN call c USING (request_id)
        CROSS JOIN LATERAL jsonb_to_recordset(c.attempts) AS a (
            number int, provider text, upstream_model text, upstream_id text, status int, error_code text,
            provider_cost_nanousd bigint, first_byte_ms int, duration_ms int, started_at timestamptz)
    ), transfer AS (
        INSERT INTO billing_ledgertransfer (
            idempotency_key, leg, kind, organization_id, debit_account_id, credit_account_id, amount_nanousd, reason,
            created_at)
        SELECT 'request:' || r.request_id, 0, 'usage', r.organization_id, debit.id, credit.id, r.charge_nanousd, '', moment
        FROM closed r
        LEFT JOIN account a ON a.organization_id = r.organization_id
        -- Outer joins: an account that were missing must fail the settlement, not lose the posting.
        LEFT JOIN (
            SELECT * FROM billing_ledgeraccount WHERE organization_id = ANY (organizations)
        ) debit ON debit.organization_id = r.organization_id
            AND debit.kind = CASE a.plan WHEN 'postpaid' THEN 'unbilled' ELSE 'wallet' END
        LEFT JOIN billing_ledgeraccount credit ON credit.organization_id IS NULL AND credit.kind = 'revenue'
        WHERE r.charge_nanousd > 0
    ), outbox AS (
        INSERT INTO billing_outboxmessage (request_id, occurred_at, organization_id)
        SELECT r.request_id, r.created_at, r.organization_id FROM closed r
    )
    SELECT jsonb_agg(jsonb_build_object(
        'request_id', call.request_id,
        'settled', closed.request_id IS NOT NULL,
        'charge', coalesce(closed.charge_nanousd, before.charge_nanousd),
        'foreign', coalesce(before.owner <> process, false))),
        array_agg(call.request_id) FILTER (WHERE before.swept_at IS NOT NULL AND before.owner = process)
    INTO answer, late
    FROM call
    LEFT JOIN closed USING (request_id)
    LEFT JOIN (SELECT * FROM billing_reservation r WHERE r.request_id = ANY (ids)) before USING (request_id);
    IF late IS NOT NULL THEN
        answer := billing_true_up(calls, late, answer);
    END IF;
    RETURN coalesce(answer, '[]');
END $$;

-- Renew the leases of one process and store how far each call has come. Returns the ids that are no longer open
-- under this owner: their streams must stop.
CREATE OR REPLACE FUNCTION billing_renew(calls jsonb, process uuid, lease_seconds int) RETURNS jsonb
LANGUAGE plpgsql SET enable_seqscan = off SET enable_nestloop = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    ids uuid[];
    lost jsonb;
BEGIN
    SELECT array_agg(c.request_id) INTO ids FROM jsonb_to_recordset(calls) AS c (request_id uuid);
    PERFORM 1 FROM billing_reservation r WHERE r.request_id = ANY (ids) ORDER BY r.request_id FOR UPDATE;
    WITH call AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(calls) AS c (
            request_id uuid, input_tokens bigint, output_tokens bigint, progress_nanousd bigint, sent boolean,
            provider_cost_nanousd bigint, attempts jsonb)
    ), renewed AS (
        UPDATE billing_reservation r SET
            lease_until = clock_timestamp() + make_interval(secs => lease_seconds),
            sent_at = coalesce(r.sent_at, CASE WHEN call.sent THEN clock_timestamp() END),
            progress_input_tokens = greatest(call.input_tokens, 0),
            progress_output_tokens = greatest(call.output_tokens, 0), progress_nanousd = greatest(call.progress_nanousd, 0),
            progress_cost_nanousd = coalesce(call.provider_cost_nanousd, r.progress_cost_nanousd),
            progress_attempts = coalesce(call.attempts, r.progress_attempts)
        FROM call
        WHERE r.request_id = ANY (ids) AND r.request_id = call.request_id AND r.settled_at IS NULL AND r.owner = process
        RETURNING r.request_id
    )
    SELECT jsonb_agg(call.request_id) INTO lost
    FROM call LEFT JOIN renewed USING (request_id) WHERE renewed.request_id IS NULL;
    RETURN coalesce(lost, '[]');
END $$;

-- Settle the open reservations whose lease has ended at their last progress; a call not known to be sent is waived,
-- but may have been sent, so that the provider's cost of its input is booked all the same: it is our loss. Any
-- number of processes may sweep at once: one works, the others find nothing to do. Nothing is swept in the first
-- `quiet_seconds` after the server's start. Returns how many were settled.
CREATE OR REPLACE FUNCTION billing_sweep(at_most int, quiet_seconds int) RETURNS int
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    expired jsonb;
BEGIN
    -- After a restart of the server every process first gets the time to renew what it still holds.
    IF pg_postmaster_start_time() > clock_timestamp() - make_interval(secs => quiet_seconds) THEN
        RETURN 0;
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('billing_sweep')) THEN
        RETURN 0;
    END IF;
    SELECT jsonb_agg(jsonb_build_object(
        'request_id', r.request_id, 'outcome', 'lost',
        'basis', CASE WHEN r.sent_at IS NULL THEN 'waived' ELSE 'estimated' END,
        'price_nanousd', r.progress_nanousd,
        'charge_nanousd', CASE WHEN r.sent_at IS NULL THEN 0 ELSE r.progress_nanousd END,
        'provider_cost_nanousd', coalesce(r.progress_cost_nanousd, r.input_cost_nanousd),
        'provider', coalesce(r.progress_attempts -> -1 ->> 'provider', ''),
        'upstream_model', coalesce(r.progress_attempts -> -1 ->> 'upstream_model', ''),
        'upstream_id', '', 'status', 500, 'error_code', 'lost',
        'finish_reason', '', 'client_request_id', '', 'input_tokens', r.progress_input_tokens,
        'output_tokens', r.progress_output_tokens, 'cache_read_tokens', 0, 'cache_write_tokens', 0,
        'reasoning_tokens', 0, 'usage_details', '{}'::jsonb, 'attempts', coalesce(r.progress_attempts, '[]'),
        'service_tier', r.service_tier))
    INTO expired
    FROM (
        SELECT * FROM billing_reservation
        WHERE state = 'open' AND lease_until < clock_timestamp() ORDER BY lease_until LIMIT at_most
    ) r;
    IF expired IS NULL THEN
        RETURN 0;
    END IF;
    RETURN (SELECT count(*) FROM jsonb_array_elements(billing_settle(expired, NULL, true)) s WHERE (s ->> 'settled')::boolean);
END $$;
