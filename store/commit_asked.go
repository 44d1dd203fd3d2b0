package store

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"tidegate/jobs"
)

// askedColumns are what a replay must know of the request of each attempt, laid out by
// column. It stands with the attempt, which may be kept for longer than its request.
type askedColumns struct {
	arrived, deadline                 pgtype.FlatArray[pgtype.Timestamptz]
	maxCost                           pgtype.FlatArray[pgtype.Int8]
	bodyBytes                         pgtype.FlatArray[pgtype.Int4]
	priority                          pgtype.FlatArray[pgtype.Int2]
	awaited                           pgtype.FlatArray[pgtype.Bool]
	tenant, goal, endpoint, waitedFor texts
}

// askedFields are the columns of it, in the order of args.
const askedFields = `arrived_at, deadline, max_cost_micro_usd, body_bytes, priority, awaited, tenant, goal, endpoint, waited_for`

func (c *askedColumns) add(r *jobs.Request, a *jobs.Attempt) {
	var tenant, endpoint string
	if r.Tenant != jobs.DefaultTenant {
		tenant = r.Tenant
	}
	if name := orNullEndpoint(r.Endpoint); name != nil {
		endpoint = *name
	}
	c.arrived, c.deadline = append(c.arrived, instant(r.CreatedAt)), append(c.deadline, instant(r.Deadline))
	c.maxCost = append(c.maxCost, pgtype.Int8{Int64: micros(r.MaxCost), Valid: r.MaxCost > 0})
	c.bodyBytes = append(c.bodyBytes, pgtype.Int4{Int32: count(len(r.Body)), Valid: len(r.Body) > 0})
	c.priority = append(c.priority, pgtype.Int2{Int16: small(r.Priority), Valid: r.Priority > 0})
	c.awaited = append(c.awaited, pgtype.Bool{Bool: true, Valid: r.Awaited})
	c.tenant, c.goal = append(c.tenant, text(tenant)), append(c.goal, text(r.Goal))
	c.endpoint, c.waitedFor = append(c.endpoint, text(endpoint)), append(c.waitedFor, text(string(a.WaitedFor)))
}

func (c *askedColumns) args() []any {
	return []any{c.arrived, c.deadline, c.maxCost, c.bodyBytes, c.priority, c.awaited, c.tenant, c.goal, c.endpoint, c.waitedFor}
}

// instant is a time as a column has it; zero is NULL.
func instant(t time.Time) pgtype.Timestamptz { return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()} }
