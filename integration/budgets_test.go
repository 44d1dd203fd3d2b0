package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
	"tidegate/worker/publish"
)

// A shownBudget is what `budgets --json` says of one.
type shownBudget struct {
	Scope      string         `json:"scope"`
	Name       string         `json:"name"`
	State      string         `json:"state"`
	PerDay     *int64         `json:"per_day_micro_usd"`
	Total      *int64         `json:"total_micro_usd"`
	SpentToday jobs.MicroUSD  `json:"spent_today_micro_usd"`
	Spent      jobs.MicroUSD  `json:"spent_micro_usd"`
	Reserved   jobs.MicroUSD  `json:"reserved_micro_usd"`
	Waiting    int            `json:"waiting"`
	Dearest    *jobs.MicroUSD `json:"dearest_request_micro_usd"`
	RaiseTotal *jobs.MicroUSD `json:"raise_total_to_micro_usd"`
	Why        string         `json:"why"`
	GoesOn     time.Time      `json:"goes_on"`
	SetBy      string         `json:"set_by"`
	InFile     bool           `json:"in_file"`
}

// budgets is what `budgets` says, by scope and name.
func (s *stage) budgets(args ...string) map[string]shownBudget {
	s.Helper()
	shown := map[string]shownBudget{}
	for _, b := range lastLine[struct{ Budgets []shownBudget }](s.T, s.must(append([]string{"budgets", "--json"}, args...)...).out).Budgets {
		shown[b.Scope+" "+b.Name] = b
	}
	return shown
}

// costs is what the attempts cost so far.
func (s *stage) costs() int {
	return s.count("SELECT coalesce(sum(cost_micro_usd), 0) FROM tidegate.attempts")
}

// fails checks that nothing has failed, and that no attempt was burned.
func (s *stage) nothingFailed() {
	s.Helper()
	if n := s.count("SELECT count(*) FROM tidegate.results WHERE state <> 'answered'"); n != 0 {
		s.Errorf("%d requests failed", n)
	}
	if n, err := s.store.AttemptsBurned(s.Context()); n != 0 || err != nil {
		s.Errorf("%d attempts were burned: %v", n, err)
	}
}

func TestBudgetsAreListedSetAndUnset(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	if got := s.must("budgets"); !strings.Contains(got.out, "There is no budget.") {
		t.Errorf("of nothing it says %q", got.out)
	}
	for want, args := range map[string]string{
		"say whose budget it is: one of --tenant, --route and --batch": "--per-day 5",
		"say whose budget it is":                                                 "--per-day 5 --tenant a --route b",
		"say what may be spent: --per-day, --total or both":                      "--tenant acme",
		`--per-day: "five" is not an amount of US dollars like 5 or 2.50`:        "--tenant acme --per-day five",
		"--total: must be above zero; none is no limit":                          "--tenant acme --total 0",
		"there is no route sumaries; `tidegate status` lists routes and batches": "--route sumaries --total 1",
		"there is no batch batch_1; `tidegate status` lists routes and batches":  "--batch batch_1 --total 1",
		`--tenant: "ACME" is not a name: use 1 to 64 lower-case letters`:         "--tenant ACME --total 1",
		`--total: "0.0000001" is not an amount of US dollars`:                    "--tenant acme --total 0.0000001",
	} {
		if got := s.tidegate(append([]string{"budgets", "set"}, strings.Fields(args)...)...); got.code == 0 || !strings.Contains(got.errors, want) {
			t.Errorf("%s: exit code %d, %s", args, got.code, got.errors)
		}
	}
	s.must("budgets", "set", "--tenant", "acme", "--per-day", "5", "--total", "100")
	s.must("budgets", "set", "--route", summaries, "--total", "0.25")
	s.must("budgets", "set", "--tenant", "acme", "--total", "none")
	all := s.budgets()
	if a := all["tenant acme"]; len(all) != 2 || a.PerDay == nil || *a.PerDay != 5_000_000 || a.Total != nil || a.State != "open" || a.SetBy != "command" || a.InFile {
		t.Errorf("it lists %+v", all)
	}
	if got := s.must("budgets").out; !strings.Contains(got, "$0.00 of $5.00") || !strings.Contains(got, "$0.00 of $0.25") {
		t.Errorf("it lists\n%s", got)
	}
	if got := s.must("budgets", "unset", "--tenant", "acme").out; !strings.Contains(got, "unset") {
		t.Errorf("unset, it says\n%s", got)
	}
	if got := s.tidegate("budgets", "unset", "--tenant", "others"); got.code != 1 || !strings.Contains(got.errors, "there is no budget of tenant others") {
		t.Errorf("it unsets what is not there: %s", got.errors)
	}
}

// Two workers spend what a tenant may, on real estimates: never more than the limit,
// as answers are no longer than max_tokens. What waits has not failed, others go on,
// all is said, and a raise drains it.
func TestBudgetOfATenantIsKept(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	s.must("budgets", "set", "--tenant", "acme", "--total", "0.0003")
	const n = 60
	ours := s.enqueue(n, func(i int, r *jobs.Request) {
		r.Tenant, r.Body = "acme", []byte(fmt.Sprintf(`{"model":"auto","max_tokens":60,"messages":[{"role":"user","content":"Summarise: the gate closed %d times. The tide rose. It fell again."}]}`, i))
	})
	others := s.enqueue(10, nil)
	s.work(nil)
	s.work(func(c *app.StackConfig) { c.Name = "second" })
	fixture.Await(t, soon, "the others are answered", func() bool { b, err := s.store.Batch(t.Context(), others.ID); return err == nil && b.Ended() })
	fixture.Await(t, soon, "the rest waits for money", func() bool {
		b := s.budgets()["tenant acme"]
		done, err := s.store.Batch(t.Context(), ours.ID)
		return err == nil && b.State == "spent" && b.Reserved == 0 && b.Waiting == n-done.Completed
	})
	b := s.budgets()["tenant acme"]
	spent := s.count("SELECT sum(a.cost_micro_usd) FROM tidegate.attempts a JOIN tidegate.requests q ON q.id = a.request_id WHERE q.tenant = 'acme'")
	if int(b.Spent) != spent || spent > 300 || spent < 240 {
		t.Errorf("%d were spent by attempts and %d by the books, of 300", spent, b.Spent)
	}
	for _, want := range []string{"budget of tenant acme: $", " of $0.0003 spent in all; it goes on when that is raised: tidegate budgets set --tenant acme --total AMOUNT"} {
		if !strings.Contains(b.Why, want) || !strings.Contains(s.must("budgets").out, want) {
			t.Errorf("it says %q", b.Why)
		}
	}
	if got := s.must("status").out; !strings.Contains(got, "tenant acme  spent") {
		t.Errorf("status says\n%s", got)
	}
	if got := s.tidegate("doctor").out; !strings.Contains(got, "tidegate budgets set --tenant acme --total AMOUNT") {
		t.Errorf("doctor says\n%s", got)
	}
	s.nothingFailed()
	s.must("budgets", "set", "--tenant", "acme", "--total", "10")
	fixture.Await(t, soon, "all are answered", func() bool { b, err := s.store.Batch(t.Context(), ours.ID); return err == nil && b.Completed == n })
	s.nothingFailed()
	if b := s.budgets()["tenant acme"]; b.State != "open" || b.Waiting != 0 || b.Reserved != 0 {
		t.Errorf("in the end it is %+v", b)
	}
}

// While the target is shut for which there is money, and a call of any other costs more
// than the whole budget, requests wait for that target, and not for a raise.
func TestBudgetTooSmallForTheOthers(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	s.must("budgets", "set", "--tenant", "acme", "--total", "0.00015")
	s.work(nil)
	s.down("cheap", simulator.Fault{Mode: simulator.Unavailable})
	s.settle(s.enqueue(20, nil)) // of another tenant: the circuit opens
	batch := s.enqueue(3, func(i int, r *jobs.Request) {
		r.Tenant, r.Body = "acme", []byte(fmt.Sprintf(`{"model":"auto","max_tokens":60,"messages":[{"role":"user","content":"Summarise: the gate closed %d times. The tide rose. It fell again."}]}`, i))
	})
	fixture.Await(t, soon, "a worker has them in hand", func() bool { return s.count("SELECT count(*) FROM tidegate.river_job WHERE state = 'running'") == 3 })
	s.back()
	fixture.Await(t, soon, "all are answered", func() bool { b, err := s.store.Batch(t.Context(), batch.ID); return err == nil && b.Completed == 3 })
	if b := s.budgets()["tenant acme"]; b.Spent > 150 || b.Waiting != 0 || b.State == "spent" {
		t.Errorf("in the end it is %+v", b)
	}
	s.nothingFailed()
}

// While smaller ones go on, what waits for a raise is shown with how many they are and
// what would do; with that, they go on.
func TestBudgetThatIsTooSmallForSome(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	s.must("budgets", "set", "--tenant", "acme", "--total", "0.001")
	batch := s.enqueue(5, func(i int, r *jobs.Request) {
		r.Tenant = "acme"
		if i < 2 {
			r.Body = []byte(fmt.Sprintf(`{"model":"auto","max_tokens":%d,"messages":[{"role":"user","content":"Summarise: the gate closed. The tide rose. It fell again."}]}`, 50_000*(i+1)))
		}
	})
	s.work(nil)
	short := func() shownBudget { return s.budgets()["tenant acme"] }
	var b shownBudget
	fixture.Await(t, soon, "small ones are answered, and the others wait", func() bool {
		made, err := s.store.Batch(t.Context(), batch.ID)
		b = short() // now and then they are given back, and look again whether it is enough
		return err == nil && made.Completed == 3 && b.Waiting == 2
	})
	if b.State != "short" || b.RaiseTotal == nil || *b.RaiseTotal <= 40_000 || b.Dearest == nil || *b.RaiseTotal != b.Spent+*b.Dearest {
		t.Fatalf("it is shown as %+v", b)
	}
	command := "tidegate budgets set --tenant acme --total " + strings.TrimPrefix(b.RaiseTotal.String(), "$")
	var shown string
	fixture.Await(t, soon, "it is shown", func() bool {
		shown = s.must("budgets").out
		return strings.Contains(shown, "2 requests wait")
	})
	s.says(shown, "short", "budget of tenant acme: 2 requests wait for more money than is left, while smaller ones go on; the dearest may cost "+b.Dearest.String()+
		", and goes on when the budget is at least "+b.RaiseTotal.String()+" in all: "+command)
	fixture.Await(t, soon, "status says so", func() bool { return strings.Contains(s.must("status").out, "short") })
	fixture.Await(t, soon, "doctor says so, and what to do", func() bool {
		text := s.tidegate("doctor").out
		return strings.Contains(text, "budget of tenant acme: 2 requests wait") && strings.Contains(text, command)
	})
	s.must(strings.Fields(command)[1:]...)
	raised := *b.RaiseTotal
	fixture.Await(t, soon, "all are answered", func() bool {
		if b := short(); b.State == "short" && b.RaiseTotal != nil && *b.RaiseTotal > raised { // the smaller one went first, and the dearest lacks what that cost
			raised = *b.RaiseTotal
			s.must("budgets", "set", "--tenant", "acme", "--total", strings.TrimPrefix(raised.String(), "$"))
		}
		b, err := s.store.Batch(t.Context(), batch.ID)
		return err == nil && b.Completed == 5
	})
	if b := short(); b.State == "short" || b.Waiting != 0 || b.RaiseTotal != nil {
		t.Errorf("in the end it is %+v", b)
	}
	s.nothingFailed()
}

// A batch says at once what it may cost, and the events say that it is spent and
// that it goes on.
func TestBudgetOfABatchIsKept(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	file := write(t, "requests.jsonl", numbered(90, openaiLine)...)
	batch := s.batchOf(s.must("enqueue", file, "--route", summaries, "--budget", "0.0003", "--json"))
	s.work(nil)
	state := func() shownBudget { return s.budgets()["batch "+batch.ID] }
	fixture.Await(t, soon, "the budget is spent", func() bool { b := state(); return b.State == "spent" && b.Reserved == 0 && b.Waiting > 0 })
	if b := state(); b.Spent > 300 || int(b.Spent) != s.costs() || b.SetBy != "producer" {
		t.Errorf("it is %+v, and %d were spent", b, s.costs())
	}
	s.must("budgets", "unset", "--batch", batch.ID)
	fixture.Await(t, soon, "all are answered", func() bool { b, err := s.store.Batch(t.Context(), batch.ID); return err == nil && b.Completed == 90 })
	s.nothingFailed()
	fixture.Await(t, soon, "all is told", func() bool { return s.count("SELECT count(*) FROM tidegate.outbox") == 0 })
	key := jobs.BudgetKey{Scope: jobs.BudgetBatch, Name: batch.ID}
	for _, state := range []publish.BudgetState{publish.BudgetSpent, publish.BudgetResumed} {
		if n := len(s.told(publish.BudgetSubject(key, state))); n != 1 {
			t.Errorf("it was told %d times that it is %s", n, state)
		}
	}
}

// The budget of a batch holds from its first request on, also where a worker waits for
// work and has not heard of the batch: with it, some small batches come one after the
// other.
func TestBudgetOfABatchThatIsNew(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	s.work(nil)
	s.settle(s.enqueue(4, nil)) // it works
	for i := range 5 {
		file := write(t, "requests.jsonl", numbered(6, func(n int) string { return openaiLine(1000*(i+1) + n) })...)
		batch := s.batchOf(s.must("enqueue", file, "--route", summaries, "--budget", "0.000001", "--json"))
		of := func() shownBudget { return s.budgets()["batch "+batch.ID] }
		fixture.Await(t, soon, "all wait for money", func() bool { b := of(); return b.Reserved == 0 && b.Waiting == 6 })
		if spent := s.count("SELECT coalesce(sum(a.cost_micro_usd), 0) FROM tidegate.attempts a JOIN tidegate.requests q ON q.id = a.request_id WHERE q.batch_id = $1", batch.ID); spent != 0 {
			t.Errorf("of a budget that is too small for one request %d micro-USD were spent", spent)
		}
	}
}

// A worker that is killed takes no money with it: what it had reserved is free, and
// what it had called is written down.
func TestBudgetOutlivesAKilledWorker(t *testing.T) {
	t.Parallel()
	f := newFleet(t, buildProgram(t), staging{latency: 2 * time.Second})
	f.prepare()
	f.must("budgets", "set", "--route", summaries, "--total", "1")
	first := f.hire()
	batch := f.enqueue(12, nil)
	fixture.Await(t, soon, "money is reserved", func() bool { return f.budgets()["route "+summaries].Reserved > 0 })
	first.kill()
	f.hire()
	fixture.Await(t, soon, "all are answered", func() bool { b, err := f.store.Batch(t.Context(), batch.ID); return err == nil && b.Completed == 12 })
	fixture.Await(t, soon, "nothing is reserved", func() bool { return f.budgets()["route "+summaries].Reserved == 0 })
	if b := f.budgets()["route "+summaries]; int(b.Spent) != f.costs() || b.Spent == 0 {
		t.Errorf("%d were spent by attempts and %d by the books", f.costs(), b.Spent)
	}
	f.nothingFailed()
}

// A configuration that is read again raises a budget and unsets another; what waits
// goes on without a restart.
func TestBudgetsOfAConfiguration(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{config: func(c *config.Config) {
		c.Routes[0].Budget = &config.Budget{PerDay: 0.00024}
		c.Tenants = []config.Tenant{{Name: "acme", Weight: 1, Budget: &config.Budget{Total: 5}}}
	}})
	crew := s.work(func(c *app.StackConfig) { c.Budgets = s.config.Budgets() })
	batch := s.enqueue(60, nil)
	fixture.Await(t, soon, "the route is paused", func() bool { return s.count("SELECT count(*) FROM tidegate.pauses WHERE owner = 'budget'") == 1 })
	b := s.budgets()
	if r := b["route "+summaries]; r.SetBy != "file" || r.State != "spent" || r.Waiting == 0 || r.SpentToday > 240 || !strings.Contains(r.Why, "goes on at 00:00 UTC") || time.Until(r.GoesOn) > 24*time.Hour || b["tenant acme"].SetBy != "file" {
		t.Errorf("by the file they are %+v", b)
	}
	if got := s.must("status").out; !strings.Contains(got, "by its budget: budget of route summaries") {
		t.Errorf("status says\n%s", got)
	}
	after := *s.config
	after.Routes = append([]config.Route{}, after.Routes...)
	after.Routes[0].Budget, after.Tenants = &config.Budget{PerDay: 3}, nil
	crew.Take(&after)
	s.awaitBatch(batch)
	fixture.Await(t, soon, "the tenant's is gone", func() bool { _, known := s.budgets()["tenant acme"]; return !known })
	if n := s.count("SELECT count(*) FROM tidegate.pauses"); n != 0 {
		t.Errorf("%d pauses are left", n)
	}
	s.nothingFailed()
}

// While the cheap target is shut, a request costs more at the other one than is left of
// its budget, and is parked for that. When the cheap one is back, it is answered there,
// long before a day begins or the budget is raised.
func TestBudgetThatIsEnoughForTheCheapTarget(t *testing.T) {
	t.Parallel()
	for _, admission := range []string{jobs.AdmissionDirect, jobs.AdmissionFair} {
		t.Run(admission, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, staging{config: func(c *config.Config) {
				c.Routes[0].Chain, c.Routes[0].Admission = []string{"sim-cheap", "sim-dear"}, admission
			}})
			s.prepare()
			s.must("budgets", "set", "--tenant", "acme", "--per-day", "0.001")
			_, err := s.Pool.Exec(t.Context(), "UPDATE tidegate.budgets SET spent_today = 700")
			check(t, err)
			s.work(nil)
			s.down("cheap", simulator.Fault{Mode: simulator.Unavailable})
			s.settle(s.enqueue(20, nil)) // of another tenant: the circuit opens
			const n = 3
			batch := s.enqueue(n, func(i int, r *jobs.Request) {
				r.Tenant, r.Body = "acme", []byte(fmt.Sprintf(`{"model":"auto","max_tokens":60,"messages":[{"role":"user","content":"Summarise: the gate closed %d times. The tide rose. It fell again."}]}`, i))
			})
			fixture.Await(t, soon, "all are parked for money", func() bool { b := s.budgets()["tenant acme"]; return b.Waiting == n && b.State == "short" })
			s.back()
			fixture.Await(t, soon, "all are answered", func() bool { b, err := s.store.Batch(t.Context(), batch.ID); return err == nil && b.Completed == n })
			if dear := s.count("SELECT count(*) FROM tidegate.attempts a JOIN tidegate.requests r ON r.id = a.request_id WHERE r.tenant = 'acme' AND a.target <> 'sim-cheap'"); dear != 0 {
				t.Errorf("%d calls of the dear target", dear)
			}
			if b := s.budgets()["tenant acme"]; b.State != "open" || b.SpentToday > 1000 {
				t.Errorf("in the end it is %+v", b)
			}
			s.nothingFailed()
		})
	}
}
