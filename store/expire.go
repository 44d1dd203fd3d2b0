package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// ExpireAtOnce bounds how many requests one Expire ends. When it ended as many,
// more may be left.
const ExpireAtOnce = 5000

const expire = `/* tidegate: expire */
WITH given AS MATERIALIZED (
	SELECT q.id AS request_id, q.batch_id FROM tidegate.requests q
	WHERE q.deadline > now() - $1::interval AND q.deadline <= now() - $2::interval
		AND NOT EXISTS (SELECT FROM tidegate.results r WHERE r.request_id = q.id)
	ORDER BY q.deadline LIMIT $3
), stored AS (
	INSERT INTO tidegate.results (request_id, id, state, status, code, message)
	SELECT request_id, gen_random_uuid(), 'expired', 504, 'batch_expired', 'its deadline passed before a target could answer' FROM given ORDER BY request_id
	ON CONFLICT (request_id) DO NOTHING
	RETURNING request_id, state
), ` + countAndOwe + `
SELECT count(*) FROM stored`

// Expire ends requests without a result as expired whose deadline passed less
// than from, and at least to, ago, by the database's clock; at most ExpireAtOnce
// of them, earliest deadline first. It returns how many: if as many as that, it
// is worth calling again at once. Their River jobs stay: a worker that gets one
// finds the result. It returns ErrDeposed if held leads no more.
func (s *Store) Expire(ctx context.Context, held jobs.Lead, from, to time.Duration) (n int, err error) {
	err = s.asLead(ctx, held, "expiring requests", func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, expire, from, to, ExpireAtOnce).Scan(&n)
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
