package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// parked counts the jobs that wait for a time.
func (w *world) parked() int {
	w.t.Helper()
	return w.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'scheduled' AND scheduled_at > now() + interval '1 minute'")
}

func (w *world) park() {
	w.t.Helper()
	w.exec("UPDATE tidegate.river_job SET state = 'scheduled', scheduled_at = now() + interval '3 days' WHERE queue <> 'running'")
}

// What waits for a target is given back, and nothing else is.
func TestUnpark(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("lead")
	if err := w.SaveRoutes(t.Context(), routesOf("summaries", "a", "b")); err != nil {
		t.Fatal(err)
	}
	if err := w.SaveRoutes(t.Context(), routesOf("labels", "c")); err != nil {
		t.Fatal(err)
	}
	requests := w.accept("batch_1", 3)
	w.job(&requests[0], "summaries", 0, "one")
	w.job(&requests[1], "labels", 0, "one")
	w.park()
	w.job(&requests[2], "summaries", 1, "one")
	for _, want := range []int{1, 0} {
		if n, err := w.Unpark(t.Context(), held, "b", 5); n != want || err != nil {
			t.Errorf("%d were given back, want %d: %v", n, want, err)
		}
	}
	expect(t, "parked of the other", w.parked(), 1)
	expect(t, "running", w.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'running'"), 1)
}

// What waits on a route is given back when anything changes that it waits for, and
// when nothing does it stays.
func TestRouteThatChangesGivesBackWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := routesOf("summaries", "a")
	say := func(how string, say func(context.Context, []jobs.Route) error, parked int) {
		t.Helper()
		if err := say(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		expect(t, "parked, "+how, w.parked(), parked)
		w.exec("UPDATE tidegate.routes SET planned_at = NULL") // a while ago
		w.park()
	}
	say("at first", w.SaveRoutes, 0)
	requests := w.accept("batch_1", 1)
	w.job(&requests[0], "summaries", 0, "one")
	w.park()
	say("as it was", w.SaveRoutes, 1)
	say("as it was, again", w.KeepRoutes, 1)
	r[0].Deadline, r[0].Models, r[0].Chain[0].Key = time.Hour, []string{"other"}, "another"
	say("for new requests only", w.KeepRoutes, 1)
	for how, change := range map[string]func(){
		"another chain":  func() { r = routesOf("summaries", "a", "b") },
		"it may wait":    func() { r[0].WhenOpen = jobs.WhenOpenPrice },
		"a price":        func() { r[0].Chain[0].Price = jobs.Price{Input: 1, Output: 2} },
		"a limit":        func() { r[0].Chain[0].Limits.RequestsPerMinute = 60 },
		"another goal":   func() { r[0].Goal = "cost" },
		"other weights":  func() { r[0].Choosing = "map[cost:{0 0 1}]" },
		"another window": func() { r[0].Chain[0].ContextTokens = 1000 },
	} {
		change()
		say(how, w.KeepRoutes, 0)
		say(how+" before", w.KeepRoutes, 1)
	}
	w.exec("UPDATE tidegate.routes SET plan = NULL") // said by an older program
	say("of an older program", w.SaveRoutes, 0)
}

// A worker that starts just after a plan changed follows one that may have worked by
// the old one to its end.
func TestWorkerThatFollowsAnotherPlanGivesBackWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, chain := range [][]string{{"a"}, {"a", "b"}, {"a", "b"}} {
		if i > 0 {
			r := w.accept("", 1)[0]
			w.job(&r, "summaries", 0, "one")
			w.park()
		}
		if err := w.SaveRoutes(t.Context(), routesOf("summaries", chain...)); err != nil {
			t.Fatal(err)
		}
		expect(t, "parked", w.parked(), 0)
	}
	w.exec("UPDATE tidegate.routes SET planned_at = now() - interval '1 hour'")
	w.park()
	if err := w.SaveRoutes(t.Context(), routesOf("summaries", "a", "b")); err != nil {
		t.Fatal(err)
	}
	expect(t, "parked an hour later", w.parked(), 2)
}

// What waits for a budget that is spent is no target's business. What alone is too dear
// for what is left may do with a target that costs less, and is passed over no more.
func TestUnparkLeavesWhatWaitsForMoney(t *testing.T) {
	t.Parallel()
	for _, fair := range []bool{false, true} {
		t.Run(fmt.Sprintf("fair is %v", fair), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.beat("one")
			held := w.lead("lead")
			routes := routesOf("summaries", "a", "b")
			if fair {
				routes[0].Admission = jobs.AdmissionFair
			}
			if err := w.SaveRoutes(t.Context(), routes); err != nil {
				t.Fatal(err)
			}
			w.limit(ofAcme, 1000, 0)
			under := w.under(ofAcme)
			requests := w.accept("", 4)
			bought := buy(&requests[0], 0, under, 500)
			w.reserve("one", bought)
			w.commit(paid(&requests[0], bought, 500))
			dear, never := buy(&requests[1], 0, under, 700), buy(&requests[2], 0, under, 2000)
			w.parkShort(&requests[1], w.reserve("one", dear)[0], jobs.ShortOne)
			w.parkShort(&requests[2], w.reserve("one", never)[0], jobs.ShortNever)
			expect(t, "passed over", w.budget(ofAcme).PassedOver, 1)
			rest := buy(&requests[0], 1, under, 480)
			w.reserve("one", rest)
			w.commit(jobs.Entry{Request: &requests[0], Trace: paid(&requests[0], rest, 480).Trace, Budgeted: true})
			w.parkShort(&requests[3], w.reserve("one", buy(&requests[3], 2, under, 30))[0], jobs.ShortAll)
			for _, want := range []int{1, 1, 0} {
				if n, err := w.Unpark(t.Context(), held, "b", 1); n != want || err != nil {
					t.Errorf("%d were given back, want %d: %v", n, want, err)
				}
			}
			expect(t, "passed over, once they go on", w.budget(ofAcme).PassedOver, 0)
			const waits = "SELECT (SELECT count(*) FROM tidegate.waiting WHERE not_before > now() AND request_id = $1) + (SELECT count(*) FROM tidegate.river_job WHERE state = 'scheduled' AND scheduled_at > now() AND args->>'r' = $1::text)"
			for i, want := range []int{0, 0, 1} {
				expect(t, fmt.Sprintf("request %d waits", i+1), w.number(waits, requests[i+1].ID), want)
			}
		})
	}
}

// parkShort parks a request for a shortage, as a worker does.
func (w *world) parkShort(r *jobs.Request, short jobs.Shortage, kind jobs.ShortageKind) {
	w.t.Helper()
	if short.Kind != kind {
		w.t.Fatalf("it is short %q, want %q: %s", short.Kind, kind, short.Reason)
	}
	w.job(r, r.Route, 1, "one")
	mark, err := json.Marshal(map[string]jobs.BudgetWait{jobs.BudgetMark: {Budget: short.Budget.String(), Why: short.Reason}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.exec("UPDATE tidegate.river_job SET state = 'scheduled', scheduled_at = now() + interval '1 day', metadata = $2 WHERE args->>'r' = $1", r.ID, string(mark))
	err = pgx.BeginFunc(w.t.Context(), w.pool, func(tx pgx.Tx) error {
		return w.Park(w.t.Context(), tx, []jobs.Parked{{JobID: int64(w.number("SELECT id FROM tidegate.river_job WHERE args->>'r' = $1", r.ID)), Reason: short.Reason}})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func routesOf(name string, chain ...string) []jobs.Route {
	route := jobs.Route{Name: name, Goal: "ordered"}
	for _, target := range chain {
		route.Chain = append(route.Chain, &jobs.Target{Name: target})
	}
	return []jobs.Route{route}
}
