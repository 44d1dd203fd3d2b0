-- What waits to be admitted, on routes with fair admission. Its River job is
-- pending meanwhile, which River touches as little as we do: a job is written when
-- it is enqueued and when it is admitted, however long it waits in between.

-- How jobs of the route become available: at once, or when their turn has come.
ALTER TABLE tidegate.routes ADD COLUMN IF NOT EXISTS admission text NOT NULL DEFAULT 'direct' CHECK (admission IN ('direct', 'fair'));

-- From 1, which goes first, to 4; NULL: the default. Quick, whatever there is, since
-- nothing is checked here.
ALTER TABLE tidegate.requests ADD COLUMN IF NOT EXISTS priority smallint;

-- A row comes with its request, or when a worker gives a job back that has to wait,
-- and goes when the job is admitted or the request ends.
CREATE TABLE IF NOT EXISTS tidegate.waiting (
    request_id uuid PRIMARY KEY,           -- serves: cancel, expire
    job_id     bigint NOT NULL,            -- River's; also the order of arrival
    not_before timestamptz,                -- it waits for a time of its own; NULL: for its turn
    deadline   timestamptz NOT NULL,       -- the request's; of one without, a day after it was accepted
    work       real NOT NULL,              -- about as many tokens; what was admitted before is none
    priority   smallint NOT NULL,
    route      text NOT NULL,
    tenant     text NOT NULL,
    reason     text                        -- why not before then; NULL: nothing is said
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);

-- serves: admission, the first of each tenant
CREATE INDEX IF NOT EXISTS waiting_turns ON tidegate.waiting (route, tenant, priority, job_id) WHERE not_before IS NULL;
-- serves: admission, those whose time has come
CREATE INDEX IF NOT EXISTS waiting_times ON tidegate.waiting (route, not_before) WHERE not_before IS NOT NULL;
-- serves: admission, those whose deadline is near
CREATE INDEX IF NOT EXISTS waiting_deadlines ON tidegate.waiting (route, deadline) WHERE not_before IS NULL;

-- The fair clock of each route: where it stands, under the tenant '', and up to
-- where the work of a tenant that was admitted reaches.
CREATE TABLE IF NOT EXISTS tidegate.shares (
    route  text NOT NULL,
    tenant text NOT NULL,
    finish double precision NOT NULL,
    PRIMARY KEY (route, tenant)
) WITH (fillfactor = 50);
