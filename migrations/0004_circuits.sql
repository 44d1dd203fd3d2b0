-- Where the circuit of each target stands, as the fleet last said.

CREATE TABLE tidegate.circuits (
    target         text PRIMARY KEY,
    region         text NOT NULL DEFAULT '',
    state          text NOT NULL CHECK (state IN ('closed', 'open', 'half-open')),
    generation     bigint NOT NULL,
    reason         text NOT NULL DEFAULT '',
    since          timestamptz NOT NULL,
    cooldown_until timestamptz,
    worker         text NOT NULL DEFAULT '',   -- who said so
    updated_at     timestamptz NOT NULL DEFAULT now()
);
