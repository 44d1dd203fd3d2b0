-- What a replay must know of the request that a call was made for: it stands with the
-- call, since calls may be kept for longer than requests. Quick, whatever there is.
-- Where it must wait for a long transaction it gives up, and the next `migrate` repeats
-- it.
SET LOCAL lock_timeout = '10s';

ALTER TABLE tidegate.attempts
    ADD COLUMN IF NOT EXISTS arrived_at         timestamptz, -- when it was accepted; NULL: the call is of no request, or an older program wrote it
    ADD COLUMN IF NOT EXISTS deadline           timestamptz, -- NULL: none
    ADD COLUMN IF NOT EXISTS max_cost_micro_usd bigint,      -- NULL: no limit
    ADD COLUMN IF NOT EXISTS body_bytes         integer,     -- as it came in; NULL: not known
    ADD COLUMN IF NOT EXISTS priority           smallint,    -- NULL: the default
    ADD COLUMN IF NOT EXISTS awaited            boolean,     -- its sender waits for the answer; NULL: nobody does
    ADD COLUMN IF NOT EXISTS tenant             text,        -- NULL: 'default', or as arrived_at
    ADD COLUMN IF NOT EXISTS goal               text,        -- its own; NULL: the route's
    ADD COLUMN IF NOT EXISTS endpoint           text,        -- as '/v1/embeddings'; NULL: chat completions
    ADD COLUMN IF NOT EXISTS waited_for         text;        -- why a worker that had it in hand held the call back; NULL: it did not
