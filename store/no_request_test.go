package store_test

import (
	"testing"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// Canaries are of no request, and of routes: calls of several that are committed in one
// group are booked to the budget of each. A probe is booked to none. All of it is shown.
func TestCanariesAreBookedToTheirRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	routes := append(routesOf("summaries", "a"), routesOf("labels", "a")...)
	if err := w.SaveRoutes(t.Context(), routes); err != nil {
		t.Fatal(err)
	}
	w.beat("one")
	ofLabels := jobs.BudgetKey{Scope: jobs.BudgetRoute, Name: "labels"}
	w.limit(ofRoute, 0, 1000)
	w.limit(ofLabels, 0, 1000)
	calls := 0
	of := func(route string, key jobs.BudgetKey) jobs.Begun {
		calls++
		at := time.Now().Add(time.Duration(calls) * time.Millisecond)
		return jobs.Begun{Slot: calls, RequestID: jobs.NoRequest, Target: "cheap", Route: route, At: at, Budgets: jobs.BudgetIDs{1: w.budget(key).ID}, Cost: 100}
	}
	entry := func(call jobs.Begun, cost jobs.MicroUSD, probe, unpriced bool) jobs.Entry {
		attempt := jobs.Attempt{At: call.At, Target: "cheap", Class: jobs.OK, Cost: cost, Probe: probe, Unpriced: unpriced, Propensity: 1}
		return jobs.Entry{Request: &jobs.Request{ID: jobs.NoRequest, Route: call.Route}, Trace: jobs.Trace{{Attempt: &attempt}}, Budgeted: !probe}
	}
	one, two, other := of("summaries", ofRoute), of("summaries", ofRoute), of("labels", ofLabels)
	if short := w.reserve("one", one, two, other); short != nil {
		t.Fatalf("short: %+v", short)
	}
	w.stands(ofRoute, 0, 0, 200)
	w.stands(ofLabels, 0, 0, 100)
	probe := jobs.Begun{At: time.Now()}
	for range 2 { // the answer of the first may have been lost
		w.commit(entry(one, 3, false, false), entry(two, 4, false, true), entry(other, 50, false, false), entry(probe, 600, true, false))
		w.stands(ofRoute, 7, 7, 0)
		w.stands(ofLabels, 50, 50, 0)
	}
	before := time.Now().UTC()
	days, err := w.NoRequestDays(t.Context(), 1) // midnight may have passed
	if err != nil {
		t.Fatal(err)
	}
	var canaries, probes store.CallsCost
	for _, day := range days {
		if age := before.Sub(day.Day); age < -time.Minute || age > 48*time.Hour {
			t.Errorf("a day is %s", day.Day)
		}
		for sum, of := range map[*store.CallsCost]store.CallsCost{&canaries: day.Canaries, &probes: day.Probes} {
			sum.Calls, sum.Cost, sum.Unpriced = sum.Calls+of.Calls, sum.Cost+of.Cost, sum.Unpriced || of.Unpriced
		}
	}
	if want := (store.CallsCost{Calls: 3, Cost: 57, Unpriced: true}); canaries != want {
		t.Errorf("canaries %+v, want %+v", canaries, want)
	}
	if want := (store.CallsCost{Calls: 1, Cost: 600}); probes != want {
		t.Errorf("probes %+v, want %+v", probes, want)
	}
}
