-- Which endpoint of the API a request asks for, which ones the targets of a route
-- serve, and which ones a worker knows. All of it is quick, whatever there is. Where it
-- must wait for a long transaction it gives up, and the next `migrate` repeats it.
SET LOCAL lock_timeout = '10s';

ALTER TABLE tidegate.requests ADD COLUMN IF NOT EXISTS endpoint text; -- as '/v1/embeddings'; NULL: chat completions
ALTER TABLE tidegate.routes ADD COLUMN IF NOT EXISTS endpoints text[]; -- NULL: announced by a worker that knows of chat completions alone

-- A worker of an older version says nothing, and would take every request for a chat
-- completion: while one lives, no other requests are accepted.
ALTER TABLE tidegate.workers ADD COLUMN IF NOT EXISTS endpoints text[] NOT NULL DEFAULT '{/v1/chat/completions}';
