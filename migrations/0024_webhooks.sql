-- Who is told over HTTP that a batch has ended. Where it must wait for a long
-- transaction it gives up, and the next `migrate` repeats it.
SET LOCAL lock_timeout = '10s';

CREATE TABLE IF NOT EXISTS tidegate.webhooks (
    id            text PRIMARY KEY,       -- "we_" and a UUID version 7: sorts by time
    tenant        text NOT NULL,
    name          text NOT NULL,          -- what people call it
    url           text NOT NULL,          -- its query may hold a credential: it is shown without
    secret        bytea NOT NULL,         -- signs, so it is kept as it is
    events        text[] NOT NULL,
    private       boolean NOT NULL DEFAULT false, -- it may lead into a private network
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    disabled_at   timestamptz,            -- NULL: it is told
    disabled_why  text,
    delivered_at  timestamptz,            -- about the last event that arrived; NULL: none
    failed_at     timestamptz,            -- the last try that failed
    failing_since timestamptz,            -- the first one since an event arrived; NULL: none
    gave_up_at    timestamptz,            -- the last event that nobody tries any more, since one arrived; NULL: none
    fault         text                    -- of the last try that failed: never what was answered
);
-- serves: the list of a tenant's webhooks, and whom to tell of a batch
CREATE INDEX IF NOT EXISTS webhooks_tenant ON tidegate.webhooks (tenant, id);

-- Whoever brings a batch to its end owes each webhook of its tenant a delivery: a job
-- of its own, in the transaction of the end. So nobody who ends batches can forget it,
-- a worker of an older version neither.
CREATE OR REPLACE FUNCTION tidegate.tell_webhooks() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    event text := 'evt_' || replace(gen_random_uuid()::text, '-', '');
BEGIN
    INSERT INTO tidegate.river_job (args, kind, max_attempts, priority, queue, state, scheduled_at)
    SELECT jsonb_build_object('w', w.id, 'e', event, 't', 'batch.' || NEW.state, 'b', NEW.id, 'at', floor(extract(epoch FROM coalesce(NEW.ended_at, now())))::bigint),
        'webhook', 10, 1, 'tidegate-webhooks', 'available', now()
    FROM tidegate.webhooks w
    WHERE w.tenant = NEW.tenant AND w.disabled_at IS NULL AND 'batch.' || NEW.state = ANY (w.events) ORDER BY w.id;
    IF FOUND THEN
        PERFORM pg_notify('tidegate.river_insert', '{"queue":"tidegate-webhooks"}');
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER tell_webhooks AFTER UPDATE ON tidegate.batches
    FOR EACH ROW WHEN (NEW.state IN ('completed', 'failed', 'expired', 'cancelled') AND OLD.state NOT IN ('completed', 'failed', 'expired', 'cancelled'))
    EXECUTE FUNCTION tidegate.tell_webhooks();
