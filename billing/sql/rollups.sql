-- How long a call took, as a number from 0 to 23: bounds that grow by half, the last one open. Percentiles are read from
-- the counts of these (billing/read_models/latency.py knows the same bounds).
CREATE OR REPLACE FUNCTION billing_latency_bucket(ms int) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT width_bucket(ms, ARRAY[20, 30, 45, 68, 101, 152, 228, 342, 513, 769, 1153, 1730, 2595, 3892, 5839, 8758, 13137,
                                  19705, 29558, 44337, 66505, 99758, 149636])
$$;

CREATE OR REPLACE FUNCTION billing_add_counts(one bigint[], other bigint[]) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(a + b ORDER BY n) FROM unnest(one, other) WITH ORDINALITY AS t (a, b, n)
$$;

-- Take events out of the hourly sums of their tags as they were and add them as they are. A call counts once for each
-- of its tags.
CREATE OR REPLACE FUNCTION billing_roll_tags(olds billing_usageevent[], news billing_usageevent[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing_tagrollup AS u (
        hour, organization_id, project_id, key_id, tag, model, mode, requests, errors, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens, reasoning_tokens, audio_tokens, image_tokens, price_nanousd,
        charge_nanousd)
    SELECT date_trunc('hour', e.occurred_at, 'UTC'), e.organization_id, e.project_id, e.key_id, t.tag, e.model, e.mode,
        sum(e.sign), sum(e.sign * (e.status >= 400)::int), sum(e.sign * e.input_tokens), sum(e.sign * e.output_tokens),
        sum(e.sign * e.cache_read_tokens), sum(e.sign * e.cache_write_tokens), sum(e.sign * e.reasoning_tokens),
        sum(e.sign * billing_detail(e.usage_details, 'audio')), sum(e.sign * billing_detail(e.usage_details, 'image')),
        sum(e.sign * e.price_nanousd), sum(e.sign * e.charge_nanousd)
    FROM (SELECT -1 AS sign, o.* FROM unnest(olds) o UNION ALL SELECT 1, n.* FROM unnest(news) n) e
    CROSS JOIN LATERAL unnest(e.tags) AS t (tag)
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (organization_id, hour, project_id, key_id, tag, model, mode) DO UPDATE SET
        requests = u.requests + excluded.requests, errors = u.errors + excluded.errors,
        input_tokens = u.input_tokens + excluded.input_tokens,
        output_tokens = u.output_tokens + excluded.output_tokens,
        cache_read_tokens = u.cache_read_tokens + excluded.cache_read_tokens,
        cache_write_tokens = u.cache_write_tokens + excluded.cache_write_tokens,
        reasoning_tokens = u.reasoning_tokens + excluded.reasoning_tokens,
        audio_tokens = u.audio_tokens + excluded.audio_tokens, image_tokens = u.image_tokens + excluded.image_tokens,
        price_nanousd = u.price_nanousd + excluded.price_nanousd,
        charge_nanousd = u.charge_nanousd + excluded.charge_nanousd;
END $$;

-- The tokens of a kind (audio, image) in and out, of an event's details.
CREATE OR REPLACE FUNCTION billing_detail(details jsonb, kind text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN details = '{}' THEN 0 ELSE coalesce((details ->> (kind || '_input_tokens'))::bigint, 0)
        + coalesce((details ->> (kind || '_output_tokens'))::bigint, 0) END
$$;

-- Take events out of the hourly sums as they were and add them as they are, and tell the alerts whose spend changed. Rows
-- are locked in this order: changed organizations, hours, days, hours of tags, days of tags.
CREATE OR REPLACE FUNCTION billing_roll_over(olds billing_usageevent[], news billing_usageevent[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- An update of what is there already, so that a check under way cannot take the row before our sums are seen.
    INSERT INTO billing_changedspend AS c (organization_id)
    SELECT DISTINCT e.organization_id FROM unnest(olds || news) e WHERE e.charge_nanousd > 0 ORDER BY 1
    ON CONFLICT (organization_id) DO UPDATE SET organization_id = c.organization_id;
    INSERT INTO billing_usagerollup AS u (
        hour, organization_id, project_id, key_id, model, mode, requests, errors, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens, reasoning_tokens, price_nanousd, charge_nanousd,
        provider_cost_nanousd, duration_ms, audio_tokens, image_tokens)
    SELECT date_trunc('hour', e.occurred_at, 'UTC'), e.organization_id, e.project_id, e.key_id, e.model, e.mode,
        sum(e.sign), sum(e.sign * (e.status >= 400)::int), sum(e.sign * e.input_tokens), sum(e.sign * e.output_tokens),
        sum(e.sign * e.cache_read_tokens), sum(e.sign * e.cache_write_tokens), sum(e.sign * e.reasoning_tokens),
        sum(e.sign * e.price_nanousd), sum(e.sign * e.charge_nanousd),
        sum(e.sign * coalesce(e.provider_cost_nanousd, 0)), sum(e.sign * coalesce(e.duration_ms, 0)),
        sum(e.sign * billing_detail(e.usage_details, 'audio')), sum(e.sign * billing_detail(e.usage_details, 'image'))
    FROM (SELECT -1 AS sign, o.* FROM unnest(olds) o UNION ALL SELECT 1, n.* FROM unnest(news) n) e
    GROUP BY 1, 2, 3, 4, 5, 6
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
        duration_ms = u.duration_ms + excluded.duration_ms, audio_tokens = u.audio_tokens + excluded.audio_tokens,
        image_tokens = u.image_tokens + excluded.image_tokens;
    PERFORM billing_roll_tags(olds, news);
END $$;

-- Take settled events from the outbox into the hourly sums, each exactly once: the outbox row is deleted in the same
-- statement. Keys learn here when they were last used, and the alerts which organizations to look at. Returns how many
-- were taken.
--
-- One statement, because the events of a batch in an array take three times as long. PostgreSQL ends its parts from the last
-- to the first, so that rows are locked in the order of billing_roll_over; a test looks at it.
CREATE OR REPLACE FUNCTION billing_roll_up(at_most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    taken int;
    tagged billing_usageevent[];
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
            provider_cost_nanousd, duration_ms, audio_tokens, image_tokens)
        SELECT date_trunc('hour', e.occurred_at, 'UTC'), e.organization_id, e.project_id, e.key_id, e.model, e.mode,
            count(*), count(*) FILTER (WHERE e.status >= 400), sum(e.input_tokens), sum(e.output_tokens),
            sum(e.cache_read_tokens), sum(e.cache_write_tokens), sum(e.reasoning_tokens), sum(e.price_nanousd),
            sum(e.charge_nanousd), sum(coalesce(e.provider_cost_nanousd, 0)), sum(coalesce(e.duration_ms, 0)),
            sum(billing_detail(e.usage_details, 'audio')), sum(billing_detail(e.usage_details, 'image'))
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
            duration_ms = u.duration_ms + excluded.duration_ms,
            audio_tokens = u.audio_tokens + excluded.audio_tokens,
            image_tokens = u.image_tokens + excluded.image_tokens
    ), took AS (
        -- How long what succeeded took: by the first token (f) and in all (d).
        SELECT date_trunc('hour', e.occurred_at, 'UTC') AS hour, e.organization_id, e.model, e.mode,
            billing_latency_bucket(e.first_token_ms) AS f, billing_latency_bucket(e.duration_ms) AS d
        FROM event e WHERE e.status < 400
    ), timed AS (
        INSERT INTO billing_latencyrollup AS l (hour, organization_id, model, mode, first_token_counts, duration_counts)
        SELECT hour, organization_id, model, mode,
            ARRAY[
                count(*) FILTER (WHERE f = 0), count(*) FILTER (WHERE f = 1), count(*) FILTER (WHERE f = 2),
                count(*) FILTER (WHERE f = 3), count(*) FILTER (WHERE f = 4), count(*) FILTER (WHERE f = 5),
                count(*) FILTER (WHERE f = 6), count(*) FILTER (WHERE f = 7), count(*) FILTER (WHERE f = 8),
                count(*) FILTER (WHERE f = 9), count(*) FILTER (WHERE f = 10), count(*) FILTER (WHERE f = 11),
                count(*) FILTER (WHERE f = 12), count(*) FILTER (WHERE f = 13), count(*) FILTER (WHERE f = 14),
                count(*) FILTER (WHERE f = 15), count(*) FILTER (WHERE f = 16), count(*) FILTER (WHERE f = 17),
                count(*) FILTER (WHERE f = 18), count(*) FILTER (WHERE f = 19), count(*) FILTER (WHERE f = 20),
                count(*) FILTER (WHERE f = 21), count(*) FILTER (WHERE f = 22), count(*) FILTER (WHERE f = 23)],
            ARRAY[
                count(*) FILTER (WHERE d = 0), count(*) FILTER (WHERE d = 1), count(*) FILTER (WHERE d = 2),
                count(*) FILTER (WHERE d = 3), count(*) FILTER (WHERE d = 4), count(*) FILTER (WHERE d = 5),
                count(*) FILTER (WHERE d = 6), count(*) FILTER (WHERE d = 7), count(*) FILTER (WHERE d = 8),
                count(*) FILTER (WHERE d = 9), count(*) FILTER (WHERE d = 10), count(*) FILTER (WHERE d = 11),
                count(*) FILTER (WHERE d = 12), count(*) FILTER (WHERE d = 13), count(*) FILTER (WHERE d = 14),
                count(*) FILTER (WHERE d = 15), count(*) FILTER (WHERE d = 16), count(*) FILTER (WHERE d = 17),
                count(*) FILTER (WHERE d = 18), count(*) FILTER (WHERE d = 19), count(*) FILTER (WHERE d = 20),
                count(*) FILTER (WHERE d = 21), count(*) FILTER (WHERE d = 22), count(*) FILTER (WHERE d = 23)]
        FROM took GROUP BY 1, 2, 3, 4
        ORDER BY 1, 2, 3, 4
        ON CONFLICT (organization_id, hour, model, mode) DO UPDATE SET
            first_token_counts = billing_add_counts(l.first_token_counts, excluded.first_token_counts),
            duration_counts = billing_add_counts(l.duration_counts, excluded.duration_counts)
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
    SELECT count(*), (SELECT array_agg(ROW(e.*)::billing_usageevent) FROM event e WHERE e.tags IS NOT NULL)
    INTO taken, tagged FROM message;
    IF tagged IS NOT NULL THEN
        PERFORM billing_roll_tags('{}', tagged);
    END IF;
    RETURN taken;
END $$;
