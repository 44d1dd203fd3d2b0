package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/integration/bench"
	"tidegate/jobs"
	"tidegate/store"
)

const (
	// forEver is the retention of the workers that only send events.
	forEver = "{requests: 0, attempts: 0}"
	month   = "{requests: 30d, attempts: 30d}"
	// gone is how long all may take.
	gone = 30 * time.Minute
)

// Half of a text is random hexadecimal digits, which compress by half at best, and half
// is one letter.
const fillRequests = `
INSERT INTO tidegate.requests (id, created_at, tenant, route, batch_id, custom_id, body)
SELECT ('01000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, now() - interval '40 days' + n * interval '1 millisecond', 'default', 'bench',
	CASE WHEN n % 2 = 0 THEN 'batch_old' || n / 2 / $3 END, 'c' || n, convert_to((SELECT string_agg(md5(n || ' ' || i), '') FROM generate_series(1, $4 / 64) i) || repeat('x', $4 / 2), 'UTF8')
FROM generate_series($1::int, $2::int) n`

const fillResults = `
INSERT INTO tidegate.results (request_id, id, stored_at, status, state, target, model, finish_reason, input_tokens, output_tokens, attempts, cost_micro_usd, body)
SELECT id, gen_random_uuid(), created_at + interval '1 minute', 200, 'answered', 'bench', 'sim', 'stop', 500, 100, 1, 100,
	convert_to((SELECT string_agg(md5(custom_id || ' ' || i), '') FROM generate_series(1, $3 / 64) i) || repeat('y', $3 / 2), 'UTF8')
FROM tidegate.requests WHERE id BETWEEN ('01000000-0000-7000-8000-' || lpad(to_hex($1::int), 12, '0'))::uuid AND ('01000000-0000-7000-8000-' || lpad(to_hex($2::int), 12, '0'))::uuid`

const fillAttempts = `
INSERT INTO tidegate.attempts (at, request_id, latency_us, first_byte_us, cost_micro_usd, input_tokens, output_tokens, status, route, target, class)
SELECT created_at + interval '30 seconds', id, 1000000, 500000, 100, 500, 100, 200, 'bench', 'bench', 'OK' FROM tidegate.requests`

const fillBatches = `
INSERT INTO tidegate.batches (id, tenant, state, total, completed, created_at, ended_at)
SELECT batch_id, 'default', 'completed', count(*), count(*), min(created_at), max(created_at) + interval '1 hour' FROM tidegate.requests WHERE batch_id IS NOT NULL GROUP BY 1`

// fill makes what is old.
func (p plan) fill(ctx context.Context, stage *bench.Stage) error {
	const step = 50_000
	for from := 1; from <= p.requests; from += step {
		to := min(from+step-1, p.requests)
		if _, err := stage.Pool.Exec(ctx, fillRequests, from, to, p.batch, p.prompt); err != nil {
			return err
		}
		if _, err := stage.Pool.Exec(ctx, fillResults, from, to, p.answer); err != nil {
			return err
		}
	}
	for _, sql := range []string{"SELECT tidegate.add_attempt_days(current_date - 41, current_date - 38)", fillAttempts, fillBatches, "VACUUM ANALYZE", "CHECKPOINT"} {
		if _, err := stage.Pool.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func (p plan) take(ctx context.Context, ground *bench.Ground) (f figures, err error) {
	stage, err := ground.Stage(ctx, bench.StageConfig{Name: name, Provider: ground.Provider(name), Concurrency: 10, Timing: "sweep=1s", Retention: forEver})
	if err != nil {
		return f, err
	}
	defer stage.Close()
	bench.Say("making %d old requests", p.requests)
	if err := p.fill(ctx, stage); err != nil {
		return f, fmt.Errorf("filling: %w", err)
	}
	if f.sizes, err = p.sizes(ctx, stage); err != nil {
		return f, err
	}
	for _, part := range []struct {
		what      string
		retention string
		into      *row
	}{{"commits alone", forEver, &f.before}, {"commits beside the removal", month, &f.beside}, {"commits alone again", forEver, &f.after}} {
		bench.Say("%s", part.what)
		if err := stage.Configure(func(c *bench.StageConfig) { c.Retention = part.retention }); err != nil {
			return f, err
		}
		if err := stage.StartWorkers(1); err != nil {
			return f, err
		}
		if err := p.measure(ctx, stage, part.retention == month, part.into); err != nil {
			return f, err
		}
		stage.StopWorkers()
	}
	return f, nil
}

// What is old has ids that begin so, and the days of its calls are no partition.
const left = `SELECT (SELECT count(*) FROM (SELECT FROM tidegate.requests WHERE id < '01100000-0000-7000-8000-000000000000' LIMIT 1) q)
	+ (SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'tidegate.attempts'::regclass
		AND c.relname < 'attempts_' || to_char(current_date - 35, 'YYYYMMDD'))`

// measure commits at a steady rate: for a while, or until all that is old is gone.
func (p plan) measure(ctx context.Context, stage *bench.Stage, removing bool, r *row) error {
	ends := time.Now().Add(p.alone)
	if removing {
		ends = time.Now().Add(gone)
	}
	began, cpu := time.Now(), stage.CPU()
	wal, err := bench.WALPosition(ctx, stage.Pool)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(p.every)
	defer ticker.Stop()
	s := store.New(stage.Pool)
	for n := 0; time.Now().Before(ends); n++ {
		<-ticker.C
		took, err := p.commit(ctx, stage, s)
		if err != nil {
			return err
		}
		r.commits = append(r.commits, took)
		if removing && n%20 == 0 {
			old, err := stage.Count(ctx, left)
			if err != nil {
				return err
			}
			if old == 0 {
				break
			}
		}
	}
	r.took, r.cpu = time.Since(began), stage.CPU()-cpu
	slices.Sort(r.commits)
	after, err := bench.WALPosition(ctx, stage.Pool)
	r.wal = after - wal
	if old, counted := stage.Count(ctx, left); removing && counted == nil && old != 0 {
		return fmt.Errorf("%d things that are old are left", old)
	}
	return err
}

// commit writes a group of new requests, and then, which is measured, their results.
func (p plan) commit(ctx context.Context, stage *bench.Stage, s *store.Store) (time.Duration, error) {
	requests, entries := make([]jobs.Request, p.group), make([]jobs.Entry, p.group)
	for i := range requests {
		r := &requests[i]
		*r = jobs.Request{ID: uuid.Must(uuid.NewV7()).String(), Tenant: jobs.DefaultTenant, Route: bench.Route, Body: bench.Body(i), CreatedAt: time.Now()}
		attempt := &jobs.Attempt{At: time.Now(), Target: bench.Route, Class: jobs.OK, Status: 200, Latency: time.Second, Usage: jobs.Usage{Input: 500, Output: 100}, Propensity: 1}
		entries[i] = jobs.Entry{Request: r, Trace: jobs.Trace{{Attempt: attempt}}, Result: &jobs.Result{
			ID: uuid.Must(uuid.NewV7()).String(), RequestID: r.ID, State: jobs.StateAnswered, Status: 200, Body: make([]byte, p.answer), Target: bench.Route, Usage: attempt.Usage, Attempts: 1,
		}}
	}
	if err := pgx.BeginFunc(ctx, stage.Pool, func(tx pgx.Tx) error { return store.InsertRequests(ctx, tx, requests) }); err != nil {
		return 0, err
	}
	began := time.Now()
	done, refused, err := s.Commit(ctx, entries)
	took := time.Since(began)
	if err == nil && (len(done.Stored) != len(entries) || len(refused) > 0) {
		err = fmt.Errorf("of %d results %d were stored", len(entries), len(done.Stored))
	}
	return took, err
}

// sizes are bytes for each old request, of the three tables that it is in.
func (p plan) sizes(ctx context.Context, stage *bench.Stage) (sizes [3]float64, err error) {
	for i, of := range []string{"'requests'", "'results'", "'attempts_' || to_char(day, 'YYYYMMDD')"} {
		sql := fmt.Sprintf("SELECT coalesce(sum(pg_total_relation_size(to_regclass('tidegate.' || name)))::float8, 0) FROM (SELECT DISTINCT %s AS name FROM generate_series(current_date - 41, current_date - 38, '1 day') day) n", of)
		if err := stage.Pool.QueryRow(ctx, sql).Scan(&sizes[i]); err != nil {
			return sizes, err
		}
		sizes[i] /= float64(p.requests)
	}
	return sizes, nil
}
