package simulator

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	tick     = 100 * time.Millisecond // the grain of the counters' memory
	maxTicks = 36_000                 // an hour of calls without a pause
)

// Calls are the calls that reached a provider.
type Calls struct {
	Total    int
	InFlight int
	// Outcomes has the calls that ended, by what they met.
	Outcomes map[Mode]int
	First    time.Time // zero: none yet
	Last     time.Time // the arrival of the latest
}

// Since returns what came after mark, an earlier value of the same Calls. First
// and Last stay those of c, as InFlight does.
func (c Calls) Since(mark Calls) Calls {
	outcomes := make(map[Mode]int)
	for mode, count := range c.Outcomes {
		if more := count - mark.Outcomes[mode]; more != 0 {
			outcomes[mode] = more
		}
	}
	c.Total -= mark.Total
	c.Outcomes = outcomes
	return c
}

// plus adds the calls of two providers.
func (c Calls) plus(d Calls) Calls {
	outcomes := maps.Clone(c.Outcomes)
	if outcomes == nil {
		outcomes = make(map[Mode]int)
	}
	for mode, count := range d.Outcomes {
		outcomes[mode] += count
	}
	first := c.First
	if first.IsZero() || (!d.First.IsZero() && d.First.Before(first)) {
		first = d.First
	}
	last := c.Last
	if d.Last.After(last) {
		last = d.Last
	}
	return Calls{c.Total + d.Total, c.InFlight + d.InFlight, outcomes, first, last}
}

// Seen tells how often the same thing was asked. Requests are the same when
// their messages are; the model does not matter, so that a request which failed
// over is still the same one. Calls in flight are not in it yet.
type Seen struct {
	Distinct      int // requests that were asked at least once
	Repeated      int // of them, those asked more than once
	Answered      int // of them, those answered at least once
	AnsweredTwice int // of them, those answered more than once
}

// tally is how often one request was asked and answered.
type tally struct{ asked, answered uint32 }

// A moment is what happened within one tick.
type moment struct{ first, last time.Time }

// moments remember when something happened, in order. Requires external locking.
type moments []moment

func (m *moments) add(now time.Time) {
	if n := len(*m); n > 0 && now.Sub((*m)[n-1].first) < tick {
		(*m)[n-1].last = now
		return
	}
	if len(*m) == maxTicks {
		*m = slices.Delete(*m, 0, maxTicks/2)
	}
	*m = append(*m, moment{now, now})
}

// firstAfter returns the first that is not before t, or zero.
func (m moments) firstAfter(t time.Time) time.Time {
	for _, one := range m {
		if !one.first.Before(t) {
			return one.first
		}
		if !one.last.Before(t) {
			return one.last
		}
	}
	return time.Time{}
}

// A counter counts the calls of one provider. It is safe for concurrent use;
// its memory is bounded unless it remembers requests.
type counter struct {
	mu       sync.Mutex
	calls    Calls
	arrivals moments
	answers  moments
	seconds  timeline
	seen     map[uint64]tally // nil: not remembered
}

func newCounter(remember bool) *counter {
	c := &counter{calls: Calls{Outcomes: make(map[Mode]int)}}
	if remember {
		c.seen = make(map[uint64]tally)
	}
	return c
}

// arrive counts a call that begins, and returns its number, from 1.
func (c *counter) arrive(now time.Time) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls.Total++
	c.calls.InFlight++
	c.calls.First = cmp.Or(c.calls.First, now)
	c.calls.Last = now
	c.arrivals.add(now)
	c.seconds.arrive(now, c.calls.InFlight)
	return uint64(c.calls.Total)
}

// leave counts the end of a call.
func (c *counter) leave(now time.Time, request uint64, outcome Mode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seconds.leave(now, c.calls.InFlight, outcome)
	if outcome.answers() {
		c.answers.add(now)
	}
	c.calls.InFlight--
	c.calls.Outcomes[outcome]++
	if c.seen == nil {
		return
	}
	seen := c.seen[request]
	seen.asked++
	if outcome.answers() {
		seen.answered++
	}
	c.seen[request] = seen
}

func (c *counter) snapshot() Calls {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	calls.Outcomes = maps.Clone(calls.Outcomes)
	return calls
}

// firstCall returns the first arrival that is not before t, or zero.
func (c *counter) firstCall(t time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.arrivals.firstAfter(t)
}

// firstAnswer returns the end of the first whole answer that is not before t, or
// zero.
func (c *counter) firstAnswer(t time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers.firstAfter(t)
}

// since copies the seconds from that of t on.
func (c *counter) since(t time.Time) []Second {
	c.mu.Lock()
	defer c.mu.Unlock()
	from, _ := slices.BinarySearchFunc(c.seconds, t.Truncate(time.Second), func(s Second, t time.Time) int { return s.At.Compare(t) })
	return slices.Clone(c.seconds[from:])
}

// addSeen adds this provider's requests to sum.
func (c *counter) addSeen(sum map[uint64]tally) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for request, seen := range c.seen {
		before := sum[request]
		sum[request] = tally{before.asked + seen.asked, before.answered + seen.answered}
	}
}

func countSeen(sum map[uint64]tally) Seen {
	seen := Seen{Distinct: len(sum)}
	for _, t := range sum {
		if t.asked > 1 {
			seen.Repeated++
		}
		if t.answered > 0 {
			seen.Answered++
		}
		if t.answered > 1 {
			seen.AnsweredTwice++
		}
	}
	return seen
}
