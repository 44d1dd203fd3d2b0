package worker

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// strayAfter is how long a job may run that this worker knows nothing of: River
	// waits 10 s for jobs that it asked for.
	strayAfter = 12 * time.Second
	// straysEvery is how often a worker looks for such jobs.
	straysEvery = 5 * time.Second
)

// claims are the jobs that this worker has: from when River hands one over until
// what River writes of its end is there.
//
// When a connection breaks just after jobs were taken, nobody here hears of it,
// and nobody else touches the jobs of a worker that lives. So it looks now and
// then which jobs the database thinks it has, and gives the strays among them
// back. Safe for concurrent use.
type claims struct {
	name  string
	store Claims
	log   zerolog.Logger

	mu   sync.Mutex
	jobs map[int64]int // how often: River may hand a job over again before we know that it was written

	strays map[int64]bool // of the last look; Run's alone
}

func newClaims(config *Config) *claims {
	return &claims{name: config.Name, store: config.Fleet.Claims, log: config.Log, jobs: map[int64]int{}}
}

// Take says that River handed a job over.
func (c *claims) Take(job int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobs[job]++
}

// Drop says that what River wrote of jobs is there.
func (c *claims) Drop(ended []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, job := range ended {
		if c.jobs[job]--; c.jobs[job] <= 0 {
			delete(c.jobs, job)
		}
	}
}

// Again lists those of some jobs that River has handed over again, so that what
// it wrote of the time before is there, whatever it heard of that.
func (c *claims) Again(jobs []int64) (again []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, job := range jobs {
		if c.jobs[job] > 1 {
			again = append(again, job)
		}
	}
	return again
}

// Run looks for strays until ctx ends.
func (c *claims) Run(ctx context.Context) {
	for sleepUntil(ctx, straysEvery) == nil {
		try, cancel := context.WithTimeout(ctx, straysEvery)
		err := c.look(try)
		cancel()
		if err != nil && ctx.Err() == nil {
			c.log.Warn().Err(err).Msg("this worker could not compare its jobs with the database's; it is repeated")
		}
	}
}

// look gives back what was a stray at the last look, too: what this process was
// told while it stood still, it takes in before the next one.
func (c *claims) look(ctx context.Context) error {
	claimed, err := c.store.Claimed(ctx, c.name, strayAfter)
	if err != nil {
		return err
	}
	before := c.strays
	c.strays = map[int64]bool{}
	var back []int64
	for _, job := range c.unknown(claimed) {
		if before[job] {
			back = append(back, job)
		} else {
			c.strays[job] = true
		}
	}
	if len(back) == 0 {
		return nil
	}
	n, err := c.store.Unclaim(ctx, c.name, back)
	if err == nil {
		c.log.Warn().Int("jobs", n).Msg("jobs were lost on their way to this worker, as when a connection breaks: they go back to their queues")
	}
	return err
}

func (c *claims) unknown(claimed []int64) (strays []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, job := range claimed {
		if c.jobs[job] == 0 {
			strays = append(strays, job)
		}
	}
	return strays
}
