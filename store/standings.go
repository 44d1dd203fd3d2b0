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

// looks are how many requests one query after the other looks at, until the page is
// full: what is often there is found at once, and what is rare is not looked for without
// end.
var looks = []int{500, 2_000, 8_000, 20_000, 20_000}

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
	for _, look := range looks {
		left := f.Page.Limit - len(page.All)
		some, err := s.lookAt(ctx, f, page.Last, look, left+1)
		if err != nil {
			return page, err
		}
		page.All = append(page.All, some[:min(left, len(some))]...)
		if len(some) > left {
			page.Last, page.More = page.All[len(page.All)-1].Request.ID, true
			return page, nil
		}
		edge, err := s.edge(ctx, f, page.Last, look)
		if err != nil || edge == "" || f.Running {
			return page, err
		}
		page.Last = edge
	}
	page.More = true
	return page, nil
}

// from is where a list begins behind an id of ours; empty: at its beginning.
func (p *Page) from() uuid.UUID {
	id, err := uuid.Parse(p.After)
	switch {
	case err == nil:
		return id
	case p.Ascending:
		return uuid.Nil
	default:
		return uuid.Max
	}
}

// looked is what one query looks at, behind $1, in the order of the list: of all
// tenants, since the requests of one have no order of their own, so that it is bounded
// whoever asks. Of what is running, it is that alone. Of a batch, it is said in a way
// that leaves the planner only the index of batches: it would rather read the whole
// table in its order until something of the batch comes.
func (f *StandingFilter) looked(columns string) string {
	behind, within, desc := `<`, `>=`, ` DESC`
	if f.Page.Ascending {
		behind, within, desc = `>`, `<=`, ``
	}
	query := `SELECT ` + columns + ` FROM tidegate.requests q WHERE `
	order := ` ORDER BY q.id` + desc
	if f.Batch == "" {
		query += `q.id ` + behind + ` $1`
	} else {
		query += `(q.batch_id, q.id) ` + behind + ` ($3, $1) AND q.batch_id ` + within + ` $3`
		order = ` ORDER BY q.batch_id` + desc + `, q.id` + desc
	}
	if f.Running {
		query += ` AND q.id IN (SELECT request_id FROM tidegate.calls)`
	}
	return query + order
}

// edge is the last id of what a query looked at; empty: that was all that is left.
func (s *Store) edge(ctx context.Context, f *StandingFilter, after string, look int) (string, error) {
	behind := Page{After: after, Ascending: f.Page.Ascending}
	args := []any{behind.from(), look - 1}
	if f.Batch != "" {
		args = append(args, f.Batch)
	}
	rows, err := s.pool.Query(ctx, `/* tidegate: edge of a look */ `+f.looked(`q.id`)+` OFFSET $2 LIMIT 1`, args...)
	if err != nil {
		return "", err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0].String(), nil
}

// The result of each is read by itself: where few have the state that is looked for, the
// planner would rather read all results that there are.
const (
	standings     = `/* tidegate: standings */ SELECT ` + standingFacts + `, NULL::bytea FROM (`
	standingsEach = ` LIMIT $2) q LEFT JOIN LATERAL (SELECT * FROM tidegate.results WHERE request_id = q.id OFFSET 0) r ON true`
)

// lookAt reads what is chosen of what one query looks at.
func (s *Store) lookAt(ctx context.Context, f *StandingFilter, after string, look, limit int) ([]Standing, error) {
	behind := Page{After: after, Ascending: f.Page.Ascending}
	args := []any{behind.from(), look}
	if f.Batch != "" {
		args = append(args, f.Batch)
	}
	where := ` WHERE true`
	add := func(condition string, arg any) {
		args = append(args, arg)
		where += fmt.Sprintf(condition, len(args))
	}
	add(` AND q.tenant = $%d`, f.Tenant)
	switch {
	case f.State != "":
		add(` AND r.state = $%d`, string(f.State))
	case f.Running:
		where += ` AND r.request_id IS NULL AND ` + underWay
	case f.Waiting:
		where += ` AND r.request_id IS NULL AND NOT ` + underWay
	}
	order := ` ORDER BY q.id`
	if !f.Page.Ascending {
		order += ` DESC`
	}
	add(order+` LIMIT $%d`, limit)
	rows, err := s.pool.Query(ctx, standings+f.looked(`q.*`)+standingsEach+where, args...)
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
