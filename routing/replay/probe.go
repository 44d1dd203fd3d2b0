package replay

import (
	"time"

	"tidegate/jobs"
)

// probeAfter is how long a probe waits for a request that could be it.
const probeAfter = 250 * time.Millisecond

// due has whoever waits be the probe of a target whose cooldown is over, and plans a
// minimal call for where nobody does.
func (r *run) due(s *site, at int64) {
	if s.dueAt != at || !s.open {
		return
	}
	for _, room := range r.waitingRooms() {
		r.look(room)
	}
	s.mark++
	r.future.add(event{at: r.at + int64(probeAfter), kind: eventProbe, site: s, mark: s.mark})
}

// probe makes a minimal call, if a probe is due and nobody has it. While somebody has,
// it is looked at again.
func (r *run) probe(s *site) {
	if !s.open || s.walk != nil {
		return
	}
	walk := r.router.WalkProbe(s.target.Name)
	if walk == nil {
		r.future.add(event{at: r.at + int64(recheck), kind: eventProbe, site: s, mark: s.mark})
		return
	}
	s.walk = walk
	s.probes++
	s.fate = r.fateOf(s, 1<<63|s.probes, 0, minimal)
	r.tally.load(r, s)
	r.future.add(event{at: r.at + int64(s.fate.takes), kind: eventProbed, site: s})
}

// minimal is what a minimal call uses.
var minimal = jobs.Usage{Input: 8, Output: 1}

// probed is its end.
func (r *run) probed(s *site) {
	if s.fate.metered {
		s.meter.ended()
	}
	walk := s.walk
	s.walk = nil
	if s.fate.class == jobs.OK {
		walk.EndProbe(&jobs.Answer{Usage: s.fate.usage, FinishReason: "stop"}, nil)
		return
	}
	walk.EndProbe(nil, s.fate.error())
}
