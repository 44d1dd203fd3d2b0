-- Who works, who leads, and which calls are under way: what is needed to see
-- that a worker died, and to give its jobs back.

-- A row changes every two seconds and only in columns without an index: the free
-- space in each page keeps those updates on it.
CREATE TABLE tidegate.workers (
    id         text PRIMARY KEY,                     -- unique to one start of one worker; also its River client's
    started_at timestamptz NOT NULL DEFAULT now(),
    beat_at    timestamptz NOT NULL DEFAULT now(),
    dead_at    timestamptz,                          -- NULL: alive. It never becomes NULL again
    beats      bigint NOT NULL DEFAULT 0,
    demand     jsonb NOT NULL DEFAULT '{}',          -- by target: requests in hand that may go there
    accepted   jsonb NOT NULL DEFAULT '{}',          -- by target: calls a second that it took
    announced  jsonb NOT NULL DEFAULT '{}',          -- by target: calls a second that the provider says it takes
    unreached  text[] NOT NULL DEFAULT '{}'          -- targets that this host could not connect to
) WITH (fillfactor = 25);

-- A row stays when its holder goes, so that the epoch only ever grows.
CREATE TABLE tidegate.leases (
    name       text PRIMARY KEY,
    holder     text NOT NULL,                        -- empty: nobody
    epoch      bigint NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 25);

-- The calls that workers began, each in a place that the next call takes over.
-- Unlogged: a crash of Postgres empties it, and only costs the LOST attempts of
-- workers that die in the same moment.
CREATE UNLOGGED TABLE tidegate.calls (
    worker     text NOT NULL,
    slot       integer NOT NULL,
    request_id uuid NOT NULL,
    at         timestamptz NOT NULL,                 -- by the worker's clock: with request_id, the key of its attempt
    began_at   timestamptz NOT NULL DEFAULT now(),   -- by ours
    target     text NOT NULL,
    route      text NOT NULL,
    PRIMARY KEY (worker, slot)
) WITH (fillfactor = 40);

-- Requests whose call was under way when a worker died.
CREATE TABLE tidegate.suspects (
    request_id  uuid PRIMARY KEY,
    crashes     integer NOT NULL DEFAULT 0,          -- deaths while it ran beside others
    alone       integer NOT NULL DEFAULT 0,          -- deaths while it ran in quarantine
    last_worker text NOT NULL,
    last_at     timestamptz NOT NULL
);
