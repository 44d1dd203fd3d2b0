package worker

import (
	"context"

	"tidegate/jobs"
)

// noted is what a supervisor has seen of what people do, so that the log tells when it
// changes. Whoever begins to supervise tells nothing of what is so already.
type noted struct {
	seen   bool
	pauses map[string]string // by route: a person's reason
	drills map[string]jobs.Drill
}

// note writes into the log what people have paused, resumed, and had fail on purpose.
// Circuits that they open and close are told as all others are.
func (s *supervisor) note(_ context.Context, fleet *jobs.Fleet) error {
	now := noted{seen: true, pauses: map[string]string{}, drills: map[string]jobs.Drill{}}
	for i := range fleet.Pauses {
		if p := &fleet.Pauses[i]; p.Owner == jobs.OwnerPerson {
			now.pauses[p.Route] = p.Reason
		}
	}
	for _, d := range fleet.Drills {
		now.drills[d.Target] = d
	}
	before := s.noted
	s.noted = now
	if !before.seen {
		return nil
	}
	for route, reason := range now.pauses {
		if _, was := before.pauses[route]; !was {
			s.log.Warn().Str("route", route).Str("reason", reason).Msg("route paused by a person")
		}
	}
	for route := range before.pauses {
		if _, is := now.pauses[route]; !is {
			s.log.Warn().Str("route", route).Msg("route resumed by a person")
		}
	}
	for target, d := range now.drills {
		if _, was := before.drills[target]; !was {
			s.log.Warn().Str("target", target).Str("mode", string(d.Mode)).Float64("rate", d.Rate).Time("until", d.Until).Msg("a drill begins: calls of a target fail on purpose")
		}
	}
	for target := range before.drills {
		if _, is := now.drills[target]; !is {
			s.log.Warn().Str("target", target).Msg("a drill ended")
		}
	}
	return nil
}
