-- serves: expire, so that a request whose deadline passes while its job is parked for a
-- budget says so. Only such jobs are in it. Made while writers of River's jobs are held
-- up, for about a second for a million; where that must wait for a long transaction
-- itself, it gives up, and is repeated by the next `migrate`.
SET LOCAL lock_timeout = '10s';
CREATE INDEX IF NOT EXISTS river_job_for_money ON tidegate.river_job ((args ->> 'r')) WHERE state = 'scheduled' AND metadata ? 'tidegate_budget';
