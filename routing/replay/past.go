package replay

import (
	"cmp"
	"slices"
	"time"

	"tidegate/jobs"
)

// rememberedMost is how many of the last calls of each target a router is told of that
// begins in the midst of a log.
const rememberedMost = 200

// past are the last calls before a request came, the oldest first: what a worker is
// told that starts.
func (w *world) past(before int, policy *Policy) []jobs.PastAttempt {
	if before == 0 {
		return nil
	}
	tick := w.log.requests.at[before]
	var past []jobs.PastAttempt
	for _, t := range policy.targets() {
		number := w.log.number(t.Name)
		if number < 0 {
			continue
		}
		p := &w.pools[number]
		end := p.from(tick)
		for i := max(0, end-rememberedMost); i < end; i++ {
			m := &p.mets[i]
			past = append(past, jobs.PastAttempt{Attempt: jobs.Attempt{
				At: w.log.time(m.at), Target: t.Name, Class: classes[m.class],
				Latency: time.Duration(m.latency) * time.Microsecond, Usage: jobs.Usage{Output: int(m.output)},
			}})
		}
	}
	slices.SortStableFunc(past, func(a, b jobs.PastAttempt) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	return past
}
