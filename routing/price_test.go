package routing

import (
	"testing"

	"tidegate/jobs"
)

// What costs nothing keeps every max_cost; what has no price keeps none, and its calls
// do not look as if they had been free.
func TestFreeIsNotUnknown(t *testing.T) {
	t.Parallel()
	used := jobs.Usage{Input: 10, Output: 5}
	for name, c := range map[string]struct {
		price jobs.Price
		usage jobs.Usage
		cost  jobs.MicroUSD
		want  bool // unpriced
	}{
		"free":                  {jobs.Price{Free: true}, used, 0, false},
		"priced":                {jobs.Price{Input: 1_000_000, Output: 1_000_000}, used, 15, false},
		"unknown":               {jobs.Price{}, used, 0, true},
		"unknown, nothing used": {jobs.Price{}, jobs.Usage{}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := chainOf(t, &jobs.Target{Name: "a", Provider: "a", Price: c.price})
			s.provider.usage = c.usage
			s.tries().to("a")
			if a := s.outcome.Trace.Attempts()[0]; a.Cost != c.cost || a.Unpriced != c.want || s.outcome.Trace.Unpriced() != c.want {
				t.Errorf("its attempt is %+v", a)
			}
			s = chainOf(t, &jobs.Target{Name: "a", Provider: "a", Price: c.price})
			s.says("a", jobs.Error{Class: jobs.Content, Usage: c.usage}).tries().refused(jobs.Content)
			if a := s.outcome.Trace.Attempts()[0]; a.Cost != c.cost || a.Unpriced != c.want {
				t.Errorf("its attempt that failed is %+v", a)
			}
		})
	}
	s := chainOf(t, &jobs.Target{Name: "a", Provider: "a"}, &jobs.Target{Name: "b", Provider: "b", Price: jobs.Price{Free: true}})
	s.asks(&jobs.Request{Body: []byte(`{}`), MaxCost: 1}).tries().to("b").skips("a", "has no price")
}
