package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidegate/cmd/app"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// ofNoRequest is what `budgets` says of canaries and probes: calls, and what they cost.
func (s *stage) ofNoRequest() (canaries, probes, cost int) {
	s.Helper()
	type day struct {
		Canaries, Probes int
		Of               int `json:"canaries_micro_usd"`
		OfProbes         int `json:"probes_micro_usd"`
	}
	for _, d := range lastLine[struct {
		Days []day `json:"canaries_and_probes"`
	}](s.T, s.must("budgets", "--json").out).Days {
		canaries, probes, cost = canaries+d.Canaries, probes+d.Probes, cost+d.Of+d.OfProbes
	}
	return canaries, probes, cost
}

// canaryOf is a canary that is asked each second.
func canaryOf(name, route string, targets ...string) jobs.Canary {
	body := json.RawMessage(`{"max_tokens":60,"messages":[{"role":"user","content":"Summarise: ` + name + ` saw the tide. The gate closed. It opened again."}]}`)
	return jobs.Canary{Name: name, Targets: targets, Route: route, Every: time.Second, Body: body, Expect: &jobs.Expect{MinCharacters: 1}}
}

// The canaries of a route spend its budget. When that is used up, by requests and by
// them, they are not asked any more, while those of no route are; nothing is spent
// beyond the limit; all is shown. When it is raised, requests and canaries go on.
func TestCanariesOfABudgetThatIsUsedUp(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{config: twoTargets})
	s.prepare()
	const limit = 300
	s.must("budgets", "set", "--route", summaries, "--total", "0.0003")
	inside, aside := canaryOf("inside", summaries, "sim-cheap", "sim-fast"), canaryOf("aside", "", "sim-cheap")
	for i := range 2 {
		s.work(func(c *app.StackConfig) {
			c.Name, c.Canaries = fmt.Sprint("worker-", i), []jobs.Canary{inside, aside}
		})
	}
	asked := func(route string) int {
		return s.count("SELECT count(*) FROM tidegate.attempts WHERE request_id = $1 AND NOT probe AND route = $2", jobs.NoRequest, route)
	}
	asideAgain := func(n int) {
		t.Helper()
		before := asked("")
		fixture.Await(t, soon, "the canary of no route is asked", func() bool { return asked("") >= before+n })
	}
	budget := func() shownBudget { return s.budgets()["route "+summaries] }
	spentByAttempts := func() int {
		return s.count("SELECT coalesce(sum(cost_micro_usd), 0) FROM tidegate.attempts WHERE route = $1", summaries)
	}

	fixture.Await(t, soon, "the canary of the route is asked", func() bool { return asked(summaries) >= 2 })
	fixture.Await(t, soon, "it spends the route's money", func() bool { return budget().Spent > 0 })
	const n = 60
	batch := s.enqueue(n, func(i int, r *jobs.Request) {
		r.Body = []byte(fmt.Sprintf(`{"model":"auto","max_tokens":60,"messages":[{"role":"user","content":"Summarise: the gate closed %d times. The tide rose. It fell again."}]}`, i))
	})
	fixture.Await(t, soon, "the budget is used up", func() bool { b := budget(); return b.State == "spent" && b.Reserved == 0 && b.Waiting > 0 })
	asideAgain(2) // what was under way has ended
	before := asked(summaries)
	asideAgain(3)
	if now := asked(summaries); now != before {
		t.Errorf("with nothing left the canary of the route was asked %d times", now-before)
	}
	if b := budget(); int(b.Spent) != spentByAttempts() || b.Spent > limit {
		t.Errorf("%d were spent by attempts and %d by the books, of %d", spentByAttempts(), b.Spent, limit)
	}
	said := s.must("budgets").out
	for _, want := range []string{"OF NO REQUEST", "CANARIES", "PROBES", time.Now().UTC().Format("2006-01-")} {
		if !strings.Contains(said, want) {
			t.Errorf("budgets lacks %q:\n%s", want, said)
		}
	}

	s.must("budgets", "set", "--route", summaries, "--total", "10")
	fixture.Await(t, soon, "all are answered", func() bool { b, err := s.store.Batch(t.Context(), batch.ID); return err == nil && b.Completed == n })
	fixture.Await(t, soon, "the canary of the route is asked again", func() bool { return asked(summaries) > before })
	s.nothingFailed()
}

// What probes and canaries cost is in `budgets`, to the last call, also where there is no
// budget at all.
func TestWhatNoRequestCostsIsShown(t *testing.T) {
	t.Parallel()
	s := newStorm(t, staging{config: oneTarget})
	if got := s.must("budgets").out; strings.Contains(got, "OF NO REQUEST") {
		t.Errorf("of nothing it says\n%s", got)
	}
	crew := s.crews(1, func(_ int, c *app.StackConfig) { c.Canaries = []jobs.Canary{canaryOf("aside", "", cheap)} })[0]
	fixture.Await(t, soon, "a canary is answered", func() bool { return s.calls(jobs.OK) > 0 })
	s.downUntilShut(crew)
	s.back() // nothing waits: a minimal call finds out
	s.awaitClosed(cheap, crew)
	crew.stop()
	const made = "FROM tidegate.attempts WHERE request_id = $1"
	canaries, probes, cost := s.ofNoRequest()
	if n := s.count("SELECT count(*) "+made, jobs.NoRequest); canaries == 0 || probes == 0 || canaries+probes != n {
		t.Errorf("%d canaries and %d probes are shown of %d calls", canaries, probes, n)
	}
	if sum := s.count("SELECT sum(cost_micro_usd) "+made, jobs.NoRequest); cost != sum || cost == 0 {
		t.Errorf("%d micro-USD are shown of %d", cost, sum)
	}
}

// downUntilShut opens the circuit of the only target, by requests that end then.
func (s *storm) downUntilShut(crew *crew) {
	s.Helper()
	s.down("cheap", simulator.Fault{Mode: simulator.Unavailable})
	batch := s.enqueue(10, nil)
	s.awaitAllShut(cheap, crew)
	s.must("cancel", batch.ID)
}
