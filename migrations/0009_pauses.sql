-- Who pauses a route, and why. A queue is paused while it has a row here.

CREATE TABLE tidegate.pauses (
    route  text NOT NULL,
    owner  text NOT NULL CHECK (owner IN ('circuit', 'person')),
    reason text NOT NULL DEFAULT '',
    since  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (route, owner)
);

-- A pause that is older than this table can only be a person's.
INSERT INTO tidegate.pauses (route, owner, reason, since)
SELECT name, 'person', 'paused by a person', paused_at FROM tidegate.river_queue WHERE paused_at IS NOT NULL;

-- Whoever pauses or resumes a queue without saying that it is the supervisor is
-- a person, whatever tool is used. River's pause of a paused queue is an UPDATE
-- that changes nothing, which is why this looks at the statement and not at the
-- values: somebody wants the queue paused, also when the circuits do not.
CREATE FUNCTION tidegate.book_pause() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    said text := nullif(current_setting('tidegate.reason', true), '');
BEGIN
    IF current_setting('tidegate.supervisor', true) = 'on' THEN
        RETURN NULL;
    END IF;
    IF NEW.paused_at IS NULL THEN
        DELETE FROM tidegate.pauses WHERE route = NEW.name;
        RETURN NULL;
    END IF;
    INSERT INTO tidegate.pauses AS p (route, owner, reason) VALUES (NEW.name, 'person', coalesce(said, 'paused by a person'))
    ON CONFLICT (route, owner) DO UPDATE SET reason = excluded.reason WHERE said IS NOT NULL AND p.reason <> excluded.reason;
    RETURN NULL;
END $$;

CREATE TRIGGER book_pause AFTER UPDATE OF paused_at ON tidegate.river_queue
    FOR EACH ROW EXECUTE FUNCTION tidegate.book_pause();
