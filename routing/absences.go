package routing

import (
	"sync/atomic"
	"time"

	"tidegate/jobs"
)

// absentFor is for how long a target is not asked at an endpoint that it has answered is
// not there, where another target serves it: one request finds out, and not each.
const absentFor = time.Minute

// absences are until when a target is taken to lack endpoints that its configuration
// says it serves, in nanoseconds of this machine's clock. Safe for concurrent use.
type absences [jobs.EndpointUnknown]atomic.Int64

func (a *absences) found(e jobs.Endpoint, at time.Time) {
	a[e].Store(at.Add(absentFor).UnixNano())
}

func (a *absences) lacks(e jobs.Endpoint, at time.Time) bool {
	return at.UnixNano() < a[e].Load()
}

// absent says why a target is passed over that does not serve what the request asks for:
// by its configuration, or by its own word, where another one is thought to.
func (t *try) absent(target *target) string {
	of := t.request.Endpoint
	if !target.Endpoints.Has(of) {
		return "does not serve " + of.String()
	}
	now := t.router.now()
	if !target.absences.lacks(of, now) {
		return ""
	}
	for _, other := range t.ranked {
		if other != target && other.Endpoints.Has(of) && !other.absences.lacks(of, now) {
			return "has answered that it does not serve " + of.String()
		}
	}
	return ""
}

// mixes tells whether some targets of a chain do not serve what a request asks for:
// others of the route may be sent to them while it waits.
func mixes(ranked []*target, of jobs.Endpoint) bool {
	for _, target := range ranked {
		if !target.Endpoints.Has(of) {
			return true
		}
	}
	return false
}
