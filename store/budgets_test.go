package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
	"tidegate/store"
)

// ofAcme, ofRoute and ofBatch are the budgets that the requests of a world may be
// under.
var (
	ofAcme  = jobs.BudgetKey{Scope: jobs.BudgetTenant, Name: "acme"}
	ofRoute = jobs.BudgetKey{Scope: jobs.BudgetRoute, Name: "summaries"}
	ofBatch = jobs.BudgetKey{Scope: jobs.BudgetBatch, Name: "batch_1"}
)

// limit sets a budget by hand; a zero ends a limit.
func (w *world) limit(key jobs.BudgetKey, perDay, total jobs.MicroUSD) {
	w.t.Helper()
	if err := w.SetBudget(w.t.Context(), key, store.BudgetChange{PerDay: &perDay, Total: &total}); err != nil {
		w.t.Fatal(err)
	}
}

// budget is how one stands.
func (w *world) budget(key jobs.BudgetKey) jobs.Budget {
	w.t.Helper()
	for _, b := range w.fleet().Budgets {
		if b.BudgetKey == key {
			return b
		}
	}
	w.t.Fatalf("there is no budget of %s", key)
	return jobs.Budget{}
}

// under are the ids of the budgets of a request.
func (w *world) under(keys ...jobs.BudgetKey) (ids jobs.BudgetIDs) {
	w.t.Helper()
	for i, key := range keys {
		ids[i] = w.budget(key).ID
	}
	return ids
}

// A buy is a call under budgets.
func buy(r *jobs.Request, slot int, under jobs.BudgetIDs, cost jobs.MicroUSD) jobs.Begun {
	return jobs.Begun{Slot: slot, RequestID: r.ID, Target: "cheap", Route: r.Route, At: time.Now(), Budgets: under, Cost: cost}
}

// reserve begins calls and returns those that were short.
func (w *world) reserve(worker string, calls ...jobs.Begun) []jobs.Shortage {
	w.t.Helper()
	_, short, err := w.Reserve(w.t.Context(), worker, calls)
	if err != nil {
		w.t.Fatal(err)
	}
	return short
}

// paid is the entry of a call that cost something.
func paid(r *jobs.Request, call jobs.Begun, cost jobs.MicroUSD) jobs.Entry {
	entry := answered(r)
	entry.Trace[0].Attempt.At, entry.Trace[0].Attempt.Cost, entry.Result.Cost, entry.Budgeted = call.At, cost, cost, true
	return entry
}

// stands checks what was spent and is reserved.
func (w *world) stands(key jobs.BudgetKey, today, spent, reserved jobs.MicroUSD) {
	w.t.Helper()
	budgets, err := w.Budgets(w.t.Context(), true)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range budgets {
		if b.BudgetKey == key && (b.SpentToday != today || b.Spent != spent || b.Reserved != reserved) {
			w.t.Errorf("budget of %s: %d spent today, %d in all, %d reserved; want %d, %d, %d", key, b.SpentToday, b.Spent, b.Reserved, today, spent, reserved)
		}
	}
}

// day sets the calendar of the database to some days from now.
func (w *world) day(ahead int) {
	w.t.Helper()
	w.exec(fmt.Sprintf("CREATE OR REPLACE FUNCTION tidegate.today() RETURNS date LANGUAGE sql STABLE AS $$ SELECT (now() AT TIME ZONE 'UTC')::date + %d $$", ahead))
}

func TestMoneyIsReservedThenSettledOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	requests := w.accept("batch_1", 2)
	w.limit(ofAcme, 1000, 5000)
	w.limit(ofBatch, 0, 900)
	under := w.under(ofAcme, ofBatch)
	calls := []jobs.Begun{buy(&requests[0], 0, under, 400), buy(&requests[1], 1, under, 400)}
	if short := w.reserve("one", calls...); short != nil {
		t.Fatalf("short: %+v", short)
	}
	w.stands(ofAcme, 0, 0, 800)
	group := []jobs.Entry{paid(&requests[0], calls[0], 250), {Request: &requests[1], Trace: paid(&requests[1], calls[1], 30).Trace, Budgeted: true}}
	for range 3 { // the answer of the first may have been lost
		w.commit(group...)
		w.stands(ofAcme, 280, 280, 0)
		w.stands(ofBatch, 280, 280, 0)
	}
	// A call that was given up by a rescue, and whose worker has more to say: once.
	late := buy(&requests[1], 0, under, 400)
	w.reserve("one", late)
	w.stands(ofAcme, 280, 280, 400)
	held := w.lead("lead")
	w.rescue(held, "one")
	w.stands(ofAcme, 280, 280, 0)
	for range 2 {
		w.commit(paid(&requests[1], late, 70))
		w.stands(ofAcme, 350, 350, 0)
		w.stands(ofBatch, 350, 350, 0)
	}
}

// What a worker takes over frees what was reserved there, and so does its end.
func TestReservationsDoNotLeak(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	r := w.accept("", 1)[0]
	w.limit(ofAcme, 0, 1000)
	under := w.under(ofAcme)
	for _, step := range []struct {
		name string
		do   func()
		want jobs.MicroUSD
	}{
		{"begun", func() { w.reserve("one", buy(&r, 0, under, 700)) }, 700},
		{"begun again", func() { w.reserve("one", buy(&r, 0, under, 900)) }, 900},
		{"never made", func() { w.reserve("one", jobs.Begun{Slot: 0}) }, 0},
		{"begun", func() { w.reserve("one", buy(&r, 0, under, 700)) }, 700},
		{"taken over under none", func() { w.begin("one", 0, r.ID) }, 0},
		{"begun", func() { w.reserve("one", buy(&r, 1, under, 600)) }, 600},
		{"left", func() {
			if err := w.Leave(t.Context(), "one"); err != nil {
				t.Fatal(err)
			}
		}, 0},
	} {
		step.do()
		w.stands(ofAcme, 0, 0, step.want)
	}
	_, _, err := w.Reserve(t.Context(), "one", []jobs.Begun{buy(&r, 0, under, 100)})
	if !errors.Is(err, jobs.ErrDead) {
		t.Errorf("who has left reserves: %v", err)
	}
	w.stands(ofAcme, 0, 0, 0)
}

// Workers that reserve at once never get the same money, whatever budgets their
// groups have in common, and none waits for another for ever.
func TestManyWorkersReserveAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const workers, rounds, each = 5, 20, 7
	requests := w.accept("batch_1", workers*each)
	w.limit(ofAcme, 0, 1500)
	w.limit(ofBatch, 0, 100_000)
	if err := w.SaveRoutes(t.Context(), routesOf("summaries", "a")); err != nil {
		t.Fatal(err)
	}
	w.limit(ofRoute, 1200, 0)
	all := w.under(ofAcme, ofRoute, ofBatch)
	var run sync.WaitGroup
	for n := range workers {
		name := fmt.Sprint("w", n)
		w.beat(name)
		run.Go(func() {
			for round := range rounds {
				w.buyRound(t, name, requests[n*each:(n+1)*each], all, round)
			}
		})
	}
	run.Wait()
	for key, limit := range map[jobs.BudgetKey]jobs.MicroUSD{ofAcme: 1500, ofRoute: 1200} {
		if b := w.budget(key); b.Spent > limit || b.Spent < 1200-20 {
			t.Errorf("%s of %s were spent of %s", b.Spent, limit, key)
		}
	}
	attempts := w.number("SELECT sum(cost_micro_usd) FROM tidegate.attempts")
	w.stands(ofBatch, jobs.MicroUSD(attempts), jobs.MicroUSD(attempts), 0)
}

// buyRound reserves what calls cost, in an order of its own, and pays a part of it.
func (w *world) buyRound(t *testing.T, name string, requests []jobs.Request, all jobs.BudgetIDs, round int) {
	var calls []jobs.Begun
	for i := range requests {
		under := all
		under[(i+round)%3] = 0
		under[1] = all[1]
		calls = append(calls, buy(&requests[(i+round)%len(requests)], i, under, jobs.MicroUSD(3+i)))
	}
	_, short, err := w.Reserve(t.Context(), name, calls)
	if err != nil {
		t.Error(err)
		return
	}
	refused := map[int]bool{}
	for _, s := range short {
		refused[s.Call] = true
	}
	var group []jobs.Entry
	for i, call := range calls {
		if !refused[i] {
			entry := paid(&requests[(i+round)%len(requests)], call, call.Cost)
			entry.Result = nil
			group = append(group, entry)
		}
	}
	if _, _, err := w.Commit(t.Context(), group); err != nil {
		t.Error(err)
	}
}

// What is short says for how long, and when it changes.
func TestShortages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		perDay, total  jobs.MicroUSD
		spent, pending jobs.MicroUSD
		cost           jobs.MicroUSD
		want           jobs.ShortageKind
		says           string
		byTime         bool
	}{
		{"it fits", 1000, 0, 500, 400, 100, "", "", false},
		{"it fits when others have ended", 1000, 0, 500, 450, 100, jobs.ShortNow, "calls under way", true},
		{"the day is over", 1000, 0, 950, 0, 100, jobs.ShortAll, "$0.00095 of $0.001 spent today; it goes on at 00:00 UTC, or when that is raised: tidegate budgets set --tenant acme --per-day AMOUNT", true},
		{"all is spent", 0, 1000, 950, 0, 100, jobs.ShortAll, "$0.00095 of $0.001 spent in all; it goes on when that is raised: tidegate budgets set --tenant acme --total AMOUNT", false},
		{"all and the day are spent", 1000, 1000, 950, 0, 100, jobs.ShortAll, "in all", false},
		{"one is too large", 1000, 0, 500, 0, 600, jobs.ShortOne, "may cost $0.0006, and $0.0005 is left; it goes on at 00:00 UTC", true},
		{"one is too large for what is left in all", 0, 1000, 500, 0, 600, jobs.ShortOne, "may cost $0.0006, and $0.0005 is left; it goes on when that is raised", false},
		{"one is larger than a day", 1000, 9000, 0, 0, 1001, jobs.ShortNever, "the request alone may cost $0.001001, and the budget is $0.001 a day", false},
		{"one is larger than all", 0, 1000, 0, 0, 1001, jobs.ShortNever, "and the budget is $0.001 in all", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.beat("one")
			r := w.accept("", 1)[0]
			w.limit(ofAcme, c.perDay, c.total)
			w.exec("UPDATE tidegate.budgets SET spent = $1, spent_today = $1", int64(c.spent))
			under := w.under(ofAcme)
			calls := []jobs.Begun{buy(&r, 1, under, c.cost)}
			if c.pending > 0 {
				calls = append([]jobs.Begun{buy(&r, 0, under, c.pending)}, calls...)
			}
			short := w.reserve("one", calls...)
			if c.want == "" {
				if short != nil {
					t.Fatalf("short: %+v", short)
				}
				return
			}
			if len(short) != 1 || short[0].Kind != c.want || !strings.Contains(short[0].Reason, c.says) || (short[0].Until > 0) != c.byTime {
				t.Fatalf("short: %+v", short)
			}
			b := w.budget(ofAcme)
			if b.Out() != (c.want == jobs.ShortAll) {
				t.Errorf("it is spent: %v", b.Out())
			}
			if waits := !c.byTime && c.want != jobs.ShortAll; waits && b.Dearest != c.cost || !waits && b.Dearest != 0 {
				t.Errorf("the dearest that waits for a raise is %s", b.Dearest)
			}
			small := w.reserve("one", buy(&r, 2, under, 10)) // nobody gets what is left of a budget that is spent
			if refused := len(small) == 1 && small[0].Kind == jobs.ShortAll; refused != b.Out() {
				t.Errorf("it is spent: %v, and a small one is short: %+v", b.Out(), small)
			}
		})
	}
}

// Requests that are too large are passed over by smaller ones, but not without end:
// each of them is a job that is rewritten.
func TestSoManyArePassedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	r := w.accept("", 1)[0]
	w.limit(ofAcme, 1000, 0)
	w.exec("UPDATE tidegate.budgets SET spent_today = 500, spent = 500")
	under := w.under(ofAcme)
	for i := range 25 {
		want := jobs.ShortOne
		if i >= 20 {
			want = jobs.ShortAll
		}
		if short := w.reserve("one", buy(&r, 0, under, 600)); len(short) != 1 || short[0].Kind != want {
			t.Fatalf("request %d: %+v", i, short)
		}
		if i < 20 {
			if short := w.reserve("one", buy(&r, 0, under, 10)); short != nil {
				t.Fatalf("a small one beside %d large ones: %+v", i, short)
			}
		}
	}
	w.limit(ofAcme, 2000, 0)
	if short := w.reserve("one", buy(&r, 0, under, 600)); short != nil {
		t.Fatalf("after the raise: %+v", short)
	}
}

// A rough call that is short has yet to be counted: nothing is noted of it, in
// whatever way it is short.
func TestRoughShortagesAreNotNoted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	r := w.accept("", 1)[0]
	w.limit(ofAcme, 1000, 0)
	w.exec("UPDATE tidegate.budgets SET spent_today = 500, spent = 500")
	under := w.under(ofAcme)
	for _, cost := range []jobs.MicroUSD{501, 600, 1001} {
		call := buy(&r, 0, under, cost)
		call.Rough = true
		if short := w.reserve("one", call); len(short) != 1 || short[0].Kind != jobs.ShortNow {
			t.Fatalf("%d: short: %+v", cost, short)
		}
		if b := w.budget(ofAcme); b.Out() || b.PassedOver != 0 || b.Dearest != 0 || b.WaitsToday {
			t.Errorf("%d: it was noted: %+v", cost, b)
		}
	}
	w.stands(ofAcme, 500, 500, 0)
	if short := w.reserve("one", buy(&r, 0, under, 500)); short != nil {
		t.Errorf("when it was counted: %+v", short)
	}
}

// A new day begins with nothing spent, and tries again what waited for it.
func TestNewDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	held := w.lead("lead")
	r := w.accept("", 1)[0]
	w.limit(ofAcme, 1000, 1500)
	under := w.under(ofAcme)
	call := buy(&r, 0, under, 1000)
	w.reserve("one", call)
	w.commit(paid(&r, call, 1000))
	if short := w.reserve("one", buy(&r, 0, under, 100)); len(short) != 1 || short[0].Kind != jobs.ShortAll {
		t.Fatalf("short: %+v", short)
	}
	begins := func(want int) {
		t.Helper()
		if n, err := w.BeginDay(t.Context(), held); n != want || err != nil {
			t.Errorf("%d budgets begin a day, want %d: %v", n, want, err)
		}
	}
	begins(0)
	w.day(1)
	w.stands(ofAcme, 0, 1000, 0)
	if b := w.budget(ofAcme); b.Out() || !b.DayOver || b.Changed != b.Served {
		t.Errorf("on the next day: %+v", b)
	}
	begins(1)
	begins(0)
	if b := w.budget(ofAcme); b.Out() || b.DayOver || b.Changed != b.Served+1 {
		t.Errorf("when the day has begun: %+v", b)
	}
	call = buy(&r, 0, under, 500)
	if short := w.reserve("one", call); short != nil {
		t.Fatalf("on the next day: %+v", short)
	}
	w.commit(paid(&r, call, 500))
	w.stands(ofAcme, 500, 1500, 0)
	if short := w.reserve("one", buy(&r, 0, under, 100)); len(short) != 1 || !short[0].Budget.OutOfTotal {
		t.Fatalf("short: %+v", short)
	}
	w.day(2)
	begins(0)
	if b := w.budget(ofAcme); !b.Out() {
		t.Errorf("all is spent, and on a new day it is not: %+v", b)
	}
}

// A day that begins while workers go on, before a supervisor has seen to it.
func TestNewDayWithoutSupervisor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	r := w.accept("", 1)[0]
	w.limit(ofAcme, 1000, 0)
	under := w.under(ofAcme)
	for day := range 3 {
		w.day(day)
		call := buy(&r, 0, under, 990)
		if short := w.reserve("one", call); short != nil {
			t.Fatalf("day %d: %+v", day, short)
		}
		w.commit(jobs.Entry{Request: &r, Trace: paid(&r, call, 990).Trace, Budgeted: true})
		if short := w.reserve("one", buy(&r, 0, under, 50)); len(short) != 1 {
			t.Fatalf("day %d: nothing is short", day)
		}
		if b := w.budget(ofAcme); !b.Out() || b.SpentToday != 990 || b.Changed != day {
			t.Errorf("day %d: out %v, %s spent, changed %d times", day, b.Out(), b.SpentToday, b.Changed)
		}
	}
}

func TestLoweredAndUnset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	r := w.accept("", 1)[0]
	w.limit(ofAcme, 0, 1000)
	under := w.under(ofAcme)
	call := buy(&r, 0, under, 800)
	w.reserve("one", call)
	w.limit(ofAcme, 0, 300) // below what is under way
	w.commit(paid(&r, call, 800))
	if short := w.reserve("one", buy(&r, 0, under, 1)); len(short) != 1 || short[0].Kind != jobs.ShortAll || !strings.Contains(short[0].Reason, "$0.0008 of $0.0003") {
		t.Fatalf("short: %+v", short)
	}
	if err := w.UnsetBudget(t.Context(), ofAcme); err != nil {
		t.Fatal(err)
	}
	if short := w.reserve("one", buy(&r, 0, under, 1e9)); short != nil {
		t.Fatalf("short of a budget that is none: %+v", short)
	}
	if err := w.UnsetBudget(t.Context(), ofBatch); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unset what is not there: %v", err)
	}
	one := jobs.MicroUSD(1)
	for _, key := range []jobs.BudgetKey{ofBatch, ofRoute} {
		if err := w.SetBudget(t.Context(), key, store.BudgetChange{Total: &one}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("set the budget of what is not there: %v", err)
		}
	}
}

// A command goes before the file until the file says something else.
func TestFileAndCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	says := func(perDay jobs.MicroUSD) {
		t.Helper()
		if err := w.FileBudgets(t.Context(), []store.FileBudget{{BudgetKey: ofAcme, BudgetLimits: jobs.BudgetLimits{PerDay: perDay}}}); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(perDay jobs.MicroUSD, by jobs.BudgetSetter) {
		t.Helper()
		if b := w.budget(ofAcme); b.PerDay != perDay || b.SetBy != by {
			t.Errorf("%s a day by %s holds, want %s by %s", b.PerDay, b.SetBy, perDay, by)
		}
	}
	says(10)
	holds(10, jobs.SetByFile)
	w.limit(ofAcme, 20, 0)
	says(10) // another worker, or a restart
	holds(20, jobs.SetByCommand)
	says(30)
	holds(30, jobs.SetByFile)
	if err := w.UnsetBudget(t.Context(), ofAcme); err != nil {
		t.Fatal(err)
	}
	says(30)
	holds(0, jobs.SetByCommand)
	says(40)
	holds(40, jobs.SetByFile)
	w.limit(ofAcme, 50, 0)
	says(0)
	holds(50, jobs.SetByCommand)
	says(60)
	says(0)
	holds(0, jobs.SetByFile)
}

// What is being called while the budget of its route is found to be spent waits for
// nothing.
func TestWhatIsCalledDoesNotWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	requests := w.accept("batch_1", 3)
	if err := w.SaveRoutes(t.Context(), routesOf("summaries", "a")); err != nil {
		t.Fatal(err)
	}
	w.limit(ofRoute, 0, 1000)
	for i := range requests {
		w.job(&requests[i], "summaries", 0, "one")
	}
	under := w.under(ofRoute)
	first := buy(&requests[0], 0, under, 960)
	w.reserve("one", first)
	w.commit(paid(&requests[0], first, 950))
	w.exec("UPDATE tidegate.river_job SET state = 'completed', finalized_at = now() WHERE args->>'r' = $1", requests[0].ID)
	w.reserve("one", buy(&requests[1], 1, under, 40))
	w.reserve("one", buy(&requests[2], 2, under, 60))
	b, err := w.Budgets(t.Context(), false)
	if err != nil || len(b) != 1 || !b[0].Out() || b[0].Reserved != 40 || b[0].Parked != 1 {
		t.Errorf("budgets: %+v, %v", b, err)
	}
}

// What is parked goes back to its place, and a budget that is no more is forgotten
// when that is done.
func TestGiveBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("lead")
	requests := w.accept("batch_1", 4)
	w.limit(ofAcme, 0, 1000)
	for i := range requests {
		w.job(&requests[i], "summaries", 0, "one")
	}
	w.exec("UPDATE tidegate.river_job SET state = 'scheduled', scheduled_at = now() + interval '3 days', created_at = scheduled_at, metadata = CASE id % 3 WHEN 0 THEN '{}' ELSE jsonb_build_object('"+jobs.BudgetMark+"', $1::jsonb) END",
		jobs.BudgetWait{Budget: ofAcme.String(), Why: "it is spent"})
	if b, err := w.Budgets(t.Context(), false); err != nil || len(b) != 1 || b[0].Parked != 3 {
		t.Errorf("budgets: %+v, %v", b, err)
	}
	if err := w.UnsetBudget(t.Context(), ofAcme); err != nil {
		t.Fatal(err)
	}
	b := w.budget(ofAcme)
	for _, want := range []int{3, 0} {
		if n, err := w.GiveBack(t.Context(), held, &b, true); n != want || err != nil {
			t.Errorf("%d were given back, want %d: %v", n, want, err)
		}
	}
	expect(t, "available in their places", w.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'available' AND scheduled_at = created_at AND metadata = '{}'"), 3)
	expect(t, "parked for something else", w.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'scheduled'"), 1)
	expect(t, "budgets", len(w.fleet().Budgets), 0)
}

// The budget of a batch is there with it, and is closed some time after it ended.
func TestBudgetOfABatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("lead")
	err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
		return store.InsertBudget(t.Context(), tx, "batch_1", jobs.BudgetLimits{Total: 70})
	})
	if err != nil {
		t.Fatal(err)
	}
	requests := w.accept("batch_1", 1)
	if b := w.budget(ofBatch); b.Total != 70 || b.SetBy != jobs.SetByProducer {
		t.Errorf("the budget: %+v", b)
	}
	w.commit(answered(&requests[0]))
	forget := func(left int) {
		t.Helper()
		if err := w.Forget(t.Context(), held); err != nil {
			t.Fatal(err)
		}
		expect(t, "budgets that are kept", len(w.fleet().Budgets), left)
	}
	forget(1)
	w.exec("UPDATE tidegate.batches SET ended_at = ended_at - interval '1 hour'")
	forget(0)
	if b, err := w.Budgets(t.Context(), true); err != nil || len(b) != 1 {
		t.Errorf("all budgets: %+v, %v", b, err)
	}
}

// What is parked for money, for a year perhaps, is not counted among what waits once
// its request was cancelled, or its batch has ended in another way.
func TestNothingIsParkedThatHasEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("lead")
	err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
		return store.InsertBudget(t.Context(), tx, "batch_1", jobs.BudgetLimits{Total: 70})
	})
	if err != nil {
		t.Fatal(err)
	}
	requests, others := w.accept("batch_1", 4), w.accept("batch_2", 2)
	for i := range requests {
		w.job(&requests[i], "summaries", 1, "one")
	}
	for i := range others {
		w.job(&others[i], "summaries", 1, "one")
	}
	w.exec("UPDATE tidegate.river_job SET state = 'scheduled', scheduled_at = now() + interval '1 year', metadata = jsonb_build_object('"+jobs.BudgetMark+"', $1::jsonb)",
		jobs.BudgetWait{Budget: ofBatch.String(), Why: "it is spent"})
	w.exec("UPDATE tidegate.river_job SET metadata = metadata #- '{" + jobs.BudgetMark + ",budget}' WHERE id = (SELECT max(id) FROM tidegate.river_job)") // of another budget
	if done, err := w.CancelRequest(t.Context(), requests[0].ID); !done || err != nil {
		t.Fatalf("cancelled: %v, %v", done, err)
	}
	expect(t, "parked after one was cancelled", w.parked(), 5)
	if n, err := w.CancelBatch(t.Context(), "batch_2"); n != 2 || err != nil {
		t.Fatalf("cancelled: %d, %v", n, err)
	}
	expect(t, "parked after a batch was cancelled", w.parked(), 3)
	w.exec("UPDATE tidegate.river_job SET state = 'running' WHERE id = (SELECT min(id) FROM tidegate.river_job WHERE state = 'scheduled')")
	w.commit(ended(&requests[1], jobs.StateExpired), ended(&requests[2], jobs.StateExpired), ended(&requests[3], jobs.StateExpired))
	w.exec("UPDATE tidegate.batches SET ended_at = ended_at - interval '1 hour'")
	if err := w.Forget(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	expect(t, "parked after a batch has expired", w.parked(), 0)
	expect(t, "in hand", w.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'running'"), 1)
}

// One event says that a budget is spent, however often that is met, and one that it
// goes on.
func TestBudgetEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	r := w.accept("", 1)[0]
	w.limit(ofAcme, 1000, 0)
	w.exec("UPDATE tidegate.budgets SET spent_today = 1000, spent = 1000")
	under := w.under(ofAcme)
	for range 3 {
		w.reserve("one", buy(&r, 0, under, 10))
	}
	w.limit(ofAcme, 2000, 0)
	var said []string
	for _, e := range w.owed() {
		b := e.Budget
		if b == nil {
			t.Fatalf("an event of something else: %+v", e)
		}
		if uuid.Validate(b.ID) != nil || b.At.IsZero() {
			t.Errorf("event: %+v", b)
		}
		said = append(said, fmt.Sprint(b.BudgetKey, " out ", b.Out, " of ", b.PerDay, " with ", b.SpentToday))
	}
	want := "tenant acme out true of $0.001 with $0.001, tenant acme out false of $0.002 with $0.001"
	if got := strings.Join(said, ", "); got != want {
		t.Errorf("events:\n%s\nwant:\n%s", got, want)
	}
}
