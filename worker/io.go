package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
)

// wanted is a request to be loaded, with what was done for it if its job was in
// somebody's hands before.
type wanted struct {
	id    string
	again bool
}

type loaded struct {
	jobs.Loaded
	found bool
	err   error
}

type begun struct {
	ended bool           // no call: there is a result
	short *jobs.Shortage // no call: there is not enough money
	err   error
}

// committed tells whether the result of an entry is the one that was stored:
// another may have been there before.
type committed struct {
	stored bool
	err    error
}

const (
	retryMin = 100 * time.Millisecond
	retryMax = 2 * time.Second

	// tryMin is how long Postgres may take to answer before it is asked again on
	// another connection, doubling each time that was too short, up to tryMax: one that was forgotten on its way
	// would hold up every job of the worker for a quarter of an hour.
	tryMin = 5 * time.Second
	tryMax = time.Minute
)

// patient repeats what fails while Postgres is away: a job that failed for that
// would burn an attempt.
type patient struct {
	log      zerolog.Logger
	stopping context.Context
}

// until repeats act until it succeeds, or the worker stops and giveUp says that
// nothing is lost by it.
func (p patient) until(ctx context.Context, doing string, giveUp bool, act func(context.Context) error) error {
	limit := tryMin
	for wait := retryMin; ; wait = min(2*wait, retryMax) {
		try, cancel := context.WithTimeout(ctx, limit)
		err := act(try)
		cancel()
		if err == nil || ctx.Err() != nil || errors.Is(err, jobs.ErrDead) {
			return err
		}
		if errors.Is(try.Err(), context.DeadlineExceeded) { // what is refused at once says nothing of how long an answer takes
			limit = min(2*limit, tryMax)
		}
		p.log.Warn().Err(err).Dur("again_in_ms", wait).Msg(doing + " failed; it is repeated, no attempt is lost")
		var stop <-chan struct{}
		if giveUp {
			stop = p.stopping.Done()
		}
		select {
		case <-time.After(wait):
		case <-stop:
			return errStopping
		case <-ctx.Done():
			return err
		}
	}
}

func (p patient) load(store Store) func(context.Context, []wanted) []loaded {
	return func(ctx context.Context, all []wanted) []loaded {
		var byID map[string]jobs.Loaded
		err := p.until(ctx, "loading requests", true, func(ctx context.Context) (err error) {
			byID, err = loadAll(ctx, store, all)
			return err
		})
		out := make([]loaded, len(all))
		for i, one := range all {
			l, found := byID[one.id]
			out[i] = loaded{Loaded: l, found: found, err: err}
		}
		return out
	}
}

// loadAll loads requests, and the histories of those alone that can have one: it
// is most of the cost, and most requests are new.
func loadAll(ctx context.Context, store Store, all []wanted) (map[string]jobs.Loaded, error) {
	ids, again := make([]string, len(all)), []string(nil)
	for i, one := range all {
		if ids[i] = one.id; one.again {
			again = append(again, one.id)
		}
	}
	got, err := store.Load(ctx, ids)
	if err != nil {
		return nil, err
	}
	var histories map[string]jobs.Trace
	if len(again) > 0 {
		if histories, err = store.Histories(ctx, again); err != nil {
			return nil, err
		}
	}
	byID := make(map[string]jobs.Loaded, len(got))
	for _, l := range got {
		l.History = histories[l.Request.ID]
		byID[l.Request.ID] = l
	}
	return byID, nil
}

// begin has those calls begin with money reserved that are under budgets. The others
// cost nothing more than where there are none.
func (p patient) begin(store Store, ledger Ledger, worker string) func(context.Context, []jobs.Begun) []begun {
	return func(ctx context.Context, calls []jobs.Begun) []begun {
		out := make([]begun, len(calls))
		var free, under []int
		for i := range calls {
			if calls[i].Budgets == (jobs.BudgetIDs{}) {
				free = append(free, i)
			} else {
				under = append(under, i)
			}
		}
		p.beginSome(ctx, calls, free, out, func(ctx context.Context, some []jobs.Begun) (ended []string, _ []jobs.Shortage, err error) {
			ended, err = store.Begin(ctx, worker, some)
			return ended, nil, err
		})
		p.beginSome(ctx, calls, under, out, func(ctx context.Context, some []jobs.Begun) ([]string, []jobs.Shortage, error) {
			return ledger.Reserve(ctx, worker, some)
		})
		return out
	}
}

func (p patient) beginSome(ctx context.Context, calls []jobs.Begun, at []int, out []begun, begin func(context.Context, []jobs.Begun) ([]string, []jobs.Shortage, error)) {
	if len(at) == 0 {
		return
	}
	var got []string
	var short []jobs.Shortage
	some := pick(calls, at)
	err := p.until(ctx, "writing down that calls begin", true, func(ctx context.Context) (err error) {
		got, short, err = begin(ctx, some)
		return err
	})
	has := make(map[string]bool, len(got))
	for _, id := range got {
		has[id] = true
	}
	for i, place := range at {
		out[place] = begun{ended: has[some[i].RequestID], err: err}
	}
	for i := range short {
		out[at[short[i].Call]].short = &short[i]
	}
}

func (p patient) commit(store Store, told func(), kept func(*jobs.Entry, bool)) func(context.Context, []jobs.Entry) []committed {
	return func(ctx context.Context, entries []jobs.Entry) []committed {
		var done jobs.Committed
		var refused []*jobs.EntryError
		tries := 0
		err := p.until(ctx, "committing results", false, func(ctx context.Context) (err error) {
			tries++
			done, refused, err = store.Commit(ctx, entries)
			return err
		})
		if err != nil {
			err = fmt.Errorf("committing: %w", err)
		}
		told()
		isNew := make(map[string]bool, len(done.Stored))
		for _, id := range done.Stored {
			isNew[id] = true
		}
		markLate(entries, done.Late)
		out := make([]committed, len(entries))
		for i, entry := range entries {
			// After a lost connection nobody knows whose result it was that stood there.
			out[i] = committed{stored: tries > 1 || isNew[entry.Request.ID], err: err}
			for _, r := range refused {
				if r.RequestID == entry.Request.ID {
					out[i].err = r
				}
			}
			if out[i].err == nil {
				kept(&entries[i], out[i].stored)
			}
		}
		return out
	}
}

// markLate marks the calls that were counted before, as LOST.
func markLate(entries []jobs.Entry, late []jobs.Call) {
	for _, call := range late {
		for i := range entries {
			if entries[i].Request.ID != call.RequestID {
				continue
			}
			for _, step := range entries[i].Trace {
				if a := step.Attempt; a != nil && a.At.UnixMicro() == call.At.UnixMicro() {
					a.Late = true
				}
			}
		}
	}
}
