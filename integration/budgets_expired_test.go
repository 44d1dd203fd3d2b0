package integration

import (
	"fmt"
	"strings"
	"testing"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// A request whose deadline passes while it waits for money says so: in its result, in
// the event and in `why`, however it waited. One that waited for a target does not.
func TestExpiredForMoneySaysSo(t *testing.T) {
	t.Parallel()
	const large, small = 50_000, 60
	for _, c := range []struct {
		name   string
		budget string // flags of `budgets set`
		spend  bool
		tokens int
		down   bool
		why    string
	}{
		{"its tenant's is spent", "--tenant acme --total 0.0003", true, small, false, "budget of tenant acme: "},
		{"its route's is spent", "--route summaries --total 0.0003", true, small, false, "budget of route summaries: "},
		{"it alone is too dear", "--tenant acme --total 0.001", false, large, false, "budget of tenant acme: the request alone may cost $0.02"},
		{"there is enough, and no target", "--tenant acme --total 5", false, small, true, ""},
	} {
		for _, admission := range []string{jobs.AdmissionDirect, jobs.AdmissionFair} {
			t.Run(c.name+", "+admission, func(t *testing.T) {
				t.Parallel()
				s := newStage(t, staging{config: func(c *config.Config) {
					c.Routes[0].Chain, c.Routes[0].Admission = c.Routes[0].Chain[:1], admission
				}})
				s.prepare()
				s.closedLongAgo() // or what waits may just be looked at again when its deadline passes
				s.must(append([]string{"budgets", "set"}, strings.Fields(c.budget)...)...)
				s.work(nil)
				if c.down {
					s.down("*", simulator.Fault{Mode: simulator.Unavailable})
				}
				asks := func(n, tokens int) jobs.Batch {
					return s.enqueue(n, func(i int, r *jobs.Request) {
						r.Tenant = "acme"
						r.Body = []byte(fmt.Sprintf(`{"model":"auto","max_tokens":%d,"messages":[{"role":"user","content":"Summarise: the gate closed %d times. The tide rose."}]}`, tokens, i))
					})
				}
				waiting := 0
				if c.spend {
					first := asks(60, small)
					fixture.Await(t, soon, "the budget is spent", func() bool {
						return s.count("SELECT count(*) FROM tidegate.budgets WHERE out_since IS NOT NULL") == 1
					})
					// No call begins any more. One that is under way had cost less than the first
					// that found too little, and is written down with what came of it.
					fixture.Await(t, soon, "no call is under way", func() bool {
						return s.count("SELECT count(*) FROM tidegate.calls WHERE reserved > 0") == 0
					})
					done, err := s.store.Batch(t.Context(), first.ID)
					check(t, err)
					waiting = first.Total - done.Completed
					fixture.Await(t, soon, "all that is left waits", func() bool { return s.waitForMoney() == waiting })
				}
				batch := asks(2, c.tokens)
				fixture.Await(t, soon, "they wait", func() bool {
					return s.waitForMoney() == waiting+2 || c.down && s.count("SELECT count(*) FROM tidegate.circuits WHERE state <> 'closed'") == 1
				})
				_, err := s.Pool.Exec(t.Context(), "UPDATE tidegate.requests SET deadline = now() WHERE batch_id = $1", batch.ID)
				check(t, err)
				batch = s.awaitBatch(batch)
				s.expiredFor(batch, c.why)
			})
		}
	}
}

// waitForMoney is how many requests wait for a budget.
func (s *stage) waitForMoney() (n int) {
	s.Helper()
	for _, b := range s.budgets() {
		n += b.Waiting
	}
	return n
}

// expiredFor checks that the requests of a batch have expired, and what is said of it.
func (s *stage) expiredFor(batch jobs.Batch, why string) {
	s.Helper()
	want := jobs.Expired
	if why != "" {
		want = jobs.ExpiredForMoney + why
	}
	fixture.Await(s.T, soon, "nothing is owed", func() bool { return s.count("SELECT count(*) FROM tidegate.outbox") == 0 })
	const said = "SELECT count(*) FROM tidegate.results t JOIN tidegate.requests r ON r.id = t.request_id WHERE r.batch_id = $1 AND t.state = 'expired' AND t.code = 'batch_expired' AND starts_with(t.message, $2)"
	if n := s.count(said, batch.ID, want); n != batch.Total {
		s.Errorf("%d of %d results say %q: %s", n, batch.Total, want, s.text("SELECT string_agg(DISTINCT t.message, '; ') FROM tidegate.results t JOIN tidegate.requests r ON r.id = t.request_id WHERE r.batch_id = $1", batch.ID))
	}
	results, _ := s.events()
	for _, e := range results {
		if e.body.BatchID == batch.ID && !strings.HasPrefix(e.body.Error.Message, want) {
			s.Errorf("an event says %q, want %q", e.body.Error.Message, want)
		}
	}
	told := s.must("why", s.text("SELECT id::text FROM tidegate.requests WHERE batch_id = $1 LIMIT 1", batch.ID)).out
	in := "before a target had answered"
	if why != "" {
		in = "while it waited for money: " + why
	}
	s.says(told, in)
	if strings.Contains(told, "goes on") {
		s.Errorf("it says of what has ended that it goes on:\n%s", told)
	}
}
