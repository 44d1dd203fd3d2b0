-- Circuits that a whole fleet shares, and what else it knows of targets.

ALTER TABLE tidegate.circuits
    ADD COLUMN down_since timestamptz,                       -- when it left closed; NULL: it is closed
    ADD COLUMN trip_wait  interval,                          -- the last of the doubling waits; NULL: none was needed
    ADD COLUMN person     boolean NOT NULL DEFAULT false,    -- this generation is a person's word
    ADD COLUMN prober     text;                              -- the worker that has the probe; NULL: nobody

-- The highest rate of the last day that a target is known to take.
CREATE TABLE tidegate.paces (
    target    text PRIMARY KEY,
    last_good real NOT NULL,                                 -- calls a second, of the whole fleet
    at        timestamptz NOT NULL DEFAULT now()             -- when last_good was reached
) WITH (fillfactor = 50);

-- Outages on demand.
CREATE TABLE tidegate.drills (
    target text PRIMARY KEY,
    mode   text NOT NULL CHECK (mode IN ('503', '500', '429', 'hang', 'refused', 'quota')),
    rate   double precision NOT NULL CHECK (rate > 0 AND rate <= 1),
    since  timestamptz NOT NULL DEFAULT now(),
    until  timestamptz NOT NULL
);
