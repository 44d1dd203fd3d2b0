-- What changes for a whole fleet, as an event and as a word to those who listen.

-- A circuit and a pause move on: unlike a result, what an event of them says is
-- kept with it. Its type says how to read the rest; a program that does not know
-- a type leaves its rows to one that does.
ALTER TABLE tidegate.outbox
    ADD COLUMN IF NOT EXISTS event jsonb,
    DROP CONSTRAINT IF EXISTS outbox_check,
    DROP CONSTRAINT IF EXISTS outbox_owes_one;
ALTER TABLE tidegate.outbox
    ADD CONSTRAINT outbox_owes_one CHECK (num_nonnulls(request_id, batch_id, event) = 1);

-- Open and closed are events. A probe that is out, or failed, is none: the
-- target is as it was.
CREATE OR REPLACE FUNCTION tidegate.owe_circuit() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tidegate.outbox (event) VALUES (jsonb_build_object('type', 'circuit', 'id', gen_random_uuid(),
        'target', NEW.target, 'region', NEW.region, 'state', CASE NEW.state WHEN 'closed' THEN 'closed' ELSE 'open' END,
        'generation', NEW.generation, 'reason', NEW.reason, 'since', NEW.since, 'person', NEW.person,
        'down_since', coalesce(NEW.down_since, OLD.down_since), 'cooldown_until', NEW.cooldown_until));
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER owe_new_circuit AFTER INSERT ON tidegate.circuits
    FOR EACH ROW WHEN (NEW.state <> 'closed') EXECUTE FUNCTION tidegate.owe_circuit();
CREATE OR REPLACE TRIGGER owe_circuit AFTER UPDATE ON tidegate.circuits
    FOR EACH ROW WHEN ((OLD.state = 'closed') <> (NEW.state = 'closed')) EXECUTE FUNCTION tidegate.owe_circuit();

-- Each owner's pause is an event, and its end. paused_by says who pauses the
-- route then: it may be paused still when one pause ends.
CREATE OR REPLACE FUNCTION tidegate.owe_pause() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    p tidegate.pauses := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    INSERT INTO tidegate.outbox (event) VALUES (jsonb_build_object('type', 'pause', 'id', gen_random_uuid(),
        'route', p.route, 'owner', p.owner, 'reason', p.reason, 'since', p.since, 'resumed', TG_OP = 'DELETE', 'at', now(),
        'paused_by', (SELECT coalesce(jsonb_agg(owner ORDER BY owner), '[]') FROM tidegate.pauses WHERE route = p.route)));
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER owe_pause AFTER INSERT OR DELETE ON tidegate.pauses
    FOR EACH ROW EXECUTE FUNCTION tidegate.owe_pause();

-- The word only wakes: who hears it reads the tables. Postgres sends it when the
-- transaction commits, and once however often it was said there. A statement
-- that changes nothing says nothing, nor does a beat of a worker.
CREATE OR REPLACE FUNCTION tidegate.wake_fleet() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('tidegate_fleet', '');
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER wake_fleet AFTER INSERT OR DELETE ON tidegate.circuits
    FOR EACH ROW EXECUTE FUNCTION tidegate.wake_fleet();
CREATE OR REPLACE TRIGGER wake_fleet_on_change AFTER UPDATE ON tidegate.circuits
    FOR EACH ROW WHEN ((OLD.state, OLD.generation) IS DISTINCT FROM (NEW.state, NEW.generation) OR OLD.prober IS NOT NULL AND NEW.prober IS NULL
        -- times travel as durations: a cooldown that is said again comes a little later
        OR OLD.cooldown_until IS DISTINCT FROM NEW.cooldown_until
            AND NOT coalesce(NEW.cooldown_until BETWEEN OLD.cooldown_until AND OLD.cooldown_until + interval '100 ms', false))
    EXECUTE FUNCTION tidegate.wake_fleet();
CREATE OR REPLACE TRIGGER wake_fleet AFTER INSERT OR DELETE ON tidegate.pauses
    FOR EACH ROW EXECUTE FUNCTION tidegate.wake_fleet();
CREATE OR REPLACE TRIGGER wake_fleet AFTER INSERT OR UPDATE OR DELETE ON tidegate.drills
    FOR EACH ROW EXECUTE FUNCTION tidegate.wake_fleet();
