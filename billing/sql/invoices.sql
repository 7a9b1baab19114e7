-- What an organization has used and not been billed for until a moment, in nano-USD; counting stops at `enough`.
CREATE OR REPLACE FUNCTION billing_unbilled(organization bigint, until timestamptz, enough bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
    found bigint;
BEGIN
    SELECT coalesce(sum(first.charge_nanousd), 0) INTO found FROM (
        SELECT e.charge_nanousd FROM billing_usageevent e
        WHERE e.organization_id = organization AND e.postpaid AND e.invoice_line_id IS NULL AND e.occurred_at < until
        LIMIT 20000
    ) first;
    IF found >= enough THEN
        RETURN found;
    END IF;
    RETURN (
        SELECT coalesce(sum(e.charge_nanousd), 0) FROM billing_usageevent e
        WHERE e.organization_id = organization AND e.postpaid AND e.invoice_line_id IS NULL AND e.occurred_at < until
    );
END $$;

-- Add up two objects of counts, name by name.
CREATE OR REPLACE FUNCTION billing_add_counts(one jsonb, other jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(jsonb_object_agg(name, total), '{}') FROM (
        SELECT name, sum(n::bigint) AS total FROM (
            SELECT * FROM jsonb_each_text(one) a (name, n) UNION ALL SELECT * FROM jsonb_each_text(other) b (name, n)
        ) each_count GROUP BY name
    ) summed
$$;

-- Claim the next events of an organization for an invoice that is being made: those admitted before `until`, from
-- where the invoice's last claim ended. Each event gets its line once (model, price version, service tier and prompt
-- tier, late ones apart), and is counted in the line and in its key's share by the same statement. Returns how many
-- there were.
--
-- The caller holds the organization's advisory lock. Events are locked in their order; a true-up that is under way
-- replaces its event, and the new one is found by the pass after this. Joins are by index, so that the plan does not
-- depend on statistics; lines meet their groups before these are spread into events, or each event would drag the ids of
-- its whole group through the join (1.2 GB for 20,000).
CREATE OR REPLACE FUNCTION billing_claim(wanted uuid, since timestamptz, until timestamptz, at_most int) RETURNS int
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    invoice billing_invoice;
    taken record;
BEGIN
    SELECT * INTO STRICT invoice FROM billing_invoice i WHERE i.uuid = wanted AND i.state = 'closing' FOR UPDATE;
    invoice.claimed_to_at := coalesce(invoice.claimed_to_at, '-infinity');
    invoice.claimed_to_id := coalesce(invoice.claimed_to_id, '00000000-0000-0000-0000-000000000000');
    WITH chunk AS MATERIALIZED (
        SELECT e.request_id, e.occurred_at, e.project_id, e.key_id, e.model, e.price_version_id, e.charge_nanousd,
               e.input_tokens, e.output_tokens, e.cache_read_tokens, e.cache_write_tokens, e.reasoning_tokens,
               e.usage_details - 'longest_prompt_tokens' AS usage_details, e.service_tier,
               coalesce((e.usage_details ->> 'longest_prompt_tokens')::bigint, e.input_tokens) AS prompt_tokens
        FROM billing_usageevent e
        WHERE e.organization_id = invoice.organization_id AND e.postpaid AND e.invoice_line_id IS NULL
          AND e.occurred_at < until AND e.occurred_at >= invoice.claimed_to_at
          AND (e.occurred_at, e.request_id) > (invoice.claimed_to_at, invoice.claimed_to_id)
        ORDER BY e.occurred_at, e.request_id LIMIT at_most FOR UPDATE
    ), priced AS MATERIALIZED (
        SELECT p.id, p.tiers, p.service_tiers FROM billing_priceversion p
        WHERE p.id = ANY (ARRAY(SELECT DISTINCT c.price_version_id FROM chunk c))
    ), rated AS MATERIALIZED (
        SELECT c.*, c.occurred_at < since AS is_late, coalesce((
            SELECT max((tier ->> 'above_input_tokens')::bigint)
            FROM priced p CROSS JOIN LATERAL jsonb_array_elements(CASE c.service_tier WHEN '' THEN p.tiers
                ELSE coalesce(p.service_tiers -> c.service_tier -> 'tiers', '[]') END) tier
            WHERE p.id = c.price_version_id AND (tier ->> 'above_input_tokens')::bigint < c.prompt_tokens
        ), 0) AS above
        FROM chunk c
    ), counted AS (
        SELECT d.model, d.price_version_id, d.service_tier, d.above, d.is_late,
               jsonb_object_agg(d.name, d.total) AS details
        FROM (
            SELECT r.model, r.price_version_id, r.service_tier, r.above, r.is_late, n.name,
                   sum(n.count::bigint) AS total
            FROM rated r CROSS JOIN LATERAL jsonb_each_text(r.usage_details) n (name, count)
            WHERE r.usage_details <> '{}' GROUP BY 1, 2, 3, 4, 5, 6
        ) d GROUP BY 1, 2, 3, 4, 5
    ), grouped AS MATERIALIZED (
        SELECT r.model, r.price_version_id, r.service_tier, r.above, r.is_late, min(r.occurred_at) AS first_at,
               max(r.occurred_at) AS last_at, count(*) AS requests, sum(r.charge_nanousd) AS charge,
               sum(r.input_tokens) AS input, sum(r.output_tokens) AS output, sum(r.cache_read_tokens) AS cache_read,
               sum(r.cache_write_tokens) AS cache_write, sum(r.reasoning_tokens) AS reasoning,
               array_agg(r.request_id) AS ids, array_agg(r.occurred_at) AS moments
        FROM rated r GROUP BY 1, 2, 3, 4, 5
    ), line AS (
        INSERT INTO billing_invoiceline AS l (
            public_id, invoice_id, model, price_version_id, service_tier, above_input_tokens, is_late, first_at,
            last_at, requests, charge_nanousd, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
            reasoning_tokens, details)
        SELECT gen_random_uuid(), wanted, g.model, g.price_version_id, g.service_tier, g.above, g.is_late, g.first_at,
               g.last_at, g.requests, g.charge, g.input, g.output, g.cache_read, g.cache_write, g.reasoning,
               coalesce(c.details, '{}')
        FROM grouped g LEFT JOIN counted c USING (model, price_version_id, service_tier, above, is_late)
        ON CONFLICT (invoice_id, model, price_version_id, service_tier, above_input_tokens, is_late)
            WHERE price_version_id IS NOT NULL DO UPDATE SET
            first_at = least(l.first_at, excluded.first_at), last_at = greatest(l.last_at, excluded.last_at),
            requests = l.requests + excluded.requests, charge_nanousd = l.charge_nanousd + excluded.charge_nanousd,
            input_tokens = l.input_tokens + excluded.input_tokens,
            output_tokens = l.output_tokens + excluded.output_tokens,
            cache_read_tokens = l.cache_read_tokens + excluded.cache_read_tokens,
            cache_write_tokens = l.cache_write_tokens + excluded.cache_write_tokens,
            reasoning_tokens = l.reasoning_tokens + excluded.reasoning_tokens,
            details = billing_add_counts(l.details, excluded.details)
        RETURNING l.id, l.model, l.price_version_id, l.service_tier, l.above_input_tokens AS above, l.is_late
    ), share AS (
        INSERT INTO billing_invoiceshare AS s (invoice_id, project_id, key_id, model, requests, charge_nanousd)
        SELECT wanted, r.project_id, r.key_id, r.model, count(*), sum(r.charge_nanousd)
        FROM rated r GROUP BY 2, 3, 4
        ON CONFLICT (invoice_id, project_id, key_id, model) DO UPDATE SET
            requests = s.requests + excluded.requests, charge_nanousd = s.charge_nanousd + excluded.charge_nanousd
    ), placed AS MATERIALIZED (
        SELECT l.id AS line, g.ids, g.moments
        FROM line l JOIN grouped g USING (model, price_version_id, service_tier, above, is_late)
    ), found AS MATERIALIZED (
        SELECT p.line, u.request_id, u.occurred_at
        FROM placed p CROSS JOIN LATERAL unnest(p.ids, p.moments) u (request_id, occurred_at)
    ), claimed AS (
        UPDATE billing_usageevent e SET invoice_line_id = found.line FROM found
        WHERE e.request_id = found.request_id AND e.occurred_at = found.occurred_at AND e.invoice_line_id IS NULL
        RETURNING e.charge_nanousd
    )
    SELECT (SELECT count(*) FROM claimed) AS events, (SELECT sum(c.charge_nanousd) FROM claimed c) AS charge,
           count(*) AS wanted, (array_agg(c.occurred_at ORDER BY c.occurred_at DESC, c.request_id DESC))[1] AS moment,
           (array_agg(c.request_id ORDER BY c.occurred_at DESC, c.request_id DESC))[1] AS id
    INTO taken FROM chunk c;
    IF taken.events <> taken.wanted THEN
        RAISE EXCEPTION 'of % events % were claimed for invoice %', taken.wanted, taken.events, wanted;
    END IF;
    UPDATE billing_invoice i SET usage_nanousd = i.usage_nanousd + coalesce(taken.charge, 0),
        claimed_to_at = taken.moment, claimed_to_id = taken.id
    WHERE i.uuid = wanted;
    RETURN taken.events;
END $$;
