-- The bounds [period_start, period_end) in UTC of the budget period that holds a moment, in the organization's
-- time zone. Weeks start on `week_start` (1 Monday to 7 Sunday), months on `month_day` (1 to 28).
CREATE OR REPLACE FUNCTION billing_period(
    kind text, moment timestamptz, zone text, week_start int, month_day int,
    OUT period_start timestamptz, OUT period_end timestamptz
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    today date := (moment AT TIME ZONE zone)::date;
    first date;
    next date;
BEGIN
    CASE kind
    WHEN 'day' THEN
        first := today;
        next := today + 1;
    WHEN 'week' THEN
        first := today - (extract(isodow FROM today)::int - week_start + 7) % 7;
        next := first + 7;
    WHEN 'month' THEN
        first := (date_trunc('month', (today - (month_day - 1))::timestamp))::date + (month_day - 1);
        next := (first + interval '1 month')::date;
    ELSE
        period_start := '1970-01-01 00:00+00';
        period_end := '9999-12-31 00:00+00';
        RETURN;
    END CASE;
    period_start := billing_midnight(first, zone);
    period_end := billing_midnight(next, zone);
END $$;

-- The first moment of a day in a zone. Where clocks go back over midnight it comes twice, and PostgreSQL would
-- take the second; where they go forward over it the day begins later.
CREATE OR REPLACE FUNCTION billing_midnight(day date, zone text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    midnight timestamptz := day::timestamp AT TIME ZONE zone;
BEGIN
    IF (midnight - interval '1 hour') AT TIME ZONE zone = day::timestamp THEN
        RETURN midnight - interval '1 hour';
    END IF;
    RETURN midnight;
END $$;
