package worker

import (
	"context"
	"time"
)

// A group gathers what many callers hand in at about the same time and has it
// done at once: while one round is under way, the next one fills.
type group[In, Out any] struct {
	// do does a round: one answer for each in, in the same order.
	do     func(context.Context, []In) []Out
	linger time.Duration // how long a round waits for company
	most   int           // in a round
	queue  chan handed[In, Out]
}

type handed[In, Out any] struct {
	in  In
	out chan Out
}

func newGroup[In, Out any](linger time.Duration, most int, do func(context.Context, []In) []Out) *group[In, Out] {
	return &group[In, Out]{do: do, linger: linger, most: most, queue: make(chan handed[In, Out])}
}

// Do hands in and waits for the answer. It returns the error of ctx, and only
// that, if ctx ends first; what was handed in may be done all the same.
func (g *group[In, Out]) Do(ctx context.Context, in In) (Out, error) {
	h := handed[In, Out]{in: in, out: make(chan Out, 1)}
	var none Out
	select {
	case g.queue <- h:
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	select {
	case out := <-h.out:
		return out, nil
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// Run does rounds until ctx ends. End it only when nobody calls Do any more.
func (g *group[In, Out]) Run(ctx context.Context) {
	round := make([]handed[In, Out], 0, g.most)
	ins := make([]In, 0, g.most)
	for {
		select {
		case first := <-g.queue:
			round = g.gather(append(round[:0], first))
		case <-ctx.Done():
			return
		}
		ins = ins[:0]
		for _, h := range round {
			ins = append(ins, h.in)
		}
		for i, out := range g.do(ctx, ins) {
			round[i].out <- out
		}
	}
}

// gather adds to a round whoever comes while it lingers.
func (g *group[In, Out]) gather(round []handed[In, Out]) []handed[In, Out] {
	timer := time.NewTimer(g.linger)
	defer timer.Stop()
	for len(round) < g.most {
		select {
		case h := <-g.queue:
			round = append(round, h)
		case <-timer.C:
			return round
		}
	}
	return round
}
