package replay

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"sync"
)

// Options say how to replay.
type Options struct {
	// Against is the policy that made the log: it is replayed, too, to see how far its
	// replay is from what the log has. Nil: nobody knows, and every verdict is doubtful.
	Against *Policy
	Outages []Outage
	Limits  []Limit
	// Seed is of the luck of calls, and of what routers pick at random. The same log,
	// policies and options give the same report.
	Seed uint64
	// Whole runs the whole log, however long. Else a long one is sampled, so that about
	// Budget requests are run altogether; zero: DefaultBudget.
	Whole  bool
	Budget int
	// Workers is how many runs go on at a time; zero: one for each processor.
	Workers int
	// Progress, if not nil, is told how many of how many requests were run, from any
	// goroutine, one at a time.
	Progress func(done, all int)
}

// Replay says what policies would have done with the requests of a log. It is
// deterministic. It ends early, with an error, when ctx does.
func Replay(ctx context.Context, log *Log, policies []Policy, o Options) (*Report, error) {
	w := &world{log: log, pools: poolsOf(log), faults: faultsOf(log), beside: log.beside(), outages: o.Outages, limits: o.Limits, seed: o.Seed}
	all := policies
	if o.Against != nil {
		all = append([]Policy{*o.Against}, policies...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no policy to replay")
	}
	for i := range all {
		if err := all[i].Check(log); err != nil {
			return nil, err
		}
	}
	p := w.plan(len(all), o)
	tasks := p.tasks(w, all, o)
	if err := p.work(ctx, tasks, o); err != nil {
		return nil, err
	}
	return w.report(p, all, p.gather(all, tasks, o), o), nil
}

// A task is one run.
type task struct {
	world  *world
	policy int
	of     *Policy
	side   int
	self   bool
	place  int // of its stretch in the plan
	stretch
	tally *tally
}

// tasks are the runs: each policy with each of the sides, and the one that made the log
// once more without what did not happen.
func (p *plan) tasks(w *world, all []Policy, o Options) []*task {
	var tasks []*task
	sided := p.sided()
	add := func(w *world, policy, side int, self bool) {
		for i := range p.stretches {
			if side > 0 && !sided[i] {
				continue
			}
			tasks = append(tasks, &task{world: w, policy: policy, of: &all[policy], side: side, self: self, place: i, stretch: p.stretches[i]})
		}
	}
	for policy := range all {
		for side := range sides {
			add(w, policy, side, false)
		}
	}
	if o.Against != nil && len(o.Outages)+len(o.Limits) > 0 {
		asItWas := *w
		asItWas.outages, asItWas.limits = nil, nil
		add(&asItWas, 0, 0, true)
	}
	return tasks
}

func (t *task) run(ctx context.Context, p *plan) {
	t.tally = tallyOf(t.world.log, &t.stretch, len(t.of.targets()), p.length)
	newRun(t.world, t.of, sides[t.side], t.stretch, t.tally).all(ctx)
}

// work does all tasks.
func (p *plan) work(ctx context.Context, tasks []*task, o Options) error {
	var workers sync.WaitGroup
	var mu sync.Mutex
	next, done, all := 0, 0, 0
	for _, t := range tasks {
		all += t.to - t.from
	}
	take := func() *task {
		mu.Lock()
		defer mu.Unlock()
		if next == len(tasks) || ctx.Err() != nil {
			return nil
		}
		next++
		return tasks[next-1]
	}
	for range cmp.Or(o.Workers, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for t := take(); t != nil; t = take() {
				t.run(ctx, p)
				mu.Lock()
				done += t.to - t.from
				if o.Progress != nil {
					o.Progress(done, all)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return ctx.Err()
}

// What is gathered of all runs.
type gathered struct {
	bySide [][]*tally // by policy and side
	beside []*tally   // by policy: of the first side, the stretches that the others have, too
	self   *tally     // the policy that made the log, without what did not happen
}

// gather puts together what stretches counted.
func (p *plan) gather(all []Policy, tasks []*task, o Options) gathered {
	g := gathered{bySide: make([][]*tally, len(all)), beside: make([]*tally, len(all))}
	sided := p.sided()
	for i := range all {
		g.bySide[i] = make([]*tally, len(sides))
	}
	for _, t := range tasks {
		into := &g.bySide[t.policy][t.side]
		if t.self {
			into = &g.self
		}
		if *into == nil {
			*into = newTally(len(t.tally.calls))
		}
		for i := range t.tally.drains {
			t.tally.drains[i].alone = !sided[t.place]
		}
		(*into).join(t.tally)
		if t.side == 0 && !t.self && sided[t.place] {
			beside := &g.beside[t.policy]
			if *beside == nil {
				*beside = newTally(len(t.tally.calls))
			}
			(*beside).join(t.tally)
		}
		t.tally = nil
	}
	if o.Against != nil && g.self == nil {
		g.self = g.bySide[0][0]
	}
	return g
}

// join adds what another run counted, of other blocks.
func (t *tally) join(o *tally) {
	t.blocks = append(t.blocks, o.blocks...)
	for _, pair := range [][2][]float64{{t.calls, o.calls}, {t.tripped, o.tripped}, {t.missing, o.missing}} {
		for i := range pair[0] {
			pair[0][i] += pair[1][i]
		}
	}
	for i := range t.peaks {
		t.peaks[i] = max(t.peaks[i], o.peaks[i])
	}
	t.draws, t.far = t.draws+o.draws, t.far+o.far
	t.drains = append(t.drains, o.drains...)
	t.opened = append(t.opened, o.opened...)
}
