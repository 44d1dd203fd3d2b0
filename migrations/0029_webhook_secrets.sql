-- A secret that was replaced signs beside the new one for a while, so that a receiver
-- can be told the new one in peace.
SET LOCAL lock_timeout = '10s';
ALTER TABLE tidegate.webhooks
    ADD COLUMN IF NOT EXISTS old_secret bytea,      -- NULL: none
    ADD COLUMN IF NOT EXISTS old_until  timestamptz; -- that it signs
