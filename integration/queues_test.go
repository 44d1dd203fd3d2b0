package integration

import (
	"strings"
	"testing"
	"time"

	"tidegate/cmd/app"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/worker"
)

// TestQueuesThatSomebodyRemoves: River's rows of queues that are worked come back by
// themselves, paused where somebody pauses the route, and nobody is told meanwhile, for
// longer than it takes, that no worker works them.
func TestQueuesThatSomebodyRemoves(t *testing.T) {
	t.Parallel()
	st := newStage(t, staging{})
	st.prepare()
	st.work(func(c *app.StackConfig) { c.Timing = worker.Timing{Look: 20 * time.Millisecond} })
	known := func() bool {
		return st.count("SELECT count(*) FROM tidegate.river_queue WHERE name = ANY ($1)", []string{summaries, jobs.QuarantineQueue, jobs.BatchQueue}) == 3
	}
	fixture.Await(t, soon, "River knows its queues", known)
	st.must("pause", summaries, "--reason", "a test")
	st.exec("DELETE FROM tidegate.river_queue")
	fixture.Await(t, soon, "they are there again", known)
	if n := st.count("SELECT count(*) FROM tidegate.river_queue WHERE paused_at IS NOT NULL"); n != 1 {
		t.Errorf("%d are paused", n)
	}
	st.must("resume", summaries)
	st.exec("DELETE FROM tidegate.river_queue")
	fixture.Await(t, soon, "the doctor finds the route worked", func() bool {
		return !strings.Contains(st.tidegate("doctor", "--config", write(t, "tidegate.yaml", st.config.String())).out, "no worker works it")
	})
	if shown := st.must("status").out; strings.Contains(shown, "unserved") {
		t.Errorf("the status says:\n%s", shown)
	}
	st.settle(st.enqueue(3, nil))
}
