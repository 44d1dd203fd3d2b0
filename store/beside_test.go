package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/store"
)

// beside runs act while a transaction of another goes on, of which first is the part
// that act comes upon, and then is the rest, once act waits for it.
func (w *world) beside(act func(context.Context) error, first, then func(pgx.Tx) error) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), aMoment)
	defer stop()
	acted := make(chan error, 1)
	err := pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
		if err := first(tx); err != nil {
			return err
		}
		go func() { acted <- act(ctx) }()
		fixture.Await(w.t, aMoment, "it waits for the other", func() bool {
			return w.number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
		})
		return then(tx)
	})
	if err != nil {
		w.t.Errorf("the other: %v", err)
	}
	if err := <-acted; err != nil {
		w.t.Error(err)
	}
}

// exec returns what a statement in a transaction does.
func exec(t testing.TB, sql string, args ...any) func(pgx.Tx) error {
	return func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), sql, args...)
		return err
	}
}

// A budget that is raised in the moment in which it is spent is not spent after that.
func TestRaiseBesideAShortage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	requests := w.accept("", 2)
	w.limit(ofAcme, 0, 100)
	under := w.under(ofAcme)
	call := buy(&requests[0], 0, under, 95)
	w.reserve("one", call)
	w.commit(paid(&requests[0], call, 95))
	w.beside(func(ctx context.Context) error {
		_, short, err := w.Reserve(ctx, "one", []jobs.Begun{buy(&requests[1], 0, under, 10)})
		if err == nil && (len(short) != 1 || short[0].Kind != jobs.ShortAll) {
			err = fmt.Errorf("short: %+v", short)
		}
		return err
	}, exec(t, "UPDATE tidegate.budgets SET total = 1000 WHERE name = 'acme'"), func(pgx.Tx) error { return nil })
	if b := w.budget(ofAcme); b.Out() || b.Changed != 1 {
		t.Errorf("it was raised: %+v", b)
	}
	if short := w.reserve("one", buy(&requests[1], 0, under, 10)); short != nil {
		t.Errorf("short: %+v", short)
	}
}

// Who reserves sees what another one reserved who came before, though that was not
// yet to be seen when it came.
func TestReserveBesideAReservation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	r := w.accept("", 1)[0]
	w.limit(ofAcme, 0, 100)
	under := w.under(ofAcme)
	w.beside(func(ctx context.Context) error {
		_, short, err := w.Reserve(ctx, "one", []jobs.Begun{buy(&r, 0, under, 60)})
		if err == nil && (len(short) != 1 || short[0].Kind != jobs.ShortNow) {
			err = fmt.Errorf("short: %+v", short)
		}
		return err
	}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "SELECT pg_advisory_xact_lock(1651860583, $1)", under[0]); err != nil {
			return err
		}
		return exec(t, `INSERT INTO tidegate.calls (worker, slot, request_id, target, route, at, reserved, tenant_budget)
			VALUES ('two', 0, gen_random_uuid(), 'cheap', 'summaries', now(), 60, $1)`, under[0])(tx)
	}, func(pgx.Tx) error { return nil })
	w.stands(ofAcme, 0, 0, 60)
}

// A worker that stores what it has in hand while others get its jobs, and the rescue
// that frees what its calls reserved, do not wait for each other.
func TestLateCommitBesideARescue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	r := w.accept("", 1)[0]
	w.limit(ofAcme, 1000, 0)
	call := buy(&r, 0, w.under(ofAcme), 100)
	w.reserve("one", call)
	w.beside(func(ctx context.Context) error {
		_, _, err := w.Commit(ctx, []jobs.Entry{paid(&r, call, 60)})
		return err
	}, exec(t, `INSERT INTO tidegate.attempts (request_id, at, latency_us, route, target, class, message) SELECT request_id, at, 0, route, target, 'LOST', 'its worker died' FROM tidegate.calls`),
		exec(t, "DELETE FROM tidegate.calls WHERE worker = 'one'"))
	w.stands(ofAcme, 60, 60, 0)
}

// A configuration takes the rows of budgets in the order in which all others do.
func TestFileBudgetsBesideACommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.limit(ofAcme, 1000, 0)
	newRoute := route("summaries", "cheap")
	if err := w.SaveRoutes(t.Context(), []jobs.Route{newRoute}); err != nil {
		t.Fatal(err)
	}
	w.limit(ofRoute, 1000, 0)
	const lock = "SELECT FROM tidegate.budgets WHERE scope = $1 FOR UPDATE"
	w.beside(func(ctx context.Context) error {
		return w.FileBudgets(ctx, []store.FileBudget{
			{BudgetKey: ofAcme, BudgetLimits: jobs.BudgetLimits{PerDay: 5}}, {BudgetKey: ofRoute, BudgetLimits: jobs.BudgetLimits{PerDay: 6}},
		})
	}, exec(t, lock, "tenant"), exec(t, lock, "route"))
	if b := w.budget(ofRoute); b.PerDay != 6 {
		t.Errorf("the file says 6: %+v", b)
	}
}

// A new day on which the first to be refused is one large request, before a
// supervisor has seen to the day, is not over for all others.
func TestNewDayBeginsWithALargeRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	r := w.accept("", 1)[0]
	w.limit(ofAcme, 1000, 0)
	under := w.under(ofAcme)
	for day, cost := range []jobs.MicroUSD{990, 600} {
		w.day(day)
		call := buy(&r, 0, under, cost)
		w.reserve("one", call)
		w.commit(jobs.Entry{Request: &r, Trace: paid(&r, call, cost).Trace, Budgeted: true})
		if short := w.reserve("one", buy(&r, 0, under, 500)); len(short) != 1 {
			t.Fatalf("day %d: nothing is short", day)
		}
	}
	if b := w.budget(ofAcme); b.Out() || b.PassedOver != 1 {
		t.Errorf("of 1000, 400 are left: %+v", b)
	}
	if short := w.reserve("one", buy(&r, 0, under, 100)); short != nil {
		t.Errorf("a small request: %+v", short)
	}
}

// A route whose chain changes waits for nobody who ends what waits there.
func TestChainThatChangesBesideACancel(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	requests := s.wait("a", 2, nil)
	s.admit(jobs.Intake{AtMost: 2})
	s.park(time.Hour, "it is dear")
	err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		if err := exec(t, "DELETE FROM tidegate.waiting WHERE request_id = $1", requests[1].ID)(tx); err != nil {
			return err
		}
		ctx, stop := context.WithTimeout(t.Context(), aMoment/4)
		defer stop()
		changed := route("summaries", "cheap", "dear")
		changed.Admission = jobs.AdmissionFair
		return s.SaveRoutes(ctx, []jobs.Route{changed})
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "those whose turn it is", s.number("SELECT count(*) FROM tidegate.waiting WHERE not_before IS NULL"), 1)
}
