package worker_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
)

var (
	ofAcme  = jobs.BudgetKey{Scope: jobs.BudgetTenant, Name: "acme"}
	ofRoute = jobs.BudgetKey{Scope: jobs.BudgetRoute, Name: "summaries"}
)

// limit sets a budget by hand. An answer of the script costs 10.
func (s *site) limit(key jobs.BudgetKey, perDay, total jobs.MicroUSD) {
	s.t.Helper()
	if err := s.store.SetBudget(s.t.Context(), key, store.BudgetChange{PerDay: &perDay, Total: &total}); err != nil {
		s.t.Fatal(err)
	}
}

// heard waits until the worker knows what stands in the database now: a read that is
// under way may be of before, and the one behind it is over when a third begins.
func (s *site) heard() {
	s.t.Helper()
	known := s.script.followed() + 3
	fixture.Await(s.t, soon, "the worker has heard of it", func() bool { return s.script.followed() >= known })
}

// acme accepts n requests of that tenant.
func (s *site) acme(n int) {
	s.t.Helper()
	for range n {
		s.accept(jobs.Request{Tenant: "acme"})
	}
}

// answers waits until n requests were answered, and checks what that cost.
func (s *site) answers(n int) {
	s.t.Helper()
	fixture.Await(s.t, soon, "requests are answered", func() bool { return s.number("SELECT count(*) FROM tidegate.results WHERE state = 'answered'") == n })
	if cost := s.number("SELECT coalesce(sum(cost_micro_usd), 0) FROM tidegate.attempts"); cost != 10*n {
		s.t.Errorf("%d answers cost %d", n, cost)
	}
}

// parked waits until n jobs are parked for a budget, with a reason that has these
// words, and no attempt was burned.
func (s *site) parked(n int, words string) {
	s.t.Helper()
	fixture.Await(s.t, soon, "jobs are parked", func() bool {
		return s.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'scheduled' AND attempt = 0 AND metadata #>> '{tidegate_budget,why}' LIKE '%' || $1 || '%'", words) == n
	})
}

// settled checks that nothing is reserved any more.
func (s *site) settled() {
	s.t.Helper()
	if n := s.number("SELECT coalesce(sum(reserved), 0) FROM tidegate.calls"); n != 0 {
		s.t.Errorf("%d are reserved when nobody is called", n)
	}
}

// day sets the calendar of the database to some days from now.
func (s *site) day(ahead string) {
	s.t.Helper()
	s.exec("CREATE OR REPLACE FUNCTION tidegate.today() RETURNS date LANGUAGE sql STABLE AS $$ SELECT (now() AT TIME ZONE 'UTC')::date + " + ahead + " $$")
}

// Two workers spend what a tenant may, to the last answer. The rest is parked with
// the reason, others go on, and when the budget is raised all of it drains.
func TestBudgetOfATenant(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.limit(ofAcme, 0, 200)
	s.acme(50)
	s.enqueue(10) // of another tenant
	s.start()
	s.config.Name = "second"
	s.start()
	s.answers(30)
	s.parked(30, "budget of tenant acme: $0.0002 of $0.0002 spent in all")
	s.settled()
	if n := s.number("SELECT count(*) FROM tidegate.pauses"); n != 0 {
		t.Errorf("%d routes are paused for a tenant", n)
	}
	s.acme(5) // that nobody has called yet
	s.parked(35, "spent in all")
	s.limit(ofAcme, 0, 350)
	s.answers(45)
	s.parked(20, "$0.00035 of $0.00035")
	if err := s.store.UnsetBudget(t.Context(), ofAcme); err != nil {
		t.Fatal(err)
	}
	s.answers(65)
	s.awaitJobs(65, "completed", 1)
	fixture.Await(t, soon, "the budget is forgotten", func() bool { return s.number("SELECT count(*) FROM tidegate.budgets") == 0 })
}

// A route's budget pauses its queue: one row, however many jobs wait.
func TestBudgetOfARoute(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.limit(ofRoute, 150, 0)
	s.enqueue(60)
	s.start()
	s.answers(15)
	const why = "SELECT count(*) FROM tidegate.pauses WHERE owner = 'budget' AND reason LIKE 'budget of route summaries: $0.00015 of $0.00015 spent today; it goes on at 00:00 UTC%'"
	fixture.Await(t, soon, "the route is paused", func() bool { return s.number(why) == 1 })
	s.settled()
	if n := s.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'scheduled' OR metadata <> '{}'"); n != 0 {
		t.Errorf("%d jobs were rewritten", n)
	}
	s.limit(ofRoute, 400, 0)
	s.answers(40)
	fixture.Await(t, soon, "the route is paused again", func() bool {
		return s.number("SELECT count(*) FROM tidegate.pauses WHERE reason LIKE '%$0.0004 of $0.0004%'") == 1
	})
	s.day("1")
	s.answers(60)
	s.awaitJobs(60, "completed", 1)
	fixture.Await(t, soon, "nothing is paused", func() bool { return s.number("SELECT count(*) FROM tidegate.pauses") == 0 })
}

// On a new day what waited for the old one goes on by itself.
func TestBudgetOfANewDay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.limit(ofAcme, 100, 0)
	s.acme(25)
	s.start()
	s.answers(10)
	s.parked(15, "spent today; it goes on at 00:00 UTC")
	s.acme(5)
	s.parked(20, "spent today")
	s.day("1")
	s.answers(20)
	s.parked(10, "spent today")
	s.day("2")
	s.answers(30)
	s.awaitJobs(30, "completed", 1)
}

// What is under a budget and has no price is not called, and has not failed.
func TestBudgetWithoutAPrice(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.limit(ofAcme, 0, 1000)
	s.script.unpriced = true
	s.acme(3)
	s.enqueue(2)
	s.start()
	s.answers(2)
	if err := s.store.UnsetBudget(t.Context(), ofAcme); err != nil {
		t.Fatal(err)
	}
	s.answers(5)
	s.awaitJobs(5, "completed", 1)
}

// A deadline ends what waits for money, as it ends all that waits.
func TestDeadlinePassesOutOfBudget(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.limit(ofAcme, 0, 5) // less than one answer
	s.accept(jobs.Request{Tenant: "acme", Deadline: time.Now().Add(8 * time.Second)})
	s.acme(1)
	s.start()
	s.parked(2, "the request alone may cost $0.00001, and the budget is $0.000005 in all")
	fixture.Await(t, soon, "it is expired", func() bool { return s.number("SELECT count(*) FROM tidegate.results WHERE state = 'expired'") == 1 })
	if n := s.script.called(); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}

// Prompts are not counted as long as nothing hangs on it, and then they are: a budget
// is spent to the last answer that it has money for.
func TestPromptsAreCountedNearALimit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.script.rough = 40
	s.limit(ofAcme, 0, 10_000_000)
	s.acme(20)
	s.start()
	s.answers(20)
	if n := s.script.prompts(); n != 0 {
		t.Errorf("%d prompts were counted far from the limit", n)
	}
	s.limit(ofAcme, 0, 350)
	s.heard()
	s.acme(20)
	s.answers(35)
	s.parked(5, "$0.00035 of $0.00035 spent in all")
	s.settled()
	if n := s.script.prompts(); n < 15 {
		t.Errorf("only %d prompts were counted near it", n)
	}
}

// A limit that is lowered just when a call begins does not park it for what its prompt
// has at most: that is counted, and it begins at once.
func TestRoughEstimateIsNoReasonToPark(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.limit(ofAcme, 0, 10_000_000)
	var asked atomic.Int32
	s.script.rough = 1000
	s.script.asked = func() {
		if asked.Add(1) == 1 {
			s.limit(ofAcme, 0, 15)
		}
	}
	s.acme(1)
	s.start()
	s.answers(1)
	s.awaitJobs(1, "completed", 1)
	s.settled()
	if n := s.number("SELECT count(*) FROM tidegate.budgets WHERE dearest > 0 OR passed_over > 0 OR out_since IS NOT NULL"); n != 0 {
		t.Error("a rough estimate was noted as a shortage")
	}
	if n := s.script.prompts(); n != 1 || asked.Load() != 2 {
		t.Errorf("it was asked %d times what it costs, and counted %d prompts, want 2 and 1", asked.Load(), n)
	}
}

// What is reserved while a call is under way is nobody else's, and what was thought
// too much of is free when it has ended.
func TestOthersWaitForWhatIsReserved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	go1 := make(chan struct{})
	s.script.route = func(ctx context.Context, r *jobs.Request, h jobs.Trace) jobs.Outcome {
		<-go1
		outcome := answer(ctx, r, h)
		outcome.Trace[0].Attempt.Cost = 4
		return outcome
	}
	s.limit(ofAcme, 0, 29)
	s.acme(6)
	s.start()
	fixture.Await(t, soon, "what there is is reserved", func() bool { return s.number("SELECT coalesce(sum(reserved), 0) FROM tidegate.calls") == 20 })
	fixture.Await(t, soon, "the others are in hand", func() bool { return s.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'running'") == 6 })
	fixture.Await(t, soon, "what is reserved is called", func() bool { return s.script.called() >= 2 })
	if n := s.script.called(); n != 2 {
		t.Errorf("%d calls were made with money for 2", n)
	}
	close(go1)
	// 4 + 4, then two at a time of 10 each while 21 and 13 are left, then none of 10.
	fixture.Await(t, soon, "the rest is parked", func() bool {
		return s.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'scheduled'") == 1 && s.number("SELECT sum(cost_micro_usd) FROM tidegate.attempts") == 20
	})
	s.settled()
}

// A person who resumes a route whose budget is spent is told by its next pause.
func TestPersonResumesARouteOutOfBudget(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.limit(ofRoute, 100, 0)
	s.enqueue(20)
	s.start()
	s.answers(10)
	paused := func() bool { return s.number("SELECT count(*) FROM tidegate.pauses WHERE owner = 'budget'") == 1 }
	fixture.Await(t, soon, "the route is paused", paused)
	if err := s.store.ResumeByPerson(t.Context(), "summaries", func(ctx context.Context, tx pgx.Tx) error { return s.queue.ResumeTx(ctx, tx, "summaries") }); err != nil {
		t.Fatal(err)
	}
	fixture.Await(t, soon, "the route is paused again", paused)
	s.answers(10)
	if n := s.number("SELECT count(*) FROM tidegate.pauses WHERE reason LIKE '%tidegate budgets set --route summaries --per-day AMOUNT'"); n != 1 {
		t.Error("its reason does not say how it goes on")
	}
}

// On a route with fair admission nothing of a tenant is admitted whose budget is
// spent: no row of what waits is written for it. Others go on.
func TestBudgetOfATenantOnAFairRoute(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := s.store.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries", Goal: "ordered", Chain: []*jobs.Target{{Name: "cheap"}}, Admission: jobs.AdmissionFair}}); err != nil {
		t.Fatal(err)
	}
	s.queue = s.newQueue()
	s.limit(ofAcme, 0, 100)
	s.acme(30)
	s.enqueue(5)
	s.start()
	s.answers(15)
	s.acme(10)
	fixture.Await(t, soon, "the rest waits", func() bool { return s.number("SELECT count(*) FROM tidegate.waiting WHERE tenant = 'acme'") == 30 })
	budgets, err := s.store.Budgets(t.Context(), false)
	if err != nil || len(budgets) != 1 || budgets[0].Parked != 30 {
		t.Errorf("budgets: %+v, %v", budgets, err)
	}
	s.limit(ofAcme, 0, 1000)
	s.answers(45)
	s.awaitJobs(45, "completed", 1)
}

// What is parked until its tenant's budget is raised, for good perhaps, has its
// deadline all the same, and no job is left of it then.
func TestParkedForABudgetUntilTheDeadline(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.limit(ofAcme, 0, 100)
	s.start()
	s.acme(12)
	s.answers(10)
	s.parked(2, "spent in all")
	for range 3 {
		s.accept(jobs.Request{Tenant: "acme", Deadline: time.Now().Add(3 * time.Second)})
	}
	fixture.Await(t, soon, "they are parked, too", func() bool {
		return s.number("SELECT count(*) FROM tidegate.river_job WHERE metadata ? 'tidegate_budget' AND attempt = 0 AND scheduled_at > now()") == 5
	})
	fixture.Await(t, soon, "three have expired, and their jobs have ended", func() bool {
		return s.number("SELECT count(*) FROM tidegate.results WHERE state = 'expired'") == 3 && s.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'completed'") == 13
	})
	s.parked(2, "spent in all")
}

// Requests of a route whose budget is spent expire where they wait, in the worker's hands
// or in the queue, and say that it was for money.
func TestRouteWithoutMoneyUntilTheDeadline(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.limit(ofRoute, 0, 40)
	for range 10 {
		s.accept(jobs.Request{Tenant: "acme", Deadline: time.Now().Add(8 * time.Second)})
	}
	s.start()
	s.answers(4)
	const money = "SELECT count(*) FROM tidegate.results WHERE state = 'expired' AND message LIKE 'its deadline passed while it waited for money: budget of route summaries: %'"
	fixture.Await(t, soon, "the rest has expired", func() bool { return s.number("SELECT count(*) FROM tidegate.results WHERE state = 'expired'") == 6 })
	if n := s.number(money); n != 6 {
		t.Errorf("%d of 6 say that they waited for money", n)
	}
}
