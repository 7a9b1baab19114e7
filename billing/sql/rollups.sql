-- Take settled events from the outbox into the hourly sums, each exactly once: the outbox row is deleted in the same
-- statement. Keys learn here when they were last used, and the alerts which organizations to look at. Returns how many
-- were taken.
CREATE OR REPLACE FUNCTION billing_roll_up(at_most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    taken int;
BEGIN
    WITH message AS (
        DELETE FROM billing_outboxmessage WHERE id IN (
            SELECT id FROM billing_outboxmessage ORDER BY id LIMIT at_most FOR UPDATE SKIP LOCKED)
        RETURNING request_id, occurred_at
    ), event AS MATERIALIZED (
        SELECT e.* FROM message m JOIN billing_usageevent e USING (request_id, occurred_at)
    ), summed AS (
        INSERT INTO billing_usagerollup AS u (
            hour, organization_id, project_id, key_id, model, mode, requests, errors, input_tokens, output_tokens,
            cache_read_tokens, cache_write_tokens, reasoning_tokens, price_nanousd, charge_nanousd,
            provider_cost_nanousd, duration_ms)
        SELECT date_trunc('hour', e.occurred_at, 'UTC'), e.organization_id, e.project_id, e.key_id, e.model, e.mode,
            count(*), count(*) FILTER (WHERE e.status >= 400), sum(e.input_tokens), sum(e.output_tokens),
            sum(e.cache_read_tokens), sum(e.cache_write_tokens), sum(e.reasoning_tokens), sum(e.price_nanousd),
            sum(e.charge_nanousd), sum(coalesce(e.provider_cost_nanousd, 0)), sum(coalesce(e.duration_ms, 0))
        FROM event e GROUP BY 1, 2, 3, 4, 5, 6
        ORDER BY 1, 2, 3, 4, 5, 6
        ON CONFLICT (organization_id, hour, project_id, key_id, model, mode) DO UPDATE SET
            requests = u.requests + excluded.requests, errors = u.errors + excluded.errors,
            input_tokens = u.input_tokens + excluded.input_tokens,
            output_tokens = u.output_tokens + excluded.output_tokens,
            cache_read_tokens = u.cache_read_tokens + excluded.cache_read_tokens,
            cache_write_tokens = u.cache_write_tokens + excluded.cache_write_tokens,
            reasoning_tokens = u.reasoning_tokens + excluded.reasoning_tokens,
            price_nanousd = u.price_nanousd + excluded.price_nanousd,
            charge_nanousd = u.charge_nanousd + excluded.charge_nanousd,
            provider_cost_nanousd = u.provider_cost_nanousd + excluded.provider_cost_nanousd,
            duration_ms = u.duration_ms + excluded.duration_ms
    ), changed AS (
        -- An update of what is there already, so that a check under way cannot take the row before our sums are seen.
        INSERT INTO billing_changedspend AS c (organization_id)
        SELECT DISTINCT e.organization_id FROM event e WHERE e.charge_nanousd > 0 ORDER BY 1
        ON CONFLICT (organization_id) DO UPDATE SET organization_id = c.organization_id
    ), called AS (
        SELECT k.id, e.last_at FROM apikeys_apikey k
        JOIN (SELECT key_id, max(occurred_at) AS last_at FROM event GROUP BY key_id) e ON e.key_id = k.id
        ORDER BY k.id FOR NO KEY UPDATE OF k
    ), used AS (
        UPDATE apikeys_apikey k SET last_used_at = greatest(k.last_used_at, called.last_at)
        FROM called WHERE k.id = called.id
    )
    SELECT count(*) INTO taken FROM message;
    RETURN taken;
END $$;
