-- Every call to a target, by day, so that old days are dropped and not deleted.

CREATE TABLE tidegate.attempts (
    at                  timestamptz NOT NULL,  -- when the call began
    request_id          uuid NOT NULL,
    latency_us          bigint NOT NULL,
    first_byte_us       bigint,                -- NULL: none came
    cost_micro_usd      bigint NOT NULL DEFAULT 0,
    input_tokens        integer NOT NULL DEFAULT 0,
    cached_input_tokens integer NOT NULL DEFAULT 0,
    output_tokens       integer NOT NULL DEFAULT 0,
    reasoning_tokens    integer NOT NULL DEFAULT 0,
    propensity          real NOT NULL DEFAULT 1, -- the chance with which the target was chosen
    status              smallint,              -- NULL: no HTTP answer
    probe               boolean NOT NULL DEFAULT false,
    blamed              boolean NOT NULL DEFAULT false,
    route               text NOT NULL,
    target              text NOT NULL,
    class               text NOT NULL,
    code                text,
    message             text,
    decision            jsonb,                 -- what was known when the target was chosen; NULL: nothing was passed over
    -- A request makes one call at a time. Serves the trace of one request, and
    -- makes a commit that is repeated, because its answer was lost, harmless.
    PRIMARY KEY (request_id, at)
) PARTITION BY RANGE (at);

-- Catches what no day was made for, so that a clock gone wrong loses nothing.
CREATE TABLE tidegate.attempts_other PARTITION OF tidegate.attempts DEFAULT;

-- tidegate.add_attempt_days makes the partitions of the days from first to last,
-- in UTC, and returns how many it made. What had to go to attempts_other, because
-- its day was not made in time, moves to its day: while it stands there, Postgres
-- refuses that day a partition. A day is attached after it was filled, which lets
-- others write to the days that there are.
CREATE FUNCTION tidegate.add_attempt_days(first date, last date) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    day   date := first;
    child text;
    since timestamptz;
    until timestamptz;
    made  integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tidegate.add_attempt_days'));
    WHILE day <= last LOOP
        child := 'attempts_' || to_char(day, 'YYYYMMDD');
        IF to_regclass('tidegate.' || child) IS NULL THEN
            since := day::timestamp AT TIME ZONE 'UTC';
            until := (day + 1)::timestamp AT TIME ZONE 'UTC';
            LOCK TABLE tidegate.attempts_other IN ACCESS EXCLUSIVE MODE;
            EXECUTE format('CREATE TABLE tidegate.%I (LIKE tidegate.attempts INCLUDING ALL)', child);
            EXECUTE format('WITH late AS (DELETE FROM tidegate.attempts_other WHERE at >= $1 AND at < $2 RETURNING *)
                INSERT INTO tidegate.%I SELECT * FROM late', child) USING since, until;
            EXECUTE format('ALTER TABLE tidegate.attempts ATTACH PARTITION tidegate.%I FOR VALUES FROM (%L) TO (%L)', child, since, until);
            made := made + 1;
        END IF;
        day := day + 1;
    END LOOP;
    RETURN made;
END $$;

SELECT tidegate.add_attempt_days((now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date + 7);
