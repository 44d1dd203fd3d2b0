-- What was asked for. A row is written once, in the producer's transaction,
-- together with its River job, and never changed.

CREATE TABLE tidegate.routes (
    name       text PRIMARY KEY,          -- also the River queue
    goal       text NOT NULL,
    deadline   interval,                  -- for requests without one; NULL: none
    models     text[] NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Counts move with every group of results: the free space in each page keeps
-- those updates on it.
CREATE TABLE tidegate.batches (
    id         text PRIMARY KEY,
    tenant     text NOT NULL,
    state      text NOT NULL CHECK (state IN ('in_progress', 'cancelling', 'completed', 'cancelled')),
    total      integer NOT NULL DEFAULT 0,
    completed  integer NOT NULL DEFAULT 0,
    failed     integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    CHECK (completed + failed <= total)
) WITH (fillfactor = 50);

-- serves: status, the newest batches first
CREATE INDEX batches_created_at ON tidegate.batches (created_at DESC);

CREATE TABLE tidegate.requests (
    id                 uuid PRIMARY KEY,
    created_at         timestamptz NOT NULL DEFAULT now(),
    deadline           timestamptz,       -- NULL: none
    max_cost_micro_usd bigint,            -- NULL: no limit
    tenant             text NOT NULL,
    route              text NOT NULL,
    goal               text,              -- NULL: the route's
    batch_id           text,              -- NULL: none
    custom_id          text,              -- NULL: none
    metadata           jsonb,             -- NULL: none
    body               bytea NOT NULL     -- not text: kept byte for byte
);

-- serves: results --batch, cancel BATCH (in the order of arrival)
CREATE INDEX requests_batch ON tidegate.requests (batch_id, id) WHERE batch_id IS NOT NULL;
