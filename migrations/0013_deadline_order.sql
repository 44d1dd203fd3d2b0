-- serves: expire, in the order of deadlines and, where those are equal, of ids,
-- so that each look goes on right behind the last one. Made while writers of
-- requests wait, and readers do not: as long as one reading of the table takes,
-- about a second for a million. Where that is too long, make it before by CREATE
-- INDEX CONCURRENTLY, under this name.
CREATE INDEX IF NOT EXISTS requests_deadline_id ON tidegate.requests (deadline, id) WHERE deadline IS NOT NULL;
