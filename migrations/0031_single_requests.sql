-- serves: removal, the requests of no batch, in the order in which they came. Writers go on
-- meanwhile: it is made outside of a transaction, and takes as long as two readings of
-- the table and the oldest transaction that is under way.
CREATE INDEX CONCURRENTLY IF NOT EXISTS requests_single ON tidegate.requests (created_at, id) WHERE batch_id IS NULL;
