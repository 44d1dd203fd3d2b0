package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// A purse is what a budget must be, whatever happens in whichever order.
type purse struct {
	key      jobs.BudgetKey
	limit    jobs.MicroUSD
	spent    jobs.MicroUSD
	overshot jobs.MicroUSD // by which calls cost more than was thought
	highest  jobs.MicroUSD // limit that there was
}

// An errand is a call that was begun and whose end nobody has written down.
type errand struct {
	call   jobs.Begun
	worker string
	at     [3]bool // of which budgets
	lost   bool    // its worker was rescued: nothing is reserved any more
}

// A till is a database with budgets, and what it must hold.
type till struct {
	*world
	held    jobs.Lead
	purses  []*purse
	ids     jobs.BudgetIDs
	out     []*errand
	done    []jobs.Entry // that were committed
	request *jobs.Request
	workers int
	calls   int
}

// For any order of beginning, committing, repeating, dying and changing limits, what
// is spent is what the attempts cost, and never over the limit by more than calls
// cost more than was thought.
func TestSpendingKeepsItsLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requests := w.accept("batch_1", 1)
	if err := w.SaveRoutes(t.Context(), routesOf("summaries", "a")); err != nil {
		t.Fatal(err)
	}
	held := w.lead("lead")
	runs := 0
	rapid.Check(t, func(r *rapid.T) {
		runs++
		w.exec("TRUNCATE tidegate.budgets, tidegate.calls, tidegate.attempts")
		till := &till{world: w, held: held, request: &requests[0], workers: 1000 * runs}
		for _, key := range []jobs.BudgetKey{ofAcme, ofRoute, ofBatch} {
			limit := jobs.MicroUSD(rapid.Int64Range(50, 1000).Draw(r, "limit"))
			w.limit(key, 0, limit)
			till.purses = append(till.purses, &purse{key: key, limit: limit, highest: limit})
		}
		till.ids = w.under(ofAcme, ofRoute, ofBatch)
		till.newWorker()
		till.newWorker()
		r.Repeat(map[string]func(*rapid.T){
			"begin": till.begins, "commit": till.commits, "repeat": till.repeats, "die": till.dies, "limit": till.limits, "": till.holds,
		})
	})
}

func (s *till) newWorker() string {
	s.workers++
	name := fmt.Sprint("w", s.workers)
	s.beat(name)
	return name
}

func (s *till) worker(r *rapid.T) string {
	return fmt.Sprint("w", s.workers-rapid.IntRange(0, 1).Draw(r, "worker"))
}

func (s *till) begins(r *rapid.T) {
	worker := s.worker(r)
	var calls []jobs.Begun
	var errands []*errand
	for range rapid.IntRange(1, 6).Draw(r, "calls") {
		e := &errand{worker: worker}
		ids := jobs.BudgetIDs{}
		for i := range e.at {
			if e.at[i] = rapid.Bool().Draw(r, "under"); e.at[i] {
				ids[i] = s.ids[i]
			}
		}
		e.call = buy(s.request, 0, ids, jobs.MicroUSD(rapid.Int64Range(1, 120).Draw(r, "estimate")))
		e.call.Rough = rapid.Bool().Draw(r, "rough")
		for used := true; used; e.call.Slot++ { // the next free place of the worker
			used = slices.ContainsFunc(append(slices.Clone(s.out), errands...), func(o *errand) bool { return o.worker == worker && o.call.Slot == e.call.Slot })
			if !used {
				break
			}
		}
		s.calls++
		e.call.At = e.call.At.Truncate(time.Hour).Add(time.Duration(s.calls) * time.Millisecond) // it is the key of its attempt
		calls, errands = append(calls, e.call), append(errands, e)
	}
	short := s.reserve(worker, calls...)
	for i, e := range errands {
		if !slices.ContainsFunc(short, func(no jobs.Shortage) bool { return no.Call == i }) {
			s.out = append(s.out, e)
		}
	}
	for i, p := range s.purses { // as it is begun, all of it fits
		if took := p.spent + s.reservedOf(i); len(short) < len(calls) && took > p.limit && s.touched(errands, short, i) {
			r.Fatalf("budget of %s: %d are spent and reserved of %d", p.key, took, p.limit)
		}
	}
}

// touched tells whether one of the calls that began is under a budget.
func (s *till) touched(errands []*errand, short []jobs.Shortage, budget int) bool {
	for i, e := range errands {
		if e.at[budget] && !slices.ContainsFunc(short, func(no jobs.Shortage) bool { return no.Call == i }) {
			return true
		}
	}
	return false
}

func (s *till) reservedOf(budget int) (sum jobs.MicroUSD) {
	for _, e := range s.out {
		if e.at[budget] && !e.lost {
			sum += e.call.Cost
		}
	}
	return sum
}

func (s *till) commits(r *rapid.T) {
	if len(s.out) == 0 {
		r.Skip("nothing is out")
	}
	i := rapid.IntRange(0, len(s.out)-1).Draw(r, "which")
	e := s.out[i]
	s.out = slices.Delete(s.out, i, i+1)
	cost := jobs.MicroUSD(rapid.Int64Range(0, int64(e.call.Cost)+20).Draw(r, "cost"))
	entry := paid(s.request, e.call, cost)
	entry.Result = nil // or else no more calls could be begun
	s.commit(entry)
	s.done = append(s.done, entry)
	for _, p := range s.purses { // the request is of all three, whichever were known when it began
		p.spent += cost
	}
	for k, p := range s.purses {
		if over := cost - e.call.Cost; over > 0 || e.lost || !e.at[k] {
			p.overshot += max(over, 0)
			if e.lost || !e.at[k] { // nothing was kept for it
				p.overshot += min(cost, e.call.Cost)
			}
		}
	}
}

func (s *till) repeats(r *rapid.T) {
	if len(s.done) == 0 {
		r.Skip("nothing is done")
	}
	s.commit(s.done[rapid.IntRange(0, len(s.done)-1).Draw(r, "which")])
}

func (s *till) dies(r *rapid.T) {
	worker := s.worker(r)
	s.rescue(s.held, worker)
	for _, e := range s.out {
		e.lost = e.lost || e.worker == worker
	}
	s.newWorker()
	s.newWorker()
}

func (s *till) limits(r *rapid.T) {
	p := s.purses[rapid.IntRange(0, 2).Draw(r, "budget")]
	p.limit = jobs.MicroUSD(rapid.Int64Range(1, 1500).Draw(r, "limit"))
	p.highest = max(p.highest, p.limit)
	s.limit(p.key, 0, p.limit)
}

func (s *till) holds(r *rapid.T) {
	budgets, err := s.Budgets(s.t.Context(), true)
	if err != nil {
		r.Fatal(err)
	}
	for _, b := range budgets {
		i := slices.IndexFunc(s.purses, func(p *purse) bool { return p.key == b.BudgetKey })
		p := s.purses[i]
		if b.Spent != p.spent || b.SpentToday != p.spent || b.Reserved != s.reservedOf(i) {
			r.Fatalf("budget of %s: %d spent, %d today, %d reserved; want %d and %d", p.key, b.Spent, b.SpentToday, b.Reserved, p.spent, s.reservedOf(i))
		}
		if b.Spent > p.highest+p.overshot {
			r.Fatalf("budget of %s: %d spent of %d, with %d more than was thought", p.key, b.Spent, p.highest, p.overshot)
		}
	}
}
