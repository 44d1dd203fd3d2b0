-- serves: expire, as river_job_for_money does. River makes a parked job available some
-- seconds before its time, and so it is when the deadline of its request passes. Only such
-- jobs are in it. Made as that one is: by the next `migrate`, where it has to wait.
SET LOCAL lock_timeout = '10s';
CREATE INDEX IF NOT EXISTS river_job_for_money_soon ON tidegate.river_job ((args ->> 'r')) WHERE state = 'available' AND metadata ? 'tidegate_budget';
