-- How everything stood over time, for people who look. Where this must wait for a long
-- transaction it gives up, and the next `migrate` repeats it.
SET LOCAL lock_timeout = '10s';

-- When an attempt was written down: rows arrive in this order, whatever their calls took.
-- NULL: it was before this column, or in another ledger. Quick, whatever there is.
ALTER TABLE tidegate.attempts ADD COLUMN IF NOT EXISTS stored_at timestamptz;
ALTER TABLE tidegate.attempts ALTER COLUMN stored_at SET DEFAULT now();
-- serves: status, the samples (the end of the table is all that they read). Made while
-- writers of attempts wait: as long as one reading of them takes.
CREATE INDEX IF NOT EXISTS attempts_stored_at ON tidegate.attempts USING brin (stored_at) WITH (pages_per_range = 32, autosummarize = on);
ALTER INDEX tidegate.results_stored_at SET (autosummarize = on);

-- What a supervisor finds every ten seconds; after two hours, added up by the minute;
-- after a week, nothing.
CREATE TABLE IF NOT EXISTS tidegate.route_samples (
    at             timestamptz NOT NULL,       -- the end of the time that it is of
    route          text NOT NULL,
    seconds        real NOT NULL,              -- how long that is
    waiting        bigint NOT NULL,            -- jobs that no worker has in hand
    in_hand        integer NOT NULL,
    answered       integer NOT NULL,           -- requests, in that time
    failed         integer NOT NULL,           -- those that ended otherwise
    cost_micro_usd bigint NOT NULL,            -- of all calls, as far as it is known
    counted_at     timestamptz NOT NULL,       -- when so many jobs were last counted, if there are too many for each time
    PRIMARY KEY (at, route)
);

CREATE TABLE IF NOT EXISTS tidegate.target_samples (
    at             timestamptz NOT NULL,
    target         text NOT NULL,
    seconds        real NOT NULL,
    calls          integer NOT NULL,
    answered       integer NOT NULL,
    limited        integer NOT NULL,           -- refused with a 429
    cost_micro_usd bigint NOT NULL,
    unpriced       integer NOT NULL,           -- calls whose cost nobody knows
    input_tokens   bigint NOT NULL,
    output_tokens  bigint NOT NULL,
    median_us      bigint NOT NULL,            -- of the answers; zero: there was none
    slow_us        bigint NOT NULL,            -- 95 of 100 answers took less
    PRIMARY KEY (at, target)
);

-- What circuits and pauses did. The event of the same moment is gone when it was sent.
CREATE TABLE IF NOT EXISTS tidegate.transitions (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT now(),
    kind   text NOT NULL CHECK (kind IN ('circuit', 'pause')),
    name   text NOT NULL,                      -- the target, or the route
    state  text NOT NULL,                      -- open, closed or degraded; paused or resumed
    owner  text NOT NULL DEFAULT '',           -- of a pause
    reason text NOT NULL DEFAULT '',
    person boolean NOT NULL DEFAULT false      -- somebody's word
);
-- serves: the page and forget, by time
CREATE INDEX IF NOT EXISTS transitions_at ON tidegate.transitions (at);

CREATE OR REPLACE FUNCTION tidegate.note_circuit() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tidegate.transitions (kind, name, state, reason, person) VALUES ('circuit', NEW.target,
        CASE WHEN NEW.state <> 'closed' THEN 'open' WHEN NEW.degraded IS NOT NULL THEN 'degraded' ELSE 'closed' END,
        coalesce(CASE WHEN NEW.state = 'closed' THEN NEW.degraded END, NEW.reason), NEW.person);
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER note_new_circuit AFTER INSERT ON tidegate.circuits
    FOR EACH ROW WHEN (NEW.state <> 'closed' OR NEW.degraded IS NOT NULL) EXECUTE FUNCTION tidegate.note_circuit();
CREATE OR REPLACE TRIGGER note_circuit AFTER UPDATE ON tidegate.circuits
    FOR EACH ROW WHEN ((OLD.state = 'closed') <> (NEW.state = 'closed') OR (OLD.degraded IS NULL) <> (NEW.degraded IS NULL))
    EXECUTE FUNCTION tidegate.note_circuit();

CREATE OR REPLACE FUNCTION tidegate.note_pause() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    p tidegate.pauses := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    INSERT INTO tidegate.transitions (kind, name, state, owner, reason, person)
    VALUES ('pause', p.route, CASE TG_OP WHEN 'DELETE' THEN 'resumed' ELSE 'paused' END, p.owner, p.reason, p.owner = 'person');
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER note_pause AFTER INSERT OR DELETE ON tidegate.pauses
    FOR EACH ROW EXECUTE FUNCTION tidegate.note_pause();

-- Who is logged in on the page: of a session there is a hash, as of its key.
CREATE TABLE IF NOT EXISTS tidegate.sessions (
    hash       bytea PRIMARY KEY,
    key_id     text NOT NULL REFERENCES tidegate.keys (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
