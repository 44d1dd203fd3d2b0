-- What is removed when it was kept long enough. Where this must wait for a long
-- transaction it gives up, and the next `migrate` repeats it.
SET LOCAL lock_timeout = '10s';

-- From then on nobody sees the batch; its requests go a few at a time, and then its
-- row. NULL: it is there.
ALTER TABLE tidegate.batches ADD COLUMN IF NOT EXISTS removed_at timestamptz;

-- serves: removal, the batches that ended long ago
CREATE INDEX IF NOT EXISTS batches_ended_at ON tidegate.batches (ended_at) WHERE ended_at IS NOT NULL AND removed_at IS NULL;
-- serves: removal, the batches whose requests are to go
CREATE INDEX IF NOT EXISTS batches_removed_at ON tidegate.batches (removed_at) WHERE removed_at IS NOT NULL;

-- How far removal is, for those who want to know.
CREATE TABLE IF NOT EXISTS tidegate.retention (
    what     text PRIMARY KEY CHECK (what IN ('requests', 'attempts')),
    keep     interval NOT NULL,              -- how long they are kept; zero: for ever
    reached  timestamptz,                    -- what ended before is gone; NULL: the first sweep has not ended
    at       timestamptz,                    -- where a sweep is that is under way; NULL: none is
    swept_at timestamptz NOT NULL,           -- when that was written
    removed  bigint NOT NULL DEFAULT 0,      -- since the table is there: requests, or days
    held     text                            -- why something stays that is older; NULL: nothing does
) WITH (fillfactor = 50);

-- Rows that are removed leave their place to new ones, a day's worth each day: as soon as
-- that is a fiftieth of the table, and not a fifth.
ALTER TABLE tidegate.requests SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 20000);
ALTER TABLE tidegate.results SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 20000);
