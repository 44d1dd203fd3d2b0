-- What tenants, routes and batches may spend, and what they have.

-- The day of a budget, which is of UTC.
CREATE OR REPLACE FUNCTION tidegate.today() RETURNS date
LANGUAGE sql STABLE AS $$ SELECT (now() AT TIME ZONE 'UTC')::date $$;

-- Amounts are micro-USD. A row changes with every group of results, and only in
-- columns without an index: the free space in each page keeps those updates on it.
CREATE TABLE IF NOT EXISTS tidegate.budgets (
    id           integer GENERATED ALWAYS AS IDENTITY UNIQUE, -- several are locked in its order; never used again
    scope        text NOT NULL CHECK (scope IN ('tenant', 'route', 'batch')),
    name         text NOT NULL,
    per_day      bigint CHECK (per_day > 0),       -- NULL: no limit
    total        bigint CHECK (total > 0),         -- NULL: no limit
    set_by       text NOT NULL CHECK (set_by IN ('file', 'command', 'producer')),
    in_file      boolean NOT NULL DEFAULT false,   -- a configuration names it, and says
    file_per_day bigint,                           -- this: a command goes before it until it says something else
    file_total   bigint,
    since        timestamptz NOT NULL DEFAULT now(),
    day          date NOT NULL DEFAULT tidegate.today(),
    spent_today  bigint NOT NULL DEFAULT 0,        -- on that day
    spent        bigint NOT NULL DEFAULT 0,        -- since then
    out_since    timestamptz,                      -- NULL: requests may fit into what is left
    out_of_total boolean NOT NULL DEFAULT false,   -- of two limits, it is the one that no new day helps
    waits_day    date,                             -- the day for whose end requests were parked; NULL: none were
    passed_over  integer NOT NULL DEFAULT 0,       -- requests that were too large for what is left while smaller ones go on
    dearest      bigint NOT NULL DEFAULT 0,        -- the largest request that a whole limit is too small for
    changed      integer NOT NULL DEFAULT 0,       -- how often what is parked for it became worth another try
    served       integer NOT NULL DEFAULT 0,       -- up to where of these it was given back
    closed       boolean NOT NULL DEFAULT false,   -- its batch has ended
    PRIMARY KEY (scope, name)
) WITH (fillfactor = 25);

-- What a call may cost is reserved where it is written down as begun: whoever takes
-- over its place, or the rescue that empties it, takes the reservation, too.
ALTER TABLE tidegate.calls
    ADD COLUMN IF NOT EXISTS reserved      bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS tenant_budget integer, -- the ids of budgets; NULL: it is under none
    ADD COLUMN IF NOT EXISTS route_budget  integer,
    ADD COLUMN IF NOT EXISTS batch_budget  integer;

-- Limits that change, in whatever way, begin anew with what was refused under them.
CREATE OR REPLACE FUNCTION tidegate.change_budget() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.out_since := NULL;
    NEW.out_of_total := false;
    NEW.waits_day := NULL;
    NEW.passed_over := 0;
    NEW.dearest := 0;
    NEW.changed := OLD.changed + 1;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER change_budget BEFORE UPDATE OF per_day, total ON tidegate.budgets
    FOR EACH ROW WHEN ((OLD.per_day, OLD.total) IS DISTINCT FROM (NEW.per_day, NEW.total)) EXECUTE FUNCTION tidegate.change_budget();

-- Who listens hears of limits, and that one is reached; not of each amount.
CREATE OR REPLACE TRIGGER wake_fleet AFTER INSERT OR DELETE ON tidegate.budgets
    FOR EACH ROW EXECUTE FUNCTION tidegate.wake_fleet();
CREATE OR REPLACE TRIGGER wake_fleet_on_change AFTER UPDATE ON tidegate.budgets
    FOR EACH ROW WHEN ((OLD.per_day, OLD.total, OLD.changed, OLD.out_since) IS DISTINCT FROM (NEW.per_day, NEW.total, NEW.changed, NEW.out_since))
    EXECUTE FUNCTION tidegate.wake_fleet();

-- That a budget is spent is an event, and that it no longer is.
CREATE OR REPLACE FUNCTION tidegate.owe_budget() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tidegate.outbox (event) VALUES (jsonb_build_object('type', 'budget', 'id', gen_random_uuid(),
        'scope', NEW.scope, 'name', NEW.name, 'spent_out', NEW.out_since IS NOT NULL, 'at', now(), 'per_day', NEW.per_day, 'total', NEW.total,
        'spent_today', CASE WHEN NEW.day = tidegate.today() THEN NEW.spent_today ELSE 0 END, 'spent', NEW.spent, 'of_total', NEW.out_of_total));
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER owe_budget AFTER UPDATE ON tidegate.budgets
    FOR EACH ROW WHEN ((OLD.out_since IS NULL) <> (NEW.out_since IS NULL)) EXECUTE FUNCTION tidegate.owe_budget();

-- A route whose budget is spent is paused as one is whose circuits are open.
ALTER TABLE tidegate.pauses DROP CONSTRAINT IF EXISTS pauses_owner_check;
ALTER TABLE tidegate.pauses ADD CONSTRAINT pauses_owner_check CHECK (owner IN ('circuit', 'person', 'budget'));
