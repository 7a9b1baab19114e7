-- True up calls that the sweep has ended at an estimate and whose own process settles them late (it was stopped for
-- longer than its lease), each at most once. The charge may fall, and rise as far as every counter has room at this
-- moment; it stays between 0 and the bound. What does not fit is our loss, and so is everything where an invoice has
-- the event already: then the event stays as it is. billing_trueup keeps what was wanted and what was applied.
--
-- The caller holds the wallets and the reservations. Returns `answer` with the charges that now stand.
CREATE OR REPLACE FUNCTION billing_true_up(calls jsonb, late uuid[], answer jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    waiting uuid[];                     -- events that are not in the hourly sums yet
    olds billing_usageevent[] := '{}';  -- events that are, as they were summed
    news billing_usageevent[] := '{}';
    call record;
    old billing_usageevent;
    event billing_usageevent;
    charges jsonb := '{}';
    moment timestamptz := clock_timestamp();
BEGIN
    -- A roll-up that has begun is waited for here, before any of the sums is touched: it locks in this order, too. The
    -- message comes back as a new one, so that a roll-up which could not see the new event cannot take it.
    WITH message AS (
        DELETE FROM billing_outboxmessage m USING billing_reservation r
        WHERE r.request_id = ANY (late) AND m.organization_id = r.organization_id AND m.request_id = r.request_id
        RETURNING m.*
    ), again AS (
        INSERT INTO billing_outboxmessage (request_id, occurred_at, organization_id)
        SELECT request_id, occurred_at, organization_id FROM message
    )
    SELECT coalesce(array_agg(request_id), '{}') INTO waiting FROM message;
    PERFORM billing_open_missing(late, moment);

    FOR call IN
        SELECT r.*, c.said FROM billing_reservation r
        JOIN (SELECT (said ->> 'request_id')::uuid AS request_id, said FROM jsonb_array_elements(calls) said) c
            USING (request_id)
        WHERE r.request_id = ANY (late)
          AND NOT EXISTS (SELECT FROM billing_trueup t WHERE t.request_id = r.request_id)
        ORDER BY r.request_id
    LOOP
        CONTINUE WHEN charges ? call.request_id::text;  -- named twice in one batch: the first counts
        SELECT * INTO STRICT old FROM billing_usageevent e
        WHERE e.request_id = call.request_id AND e.occurred_at = call.created_at FOR UPDATE;
        event := billing_true_up_one(call.request_id, call.said, old, moment);
        charges := charges || jsonb_build_object(event.request_id, event.charge_nanousd);
        IF event.request_id <> ALL (waiting) THEN
            olds := olds || old;
            news := news || event;
        END IF;
    END LOOP;
    PERFORM billing_roll_over(olds, news) WHERE olds <> '{}';
    RETURN (SELECT jsonb_agg(CASE WHEN charges ? (a ->> 'request_id')
                                  THEN a || jsonb_build_object('charge', charges -> (a ->> 'request_id')) ELSE a END)
            FROM jsonb_array_elements(answer) a);
END $$;

-- True up one call, and return its event as it then is.
CREATE OR REPLACE FUNCTION billing_true_up_one(
    call_id uuid, said jsonb, old billing_usageevent, moment timestamptz
) RETURNS billing_usageevent LANGUAGE plpgsql AS $$
DECLARE
    call billing_reservation;
    event billing_usageevent := old;
    counters bigint[];
    wanted bigint;
    transferred bigint;
BEGIN
    SELECT * INTO STRICT call FROM billing_reservation r WHERE r.request_id = call_id;
    wanted := CASE call.mode
        WHEN 'live' THEN least(greatest((said ->> 'charge_nanousd')::bigint, 0), call.upper_nanousd) ELSE 0 END;
    IF old.invoice_line_id IS NULL THEN
        event := billing_said_event(said, old, call);
        -- Not those of the reservation: a counter made after the sweep began with the estimate.
        SELECT array_agg(b.id) INTO counters FROM billing_budget b
        WHERE b.organization_id = call.organization_id AND call.mode = 'live'
          AND b.period_start <= old.occurred_at AND b.period_end > old.occurred_at
          AND (b.scope = 'wallet' OR (b.model IN ('', old.model, event.model) AND billing_in_scope(
              b.scope, b.scope_id, b.model, call.organization_id, call.project_id, call.key_id, b.model)));
        event.charge_nanousd := least(wanted, (
            SELECT min(greatest(s.room, 0) + CASE WHEN s.model IN ('', old.model) THEN old.charge_nanousd ELSE 0 END)
            FROM billing_room(counters, call.organization_id, call.project_id, call.key_id, moment) s
            WHERE s.model IN ('', event.model) AND s.room IS NOT NULL));
        -- Who pays was decided when the call was first charged; a call that was charged nothing is of today's plan.
        event.postpaid := event.charge_nanousd > 0 AND CASE WHEN old.charge_nanousd > 0 THEN old.postpaid ELSE EXISTS (
            SELECT FROM billing_billingaccount a
            WHERE a.organization_id = call.organization_id AND a.plan = 'postpaid') END;
        PERFORM billing_store_true_event(event, said);
        UPDATE billing_budget b SET posted_nanousd = b.posted_nanousd
            - CASE WHEN b.model IN ('', old.model) THEN old.charge_nanousd ELSE 0 END
            + CASE WHEN b.model IN ('', event.model) THEN event.charge_nanousd ELSE 0 END
        WHERE b.id = ANY (counters);
        UPDATE billing_reservation r SET charge_nanousd = event.charge_nanousd WHERE r.request_id = call_id;
    END IF;
    transferred := event.charge_nanousd - old.charge_nanousd;
    INSERT INTO billing_trueup (request_id, occurred_at, organization_id, estimated_nanousd, wanted_nanousd,
                                applied_nanousd, provider_cost_nanousd, was_invoiced, created_at)
    VALUES (call_id, old.occurred_at, call.organization_id, old.charge_nanousd, wanted, transferred,
            (said ->> 'provider_cost_nanousd')::bigint, old.invoice_line_id IS NOT NULL, moment);
    INSERT INTO billing_ledgertransfer (
        idempotency_key, leg, kind, organization_id, debit_account_id, credit_account_id, amount_nanousd, reason,
        created_at)
    SELECT 'trueup:' || call_id, 0, 'trueup', call.organization_id,
        CASE WHEN transferred > 0 THEN own.id ELSE revenue.id END,
        CASE WHEN transferred > 0 THEN revenue.id ELSE own.id END, abs(transferred), '', moment
    -- Outer joins: an account that were missing must fail the true-up, not lose the posting.
    FROM (VALUES (call.organization_id)) v (organization_id)
    LEFT JOIN billing_ledgeraccount own ON own.organization_id = v.organization_id
        AND own.kind = CASE WHEN old.postpaid OR event.postpaid THEN 'unbilled' ELSE 'wallet' END
    LEFT JOIN billing_ledgeraccount revenue ON revenue.organization_id IS NULL AND revenue.kind = 'revenue'
    WHERE transferred <> 0;
    RETURN event;
END $$;

-- The event as its own process tells it; the charge is still that of the estimate.
CREATE OR REPLACE FUNCTION billing_said_event(
    said jsonb, old billing_usageevent, call billing_reservation
) RETURNS billing_usageevent LANGUAGE sql STABLE AS $$
    SELECT jsonb_populate_record(old, said - ARRAY[
        'request_id', 'model', 'price_version_id', 'charge_nanousd', 'attempts', 'duration_ms', 'usage_flag'
    ] || jsonb_build_object(
        'model', CASE WHEN coalesce(said ->> 'model', '') IN ('', call.model) THEN call.model
                      WHEN (said ->> 'model') = ANY (call.fallback_models) THEN said ->> 'model' END,
        'price_version_id', coalesce((said ->> 'price_version_id')::bigint, call.price_version_id),
        'upper_nanousd', call.upper_nanousd,
        'attempts', greatest(jsonb_array_length(said -> 'attempts'), 1),
        'duration_ms', coalesce((said ->> 'duration_ms')::int, old.duration_ms),
        'usage_flag', coalesce(said ->> 'usage_flag', '')))
$$;

CREATE OR REPLACE FUNCTION billing_store_true_event(event billing_usageevent, said jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- As a new row: its columns are all those of the table, whatever comes to be added.
    DELETE FROM billing_usageevent e WHERE e.request_id = event.request_id AND e.occurred_at = event.occurred_at;
    INSERT INTO billing_usageevent SELECT event.*;
    DELETE FROM billing_attempt a WHERE a.request_id = event.request_id;
    INSERT INTO billing_attempt (
        request_id, number, provider, upstream_model, upstream_id, status, error_code, provider_cost_nanousd,
        first_byte_ms, duration_ms, started_at)
    SELECT event.request_id, a.* FROM jsonb_to_recordset(said -> 'attempts') AS a (
        number int, provider text, upstream_model text, upstream_id text, status int, error_code text,
        provider_cost_nanousd bigint, first_byte_ms int, duration_ms int, started_at timestamptz);
END $$;
