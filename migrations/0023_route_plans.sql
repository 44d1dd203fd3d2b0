-- What the waits of a route's requests hang on, as its configuration has it: a hash
-- of its targets, limits, prices and choices, without any key. Whoever says another
-- one gives back what waits there for a time. NULL: it was said by an older program.
SET LOCAL lock_timeout = '10s';
ALTER TABLE tidegate.routes
    ADD COLUMN IF NOT EXISTS plan       text,
    ADD COLUMN IF NOT EXISTS planned_at timestamptz; -- when it last changed; NULL: it never did
