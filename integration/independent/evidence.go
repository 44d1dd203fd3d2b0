package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A stored row is a request with its result.
type stored struct {
	CustomID string
	Route    string
	EventID  string // of the result; empty: there is none
	State    jobs.State
	Target   string
	Finish   string
	Input    int
	Output   int
	Body     []byte
}

// A call is an attempt.
type call struct {
	At       time.Time
	CustomID string // empty: it was a probe of its own
	Target   string
	Class    jobs.Class
	Status   int // zero: there was no answer
	Probe    bool
}

// An evidence is all that three sides say of what happened.
type evidence struct {
	stored []stored
	calls  []call
	river  map[int]int // jobs by the attempts that they took; those that are not complete are under zero
	events map[string][]event
	opened map[string]int // circuits, by dialect
	served map[string][]served
	leaks  []string // where a key was found
}

const (
	readStored = `/* check: stored */ SELECT coalesce(q.custom_id, ''), q.route, coalesce(r.id::text, ''), coalesce(r.state, ''), coalesce(r.target, ''),
		coalesce(r.finish_reason, ''), coalesce(r.input_tokens, 0), coalesce(r.output_tokens, 0), coalesce(r.body, '')
		FROM tidegate.requests q LEFT JOIN tidegate.results r ON r.request_id = q.id`
	readCalls = `/* check: calls */ SELECT a.at, coalesce(q.custom_id, ''), a.target, a.class, coalesce(a.status, 0), a.probe
		FROM tidegate.attempts a LEFT JOIN tidegate.requests q ON q.id = a.request_id ORDER BY a.at`
	readRiver = `/* check: river */ SELECT CASE WHEN state = 'completed' THEN attempt ELSE 0 END, count(*) FROM tidegate.river_job GROUP BY 1`
)

// gather reads what there is, once nothing moves any more. What the mocks saw before
// a time is left out.
func (s *stage) gather(ctx context.Context, since time.Time) (*evidence, error) {
	e := &evidence{river: map[int]int{}, served: map[string][]served{}}
	var err error
	if e.stored, err = read[stored](ctx, s, readStored); err != nil {
		return nil, err
	}
	if e.calls, err = read[call](ctx, s, readCalls); err != nil {
		return nil, err
	}
	counts, err := read[struct{ Attempt, Jobs int }](ctx, s, readRiver)
	if err != nil {
		return nil, err
	}
	for _, count := range counts {
		e.river[count.Attempt] = count.Jobs
	}
	for dialect, m := range s.mocks {
		all, err := m.journal(ctx)
		if err != nil {
			return nil, err
		}
		for _, one := range all {
			if !one.at.Before(since.Truncate(time.Millisecond)) {
				e.served[dialect] = append(e.served[dialect], one)
			}
		}
	}
	if e.events, e.opened, err = s.events.taken(); err != nil {
		return nil, err
	}
	e.leaks, err = s.leaks(ctx)
	return e, err
}

func read[T any](ctx context.Context, s *stage, sql string, args ...any) ([]T, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("reading what happened: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}

// leaks looks for the keys in every log, every table and every event.
func (s *stage) leaks(ctx context.Context) (found []string, err error) {
	logs, err := filepath.Glob(filepath.Join(s.dir, "worker*.log"))
	if err != nil || len(logs) != processes {
		return nil, errors.Join(err, fmt.Errorf("%d workers wrote %d logs", processes, len(logs)))
	}
	tables, err := read[struct{ Name string }](ctx, s, `SELECT table_name FROM information_schema.tables WHERE table_schema = 'tidegate' AND table_type = 'BASE TABLE'`)
	if err != nil {
		return nil, err
	}
	for _, dialect := range dialects {
		key := s.mocks[dialect].key
		for _, log := range logs {
			text, err := os.ReadFile(log)
			if err != nil {
				return nil, err
			}
			if len(text) == 0 {
				return nil, fmt.Errorf("%s is empty, so nothing can be looked for in it", filepath.Base(log))
			}
			if bytes.Contains(text, []byte(key)) {
				found = append(found, fmt.Sprintf("the key of %s is in %s", dialect, filepath.Base(log)))
			}
		}
		for _, table := range tables {
			// A body is bytes, which a row writes as hexadecimal digits.
			holding := "SELECT count(*) FROM " + pgx.Identifier{"tidegate", table.Name}.Sanitize() +
				" AS t WHERE strpos(t::text, $1) > 0 OR strpos(t::text, encode(convert_to($1, 'UTF8'), 'hex')) > 0"
			n, err := s.count(ctx, holding, key)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				found = append(found, fmt.Sprintf("the key of %s is in %d rows of %s", dialect, n, table.Name))
			}
		}
		if s.events.holds(key) {
			found = append(found, fmt.Sprintf("the key of %s is in an event", dialect))
		}
	}
	return found, nil
}
