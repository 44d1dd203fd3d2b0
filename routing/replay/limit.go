package replay

import (
	"slices"

	"tidegate/jobs"
)

// A limit is how much a target takes, as far as the log tells: what is more meets a 429.
type limit struct {
	rate    float64 // calls a second; zero: none is known
	refuses uint32  // how long a refusal takes, in microseconds
}

const (
	limitWindow   = 10_000 // milliseconds
	limitLeast    = 3      // windows with 429s that tell a limit
	usualRefusal  = 250_000
	limitQuantile = 0.5
)

// limitsOf finds the limits of the targets of a log: how many calls were accepted in
// the times in which others met a 429.
func limitsOf(l *Log) []limit {
	type window struct {
		number            uint32
		accepted, refused int
	}
	limits := make([]limit, len(l.targets))
	now := make([]window, len(l.targets))
	accepted := make([][]float64, len(l.targets))
	refusals := make([][]uint32, len(l.targets))
	close := func(t uint16) {
		if now[t].refused > 0 {
			accepted[t] = append(accepted[t], float64(now[t].accepted)/(limitWindow/1000))
		}
	}
	for i, t := range l.attempts.target {
		if of := l.attempts.at[i] / limitWindow; of != now[t].number {
			close(t)
			now[t] = window{number: of}
		}
		if classes[l.attempts.class[i]] != jobs.Rate {
			now[t].accepted++
			continue
		}
		now[t].refused++
		refusals[t] = append(refusals[t], l.attempts.latency[i])
	}
	for t := range limits {
		close(uint16(t))
		limits[t].refuses = usualRefusal
		if len(refusals[t]) > 0 {
			slices.Sort(refusals[t])
			limits[t].refuses = refusals[t][len(refusals[t])/2]
		}
		if len(accepted[t]) >= limitLeast {
			slices.Sort(accepted[t])
			limits[t].rate = accepted[t][int(limitQuantile*float64(len(accepted[t])-1))]
		}
	}
	return limits
}

// A meter counts what a target was asked, on the virtual clock, and tells what it
// refuses: a bucket of requests, one of tokens, and the calls at once.
type meter struct {
	requests, tokens bucket
	most, out        int // calls at once; zero: no bound
}

// newMeter is that of a target: what its configuration says, and else what the log
// tells.
func newMeter(limits jobs.Limits, learned limit) meter {
	m := meter{most: limits.Concurrency}
	m.requests.rate = learned.rate
	if limits.RequestsPerMinute > 0 {
		m.requests.rate = float64(limits.RequestsPerMinute) / 60
	}
	m.tokens.rate = float64(limits.TokensPerMinute) / 60
	m.requests.fill(0, meterBurst)
	m.tokens.fill(0, meterBurst)
	return m
}

// meterBurst is for how many seconds a provider lets one save up.
const meterBurst = 10.0

// takes tells whether the target takes a call at a time, of so many tokens, and counts
// it if so.
func (m *meter) takes(at int64, tokens int) bool {
	m.requests.fill(at, meterBurst)
	m.tokens.fill(at, meterBurst)
	if m.most > 0 && m.out >= m.most || m.requests.rate > 0 && m.requests.level < 1 || m.tokens.rate > 0 && m.tokens.level <= 0 {
		return false
	}
	m.requests.level--
	m.tokens.level -= float64(tokens)
	m.out++
	return true
}

func (m *meter) ended() { m.out-- }

// tighten has it refuse what is over a limit that the log does not know.
func (m *meter) tighten(to *jobs.Limits) {
	tightest := func(rate, perMinute float64) float64 {
		switch {
		case perMinute == 0:
			return rate
		case rate == 0:
			return perMinute / 60
		}
		return min(rate, perMinute/60)
	}
	m.requests.rate = tightest(m.requests.rate, float64(to.RequestsPerMinute))
	m.tokens.rate = tightest(m.tokens.rate, float64(to.TokensPerMinute))
	if to.Concurrency > 0 && (m.most == 0 || to.Concurrency < m.most) {
		m.most = to.Concurrency
	}
	m.requests.full, m.tokens.full = false, false
	m.requests.fill(0, meterBurst)
	m.tokens.fill(0, meterBurst)
}

// A bucket fills at a rate. It may go into debt.
type bucket struct {
	rate  float64 // a second; zero: nothing is counted
	level float64
	at    int64 // nanoseconds
	full  bool  // it was filled once
}

func (b *bucket) fill(at int64, burst float64) {
	if b.rate == 0 {
		return
	}
	most := max(1, b.rate*burst)
	if !b.full {
		b.level, b.full = most, true
	}
	b.level = min(most, b.level+b.rate*float64(at-b.at)/1e9)
	b.at = at
}
