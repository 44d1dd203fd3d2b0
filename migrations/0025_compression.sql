-- Bodies are compressed with lz4: enqueuing a large batch spent half of its time on
-- pglz, and gains nothing by it in size. What is there already stays as it is, and is
-- read as before. A server that was built without lz4 goes on with what it has. Where
-- it must wait for a long transaction it gives up, and the next `migrate` repeats it.
SET LOCAL lock_timeout = '10s';
DO $$
BEGIN
    ALTER TABLE tidegate.requests ALTER COLUMN body SET COMPRESSION lz4;
    ALTER TABLE tidegate.results ALTER COLUMN body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;
