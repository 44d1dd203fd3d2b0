package worker

import (
	"context"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"tidegate/jobs"
)

// A Canaries asks targets canary prompts. Safe for concurrent use.
type Canaries interface {
	// Canary asks a target, unless it may not be called, and returns the calls as
	// attempts of no request.
	Canary(ctx context.Context, canary *jobs.Canary, target string) []*jobs.Attempt
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
	lives    func() error
	keep     func(*jobs.Attempt)
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
			for _, attempt := range c.asks.Canary(ctx, canary, job.Args.Target) {
				c.keep(attempt)
			}
		}
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
