package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A NoRequestDay is what was called on a day for no request.
type NoRequestDay struct {
	Day      time.Time // its beginning, in UTC
	Canaries CallsCost // those of a route are in the budget of that, too
	Probes   CallsCost // minimal calls; a request that was the probe is not among them
}

// A CallsCost is what some calls cost.
type CallsCost struct {
	Calls    int
	Cost     jobs.MicroUSD
	Unpriced bool // nobody knows what one of them cost
}

// The key of attempts begins with the request, and only the days in question are looked
// at.
const noRequestDays = `/* tidegate: days of no request */
SELECT (at AT TIME ZONE 'UTC')::date,
	count(*) FILTER (WHERE NOT probe), coalesce(sum(cost_micro_usd) FILTER (WHERE NOT probe), 0)::bigint, coalesce(bool_or(unpriced) FILTER (WHERE NOT probe), false),
	count(*) FILTER (WHERE probe), coalesce(sum(cost_micro_usd) FILTER (WHERE probe), 0)::bigint, coalesce(bool_or(unpriced) FILTER (WHERE probe), false)
FROM tidegate.attempts WHERE request_id = '` + jobs.NoRequest + `' AND at >= (tidegate.today() - $1::int)::timestamp AT TIME ZONE 'UTC'
GROUP BY 1 ORDER BY 1 DESC`

// NoRequestDays lists what canaries and probes cost, by the day of UTC, the latest
// first: of today and so many days before. Days without any are left out.
func (s *Store) NoRequestDays(ctx context.Context, before int) ([]NoRequestDay, error) {
	rows, err := s.pool.Query(ctx, noRequestDays, before)
	if err != nil {
		return nil, fmt.Errorf("reading what canaries and probes cost: %w", err)
	}
	days, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (NoRequestDay, error) {
		var d NoRequestDay
		c, p := &d.Canaries, &d.Probes
		err := row.Scan(&d.Day, &c.Calls, (*int64)(&c.Cost), &c.Unpriced, &p.Calls, (*int64)(&p.Cost), &p.Unpriced)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading what canaries and probes cost: %w", err)
	}
	return days, nil
}
