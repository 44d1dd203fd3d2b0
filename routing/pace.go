package routing

import (
	"fmt"
	"sync"
	"time"

	"tidegate/jobs"
)

// placeholder until the law is merged
type pace struct {
	mu     sync.Mutex
	now    func() time.Time
	limit  int
	flight int
	paused time.Time
}

type paceEnd struct {
	class      jobs.Class
	tokens     int
	usage      jobs.Usage
	retryAfter time.Duration
	allowance  jobs.Allowance
}

func newPace(t *jobs.Target, config Config) *pace {
	return &pace{now: config.Now, limit: t.Limits.Concurrency}
}

func (p *pace) take(int) (ok bool, again time.Time, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused.After(p.now()) {
		return false, p.paused, "it is called as fast as it takes calls: RATE"
	}
	if p.limit > 0 && p.flight >= p.limit {
		return false, time.Time{}, fmt.Sprintf("all of its %d calls at once are out", p.limit)
	}
	p.flight++
	return true, time.Time{}, ""
}

func (p *pace) refund(int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flight--
}

func (p *pace) done(end paceEnd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flight--
	p.hear(end)
}

func (p *pace) heard(end paceEnd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hear(end)
}

func (p *pace) hear(end paceEnd) {
	if end.class == jobs.Rate && end.retryAfter < longWait {
		p.paused = p.now().Add(max(end.retryAfter, time.Second))
	}
}

func (p *pace) turned(closed bool) {}

type paceShare struct {
	Share     float64
	Workers   int
	LastGood  float64
	Announced float64
}

func (p *pace) follow(paceShare)                     {}
func (p *pace) report() (accepted, announced float64) { return 0, 0 }

func (p *pace) inFlight() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.flight
}

func (p *pace) pausedUntil() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused
}
