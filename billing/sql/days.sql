-- Sums of days (UTC). A day is the sum of its hours, whoever writes an hour: each statement on hourly sums moves the days
-- by what it changed. The rows of days are locked in the order of their keys and after those of the hours.

-- What a statement changed in an hourly table, with its sign, as the text of a query on the trigger's tables.
CREATE OR REPLACE FUNCTION billing_changed_hours(operation text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE operation
        WHEN 'INSERT' THEN 'SELECT 1 AS sign, * FROM new_hours'
        WHEN 'DELETE' THEN 'SELECT -1 AS sign, * FROM old_hours'
        ELSE 'SELECT 1 AS sign, * FROM new_hours UNION ALL SELECT -1, * FROM old_hours' END
$$;

-- Trigger of hourly sums. Arguments: the table of days, and the column by which it sums beside those that all have, if any.
CREATE OR REPLACE FUNCTION billing_sum_days() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    keys text := 'organization_id, project_id, key_id, ' || coalesce(TG_ARGV[1] || ', ', '') || 'model, mode';
    names text[] := ARRAY['requests', 'errors', 'input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_write_tokens',
                          'reasoning_tokens', 'audio_tokens', 'image_tokens', 'price_nanousd', 'charge_nanousd'];
BEGIN
    -- An INSERT ... ON CONFLICT calls for both of its operations, whether or not it came to both.
    IF TG_OP = 'DELETE' THEN
        PERFORM FROM old_hours LIMIT 1;
    ELSE
        PERFORM FROM new_hours LIMIT 1;
    END IF;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    EXECUTE format(
        'INSERT INTO %1$I AS d (day, %2$s, %3$s)
         SELECT date_trunc(''day'', hour, ''UTC'') AS day, %2$s, %4$s FROM (%5$s) h GROUP BY day, %2$s ORDER BY day, %2$s
         ON CONFLICT (day, %2$s) DO UPDATE SET %6$s',
        TG_ARGV[0], keys, array_to_string(names, ', '),
        (SELECT string_agg(format('sum(sign * %s)', n), ', ') FROM unnest(names) n),
        billing_changed_hours(TG_OP),
        (SELECT string_agg(format('%1$s = d.%1$s + excluded.%1$s', n), ', ') FROM unnest(names) n));
    RETURN NULL;
END $$;

-- Trigger of the hourly counts of how long calls took.
CREATE OR REPLACE FUNCTION billing_count_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- An INSERT ... ON CONFLICT calls for both of its operations, whether or not it came to both.
    IF TG_OP = 'DELETE' THEN
        PERFORM FROM old_hours LIMIT 1;
    ELSE
        PERFORM FROM new_hours LIMIT 1;
    END IF;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    EXECUTE format(
        'INSERT INTO billing_latencydayrollup AS d (day, organization_id, model, mode, first_token_counts, duration_counts)
         SELECT date_trunc(''day'', hour, ''UTC'') AS day, organization_id, model, mode,
             billing_sum_counts(first_token_counts, sign), billing_sum_counts(duration_counts, sign)
         FROM (%s) h GROUP BY day, organization_id, model, mode ORDER BY day, organization_id, model, mode
         ON CONFLICT (day, organization_id, model, mode) DO UPDATE SET
             first_token_counts = billing_add_counts(d.first_token_counts, excluded.first_token_counts),
             duration_counts = billing_add_counts(d.duration_counts, excluded.duration_counts)',
        billing_changed_hours(TG_OP));
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing_count_on(total bigint[], counts bigint[], sign int) RETURNS bigint[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(coalesce(t, 0) + sign * c ORDER BY n) FROM unnest(total, counts) WITH ORDINALITY AS u (t, c, n)
$$;

-- Counts added up bucket by bucket, each with its sign.
CREATE OR REPLACE AGGREGATE billing_sum_counts(bigint[], int) (
    SFUNC = billing_count_on, STYPE = bigint[], INITCOND = '{}');
