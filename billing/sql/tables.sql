-- Usage events by the month of admission. Ids are time-ordered and `occurred_at` is fixed at admission, so the
-- primary key keeps a request id unique for ever although it holds the partition column.
CREATE TABLE billing_usageevent (
    request_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    settled_at timestamptz NOT NULL,
    organization_id bigint NOT NULL,
    project_id bigint NOT NULL,
    key_id bigint,
    mode varchar(4) NOT NULL,
    endpoint varchar(40) NOT NULL,
    model varchar(120) NOT NULL,
    provider varchar(60) NOT NULL,
    upstream_model varchar(200) NOT NULL,
    upstream_id varchar(200) NOT NULL,
    streamed boolean NOT NULL,
    outcome varchar(12) NOT NULL,
    basis varchar(10) NOT NULL,
    status smallint NOT NULL,
    error_code varchar(60) NOT NULL,
    finish_reason varchar(40) NOT NULL,
    input_tokens bigint NOT NULL CHECK (input_tokens >= 0),
    output_tokens bigint NOT NULL CHECK (output_tokens >= 0),
    cache_read_tokens bigint NOT NULL CHECK (cache_read_tokens >= 0),
    cache_write_tokens bigint NOT NULL CHECK (cache_write_tokens >= 0),
    reasoning_tokens bigint NOT NULL CHECK (reasoning_tokens >= 0),
    usage_details jsonb NOT NULL,
    price_version_id bigint NOT NULL,
    upper_nanousd bigint NOT NULL,
    price_nanousd bigint NOT NULL,
    charge_nanousd bigint NOT NULL CHECK (charge_nanousd >= 0 AND charge_nanousd <= upper_nanousd),
    provider_cost_nanousd bigint,
    attempts smallint NOT NULL,
    first_token_ms int,
    duration_ms int,
    client_request_id varchar(200) NOT NULL,
    invoice_line_id bigint,
    PRIMARY KEY (request_id, occurred_at)
) PARTITION BY RANGE (occurred_at);

CREATE TABLE billing_usageevent_default PARTITION OF billing_usageevent DEFAULT;

-- The request log: one organization, newest first.
CREATE INDEX usage_by_organization ON billing_usageevent (organization_id, occurred_at DESC, request_id DESC);
-- The request log of one key, and a key's counter made in mid-period.
CREATE INDEX usage_by_key ON billing_usageevent (key_id, occurred_at DESC);
-- The errors of one organization, newest first, however rare they are.
CREATE INDEX usage_errors ON billing_usageevent (organization_id, occurred_at DESC, request_id DESC)
    WHERE status >= 400;
-- A record found by the provider's id.
CREATE INDEX usage_by_upstream_id ON billing_usageevent (upstream_id) WHERE upstream_id <> '';

-- Make the missing partitions of this month and those after it. Events of a month that had none lie in the default
-- partition; they are moved. Returns how many were made; gives up after 2 s rather than hold up settlements.
CREATE OR REPLACE FUNCTION billing_create_partitions(moment timestamptz, months int) RETURNS int
LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    this_month date := date_trunc('month', moment AT TIME ZONE 'UTC')::date;
    month_start timestamptz;
    month_end timestamptz;
    made int := 0;
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('billing_create_partitions'));
    FOR i IN 0 .. months - 1 LOOP
        month_start := (this_month + make_interval(months => i)) AT TIME ZONE 'UTC';
        month_end := (this_month + make_interval(months => i + 1)) AT TIME ZONE 'UTC';
        name := 'billing_usageevent_' || to_char(month_start AT TIME ZONE 'UTC', 'YYYY_MM');
        IF to_regclass(name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE billing_usageevent INCLUDING ALL)', name);
            LOCK TABLE billing_usageevent_default IN ACCESS EXCLUSIVE MODE;
            EXECUTE format('WITH moved AS (DELETE FROM billing_usageevent_default WHERE occurred_at >= %L AND '
                           'occurred_at < %L RETURNING *) INSERT INTO %I SELECT * FROM moved',
                           month_start, month_end, name);
            EXECUTE format('ALTER TABLE billing_usageevent ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
                           month_start, month_end);
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;
SELECT billing_create_partitions(now(), 3);

CREATE OR REPLACE FUNCTION billing_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON billing_ledgertransfer
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON billing_priceversion
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON billing_providercostversion
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
