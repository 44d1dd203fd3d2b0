package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

const (
	// sampleBehind is how far a sample stays behind the clock, so that what is being
	// committed is not missed, and sampleMost how long a time it may be of.
	sampleBehind, sampleMost = time.Second, time.Minute
	// fineFor is how long samples stand by themselves, and samplesFor how long the
	// minutes that they are added up to then.
	fineFor, samplesFor = 2 * time.Hour, 8 * 24 * time.Hour
)

const (
	sampleSpan = `/* tidegate: sample span */
SELECT coalesce((SELECT max(at) FROM tidegate.route_samples WHERE at > now() - $2::interval), now() - $1::interval - $3::interval), now() - $1::interval, now()`

	// The end of the table, in the order in which it was written.
	sampleTargets = `/* tidegate: sample targets */
INSERT INTO tidegate.target_samples (at, target, seconds, calls, answered, limited, cost_micro_usd, unpriced, input_tokens, output_tokens, median_us, slow_us)
SELECT $2, target, extract(epoch FROM $2::timestamptz - $1::timestamptz), count(*), count(*) FILTER (WHERE class = 'OK'), count(*) FILTER (WHERE class = 'RATE'),
	coalesce(sum(cost_micro_usd), 0), count(*) FILTER (WHERE unpriced), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),
	coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_us) FILTER (WHERE class = 'OK'), 0),
	coalesce(percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_us) FILTER (WHERE class = 'OK'), 0)
FROM tidegate.attempts WHERE stored_at > $1 AND stored_at <= $2 AND at > $1 - interval '1 day' GROUP BY target ON CONFLICT DO NOTHING`

	sampleCalls = `/* tidegate: sample calls */
SELECT route, count(*) FILTER (WHERE class = 'OK' AND request_id <> '` + jobs.NoRequest + `'), 0, coalesce(sum(cost_micro_usd), 0)::bigint
FROM tidegate.attempts WHERE stored_at > $1 AND stored_at <= $2 AND at > $1 - interval '1 day' GROUP BY route
UNION ALL
SELECT q.route, 0, count(*), 0
FROM tidegate.results r JOIN tidegate.requests q ON q.id = r.request_id
WHERE r.stored_at > $1 AND r.stored_at <= $2 AND r.state <> 'answered' GROUP BY q.route`

	// What the survey counted, and what the last sample says.
	lastWaiting = `/* tidegate: last waiting */
SELECT route, waiting, counted_at, false FROM tidegate.route_samples WHERE at = $1
UNION ALL
SELECT route, (coalesce((seen ->> 'parked')::numeric, 0) + coalesce((SELECT sum((s ->> 'jobs')::numeric) FROM jsonb_array_elements(seen -> 'strata') s), 0))::bigint,
	(seen ->> 'counted_at')::timestamptz, true
FROM tidegate.progress WHERE seen ->> 'counted_at' > '0001-01-02'`

	sampleRoute = `/* tidegate: sample route */
INSERT INTO tidegate.route_samples (at, route, seconds, waiting, in_hand, answered, failed, cost_micro_usd, counted_at)
VALUES ($2, $3, extract(epoch FROM $2::timestamptz - $1::timestamptz), $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`
)

// A sampling is a sample in the making.
type sampling struct {
	tx            pgx.Tx
	from, to, now time.Time
	done          map[string]*routeDone
	last          map[string]sampled // what the last sample says
	survey        map[string]sampled // what the survey counted
}

type routeDone struct {
	answered, failed int
	cost             int64
}

// TakeSample writes down how routes stand, and what was done since the last sample. Where
// more wait than are quickly counted, the survey has counted them (CountQueues); what has
// ended since is taken off. It returns ErrDeposed if held leads no more.
func (s *Store) TakeSample(ctx context.Context, held jobs.Lead) error {
	return s.asLead(ctx, held, "taking a sample", func(tx pgx.Tx) error {
		made := sampling{tx: tx, done: map[string]*routeDone{}, last: map[string]sampled{}, survey: map[string]sampled{}}
		return made.take(ctx)
	})
}

func (s *sampling) take(ctx context.Context) error {
	if err := s.tx.QueryRow(ctx, sampleSpan, sampleBehind, sampleMost, jobs.SampleEvery).Scan(&s.from, &s.to, &s.now); err != nil {
		return err
	}
	if s.to.Sub(s.from) < sampleBehind { // there is one
		return nil
	}
	if _, err := s.tx.Exec(ctx, sampleTargets, s.from, s.to); err != nil {
		return err
	}
	if err := s.read(ctx); err != nil {
		return err
	}
	routes, err := readCrowds(ctx, s.tx)
	if err != nil {
		return err
	}
	for i := range routes {
		if err := s.write(ctx, &routes[i]); err != nil {
			return err
		}
	}
	return nil
}

// read finds out what was done on each route, and how many waited there before.
func (s *sampling) read(ctx context.Context) error {
	rows, err := s.tx.Query(ctx, sampleCalls, s.from, s.to)
	if err != nil {
		return err
	}
	var route string
	var d routeDone
	_, err = pgx.ForEachRow(rows, []any{&route, &d.answered, &d.failed, &d.cost}, func() error {
		all := s.done[route]
		if all == nil {
			all = &routeDone{}
			s.done[route] = all
		}
		all.answered, all.failed, all.cost = all.answered+d.answered, all.failed+d.failed, all.cost+d.cost
		return nil
	})
	if err != nil {
		return err
	}
	if rows, err = s.tx.Query(ctx, lastWaiting, s.from); err != nil {
		return err
	}
	var one sampled
	var surveyed bool
	_, err = pgx.ForEachRow(rows, []any{&route, &one.Waiting, &one.Counted, &surveyed}, func() error {
		if surveyed {
			s.survey[route] = one
		} else {
			s.last[route] = one
		}
		return nil
	})
	return err
}

// write writes the sample of a route.
func (s *sampling) write(ctx context.Context, r *crowd) error {
	done, counted := s.done[r.Route], s.now
	if done == nil {
		done = &routeDone{}
	}
	if r.more {
		known, err := s.crowd(ctx, r, done.answered+done.failed)
		if err != nil {
			return err
		}
		r.Waiting, counted = max(r.Waiting, known.Waiting), known.Counted
	}
	_, err := s.tx.Exec(ctx, sampleRoute, s.from, s.to, r.Route, r.Waiting, r.InHand, done.answered, done.failed, done.cost, counted)
	return err
}

// crowd says how many wait where very many do, so many of whom have ended since the last
// sample. Nobody surveys a route that is gone, nor the quarantine: those are counted here,
// now and then, as far as that is quick.
func (s *sampling) crowd(ctx context.Context, r *crowd, ended int) (sampled, error) {
	last, known := s.last[r.Route]
	survey, surveyed := s.survey[r.Route]
	switch {
	case surveyed && survey.Counted.After(last.Counted):
		since := s.to.Sub(survey.Counted).Seconds() / s.to.Sub(s.from).Seconds()
		survey.Waiting -= int(float64(ended) * min(1, max(0, since)))
		return survey, nil
	case known && (surveyed || s.now.Sub(last.Counted) < countHolds):
		last.Waiting -= ended
		return last, nil
	default:
		err := r.count(ctx, s.tx, countSome)
		return sampled{r.Waiting, s.now}, err
	}
}

const (
	thinRoutes = `/* tidegate: thin routes */
WITH gone AS (
	DELETE FROM tidegate.route_samples WHERE seconds < 60 AND at <= date_trunc('minute', now() - $1::interval) RETURNING *
)
INSERT INTO tidegate.route_samples (at, route, seconds, waiting, in_hand, answered, failed, cost_micro_usd, counted_at)
SELECT date_trunc('minute', at - interval '1 microsecond') + interval '1 minute', route, 60, (array_agg(waiting ORDER BY at DESC))[1], (array_agg(in_hand ORDER BY at DESC))[1],
	sum(answered), sum(failed), sum(cost_micro_usd), max(counted_at)
FROM gone GROUP BY 1, 2 ON CONFLICT DO NOTHING`

	// A median of medians is none; beside others of the same minute it is near enough.
	thinTargets = `/* tidegate: thin targets */
WITH gone AS (
	DELETE FROM tidegate.target_samples WHERE seconds < 60 AND at <= date_trunc('minute', now() - $1::interval) RETURNING *
)
INSERT INTO tidegate.target_samples (at, target, seconds, calls, answered, limited, cost_micro_usd, unpriced, input_tokens, output_tokens, median_us, slow_us)
SELECT date_trunc('minute', at - interval '1 microsecond') + interval '1 minute', target, 60, sum(calls), sum(answered), sum(limited), sum(cost_micro_usd), sum(unpriced),
	sum(input_tokens), sum(output_tokens), coalesce(sum(median_us * answered) / nullif(sum(answered), 0), 0), max(slow_us)
FROM gone GROUP BY 1, 2 ON CONFLICT DO NOTHING`

	dropRouteSamples  = `/* tidegate: drop route samples */ DELETE FROM tidegate.route_samples WHERE at < now() - $1::interval`
	dropTargetSamples = `/* tidegate: drop target samples */ DELETE FROM tidegate.target_samples WHERE at < now() - $1::interval`
	dropTransitions   = `/* tidegate: drop transitions */ DELETE FROM tidegate.transitions WHERE at < now() - $1::interval`
	dropSessions      = `/* tidegate: drop sessions */ DELETE FROM tidegate.sessions WHERE expires_at < now() - $1::interval`
)

// ThinSamples adds samples up by the minute that are old, and drops those, transitions and
// sessions that are very old. It returns ErrDeposed if held leads no more.
func (s *Store) ThinSamples(ctx context.Context, held jobs.Lead) error {
	return s.asLead(ctx, held, "thinning samples", func(tx pgx.Tx) error {
		for _, thin := range []string{thinRoutes, thinTargets} {
			if _, err := tx.Exec(ctx, thin, fineFor); err != nil {
				return err
			}
		}
		for _, drop := range []string{dropRouteSamples, dropTargetSamples, dropTransitions, dropSessions} {
			if _, err := tx.Exec(ctx, drop, samplesFor); err != nil {
				return err
			}
		}
		return nil
	})
}

const (
	routeSamples = `/* tidegate: route samples */
SELECT at, seconds, route, waiting, in_hand, answered, failed, cost_micro_usd, counted_at FROM tidegate.route_samples WHERE at > $1 ORDER BY at, route`

	targetSamples = `/* tidegate: target samples */
SELECT at, seconds, target, calls, answered, limited, cost_micro_usd, unpriced, input_tokens, output_tokens, median_us, slow_us
FROM tidegate.target_samples WHERE at > $1 ORDER BY at, target`

	transitions = `/* tidegate: transitions */
SELECT at, kind, name, state, owner, reason, person FROM tidegate.transitions WHERE at > $1 ORDER BY at, id`
)

// RouteSamples lists what samples say of routes since a time, in the order of time.
func (s *Store) RouteSamples(ctx context.Context, since time.Time) ([]jobs.RouteSample, error) {
	return listSince(ctx, s, routeSamples, since, "samples of routes", func(row pgx.CollectableRow) (r jobs.RouteSample, err error) {
		var seconds float64
		var cost int64
		err = row.Scan(&r.At, &seconds, &r.Route, &r.Waiting, &r.InHand, &r.Answered, &r.Failed, &cost, &r.Counted)
		r.Span, r.Cost = toSpan(seconds), jobs.MicroUSD(cost)
		return r, err
	})
}

// TargetSamples lists what samples say of targets since a time, in the order of time. A
// target that was not called has none.
func (s *Store) TargetSamples(ctx context.Context, since time.Time) ([]jobs.TargetSample, error) {
	return listSince(ctx, s, targetSamples, since, "samples of targets", func(row pgx.CollectableRow) (t jobs.TargetSample, err error) {
		var seconds float64
		var cost, median, slow int64
		err = row.Scan(&t.At, &seconds, &t.Target, &t.Calls, &t.Answered, &t.Limited, &cost, &t.Unpriced, &t.Input, &t.Output, &median, &slow)
		t.Span, t.Cost, t.Median, t.Slow = toSpan(seconds), jobs.MicroUSD(cost), time.Duration(median)*time.Microsecond, time.Duration(slow)*time.Microsecond
		return t, err
	})
}

// Transitions lists what circuits and pauses did since a time, in the order of time.
func (s *Store) Transitions(ctx context.Context, since time.Time) ([]jobs.Transition, error) {
	return listSince(ctx, s, transitions, since, "transitions", func(row pgx.CollectableRow) (t jobs.Transition, err error) {
		var kind, name string
		err = row.Scan(&t.At, &kind, &name, &t.State, &t.Owner, &t.Reason, &t.Person)
		if t.Target = name; kind == "pause" {
			t.Route, t.Target = name, ""
		}
		return t, err
	})
}

func listSince[T any](ctx context.Context, s *Store, query string, since time.Time, what string, scan pgx.RowToFunc[T]) ([]T, error) {
	rows, err := s.pool.Query(ctx, query, since)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	all, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	return all, nil
}

func toSpan(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
}
