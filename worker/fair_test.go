package worker

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// A tenantModel is a tenant of whom the test knows all that waits.
type tenantModel struct {
	name    string
	weight  float64
	longest float64 // work of a request
	waits   []jobs.Head
	finish  float64
	served  float64 // work by weight, since the test began
	made    int
}

// A market is a route with tenants, and the fair clock of it.
type market struct {
	t       *rapid.T
	clock   float64
	tenants []*tenantModel
	// low and high are how far two tenants were apart, in work by weight, since both
	// had work to do without a break.
	low, high map[[2]int]float64
	since     map[[2]int]float64
}

func newMarket(t *rapid.T) *market {
	m := &market{t: t, low: map[[2]int]float64{}, high: map[[2]int]float64{}, since: map[[2]int]float64{}}
	for i := range rapid.IntRange(2, 6).Draw(t, "tenants") {
		m.tenants = append(m.tenants, &tenantModel{
			name:   fmt.Sprintf("t%d", i),
			weight: rapid.SampledFrom([]float64{0.5, 1, 2, 7}).Draw(t, "weight"), longest: rapid.Float64Range(1, 5000).Draw(t, "longest"),
		})
	}
	return m
}

func (m *market) weight(name string) float64 {
	for _, t := range m.tenants {
		if t.name == name {
			return t.weight
		}
	}
	m.t.Fatalf("nobody is called %s", name)
	return 0
}

// arrive adds requests of a tenant.
func (m *market) arrive(t *tenantModel, n int) {
	for range n {
		t.made++
		work := rapid.Float64Range(0, t.longest).Draw(m.t, "work")
		t.waits = append(t.waits, jobs.Head{RequestID: fmt.Sprintf("%s-%d", t.name, t.made), Work: work})
	}
}

// admit has some go, of which the clock is shown only the first ones.
func (m *market) admit(atMost, shown int) {
	heads := jobs.Heads{Clock: m.clock}
	for _, t := range m.tenants {
		if n := min(len(t.waits), shown); n > 0 {
			heads.Tenants = append(heads.Tenants, jobs.TenantHeads{Tenant: t.name, Finish: t.finish, Requests: slices.Clone(t.waits[:n]), More: n < len(t.waits)})
		}
	}
	chosen := fairly(heads, atMost, m.weight)
	if len(heads.Tenants) > 0 && len(chosen.Requests) == 0 {
		m.t.Fatal("requests wait, and none goes")
	}
	m.clock = chosen.Clock
	for _, id := range chosen.Requests {
		m.serve(id)
		m.compare()
	}
	for _, t := range m.tenants {
		if finish, was := chosen.Finish[t.name]; was {
			t.finish = finish
		}
	}
}

// serve takes out the request, which must be the first of its tenant.
func (m *market) serve(id string) {
	for _, t := range m.tenants {
		if len(t.waits) > 0 && t.waits[0].RequestID == id {
			t.served += t.waits[0].Work / t.weight
			t.waits = t.waits[1:]
			return
		}
	}
	m.t.Fatalf("%s is not the first of its tenant", id)
}

// compare looks how far tenants with work to do are apart.
func (m *market) compare() {
	for i, a := range m.tenants {
		for j, b := range m.tenants[:i] {
			pair := [2]int{i, j}
			if len(a.waits) == 0 || len(b.waits) == 0 {
				delete(m.since, pair)
				continue
			}
			apart := a.served - b.served
			if _, both := m.since[pair]; !both {
				m.since[pair], m.low[pair], m.high[pair] = apart, apart, apart
			}
			m.low[pair], m.high[pair] = min(m.low[pair], apart), max(m.high[pair], apart)
			bound := a.longest/a.weight + b.longest/b.weight
			if width := m.high[pair] - m.low[pair]; width > bound*(1+1e-9) {
				m.t.Fatalf("%s and %s came %g apart, and one request of each is %g", a.name, b.name, width, bound)
			}
		}
	}
}

// Of any two tenants that have work to do, over any time, none gets more than its
// share by weight but for one request of each: whatever came and went before, how
// long their requests are, and of how few of them the clock is told.
func TestFairClockGivesShares(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMarket(t)
		for range rapid.IntRange(1, 25).Draw(t, "rounds") {
			for _, tenant := range m.tenants {
				if rapid.Bool().Draw(t, "comes") {
					m.arrive(tenant, rapid.IntRange(1, 12).Draw(t, "requests"))
				}
			}
			m.compare() // who began to wait just now
			m.admit(rapid.IntRange(1, 20).Draw(t, "at most"), rapid.IntRange(1, 8).Draw(t, "shown"))
		}
	})
}

// A tenant that was idle for long is not given what it did not ask for then.
func TestIdleTimeIsNoCredit(t *testing.T) {
	t.Parallel()
	one := func(string) float64 { return 1 }
	requests := func(name string, n int) (all []jobs.Head) {
		for i := range n {
			all = append(all, jobs.Head{RequestID: fmt.Sprint(name, i), Work: 100})
		}
		return all
	}
	heads := jobs.Heads{Clock: 0, Tenants: []jobs.TenantHeads{{Tenant: "busy", Requests: requests("b", 1000)}}}
	first := fairly(heads, 900, one)
	heads = jobs.Heads{Clock: first.Clock, Tenants: []jobs.TenantHeads{
		{Tenant: "busy", Finish: first.Finish["busy"], Requests: requests("b", 100)},
		{Tenant: "late", Finish: 100, Requests: requests("l", 100)}, // it had one request, long ago
	}}
	next := fairly(heads, 20, one)
	late := 0
	for _, id := range next.Requests {
		if id[0] == 'l' {
			late++
		}
	}
	if next.Requests[0] != "l0" || late < 9 || late > 11 {
		t.Errorf("of 20, %d are of the one that was idle: %v", late, next.Requests)
	}
}
