package simulator

import (
	"cmp"
	"math"
	"time"
)

// An allowance is a limit per minute that comes back continuously. Requires
// external locking.
type allowance struct {
	limit    int // per minute; zero: none
	capacity float64
	level    float64
	at       time.Time
}

func newAllowance(limit int, burst time.Duration, now time.Time) allowance {
	capacity := max(1, float64(limit)*float64(cmp.Or(burst, defaultBurst))/float64(time.Minute))
	return allowance{limit: limit, capacity: capacity, level: capacity, at: now}
}

func (a *allowance) refill(now time.Time) {
	if passed := now.Sub(a.at); passed > 0 {
		a.level = min(a.capacity, a.level+passed.Minutes()*float64(a.limit))
		a.at = now
	}
}

// wait is how long until n may be taken; zero: now. What is more than the
// capacity may never be taken: its wait never ends.
func (a *allowance) wait(n int) time.Duration {
	if a.limit == 0 {
		return 0
	}
	return a.timeFor(float64(n) - a.level)
}

// timeFor is how long it takes until that much has come back.
func (a *allowance) timeFor(amount float64) time.Duration {
	if amount <= 1e-9 {
		return 0
	}
	return time.Duration(math.Ceil(amount / float64(a.limit) * float64(time.Minute)))
}

// take subtracts n, which may be negative to give back.
func (a *allowance) take(n int) {
	if a.limit != 0 {
		a.level = min(a.capacity, a.level-float64(n))
	}
}

// An allowed is what a provider tells of one limit in its headers.
type allowed struct {
	limit     int // zero: there is none
	remaining int
	reset     time.Duration // until all of it is back
}

func (a *allowance) tell() allowed {
	if a.limit == 0 {
		return allowed{}
	}
	return allowed{limit: a.limit, remaining: int(max(a.level, 0)), reset: a.timeFor(a.capacity - a.level)}
}

// A throttle holds the limits of a provider. Requires external locking.
type throttle struct {
	concurrency int
	running     int // calls that were admitted and have not ended
	requests    allowance
	tokens      allowance
}

func newThrottle(limits Limits, now time.Time) throttle {
	return throttle{
		concurrency: limits.Concurrency,
		requests:    newAllowance(limits.RequestsPerMinute, limits.Burst, now),
		tokens:      newAllowance(limits.TokensPerMinute, limits.Burst, now),
	}
}

// An excess says which limit a call would pass, and when to come back.
type excess struct {
	limit string // "requests per min (RPM)"; empty: none
	most  int
	wait  time.Duration
}

// admit takes one request with its tokens, or takes nothing and says why not.
// What was admitted is running until the caller subtracts it.
func (t *throttle) admit(now time.Time, tokens int) excess {
	t.requests.refill(now)
	t.tokens.refill(now)
	if t.concurrency > 0 && t.running >= t.concurrency {
		return excess{limit: "concurrent requests", most: t.concurrency, wait: time.Second}
	}
	if wait := t.requests.wait(1); wait > 0 {
		return excess{limit: "requests per min (RPM)", most: t.requests.limit, wait: wait}
	}
	if wait := t.tokens.wait(tokens); wait > 0 {
		return excess{limit: "tokens per min (TPM)", most: t.tokens.limit, wait: wait}
	}
	t.requests.take(1)
	t.tokens.take(tokens)
	t.running++
	return excess{}
}
