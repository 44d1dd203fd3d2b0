-- River deletes the row of a queue that nobody has served for a day, and its
-- pause with it, and makes it anew for the next worker that serves the queue.
-- What pauses the route is still there: a queue begins paused if it is.
CREATE OR REPLACE FUNCTION tidegate.begin_paused() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.paused_at := coalesce(NEW.paused_at, (SELECT min(since) FROM tidegate.pauses WHERE route = NEW.name));
    RETURN NEW;
END $$;

-- River's INSERT is also its sign of life for a queue that is there: then it sets
-- another column, and what is set here has no effect.
CREATE OR REPLACE TRIGGER begin_paused BEFORE INSERT ON tidegate.river_queue
    FOR EACH ROW EXECUTE FUNCTION tidegate.begin_paused();

-- Pauses that were lost so before.
SELECT set_config('tidegate.supervisor', 'on', true);
UPDATE tidegate.river_queue q SET paused_at = (SELECT min(since) FROM tidegate.pauses WHERE route = q.name)
WHERE paused_at IS NULL AND EXISTS (SELECT FROM tidegate.pauses WHERE route = q.name);
