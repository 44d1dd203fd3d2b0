-- What each worker knows of how targets do, so that one that starts is told by
-- those that are there.
ALTER TABLE tidegate.workers ADD COLUMN IF NOT EXISTS statistics jsonb NOT NULL DEFAULT '{}';
-- The strategies of their own that requests of a route may name, for producers.
ALTER TABLE tidegate.routes ADD COLUMN IF NOT EXISTS goals text[] NOT NULL DEFAULT '{}';
