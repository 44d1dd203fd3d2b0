-- How each request ended: one row, for ever, whoever writes it first.

CREATE TABLE tidegate.results (
    request_id          uuid PRIMARY KEY,
    id                  uuid NOT NULL,    -- also the id of the event
    stored_at           timestamptz NOT NULL DEFAULT now(),
    cost_micro_usd      bigint NOT NULL DEFAULT 0,
    input_tokens        integer NOT NULL DEFAULT 0,
    cached_input_tokens integer NOT NULL DEFAULT 0,
    output_tokens       integer NOT NULL DEFAULT 0,
    reasoning_tokens    integer NOT NULL DEFAULT 0,
    status              smallint NOT NULL,
    attempts            smallint NOT NULL DEFAULT 0,
    state               text NOT NULL CHECK (state IN ('answered', 'refused', 'expired', 'cancelled', 'poison')),
    target              text,
    model               text,
    provider_id         text,
    finish_reason       text,
    class               text,
    code                text,
    message             text,
    body                bytea             -- not text: a NUL must not fail a whole group
);

-- serves: status, the rates of the last minutes (rows arrive in this order)
CREATE INDEX results_stored_at ON tidegate.results USING brin (stored_at) WITH (pages_per_range = 16);

-- What owes a message on NATS. A row lives for milliseconds while NATS is
-- there. Thin: what the message says is read from the result when it is sent.
CREATE TABLE tidegate.outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id  uuid,                     -- a stored result, or
    batch_id    text,                     -- a batch that reached
    batch_state text,                     -- this state
    created_at  timestamptz NOT NULL DEFAULT now(),
    CHECK ((request_id IS NULL) <> (batch_id IS NULL))
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
