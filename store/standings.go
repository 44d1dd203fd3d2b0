package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A StandingFilter chooses requests of a tenant.
type StandingFilter struct {
	Tenant string
	Batch  string // empty: of any, or of none
	// State is that of their results; empty: any, or none yet.
	State jobs.State
	// Waiting are those without a result of which no call is under way, and Running
	// those of which one is.
	Waiting, Running bool
	Page             Page
	// Bodies has the answers come with the results, as long as they have so many bytes
	// together; zero: none comes.
	Bodies int
}

const (
	// lookAtOnce is how many requests one query looks at, and looks how many such
	// queries are made for one page: what is rare is not looked for without end.
	lookAtOnce = 20_000
	looks      = 25
)

// A StandingPage is a part of a list of requests.
type StandingPage struct {
	All  []Standing
	Last string // the id to go on from
	// More tells that there may be more. A page may have fewer than its limit even so:
	// where few of many are chosen, or where their answers are large.
	More bool
}

// Standings lists requests of a tenant by their ids, which is by time.
func (s *Store) Standings(ctx context.Context, f StandingFilter) (StandingPage, error) {
	page, err := s.lookThrough(ctx, &f)
	if err == nil && f.Bodies > 0 {
		err = s.addBodies(ctx, &page, f.Bodies)
	}
	if err != nil {
		return StandingPage{}, fmt.Errorf("listing requests: %w", err)
	}
	return page, nil
}

func (s *Store) lookThrough(ctx context.Context, f *StandingFilter) (StandingPage, error) {
	page := StandingPage{Last: f.Page.After}
	for range looks {
		edge, err := s.edge(ctx, f, page.Last)
		if err != nil {
			return page, err
		}
		left := f.Page.Limit - len(page.All)
		some, err := s.standingsTo(ctx, f, page.Last, edge, left+1)
		if err != nil {
			return page, err
		}
		page.All = append(page.All, some[:min(left, len(some))]...)
		if len(some) > left {
			page.Last, page.More = page.All[len(page.All)-1].Request.ID, true
			return page, nil
		}
		if edge == nil {
			return page, nil
		}
		page.Last = edge.String()
	}
	page.More = true
	return page, nil
}

// Of all tenants' requests, since theirs have no order of their own: what is looked at
// is bounded whoever asks.
const edges = `/* tidegate: edge of a look */
SELECT q.id FROM tidegate.requests q WHERE q.id`

// edge is the last id of what one query looks at; nil: it looks at all that is left.
func (s *Store) edge(ctx context.Context, f *StandingFilter, after string) (*uuid.UUID, error) {
	query, args := edges, []any{from(f.Page.Ascending, after), lookAtOnce - 1}
	if f.Page.Ascending {
		query += ` > $1`
	} else {
		query += ` < $1`
	}
	if f.Batch != "" {
		query, args = query+` AND q.batch_id = $3`, append(args, f.Batch)
	}
	query += ` ORDER BY q.id`
	if !f.Page.Ascending {
		query += ` DESC`
	}
	rows, err := s.pool.Query(ctx, query+` OFFSET $2 LIMIT 1`, args...)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// from is where a list begins behind an id of ours; empty: at its beginning.
func from(ascending bool, after string) uuid.UUID {
	id, err := uuid.Parse(after)
	switch {
	case err == nil:
		return id
	case ascending:
		return uuid.Nil
	default:
		return uuid.Max
	}
}

const standings = `/* tidegate: standings */ SELECT ` + standingFacts + `, NULL::bytea FROM tidegate.requests q LEFT JOIN tidegate.results r ON r.request_id = q.id`

// standingsTo reads what is chosen behind an id, up to the edge. The range is said of
// results, too, so that nothing else of them is read, in whatever way.
func (s *Store) standingsTo(ctx context.Context, f *StandingFilter, after string, edge *uuid.UUID, limit int) ([]Standing, error) {
	args := []any{f.Tenant, from(f.Page.Ascending, after), limit}
	behind, upTo, order := ` < $2`, ` >= $4`, ` DESC`
	if f.Page.Ascending {
		behind, upTo, order = ` > $2`, ` <= $4`, ``
	}
	query, where := standings+` AND r.request_id`+behind, ` WHERE q.tenant = $1 AND q.id`+behind
	if edge != nil {
		args = append(args, *edge)
		query, where = query+` AND r.request_id`+upTo, where+` AND q.id`+upTo
	}
	add := func(condition string, arg any) {
		args = append(args, arg)
		where += fmt.Sprintf(condition, len(args))
	}
	if f.Batch != "" {
		add(` AND q.batch_id = $%d`, f.Batch)
	}
	switch {
	case f.State != "":
		add(` AND r.state = $%d`, string(f.State))
	case f.Running:
		where += ` AND r.request_id IS NULL AND ` + underWay
	case f.Waiting:
		where += ` AND r.request_id IS NULL AND NOT ` + underWay
	}
	rows, err := s.pool.Query(ctx, query+where+` ORDER BY q.id`+order+` LIMIT $3`, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanStanding)
}

const bodiesOf = `/* tidegate: bodies */ SELECT request_id, body FROM tidegate.results WHERE request_id = ANY ($1)`

// addBodies reads the answers of a page, and ends it where they would be more than
// most bytes together; the first comes whatever its size.
func (s *Store) addBodies(ctx context.Context, page *StandingPage, most int) error {
	var wanted [][16]byte
	at := map[uuid.UUID]*jobs.ResultEvent{}
	sum := 0
	for i := range page.All {
		result := page.All[i].Result
		if result == nil || result.BodyBytes == 0 {
			continue
		}
		if sum += result.BodyBytes; sum > most && i > 0 {
			page.All, page.More = page.All[:i], true
			page.Last = page.All[i-1].Request.ID
			break
		}
		id, err := parseID(result.RequestID)
		if err != nil {
			return err
		}
		wanted, at[id] = append(wanted, id), result
	}
	rows, err := s.pool.Query(ctx, bodiesOf, wanted)
	if err != nil {
		return err
	}
	var id uuid.UUID
	var body []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &body}, func() error {
		at[id].Body, body = body, nil
		return nil
	})
	return err
}
