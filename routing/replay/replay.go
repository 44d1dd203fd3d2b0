package replay

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Options say how to replay.
type Options struct {
	// Against is the policy that made the log: it is replayed, too, to see how far its
	// replay is from what the log has. Nil: nobody knows, and every verdict is doubtful.
	Against *Policy
	Outages []Outage
	// Seed is of the luck of calls, and of what routers pick at random. The same log,
	// policies and options give the same report.
	Seed uint64
	// Slots is how many calls the fleet makes at once on each route; zero: any number.
	Slots int
	// Workers is how many runs go on at a time; zero: one for each processor.
	Workers int
	// Progress, if not nil, is told how many of how many requests were run, from any
	// goroutine, one at a time.
	Progress func(done, all int)
}

// Replay says what policies would have done with the requests of a log. It is
// deterministic. It ends early, with an error, when ctx does.
func Replay(ctx context.Context, log *Log, policies []Policy, o Options) (*Report, error) {
	w := &world{log: log, pools: poolsOf(log), faults: faultsOf(log), outages: o.Outages, seed: o.Seed, slots: o.Slots}
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
	p := w.plan()
	tasks := p.tasks(w, all, o)
	if err := p.work(ctx, tasks, o); err != nil {
		return nil, err
	}
	return w.report(p, all, gather(all, tasks), o), nil
}

// A task is one run.
type task struct {
	world  *world
	policy int
	of     *Policy
	side   int
	self   bool
	stretch
	tally *tally
}

// tasks are the runs: each policy with each of the sides, and the one that made the log
// once more without what did not happen.
func (p *plan) tasks(w *world, all []Policy, o Options) []*task {
	var tasks []*task
	add := func(w *world, policy, side int, self bool) {
		for i := range p.stretches {
			tasks = append(tasks, &task{world: w, policy: policy, of: &all[policy], side: side, self: self, stretch: p.stretches[i]})
		}
	}
	for policy := range all {
		for side := range sides {
			add(w, policy, side, false)
		}
	}
	if o.Against != nil {
		asItWas := *w
		asItWas.outages = nil
		add(&asItWas, 0, 0, true)
	}
	return tasks
}

func (t *task) run(p *plan) {
	t.tally = tallyOf(t.world.log, &t.stretch, len(t.of.targets()), p.length)
	newRun(t.world, t.of, sides[t.side], t.stretch, t.tally).all()
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
				t.run(p)
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

// A gathered tally is that of one policy with one side.
type gathered struct {
	bySide [][]*tally // by policy and side
	self   *tally
}

// gather puts together what stretches counted.
func gather(all []Policy, tasks []*task) gathered {
	g := gathered{bySide: make([][]*tally, len(all))}
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
		(*into).join(t.tally)
		t.tally = nil
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
}

// A plan is which stretches of the log are run.
type plan struct {
	stretches []stretch
	length    time.Duration // of the blocks that are drawn anew to see how much hangs on chance
	sampled   float64       // share of the requests
}

// Blocks are at least so long, and there are no more than so many.
const (
	blockLength = 10 * time.Minute
	mostBlocks  = 1000
)

// plan is the whole log, in one stretch.
func (w *world) plan() *plan {
	return &plan{
		sampled: 1, length: max(blockLength, w.log.End().Sub(w.log.Start())/mostBlocks),
		stretches: []stretch{{to: w.log.Requests(), weight: 1}},
	}
}
