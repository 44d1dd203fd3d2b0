package replay

import (
	"math"
	"sort"
	"time"

	"tidegate/jobs"
)

// MostSpan is the longest time that one Log is of: about 49 days. Times in it are
// whole milliseconds.
const MostSpan = math.MaxUint32 * time.Millisecond

// A Request is what is recorded of a request. All but its time and its route may be
// missing: a trace of somebody else does not know them.
type Request struct {
	At       time.Time // when it came
	Route    string
	Tenant   string // empty: not known, or nobody's in particular
	Goal     string // that it named; empty: its route's
	Endpoint jobs.Endpoint
	Deadline time.Time     // zero: none
	MaxCost  jobs.MicroUSD // zero: no limit
	Body     int           // bytes; zero: not known
	// Usage is what its answer took, or would have taken, whoever gave it; zero: not
	// known. Of a request that was answered it may be left out.
	Usage jobs.Usage
}

// An Attempt is what is recorded of a call.
type Attempt struct {
	At         time.Time // when the call began
	Target     string
	Class      jobs.Class
	Latency    time.Duration // to its end; at most about 71 minutes
	FirstByte  time.Duration // zero: none came, or not known
	Cost       jobs.MicroUSD // at most about 4,295 dollars
	Usage      jobs.Usage    // zero: none, or not known
	Propensity float64       // the chance with which the target was chosen, above 0, at most 1; zero: not known
	Probe      bool          // the trial call of a half-open circuit
	Blamed     bool          // the request's own fault
	Explored   bool          // it was made to learn of the target
}

// A Log is recorded traffic: requests in the order in which they came, and the calls
// that were made for them, in the order in which they began. It takes about 60 bytes
// for a request and its call. It is not changed once it is there, and safe for
// concurrent use.
type Log struct {
	start    time.Time
	names    names
	requests requests
	attempts attempts
	targets  []string
	warnings []string
}

// Requests is how many there are.
func (l *Log) Requests() int { return len(l.requests.at) }

// Attempts is how many there are, probes that were made for no request among them.
func (l *Log) Attempts() int { return len(l.attempts.at) }

// Warnings are what was wrong with the records, and was put right, as a person reads it.
func (l *Log) Warnings() []string { return l.warnings }

// Start is the time of the first record.
func (l *Log) Start() time.Time { return l.start }

// End is when the last request came.
func (l *Log) End() time.Time {
	if n := l.Requests(); n > 0 {
		return l.time(l.requests.at[n-1])
	}
	return l.start
}

// Over is when the last request had come and the last call had ended.
func (l *Log) Over() time.Time {
	over := l.End()
	for i, at := range l.attempts.at {
		over = later(over, l.time(at).Add(time.Duration(l.attempts.latency[i])*time.Microsecond))
	}
	return over
}

// Targets lists the targets that were called, by name, sorted.
func (l *Log) Targets() []string { return l.targets }

// Routes lists the routes of the requests, by name, sorted.
func (l *Log) Routes() []string {
	seen := map[string]bool{}
	var routes []string
	for _, k := range l.names.kinds {
		if !seen[k.route] {
			seen[k.route] = true
			routes = append(routes, k.route)
		}
	}
	sort.Strings(routes)
	return routes
}

// Request is the one at a place in the order in which they came.
func (l *Log) Request(i int) Request {
	r, k := &l.requests, l.names.kinds[l.requests.kind[i]]
	made := Request{
		At: l.time(r.at[i]), Route: k.route, Tenant: k.tenant, Goal: k.goal, Endpoint: k.endpoint,
		MaxCost: jobs.MicroUSD(r.most.get(i)), Body: int(r.body.get(i)), Usage: r.usage(i),
	}
	if after := r.deadline.get(i); after > 0 {
		made.Deadline = made.At.Add(time.Duration(after) * time.Millisecond)
	}
	return made
}

// Attempt is the one at a place in the order in which they began, and the place of its
// request; below zero: it was a probe, made for none.
func (l *Log) Attempt(i int) (a Attempt, request int) {
	of := &l.attempts
	made := Attempt{
		At: l.time(of.at[i]), Target: l.targets[of.target[i]], Class: classes[of.class[i]],
		Latency:   time.Duration(of.latency[i]) * time.Microsecond,
		FirstByte: time.Duration(of.first.get(i)) * time.Microsecond,
		Cost:      jobs.MicroUSD(of.cost[i]), Propensity: float64(of.propensity[i]) / mostPropensity,
	}
	flags := of.flags[i]
	made.Probe, made.Blamed, made.Explored = flags&flagProbe != 0, flags&flagBlamed != 0, flags&flagExplored != 0
	request = l.requestOf(i)
	switch {
	case flags&flagOwnUsage != 0:
		made.Usage = of.usages[uint32(i)]
	case flags&flagUsage != 0:
		made.Usage = l.requests.usage(request)
	}
	return made, request
}

// requestOf is the place of the request of an attempt; below zero: there is none.
func (l *Log) requestOf(i int) int {
	if r := l.attempts.request[i]; r != noRequest {
		return int(r)
	}
	return -1
}

func (l *Log) time(tick uint32) time.Time {
	return l.start.Add(time.Duration(tick) * time.Millisecond)
}

// classes are those of the attempts, by number. New ones go to the end: their numbers
// are stored.
var classes = []jobs.Class{
	jobs.OK, jobs.Rate, jobs.Quota, jobs.DailyQuota, jobs.Overload, jobs.Transient, jobs.Timeout, jobs.Auth, jobs.Context,
	jobs.Content, jobs.BadRequest, jobs.Garbled, jobs.Invalid, jobs.Lost,
}

const (
	noRequest      = math.MaxUint32
	mostPropensity = math.MaxUint16
)

// What an attempt's flags say.
const (
	flagProbe = 1 << iota
	flagBlamed
	flagExplored
	flagUsage    // its usage is that of its request
	flagOwnUsage // its usage is another one
)
