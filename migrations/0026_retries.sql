-- A batch that tries the failed requests of another one again. It has no input_file_id
-- of its own, so that a worker that knows nothing of retries reads no file for it:
-- such a worker fails at it, and it is tried again a little later.
SET LOCAL lock_timeout = '10s';

-- A producer has this one first, and comes to batches last: so must who wants both.
LOCK TABLE tidegate.requests IN ACCESS EXCLUSIVE MODE;

ALTER TABLE tidegate.batches ADD COLUMN IF NOT EXISTS retry jsonb; -- what it took of that one, and what is to be other than it was; NULL: it is no retry
-- serves: what of a batch is tried again already
CREATE INDEX IF NOT EXISTS batches_retry_of ON tidegate.batches (retry_of) WHERE retry_of IS NOT NULL;

ALTER TABLE tidegate.batch_work ADD COLUMN IF NOT EXISTS retried_id uuid; -- the last request of the other batch that was enqueued anew; NULL: none

ALTER TABLE tidegate.requests ADD COLUMN IF NOT EXISTS retry_of uuid; -- the request that it tries again; NULL: none

-- It has files of what becomes of it, as one has that came as a file,
CREATE OR REPLACE TRIGGER finalize_batch BEFORE UPDATE OF completed, failed ON tidegate.batches
    FOR EACH ROW WHEN ((OLD.input_file_id IS NOT NULL OR OLD.retry IS NOT NULL) AND OLD.state IN ('in_progress', 'cancelling') AND NEW.completed + NEW.failed >= NEW.total)
    EXECUTE FUNCTION tidegate.finalize_batch();

-- and is to be enqueued from the beginning on: its lines were checked before.
CREATE OR REPLACE TRIGGER work_new_batch AFTER INSERT ON tidegate.batches
    FOR EACH ROW WHEN (NEW.state = 'validating' OR NEW.retry IS NOT NULL) EXECUTE FUNCTION tidegate.work_batch();
