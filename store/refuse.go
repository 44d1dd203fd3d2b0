package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const refuseRequests = `/* tidegate: refuse requests */
WITH given AS (
	SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) AS g (request_id, batch_id, message)
), stored AS (
	INSERT INTO tidegate.results (request_id, id, state, status, class, message)
	SELECT request_id, gen_random_uuid(), 'refused', 400, '` + string(jobs.BadRequest) + `', message FROM given ORDER BY request_id
	ON CONFLICT (request_id) DO NOTHING
	RETURNING request_id, state
), ` + countAndOwe + `
SELECT count(*) FROM stored`

// RefuseRequests ends requests, in the caller's transaction, that no worker can be
// asked for any more; why says it of each.
func RefuseRequests(ctx context.Context, tx pgx.Tx, requests []jobs.Request, why []string) error {
	ids, batches := make([][16]byte, len(requests)), make([]string, len(requests))
	for i := range requests {
		id, err := parseID(requests[i].ID)
		if err != nil {
			return err
		}
		ids[i], batches[i] = id, requests[i].BatchID
	}
	if _, err := tx.Exec(ctx, refuseRequests, ids, batches, why); err != nil {
		return fmt.Errorf("refusing %d requests: %w", len(requests), err)
	}
	return nil
}
