-- serves: whether a request is tried again already. Few are, so it is small, and no other
-- request is in it. Writers go on meanwhile: it is made outside of a transaction, and takes
-- as long as two readings of the table and the oldest transaction that is under way.
CREATE INDEX CONCURRENTLY IF NOT EXISTS requests_retry_of ON tidegate.requests (retry_of) WHERE retry_of IS NOT NULL;
