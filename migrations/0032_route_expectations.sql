-- Whether a route itself expects something of answers, so that a request is refused that
-- only says how often to ask again after a bad one, where nobody says what is bad. NULL:
-- the route was announced by an older program, and nobody knows.
SET LOCAL lock_timeout = '10s';
ALTER TABLE tidegate.routes ADD COLUMN IF NOT EXISTS expects boolean;
