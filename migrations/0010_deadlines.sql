-- serves: expire, the requests whose deadline passed in the last moments
CREATE INDEX IF NOT EXISTS requests_deadline ON tidegate.requests (deadline) WHERE deadline IS NOT NULL;
