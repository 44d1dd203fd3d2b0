package integration

import (
	"fmt"
	"testing"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// Requests of a fair route wait for a cheap target that does not come back. Their
// tenant's money runs out, for others of it that are urgent, and their own time comes;
// then the budget is raised: all of them take the dear target before their deadline. So
// it is where the time comes first, and where the money is there again first.
func TestWaitForAPriceAndThenForMoney(t *testing.T) {
	t.Parallel()
	for name, moneyFirst := range map[string]bool{"the deadline comes near without money": false, "the money is back before": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, staging{config: func(c *config.Config) {
				fairRoute(c)
				c.Routes[0].Chain = []string{"sim-cheap", "sim-dear"}
				c.Routes[0].WhenOpen, c.Routes[0].Goal, c.Routes[0].Deadline = string(jobs.WhenOpenPrice), "ordered", 0
			}})
			s.prepare()
			s.down("cheap", simulator.Fault{Mode: simulator.Unavailable})
			s.work(nil)
			const limit = 20_000
			s.must("budgets", "set", "--tenant", "acme", "--total", "0.02")
			_, err := s.Pool.Exec(t.Context(), "UPDATE tidegate.budgets SET spent = 18500") // not much is left of it
			check(t, err)
			asks := func(n, from int, within time.Duration) jobs.Batch {
				return s.enqueue(n, func(i int, r *jobs.Request) {
					r.Tenant, r.Deadline = "acme", time.Now().Add(within)
					r.Body = []byte(fmt.Sprintf(`{"model":"auto","max_tokens":60,"messages":[{"role":"user","content":"Summarise: the gate closed %d times. The tide rose. It fell again."}]}`, from+i))
				})
			}
			const n, inTime = 8, 2 * time.Minute
			patient := asks(n, 0, 24*time.Hour)
			fixture.Await(t, soon, "the circuit is open, and they wait for the cheap target", func() bool {
				return s.count("SELECT count(*) FROM tidegate.circuits WHERE target = 'sim-cheap' AND state <> 'closed'") == 1 &&
					s.waiting() == n && s.pending() == n
			})
			if done := s.batch(patient); done.Completed != 0 {
				t.Fatalf("%d were answered while they were to wait", done.Completed)
			}
			urgent := asks(20, 1000, inTime) // which wait for nothing
			tenant := func() shownBudget { return s.budgets()["tenant acme"] }
			fixture.Await(t, soon, "the money is spent", func() bool { b := tenant(); return b.State == "spent" && b.Reserved == 0 })
			if b, done := tenant(), s.batch(urgent); done.Completed == 0 || done.Completed == 20 || b.Spent > limit {
				t.Fatalf("%d of the urgent ones were answered for %s", done.Completed, b.Spent)
			}
			if done := s.batch(patient); done.Completed != 0 {
				t.Fatalf("%d of those that wait for a price were answered", done.Completed)
			}

			raise := func() { s.must("budgets", "set", "--tenant", "acme", "--total", "10") }
			timeComes := func() {
				_, err := s.Pool.Exec(t.Context(), `WITH near AS (UPDATE tidegate.requests SET deadline = now() + $2::interval WHERE batch_id = $1 RETURNING id, deadline)
					UPDATE tidegate.waiting w SET deadline = n.deadline, not_before = CASE WHEN not_before IS NOT NULL THEN now() END FROM near n WHERE w.request_id = n.id`, patient.ID, inTime)
				check(t, err)
			}
			if moneyFirst {
				raise()
				fixture.Await(t, soon, "the urgent ones are answered", func() bool { b := s.batch(urgent); return b.Ended() })
				if done := s.batch(patient); done.Completed != 0 {
					t.Errorf("with money again %d take the dear target long before their time", done.Completed)
				}
				timeComes()
			} else {
				timeComes()
				s.admitted(3)
				if done := s.batch(patient); done.Completed != 0 || tenant().Waiting == 0 {
					t.Errorf("without money %d were answered, and %d wait for it", done.Completed, tenant().Waiting)
				}
				raise()
			}
			for _, batch := range []jobs.Batch{urgent, patient} {
				if batch = s.settle(batch); batch.Completed != batch.Total {
					t.Errorf("the batch is %+v", batch)
				}
			}
			if late := s.count("SELECT count(*) FROM tidegate.results t JOIN tidegate.requests r ON r.id = t.request_id WHERE t.stored_at > r.deadline OR t.target <> 'sim-dear'"); late != 0 {
				t.Errorf("%d were late, or not answered by the dear target", late)
			}
			s.nothingWaits()
			s.nothingFailed()
		})
	}
}

// admitted waits until the supervisor has looked so often at what waits.
func (s *stage) admitted(n int) {
	s.Helper()
	const renewed = "SELECT (extract(epoch FROM expires_at) * 1000000)::bigint FROM tidegate.leases WHERE name = 'supervisor'"
	for range n {
		before := s.count(renewed)
		fixture.Await(s.T, soon, "the supervisor did a round", func() bool { return s.count(renewed) > before })
	}
}
