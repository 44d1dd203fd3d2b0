-- Which version a worker is of, and whether it works no queue, for people who upgrade.
-- Quick, whatever there is. Where it must wait for a long transaction it gives up, and the
-- next `migrate` repeats it.
SET LOCAL lock_timeout = '10s';
ALTER TABLE tidegate.workers
    ADD COLUMN IF NOT EXISTS version text NOT NULL DEFAULT '',     -- empty: an older one, that does not say
    ADD COLUMN IF NOT EXISTS desk    boolean NOT NULL DEFAULT false;
