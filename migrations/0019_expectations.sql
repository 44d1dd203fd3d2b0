-- What answers must be like, how often one was not, and targets whose answers have
-- changed. All of it is quick, whatever there is, and costs nothing where it is not
-- used.

ALTER TABLE tidegate.requests ADD COLUMN IF NOT EXISTS expect json; -- not jsonb, which knows no \u0000; NULL: nothing
ALTER TABLE tidegate.results ADD COLUMN IF NOT EXISTS bad_answers smallint NOT NULL DEFAULT 0; -- before, or instead of, the one that is stored

-- How the answers of a target have changed for the worse; NULL: they have not. The
-- circuit of a degraded target is closed at first, so that its mark is an event, too.
ALTER TABLE tidegate.circuits ADD COLUMN IF NOT EXISTS degraded text;

CREATE OR REPLACE FUNCTION tidegate.owe_circuit() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tidegate.outbox (event) VALUES (jsonb_build_object('type', 'circuit', 'id', gen_random_uuid(),
        'target', NEW.target, 'region', NEW.region, 'generation', NEW.generation, 'reason', NEW.reason, 'since', NEW.since, 'person', NEW.person,
        'state', CASE WHEN NEW.state <> 'closed' THEN 'open' WHEN NEW.degraded IS NOT NULL AND OLD.degraded IS NULL THEN 'degraded' ELSE 'closed' END,
        'down_since', coalesce(NEW.down_since, OLD.down_since), 'cooldown_until', NEW.cooldown_until, 'degraded', coalesce(NEW.degraded, '')));
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER owe_new_circuit AFTER INSERT ON tidegate.circuits
    FOR EACH ROW WHEN (NEW.state <> 'closed' OR NEW.degraded IS NOT NULL) EXECUTE FUNCTION tidegate.owe_circuit();
CREATE OR REPLACE TRIGGER owe_circuit AFTER UPDATE ON tidegate.circuits
    FOR EACH ROW WHEN ((OLD.state = 'closed') <> (NEW.state = 'closed') OR NEW.state = 'closed' AND (OLD.degraded IS NULL) <> (NEW.degraded IS NULL))
    EXECUTE FUNCTION tidegate.owe_circuit();
