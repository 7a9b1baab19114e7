-- Sums of days (UTC). A day is the sum of its hours, whoever writes an hour: each statement on hourly sums moves the days
-- by what it changed. The rows of days are locked in the order of their keys and after those of the hours.

-- What a statement changed in an hourly table, with its sign, as the text of a query on the trigger's tables.
CREATE OR REPLACE FUNCTION billing_changed_hours(operation text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE operation
        WHEN 'INSERT' THEN 'SELECT 1 AS sign, * FROM new_hours'
        WHEN 'DELETE' THEN 'SELECT -1 AS sign, * FROM old_hours'
        ELSE 'SELECT 1 AS sign, * FROM new_hours UNION ALL SELECT -1, * FROM old_hours' END
$$;

-- Trigger of hourly tables. Arguments: the table of days, the columns by which both sum, and what they sum: 'calls', or the
-- 'counts' of how long calls took.
CREATE OR REPLACE FUNCTION billing_sum_days() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    names text[] := CASE TG_ARGV[2]
        WHEN 'counts' THEN ARRAY['first_token_counts', 'duration_counts']
        ELSE ARRAY['requests', 'errors', 'input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_write_tokens',
                   'reasoning_tokens', 'audio_tokens', 'image_tokens', 'price_nanousd', 'charge_nanousd'] END;
    summed text := CASE TG_ARGV[2] WHEN 'counts' THEN 'billing_sum_counts(%s, sign)' ELSE 'sum(sign * %s)' END;
    moved text := CASE TG_ARGV[2]
        WHEN 'counts' THEN '%1$s = billing_add_counts(d.%1$s, excluded.%1$s)' ELSE '%1$s = d.%1$s + excluded.%1$s' END;
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
        TG_ARGV[0], TG_ARGV[1], array_to_string(names, ', '),
        (SELECT string_agg(format(summed, n), ', ') FROM unnest(names) n),
        billing_changed_hours(TG_OP),
        (SELECT string_agg(format(moved, n), ', ') FROM unnest(names) n));
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION billing_count_on(total bigint[], counts bigint[], sign int) RETURNS bigint[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(coalesce(t, 0) + sign * c ORDER BY n) FROM unnest(total, counts) WITH ORDINALITY AS u (t, c, n)
$$;

-- Counts added up bucket by bucket, each with its sign.
CREATE OR REPLACE AGGREGATE billing_sum_counts(bigint[], int) (
    SFUNC = billing_count_on, STYPE = bigint[], INITCOND = '{}');
