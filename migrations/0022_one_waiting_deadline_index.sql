-- What it served the index of each tenant's deadlines serves. On its own, since a DROP
-- must wait for readers: no writer may wait for the making of the other then.
SET LOCAL lock_timeout = '10s';
DROP INDEX IF EXISTS tidegate.waiting_deadlines;
