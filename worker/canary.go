package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/rs/zerolog"

	"tidegate/jobs"
)

// A Canaries asks targets canary prompts. Safe for concurrent use.
type Canaries interface {
	// Canary asks a target, unless it may not be called, and returns the calls as
	// attempts of no request. begin is asked before each call, as in Pass.Route.
	Canary(ctx context.Context, canary *jobs.Canary, target string, begin func(context.Context, jobs.Begun) error) []*jobs.Attempt
}

// canaryWithin bounds a job that asks one target: its calls have timeouts of their
// own.
const canaryWithin = 10 * time.Minute

// unfinished are the states of a job that is still to be done.
var unfinished = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
}

// A canaryWorker works the jobs of canary prompts, one at a time. River's leader
// schedules them, whoever of the fleet that is, and one waits for each target at
// most.
type canaryWorker struct {
	river.WorkerDefaults[jobs.CanaryArgs]
	canaries []jobs.Canary
	asks     Canaries
	claims   *claims
	slots    *slots
	budgets  *budgets
	begins   *group[jobs.Begun, begun]
	lives    func() error
	keep     func(jobs.Entry)
	log      zerolog.Logger
}

// Timeout says that River has none for us.
func (c *canaryWorker) Timeout(*river.Job[jobs.CanaryArgs]) time.Duration { return -1 }

// Work asks the target. A job whose worker stops, or that names what is not
// configured any more, is over: the next one comes soon.
func (c *canaryWorker) Work(ctx context.Context, job *river.Job[jobs.CanaryArgs]) error {
	c.claims.Take(job.ID)
	defer c.claims.Return(job.ID)
	ctx, cancel := context.WithTimeout(ctx, canaryWithin)
	defer cancel()
	for i := range c.canaries {
		if canary := &c.canaries[i]; canary.Name == job.Args.Canary && c.lives() == nil {
			c.ask(ctx, canary, job.Args.Target)
		}
	}
	return nil
}

// ask asks a target, and writes down what came of it. A canary of a route spends the
// money of that: where its budget has not enough left, nobody is asked.
func (c *canaryWorker) ask(ctx context.Context, canary *jobs.Canary, target string) {
	request := &jobs.Request{ID: jobs.NoRequest, Route: canary.Route}
	if c.budgets.Holds(canary.Route) {
		return
	}
	var taken []int
	defer func() { c.slots.Give(taken) }() // by then its calls are written down
	made := c.asks.Canary(ctx, canary, target, func(ctx context.Context, call jobs.Begun) error {
		if call.RequestID != "" {
			taken = append(taken, c.slots.Take())
		}
		call.Slot = taken[len(taken)-1]
		err := c.begin(ctx, request, call)
		if err != nil {
			c.log.Debug().Err(err).Str("canary", canary.Name).Str("target", target).Msg("a canary is not asked")
		}
		return err
	})
	_, under := c.budgets.Of(request)
	for _, attempt := range made {
		c.keep(jobs.Entry{Request: request, Trace: jobs.Trace{{Attempt: attempt}}, Budgeted: under})
	}
}

// begin writes down that a call begins, or that it was never made, and reserves what
// it may cost. Nothing waits for that: the next one comes soon.
func (c *canaryWorker) begin(ctx context.Context, request *jobs.Request, call jobs.Begun) error {
	if call.RequestID == "" {
		_, err := c.begins.Do(ctx, call)
		return err
	}
	if ids, under := c.budgets.Of(request); under {
		cost, known := call.Estimate(true)
		if !known {
			return fmt.Errorf("%s has no price, and the route %s is under a budget", call.Target, request.Route)
		}
		call.Budgets, call.Cost, call.Rough = ids, cost, true // so that no request is taken to wait for the money
	}
	got, err := c.begins.Do(ctx, call)
	switch err = cmp.Or(err, got.err); {
	case err != nil:
		return err
	case got.short != nil:
		return errors.New(got.short.Reason)
	}
	if err := c.lives(); err != nil { // it was well before, and may have waited long
		_, _ = c.begins.Do(context.WithoutCancel(ctx), jobs.Begun{Slot: call.Slot})
		return err
	}
	return nil
}

// periodic are the jobs that River's leader is to insert.
func (c *canaryWorker) periodic() (all []*river.PeriodicJob) {
	for i := range c.canaries {
		canary := &c.canaries[i]
		for _, target := range canary.Targets {
			args := jobs.CanaryArgs{Canary: canary.Name, Target: target}
			opts := &river.InsertOpts{Queue: jobs.CanaryQueue, MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: unfinished}}
			all = append(all, river.NewPeriodicJob(river.PeriodicInterval(canary.Every),
				func() (river.JobArgs, *river.InsertOpts) { return args, opts }, nil))
		}
	}
	return all
}
