-- What forecasts are made of: what workers have done, and what their supervisor has seen
-- of each route. Quick, whatever there is. Where it must wait for a long transaction it
-- gives up, and the next `migrate` repeats it.
SET LOCAL lock_timeout = '10s';

ALTER TABLE tidegate.workers ADD COLUMN IF NOT EXISTS ended jsonb NOT NULL DEFAULT '{}'; -- by route: requests that ended in its hands since it began

-- A row is written every ten seconds, and its pages have room for that.
CREATE TABLE IF NOT EXISTS tidegate.progress (
    route text PRIMARY KEY,
    at    timestamptz NOT NULL,
    seen  jsonb NOT NULL                  -- how fast its requests end, and what waits, as jobs.Progress has it
) WITH (fillfactor = 30);
