package worker

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
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

	mu     sync.Mutex
	jobs   map[int64]claim
	client int     // of River, by number: it may not start, or be started again
	late   []int64 // jobs that were returned to a client that is no more

	parked map[int64]string // why those wait that are given back until a time

	strays map[int64]bool // of the last look; Run's alone
}

// A claim is how a job stands that this worker has. River may hand one over again
// before we know that what it wrote of the last time is there.
type claim struct {
	client int  // that handed it over
	worked int  // now: how often it was handed over and has not been returned
	ended  bool // it was returned, and that is not known to be written
}

func newClaims(config *Config) *claims {
	return &claims{name: config.Name, store: config.Fleet.Claims, log: config.Log, jobs: map[int64]claim{}, parked: map[int64]string{}}
}

// Take says that River handed a job over.
func (c *claims) Take(job int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.parked, job) // of another time
	now := c.jobs[job]
	now.worked++
	now.client = c.client
	c.jobs[job] = now
}

// Return says that River was given a job back, with what is to be written of it.
func (c *claims) Return(job int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.jobs[job]
	now.worked--
	now.ended = true
	c.jobs[job] = now
	if now.client != c.client && now.worked <= 0 { // which writes nothing any more
		delete(c.jobs, job)
		c.late = append(c.late, job)
	}
}

// Drop says that what River wrote of jobs is there.
func (c *claims) Drop(ended []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, job := range ended {
		delete(c.parked, job)
		now := c.jobs[job]
		if now.ended = false; now.worked > 0 {
			c.jobs[job] = now
		} else {
			delete(c.jobs, job)
		}
	}
}

// Park says that a job that is about to be returned waits for a time, and why.
func (c *claims) Park(job int64, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parked[job] = reason
}

// Parked lists those of some jobs that wait for a time.
func (c *claims) Parked(ids []int64) (parked []jobs.Parked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.parked) == 0 {
		return nil
	}
	for _, id := range ids {
		if reason, known := c.parked[id]; known {
			parked = append(parked, jobs.Parked{JobID: id, Reason: reason})
		}
	}
	return parked
}

// Again lists those of some jobs that are worked here just now: River has handed
// them over again, so what it wrote of the time before is there, whatever it heard
// of that.
func (c *claims) Again(ids []int64) (again []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, job := range ids {
		if c.jobs[job].worked > 0 {
			again = append(again, job)
		}
	}
	return again
}

// Recover gives back the jobs that a River client has left which is no more: they
// were returned to it, and what it had to write of them it never did, as when it
// ended without a connection. A job that has its result ends when it is taken
// again. What fails here is left to Run.
func (c *claims) Recover(ctx context.Context) {
	left := c.left()
	if len(left) == 0 {
		return
	}
	try, cancel := context.WithTimeout(ctx, straysEvery)
	defer cancel()
	n, err := c.store.Unclaim(try, c.name, left)
	if err == nil && n > 0 {
		c.log.Warn().Int("jobs", n).Msg("River ended before it had written what became of jobs: they go back to their queues")
	}
}

// left takes out the jobs that nobody works, when the next client begins.
func (c *claims) left() (ids []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.client++
	ids, c.late = c.late, nil
	for id, now := range c.jobs {
		if now.worked <= 0 {
			ids = append(ids, id)
			delete(c.jobs, id)
		}
	}
	return ids
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
	strays, back := c.unknown(claimed)
	for _, job := range strays {
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

// unknown lists those of some jobs of which nobody here knows, and those that came
// late.
func (c *claims) unknown(claimed []int64) (strays, late []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, job := range c.late {
		if _, known := c.jobs[job]; !known {
			late = append(late, job)
		}
	}
	c.late = nil
	for _, job := range claimed {
		if _, known := c.jobs[job]; !known {
			strays = append(strays, job)
		}
	}
	return strays, late
}
