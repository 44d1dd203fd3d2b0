-- What it takes a while to count, and when that was: whoever shows it next needs not
-- count again. Unlogged: a crash of Postgres empties it, and it is counted anew.
CREATE UNLOGGED TABLE IF NOT EXISTS tidegate.measured (
    name       text PRIMARY KEY,
    at         timestamptz NOT NULL,                 -- when it was counted
    took       interval NOT NULL,                    -- how long that took
    value      jsonb NOT NULL
) WITH (fillfactor = 25);

-- serves: gauges, which count the batches that have not ended.
CREATE INDEX IF NOT EXISTS batches_open ON tidegate.batches (state) WHERE ended_at IS NULL;
