package store

import (
	"context"
	"fmt"
)

// A file of many pieces goes in several steps, so that none takes long. One whose time
// has come is seen by nobody any more, also when a part of it is gone. What a worker
// still writes of a batch stays, however long that takes; and what a batch reads.
const (
	filesDue = `WITH due AS MATERIALIZED (
	SELECT f.id FROM tidegate.files f
	WHERE (f.expires_at <= now() AND f.whole OR NOT f.whole AND f.purpose <> 'batch_output' AND f.written_at < now() - interval '1 hour')
		AND NOT EXISTS (SELECT FROM tidegate.batches b JOIN tidegate.batch_work w ON w.batch_id = b.id
			WHERE b.input_file_id = f.id AND (b.state = 'validating' OR b.state IN ('in_progress', 'cancelling') AND w.enqueued < b.total))
	LIMIT 100
)`
	removePieces = `/* tidegate: remove pieces */ ` + filesDue + `
DELETE FROM tidegate.file_pieces WHERE (file_id, at) IN (
	SELECT p.file_id, p.at FROM due JOIN tidegate.file_pieces p ON p.file_id = due.id LIMIT $1)`
	removeEmpty = `/* tidegate: remove empty files */ ` + filesDue + `
DELETE FROM tidegate.files f USING due WHERE f.id = due.id AND NOT EXISTS (SELECT FROM tidegate.file_pieces p WHERE p.file_id = f.id)`
	removeOnce = `/* tidegate: remove once */
DELETE FROM tidegate.once WHERE (tenant, key) IN (SELECT tenant, key FROM tidegate.once WHERE created_at < now() - interval '25 hours' LIMIT $1)`
)

// removeAtOnce bounds one step, in pieces or rows.
const removeAtOnce = 100

// RemoveFiles does one step of removing files whose time has come, uploads that nobody
// has gone on with for an hour, and what repetitions of yesterday were known by. It
// returns how many files are gone, and whether there is more to do. Several may do it
// at once.
func (s *Store) RemoveFiles(ctx context.Context) (gone int, more bool, err error) {
	for _, statement := range []string{removePieces, removeOnce} {
		done, err := s.pool.Exec(ctx, statement, removeAtOnce)
		if err != nil {
			return 0, false, fmt.Errorf("removing files: %w", err)
		}
		more = more || done.RowsAffected() == removeAtOnce
	}
	done, err := s.pool.Exec(ctx, removeEmpty)
	if err != nil {
		return 0, false, fmt.Errorf("removing files: %w", err)
	}
	return int(done.RowsAffected()), more || done.RowsAffected() > 0, nil
}
