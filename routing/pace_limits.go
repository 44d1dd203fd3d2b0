package routing

import (
	"cmp"
	"math"
	"time"

	"tidegate/jobs"
)

// freshFor is how long what a worker heard itself is better than what others tell.
const freshFor = time.Minute

// paceLimits are those of the account, of which a worker has a share. The lower of
// the configured and the announced one holds: who configures less than the
// provider allows leaves the rest to others, and a provider that allows less than
// was configured means it. Requires external locking.
type paceLimits struct {
	configured jobs.Limits
	requests   float64   // calls a second, as this worker heard it last; zero: it did not
	at         time.Time // when it did
	tokens     float64   // tokens a second, likewise
	told       float64   // calls a second, as others heard it; zero: they did not
}

// learn takes what the provider announced, and tells whether that was anything.
func (l *paceLimits) learn(said jobs.Allowance, now time.Time) bool {
	if said.RequestsPerMinute > 0 {
		l.requests, l.at = perSecond(said.RequestsPerMinute), now
	}
	if said.TokensPerMinute > 0 {
		l.tokens = perSecond(said.TokensPerMinute)
	}
	return said != jobs.Allowance{}
}

// heard is what this worker heard itself of late, in calls a second; zero: nothing.
func (l *paceLimits) heard(now time.Time) float64 {
	if now.Sub(l.at) < freshFor {
		return l.requests
	}
	return 0
}

// requestRate is in calls a second; +Inf: no limit is known.
func (l *paceLimits) requestRate(now time.Time) float64 {
	return lowest(perSecond(l.configured.RequestsPerMinute), cmp.Or(l.heard(now), l.told, l.requests))
}

// tokenRate is in tokens a second; +Inf: no limit is known.
func (l *paceLimits) tokenRate() float64 {
	return lowest(perSecond(l.configured.TokensPerMinute), l.tokens)
}

func perSecond(perMinute int) float64 { return float64(perMinute) / 60 }

// lowest leaves out what is not known.
func lowest(rates ...float64) float64 {
	least := math.Inf(1)
	for _, rate := range rates {
		if rate > 0 {
			least = min(least, rate)
		}
	}
	return least
}
