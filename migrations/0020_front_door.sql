-- What comes in and goes out over HTTP: files, and batches that are made of one. Where
-- it must wait for a long transaction it gives up, and the next `migrate` repeats it.
SET LOCAL lock_timeout = '10s';

CREATE TABLE IF NOT EXISTS tidegate.files (
    id         text PRIMARY KEY,          -- "file-" and a UUID version 7: sorts by time
    tenant     text NOT NULL,
    purpose    text NOT NULL,
    filename   text NOT NULL,
    bytes      bigint NOT NULL DEFAULT 0,
    whole      boolean NOT NULL DEFAULT false, -- false: it is still being written, and nobody sees it
    created_at timestamptz NOT NULL DEFAULT now(),
    written_at timestamptz NOT NULL DEFAULT now(), -- the last piece of one that is not whole
    expires_at timestamptz                -- NULL: never
);

-- serves: the list of a tenant's files, by time
CREATE INDEX IF NOT EXISTS files_tenant ON tidegate.files (tenant, id) WHERE whole;
-- serves: the removal of those whose time has come
CREATE INDEX IF NOT EXISTS files_expires_at ON tidegate.files (expires_at) WHERE expires_at IS NOT NULL;
-- serves: the removal of what nobody goes on writing
CREATE INDEX IF NOT EXISTS files_unfinished ON tidegate.files (written_at) WHERE NOT whole;

-- A file in pieces of about a megabyte, each at its offset, so that one that goes
-- in or out is never in memory as a whole and any part of it is found at once.
-- Pieces are written once, and not compressed: a part of one can be read.
CREATE TABLE IF NOT EXISTS tidegate.file_pieces (
    file_id text NOT NULL REFERENCES tidegate.files ON DELETE CASCADE,
    at      bigint NOT NULL,              -- offset of its first byte
    data    bytea NOT NULL,
    PRIMARY KEY (file_id, at)
);
ALTER TABLE tidegate.file_pieces ALTER COLUMN data SET STORAGE EXTERNAL;

ALTER TABLE tidegate.batches
    ADD COLUMN IF NOT EXISTS input_file_id       text,        -- NULL: it did not come as a file
    ADD COLUMN IF NOT EXISTS endpoint            text,        -- NULL: each request has its own
    ADD COLUMN IF NOT EXISTS completion_window   text,
    ADD COLUMN IF NOT EXISTS metadata            jsonb,       -- NULL: none
    ADD COLUMN IF NOT EXISTS route               text,        -- of lines that name none; NULL: their model's
    ADD COLUMN IF NOT EXISTS goal                text,        -- of lines that name none; NULL: their route's
    ADD COLUMN IF NOT EXISTS model               text,        -- of all lines; NULL: there are several, or it is not known yet
    ADD COLUMN IF NOT EXISTS in_progress_at      timestamptz,
    ADD COLUMN IF NOT EXISTS expires_at          timestamptz, -- the end of its window; NULL: it has none
    ADD COLUMN IF NOT EXISTS finalizing_at       timestamptz,
    ADD COLUMN IF NOT EXISTS cancelling_at       timestamptz,
    ADD COLUMN IF NOT EXISTS output_lives        interval,    -- how long its files are kept; NULL: as long as others
    ADD COLUMN IF NOT EXISTS output_file_id      text,
    ADD COLUMN IF NOT EXISTS error_file_id       text,
    ADD COLUMN IF NOT EXISTS faults              jsonb,       -- of its lines, where it failed
    ADD COLUMN IF NOT EXISTS retry_of            text,        -- the batch whose lines it tries again; NULL: none
    ADD COLUMN IF NOT EXISTS input_tokens        bigint,      -- of all results; NULL: it has not ended
    ADD COLUMN IF NOT EXISTS cached_input_tokens bigint,
    ADD COLUMN IF NOT EXISTS output_tokens       bigint,
    ADD COLUMN IF NOT EXISTS reasoning_tokens    bigint,
    ADD COLUMN IF NOT EXISTS cost_micro_usd      bigint,
    DROP CONSTRAINT IF EXISTS batches_state_check,
    DROP CONSTRAINT IF EXISTS batches_state_known;
ALTER TABLE tidegate.batches ADD CONSTRAINT batches_state_known CHECK (state IN
    ('validating', 'failed', 'in_progress', 'finalizing', 'completed', 'expired', 'cancelling', 'cancelled')) NOT VALID;
ALTER TABLE tidegate.batches VALIDATE CONSTRAINT batches_state_known;

-- serves: the list of a tenant's batches, by time
CREATE INDEX IF NOT EXISTS batches_tenant ON tidegate.batches (tenant, id);
-- serves: whether a file is in use
CREATE INDEX IF NOT EXISTS batches_input_file ON tidegate.batches (input_file_id) WHERE input_file_id IS NOT NULL;

-- How far the work on a batch is that came as a file: each step moves it in the
-- transaction of what it did, so that whoever goes on goes on right there. Apart
-- from batches, whose rows results lock.
CREATE TABLE IF NOT EXISTS tidegate.batch_work (
    batch_id     text PRIMARY KEY REFERENCES tidegate.batches ON DELETE CASCADE,
    input_bytes  bigint NOT NULL DEFAULT 0, -- of the input, that were enqueued
    input_lines  integer NOT NULL DEFAULT 0,
    enqueued     integer NOT NULL DEFAULT 0, -- requests
    ended_id     uuid,                     -- the last request whose result was written; NULL: none
    output_file  text,
    output_bytes bigint NOT NULL DEFAULT 0,
    error_file   text,
    error_bytes  bigint NOT NULL DEFAULT 0,
    input_tokens bigint NOT NULL DEFAULT 0,
    cached_input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    reasoning_tokens bigint NOT NULL DEFAULT 0,
    cost_micro_usd bigint NOT NULL DEFAULT 0,
    expired      integer NOT NULL DEFAULT 0
);

-- What a repeated request to make something is known by, and what the first made.
CREATE TABLE IF NOT EXISTS tidegate.once (
    tenant     text NOT NULL,
    key        text NOT NULL,
    hash       bytea NOT NULL,            -- of what was asked for
    made       text NOT NULL,             -- its id
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, key)
);
-- serves: the removal of old ones
CREATE INDEX IF NOT EXISTS once_created_at ON tidegate.once (created_at);

-- Who may come in. Of a key only a hash is kept: it has 256 random bits, so that
-- nothing slow is needed to hide it.
CREATE TABLE IF NOT EXISTS tidegate.keys (
    id         text PRIMARY KEY,          -- the part of a key that may be shown
    tenant     text NOT NULL,
    name       text NOT NULL,             -- what people call it
    hash       bytea NOT NULL,            -- SHA-256 of its secret part
    scopes     text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,               -- NULL: never
    revoked_at timestamptz,               -- NULL: it is good
    used_at    timestamptz                -- about when it was last used; NULL: never
);

-- A batch that came as a file does not end with its last result: its files are
-- still to be written. This holds also for a worker that knows nothing of files
-- and thinks that the batch has ended.
CREATE OR REPLACE FUNCTION tidegate.finalize_batch() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.state := 'finalizing';
    NEW.finalizing_at := now();
    NEW.ended_at := NULL;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER finalize_batch BEFORE UPDATE OF completed, failed ON tidegate.batches
    FOR EACH ROW WHEN (OLD.input_file_id IS NOT NULL AND OLD.state IN ('in_progress', 'cancelling') AND NEW.completed + NEW.failed >= NEW.total)
    EXECUTE FUNCTION tidegate.finalize_batch();

-- Whoever brings a batch into a state in which something is to be done for it has a
-- job of it: workers take it from a queue of its own, and go by the state.
CREATE OR REPLACE FUNCTION tidegate.work_batch() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tidegate.river_job (args, kind, max_attempts, priority, queue, state, scheduled_at)
    VALUES (jsonb_build_object('b', NEW.id), 'batch', 25, 1, 'tidegate-batches', 'available', now());
    PERFORM pg_notify('tidegate.river_insert', '{"queue":"tidegate-batches"}');
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER work_new_batch AFTER INSERT ON tidegate.batches
    FOR EACH ROW WHEN (NEW.state = 'validating') EXECUTE FUNCTION tidegate.work_batch();
CREATE OR REPLACE TRIGGER work_batch AFTER UPDATE ON tidegate.batches
    FOR EACH ROW WHEN (OLD.state <> NEW.state AND (NEW.state = 'cancelling' OR NEW.state = 'finalizing'))
    EXECUTE FUNCTION tidegate.work_batch();
