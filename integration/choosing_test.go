package integration

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing"
	"tidegate/routing/simulator"
)

// slowAnswer is what the cheapest takes here, beside the usual latency of the others.
const slowAnswer = 10 * latency

// chooses tells whom a worker would call for a request that wants the fastest: forty
// times, for of those that are nearly as good any is taken. It explores nobody, its
// deadline being near.
func (c *crew) chooses() (names []string) {
	for range 40 {
		request := jobs.Request{Route: summaries, Goal: "fastest", Deadline: time.Now().Add(time.Minute), Body: body(1)}
		if walk, _ := c.Router.Walk(&request, nil); walk != nil {
			names = append(names, walk.Target().Name)
			walk.Release()
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// What a worker finds out of its targets stays in the fleet: another one is told, and
// one that comes when all are gone reads it. A start without either would take the first
// of the chain, too.
func TestKnowledgeOfTargetsStays(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{simulated: func(c *simulator.Config) { c.Providers[0].Latency.Median = slowAnswer }})
	start := func() *crew {
		return s.work(func(c *app.StackConfig) {
			c.Choosing.Strategies = map[string]routing.Strategy{"fastest": routing.Weights{Latency: 1}.Strategy()}
		})
	}
	first := start()
	if got := first.chooses(); !slices.Contains(got, "sim-cheap") {
		t.Fatalf("a worker that knows nothing takes %v", got)
	}
	batch := s.enqueue(60, func(_ int, r *jobs.Request) { r.Goal = "fastest" })
	s.awaitBatch(batch)
	knows := func(c *crew) func() bool {
		return func() bool { got := c.chooses(); return len(got) > 0 && !slices.Contains(got, "sim-cheap") }
	}
	fixture.Await(t, soon, "the first knows", knows(first))
	second := start()
	fixture.Await(t, soon, "the second is told", knows(second))
	first.stop()
	second.stop()
	fixture.Await(t, soon, "the third reads it", knows(start()))

	if n := s.count("SELECT count(*) FROM tidegate.attempts WHERE decision->>'g' = 'fastest' AND decision->>'e' = 'decayed' AND jsonb_array_length(decision->'c') = 3 AND propensity > 0 AND propensity <= 1"); n < 60 {
		t.Errorf("%d of 60 attempts say why", n)
	}
}

// A strategy of one's own is a goal to whoever knows the routes, and any other is
// none.
func TestStrategiesOfOnesOwnAreGoals(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{config: func(c *config.Config) {
		c.Strategies = map[string]config.Weights{"careful": {SuccessRate: 0.6, Latency: 0.1, Cost: 0.3}}
	}})
	s.prepare()
	asking := func(goal string) []string {
		return []string{"enqueue", write(t, "in.jsonl", `{"body":{"messages":[{"role":"user","content":"tide"}]},"optimization_goal":"`+goal+`"}`)}
	}
	for _, goal := range []string{"careful", "cost", "ordered"} {
		s.must(asking(goal)...)
	}
	got := s.tidegate(asking("reckless")...)
	if got.code == 0 || !strings.Contains(got.errors, "there are: balanced, careful, cost, ordered, speed") {
		t.Errorf("exit code %d\n%s", got.code, got.errors)
	}
}
