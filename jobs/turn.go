package jobs

import (
	"math"
	"time"
)

// A RouteLook is whether there is work on a route, at one moment.
type RouteLook struct {
	Route   string
	At      time.Time // of the database
	Waits   bool      // something waits that no worker has
	InHand  int       // jobs in workers
	Calling int       // of these, those that are being called
	Paused  bool      // its River queue is
	Served  bool      // a worker said lately that it works it
}

// A Turn is where some requests stand in the queues of their routes: a batch, or one
// request.
type Turn struct {
	Tenant   string
	Routes   []string
	Priority int       // of the last of them
	Last     time.Time // when the last of them came; zero: they have not come yet
	Own      int       // that have no result
	Unqueued int       // of these, those that are in no queue yet
	Deadline time.Time // of the last of them; zero: none
}

// turnSlack is by how much the time at which a request was made may be off from that at
// which its job was.
const turnSlack = 90 * time.Second

// Ahead says how many jobs of a route are to be done until those of a turn are, these
// among them: at least, and at most. weight is the share of a tenant on routes with fair
// admission; nil: all have the same.
func (p *Progress) Ahead(of *Turn, weight func(string) float64) (least, most int) {
	turn := *of
	if turn.Last.After(p.CountedAt) && turn.Last.After(p.SinceAt) { // they are not among those that were counted
		turn.Last, turn.Unqueued = time.Time{}, 0
	}
	return p.ahead(&turn, weight)
}

func (p *Progress) ahead(turn *Turn, weight func(string) float64) (least, most int) {
	for i := range p.Strata {
		switch p.Strata[i].before(turn) {
		case surely:
			least, most = least+p.Strata[i].Jobs, most+p.Strata[i].Jobs
		case perhaps:
			most += p.Strata[i].Jobs
		}
	}
	came := p.came(turn)
	least, most = least+came, most+came
	fairLeast, fairMost := p.fairly(turn, weight)
	more := turn.Unqueued
	if turn.Last.IsZero() && fairMost == 0 { // with fair admission they are counted there
		more = turn.Own
	}
	least, most = least+fairLeast+more, most+fairMost+more
	if least == 0 { // all of them may be in hand
		least = min(turn.Own, p.InHand)
	} else {
		least += p.InHand
	}
	most += p.InHand + p.Parked
	if len(turn.Routes) <= 1 { // else nobody knows how many of them are here
		least = max(least, turn.Own)
	}
	return least, max(most, least)
}

// came counts those that came since the count and are done before a turn, or are its own.
// They are of a moment ago: nobody minds which of them came first.
func (p *Progress) came(turn *Turn) (n int) {
	late := turn.Last.After(p.CountedAt)
	for i := range p.Since {
		if s := &p.Since[i]; s.before(turn) == surely || late && s.before(turn) == perhaps {
			n += s.Jobs
		}
	}
	return n
}

type certainty int

const (
	no certainty = iota
	perhaps
	surely
)

// before tells whether the jobs of a stratum are done before the last of a turn, or are
// its own.
func (s *Stratum) before(turn *Turn) certainty {
	switch {
	case s.Tenant != "" || s.Priority > turn.Priority:
		return no
	case s.Priority < turn.Priority || turn.Last.IsZero() || turn.Unqueued > 0 || s.To.Before(turn.Last.Add(-turnSlack)):
		return surely
	case s.From.After(turn.Last.Add(turnSlack)):
		return no
	default:
		return perhaps
	}
}

// fairly is Ahead where tenants take turns: until one has had so many, each of the others
// has had as many by its share, or all that it has.
func (p *Progress) fairly(turn *Turn, weight func(string) float64) (least, most int) {
	tenants, waits := p.tenants()
	if len(tenants) == 0 {
		return 0, 0
	}
	if weight == nil {
		weight = func(string) float64 { return 1 }
	}
	first, last := turn.Own, max(turn.Own, waits[turn.Tenant])
	switch {
	case turn.Last.IsZero():
		first = turn.Own + waits[turn.Tenant]
		last = first
	case turn.Last.After(p.CountedAt): // they are the last of their tenant's, or nearly
		first = last
	}
	least, most = first, last
	for _, tenant := range tenants {
		if tenant == turn.Tenant {
			continue
		}
		share := weight(tenant) / weight(turn.Tenant)
		least += min(waits[tenant], int(float64(first)*share))
		most += min(waits[tenant], int(math.Ceil(float64(last)*share)))
	}
	return least, most
}

// tenants are those that take turns, and what waits of each.
func (p *Progress) tenants() (names []string, waits map[string]int) {
	waits = map[string]int{}
	for _, strata := range [][]Stratum{p.Strata, p.Since} {
		for i := range strata {
			s := &strata[i]
			if s.Tenant == "" {
				continue
			}
			if _, known := waits[s.Tenant]; !known {
				names = append(names, s.Tenant)
			}
			waits[s.Tenant] += s.Jobs
		}
	}
	return names, waits
}

// MergeStrata makes so few of many: neighbours become one, and so do tenants beyond the
// first.
func MergeStrata(all []Stratum, most, tenants int) []Stratum {
	var kept, fair []Stratum
	for _, s := range all {
		if s.Tenant == "" {
			kept = append(kept, s)
		} else {
			fair = append(fair, s)
		}
	}
	if len(fair) > tenants {
		rest := Stratum{Tenant: OtherTenants}
		for _, s := range fair[tenants:] {
			rest.Jobs += s.Jobs
		}
		fair = append(fair[:tenants:tenants], rest)
	}
	return append(mergeTimes(kept, most), fair...)
}

// OtherTenants stands for those of whom it is not known what each has. No tenant has this
// name.
const OtherTenants = "*"

func mergeTimes(all []Stratum, most int) []Stratum {
	for len(all) > most {
		merged := all[:0:0]
		for i := 0; i < len(all); i++ {
			one := all[i]
			if i+1 < len(all) && all[i+1].Priority == one.Priority {
				one.To, one.Jobs = all[i+1].To, one.Jobs+all[i+1].Jobs
				i++
			}
			merged = append(merged, one)
		}
		if len(merged) == len(all) {
			break
		}
		all = merged
	}
	return all
}
