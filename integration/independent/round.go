package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/integration/bench"
)

const (
	// patience is the time for the first byte of an answer: far longer than a mock
	// takes, also on a busy machine.
	patience = 5 * time.Second
	// tooSlow is a delay that nobody waits for.
	tooSlow = 2 * patience
	// strike is how long all calls of one dialect go wrong; where they are too slow,
	// it is that much longer than it takes to see it.
	strike = 6 * time.Second
	// told is how long it takes until every worker knows what one of them was told: a
	// beat, and a look at the others'.
	told = 4 * time.Second
)

// The rounds, in their order.
const (
	calmRound    = "calm"
	refusedRound = "refusals"
	chaosRound   = "chaos"
	limitedRound = "limited"
)

var rounds = []string{calmRound, refusedRound, chaosRound, limitedRound}

// disturbance is the chaos of every call in its round: of each dialect about a
// sixth fails. openai's is not told to send 429s, beside which it announces a limit
// that would be kept from then on.
var disturbance = map[string]chaos{
	"openai":    {Drop: 0.06, Malformed: 0.05, Disconnect: 0.06, LatencyMS: 20},
	"anthropic": {Drop: 0.05, Malformed: 0.05, RateLimit: 0.02, Disconnect: 0.05, LatencyMS: 20},
	"gemini":    {Drop: 0.05, Malformed: 0.05, RateLimit: 0.02, Disconnect: 0.05, LatencyMS: 20},
}

// strikes are what befalls all calls of a dialect, one dialect after the other.
var strikes = []struct {
	dialect string
	chaos   chaos
	lasts   time.Duration
}{
	{"openai", chaos{Drop: 1}, strike},
	{"anthropic", chaos{Disconnect: 1}, strike},
	{"gemini", chaos{LatencyMS: int(tooSlow / time.Millisecond)}, patience + strike},
}

// A span is when a round was.
type span struct{ began, ended time.Time }

// play enqueues the questions of a round, does to the mocks what the round is
// about, and waits until all is answered and told.
func (s *stage) play(ctx context.Context, round string, questions []question, within time.Duration) (span, error) {
	before, err := s.count(ctx, countResults)
	if err != nil {
		return span{}, err
	}
	began := time.Now()
	switch round {
	case chaosRound:
		err = s.storm(ctx, questions)
	case limitedRound:
		err = s.limit(ctx, questions)
	default:
		err = s.enqueue(ctx, questions)
	}
	if err != nil {
		return span{}, err
	}
	all := before + len(questions)
	if err := s.settle(ctx, all, within); err != nil {
		return span{}, fmt.Errorf("round %s: %w", round, errors.Join(err, s.open(ctx)))
	}
	took := span{began, time.Now()}
	for _, m := range s.mocks {
		if err := m.disturb(ctx, chaos{}); err != nil {
			return took, err
		}
	}
	return took, nil
}

// storm is the round of chaos: half of the questions comes at its beginning, the
// rest a part with each strike.
func (s *stage) storm(ctx context.Context, questions []question) error {
	for dialect, m := range s.mocks {
		if err := m.disturb(ctx, disturbance[dialect]); err != nil {
			return err
		}
	}
	half := len(questions) / 2
	if err := s.enqueue(ctx, questions[:half]); err != nil {
		return err
	}
	for i, blow := range strikes {
		m := s.mocks[blow.dialect]
		if err := m.disturb(ctx, blow.chaos); err != nil {
			return err
		}
		from, to := half+i*half/len(strikes), half+(i+1)*half/len(strikes)
		if i == len(strikes)-1 {
			to = len(questions)
		}
		if err := s.enqueue(ctx, questions[from:to]); err != nil {
			return err
		}
		if err := bench.Sleep(ctx, time.Now().Add(blow.lasts)); err != nil {
			return err
		}
		if err := m.disturb(ctx, disturbance[blow.dialect]); err != nil {
			return err
		}
	}
	return nil
}

// limit is the round of the announced limit: a few questions meet it, and the rest
// comes when it is known.
func (s *stage) limit(ctx context.Context, questions []question) error {
	m, began := s.mocks["openai"], time.Now()
	if err := errors.Join(m.disturb(ctx, chaos{RateLimit: 1}), s.enqueue(ctx, questions[:forerunners])); err != nil {
		return err
	}
	err := bench.Await(ctx, soon, "the mock of openai announced its limit", func() (bool, error) {
		calls, err := m.journal(ctx)
		return !limitSaid(calls, began).IsZero(), err
	})
	if err == nil {
		err = bench.Sleep(ctx, time.Now().Add(told))
	}
	return errors.Join(err, m.disturb(ctx, chaos{}), s.enqueue(ctx, questions[forerunners:]))
}

// limitSaid is when a mock first sent a 429 since a time; zero: it did not.
func limitSaid(calls []served, since time.Time) time.Time {
	for _, one := range calls {
		if one.status == http.StatusTooManyRequests && !one.at.Before(since.Truncate(time.Millisecond)) {
			return one.at
		}
	}
	return time.Time{}
}

const (
	countResults = `/* check: results */ SELECT count(*) FROM tidegate.results`
	countOwed    = `/* check: owed */ SELECT (SELECT count(*) FROM tidegate.river_job WHERE finalized_at IS NULL) + (SELECT count(*) FROM tidegate.outbox)`
	// No call of a round may be refused like this: a translation is wrong, or a
	// fixture, and its circuit stays open for a minute.
	wrongCall = `/* check: wrong calls */ SELECT target, class, coalesce(status, 0), coalesce(message, '') FROM tidegate.attempts WHERE class IN ('AUTH', 'QUOTA', 'DAILY_QUOTA', 'BAD_REQUEST') LIMIT 1`
)

// settle waits until so many questions have a result, their jobs are complete, and
// the subscriber has heard of all.
func (s *stage) settle(ctx context.Context, all int, within time.Duration) error {
	return bench.Await(ctx, within, fmt.Sprintf("%d questions are answered and told", all), func() (bool, error) {
		if err := errors.Join(s.alive(), s.wrong(ctx)); err != nil {
			return false, err
		}
		stored, err := s.count(ctx, countResults)
		if err != nil || stored < all {
			return false, err
		}
		owed, err := s.count(ctx, countOwed)
		return owed == 0 && s.events.heard() >= all, err
	})
}

func (s *stage) wrong(ctx context.Context) error {
	var target, class, message string
	var status int
	switch err := s.pool.QueryRow(ctx, wrongCall).Scan(&target, &class, &status, &message); {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("a call of %s was refused as %s, status %d: %s", target, class, status, message)
}

// open is an error that says what is not yet done, for when a round took too long.
func (s *stage) open(ctx context.Context) error {
	const waiting = `/* check: open */ SELECT coalesce(string_agg(line, '; '), 'every question has a result') FROM (
		SELECT q.route || ': ' || count(*) || ' questions are open' AS line FROM tidegate.requests q WHERE NOT EXISTS (SELECT FROM tidegate.results r WHERE r.request_id = q.id) GROUP BY q.route
		UNION ALL SELECT 'the circuit of ' || target || ' is ' || state || ': ' || reason FROM tidegate.circuits WHERE state <> 'closed') AS lines`
	var text string
	if err := s.pool.QueryRow(ctx, waiting).Scan(&text); err != nil {
		return err
	}
	return fmt.Errorf("%s; the subscriber heard of %d results", text, s.events.heard())
}
