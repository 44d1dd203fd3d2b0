-- What it served the index of deadlines and ids serves, too. On its own, since a
-- DROP must wait for readers: no writer may wait for the making of the other then.
DROP INDEX IF EXISTS tidegate.requests_deadline;
