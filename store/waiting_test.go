package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
	"tidegate/store"
)

// A shared world has the route "summaries" with fair admission, and leads its fleet.
type shared struct {
	*world
	held jobs.Lead
}

func newShared(t *testing.T) *shared {
	t.Helper()
	s := &shared{world: newWorld(t)}
	s.announce(jobs.AdmissionFair)
	held, leads, err := s.Lead(t.Context(), "one", time.Hour)
	if err != nil || !leads {
		t.Fatalf("it does not lead: %v", err)
	}
	s.held = held
	return s
}

func (s *shared) announce(admission string) {
	s.t.Helper()
	r := route("summaries", "cheap")
	r.Admission = admission
	if err := s.SaveRoutes(s.t.Context(), []jobs.Route{r}); err != nil {
		s.t.Fatal(err)
	}
}

// wait has n requests of a tenant wait for their turn, in one transaction.
func (s *shared) wait(tenant string, n int, change func(*jobs.Request)) []jobs.Request {
	s.t.Helper()
	requests := make([]jobs.Request, n)
	for i := range requests {
		requests[i] = jobs.Request{ID: uuid.Must(uuid.NewV7()).String(), Tenant: tenant, Route: "summaries", Body: []byte(body), CreatedAt: time.Now()}
		if change != nil {
			change(&requests[i])
		}
	}
	err := pgx.BeginFunc(s.t.Context(), s.pool, func(tx pgx.Tx) error {
		if err := store.InsertRequests(s.t.Context(), tx, requests); err != nil {
			return err
		}
		return store.InsertWaiting(s.t.Context(), tx, requests, 5, true)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return requests
}

// admit admits at most n, all that it is shown, and returns what it was shown.
func (s *shared) admit(in jobs.Intake) (heads jobs.Heads, n int) {
	s.t.Helper()
	in.Route = "summaries"
	n, _, err := s.Admit(s.t.Context(), s.held, in, func(shown jobs.Heads) jobs.Admitted {
		heads = shown
		return everything(shown, in.AtMost)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return heads, n
}

// everything chooses one of each tenant in turn.
func everything(heads jobs.Heads, atMost int) jobs.Admitted {
	chosen := jobs.Admitted{Clock: heads.Clock + 1, Finish: map[string]float64{}}
	for i := 0; ; i++ {
		any := false
		for _, t := range heads.Tenants {
			if i < len(t.Requests) && len(chosen.Requests) < atMost {
				chosen.Requests, any = append(chosen.Requests, t.Requests[i].RequestID), true
				chosen.Finish[t.Tenant] += t.Requests[i].Work
			}
		}
		if !any {
			return chosen
		}
	}
}

// fetch is the requests in the order in which River would hand them out.
func (s *shared) fetch() []string {
	s.t.Helper()
	rows, err := s.pool.Query(s.t.Context(), `SELECT args->>'r' FROM tidegate.river_job
		WHERE state = 'available' AND queue = 'summaries' AND scheduled_at <= now() ORDER BY priority, scheduled_at, id`)
	if err != nil {
		s.t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.t.Fatal(err)
	}
	return ids
}

func (s *shared) stands(when string, waiting, pending, available, completed int) {
	s.t.Helper()
	got := []int{s.number("SELECT count(*) FROM tidegate.waiting")}
	for _, state := range []string{"pending", "available", "completed"} {
		got = append(got, s.number("SELECT count(*) FROM tidegate.river_job WHERE kind = 'completion' AND state = $1::tidegate.river_job_state", state))
	}
	if want := []int{waiting, pending, available, completed}; !slices.Equal(got, want) {
		s.t.Errorf("%s: waiting, pending, available, completed are %v, want %v", when, got, want)
	}
}

func ids(requests []jobs.Request) []string {
	var out []string
	for _, r := range requests {
		out = append(out, r.ID)
	}
	return out
}

// What is chosen is handed out in the order in which it was chosen, whatever its
// priority; and each tenant's requests are shown by priority, then as they came.
func TestAdmitKeepsTheOrderThatWasChosen(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	big := s.wait("big", 6, func(r *jobs.Request) { r.Priority = 3 })
	first := s.wait("big", 1, func(r *jobs.Request) { r.Priority = 1 })
	small := s.wait("small", 2, nil)
	s.stands("at first", 9, 9, 0, 0)
	heads, n := s.admit(jobs.Intake{AtMost: 4})
	if n != 4 || len(heads.Tenants) != 2 || len(heads.Tenants[0].Requests) != 4 || !heads.Tenants[0].More || heads.Tenants[1].More {
		t.Fatalf("%d were admitted of %+v", n, heads)
	}
	want := []string{first[0].ID, small[0].ID, big[0].ID, small[1].ID}
	if got := s.fetch(); !slices.Equal(got, want) {
		t.Errorf("workers get %v, want %v", got, want)
	}
	s.stands("then", 5, 5, 4, 0)
	if _, n = s.admit(jobs.Intake{AtMost: 100}); n != 5 {
		t.Errorf("%d more were admitted", n)
	}
	if got := s.fetch(); !slices.Equal(got, append(want, ids(big[1:])...)) {
		t.Errorf("workers get %v", got)
	}
	s.stands("in the end", 0, 0, 9, 0)
	args := s.number("SELECT count(*) FROM tidegate.river_job WHERE kind = 'completion' AND max_attempts = 5 AND attempt = 0 AND args = jsonb_build_object('r', args->>'r')")
	expect(t, "jobs as producers write them", args, 9)
}

// Another supervisor goes on by the same clock, and what is behind it is forgotten.
func TestFairClockIsKept(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	s.wait("a", 3, nil)
	s.wait("b", 3, nil)
	work := (&jobs.Request{Body: []byte(body)}).ExpectedWork()
	s.admit(jobs.Intake{AtMost: 3})
	heads, _ := s.admit(jobs.Intake{AtMost: 1})
	if heads.Clock != 1 || heads.Tenants[0].Finish != 2*work || heads.Tenants[1].Finish != work || heads.Tenants[0].Requests[0].Work != work {
		t.Errorf("it goes on at %+v, and a request is %g", heads, work)
	}
	s.exec("UPDATE tidegate.shares SET finish = $1 WHERE tenant = ''", work)
	s.exec("UPDATE tidegate.shares SET finish = $1 WHERE tenant = 'a'", 2*work)
	if err := s.Forget(t.Context(), s.held); err != nil {
		t.Fatal(err)
	}
	expect(t, "tenants before the clock", s.number("SELECT count(*) FROM tidegate.shares WHERE tenant IN ('', 'a')"), 2)
	expect(t, "rows of shares", s.number("SELECT count(*) FROM tidegate.shares"), 2)
}

// Those whose deadline is near are shown alone, by their deadlines.
func TestAdmitNearDeadlines(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	within := func(d time.Duration) func(*jobs.Request) {
		return func(r *jobs.Request) { r.Deadline = time.Now().Add(d) }
	}
	s.wait("a", 2, nil) // they have none, and count as if they had a day
	later := s.wait("a", 1, within(50*time.Minute))
	sooner := s.wait("a", 1, within(40*time.Minute))
	s.wait("b", 1, within(2*time.Hour))
	if _, n := s.admit(jobs.Intake{AtMost: 9, Near: time.Hour}); n != 2 {
		t.Errorf("%d were admitted", n)
	}
	if got := s.fetch(); !slices.Equal(got, []string{sooner[0].ID, later[0].ID}) {
		t.Errorf("workers get %v", got)
	}
	if _, n := s.admit(jobs.Intake{AtMost: 9, Near: 23 * time.Hour}); n != 1 {
		t.Errorf("%d more were admitted", n)
	}
	if _, n := s.admit(jobs.Intake{AtMost: 9, Near: 25 * time.Hour}); n != 2 {
		t.Errorf("%d without a deadline were admitted", n)
	}
}

// What ends while it waits needs no worker any more.
func TestWhatEndsWaitsNoMore(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	batch := s.wait("a", 4, func(r *jobs.Request) { r.BatchID = "b" })
	if err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		return store.InsertBatch(t.Context(), tx, jobs.Batch{ID: "b", Tenant: "a", Total: 4, CreatedAt: time.Now()})
	}); err != nil {
		t.Fatal(err)
	}
	late := s.wait("b", 2, func(r *jobs.Request) { r.Deadline = time.Now().Add(-time.Second) })
	alone := s.wait("c", 2, nil)
	s.stands("at first", 8, 8, 0, 0)
	if done, err := s.CancelRequest(t.Context(), alone[0].ID); err != nil || !done {
		t.Errorf("cancelled: %v, %v", done, err)
	}
	s.stands("one cancelled", 7, 7, 0, 1)
	if n, err := s.CancelBatch(t.Context(), "b"); err != nil || n != len(batch) {
		t.Errorf("%d cancelled, %v", n, err)
	}
	s.stands("a batch cancelled", 3, 3, 0, 5)
	if swept, err := s.Expire(t.Context(), s.held, jobs.Sweep{Ago: time.Hour, AtMost: 10}); err != nil || swept.Ended != len(late) {
		t.Errorf("%+v, %v", swept, err)
	}
	s.stands("two expired", 1, 1, 0, 7)
	expect(t, "results", s.number("SELECT count(*) FROM tidegate.results"), 7)
}

// park has River give jobs back until a time, and parks them.
func (s *shared) park(wait time.Duration, reason string) {
	s.t.Helper()
	err := pgx.BeginFunc(s.t.Context(), s.pool, func(tx pgx.Tx) error {
		_, err := s.parkIn(tx, wait, reason)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shared) parkIn(tx pgx.Tx, wait time.Duration, reason string) (ids []int64, err error) {
	rows, err := tx.Query(s.t.Context(), `UPDATE tidegate.river_job SET state = 'scheduled', scheduled_at = now() + $1::interval,
		metadata = jsonb_build_object('`+jobs.BudgetMark+`', '{"budget": "tenant a"}'::jsonb) WHERE state = 'available' RETURNING id`, wait)
	if err != nil {
		return nil, err
	}
	if ids, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
		return nil, err
	}
	var parked []jobs.Parked
	for _, id := range ids {
		parked = append(parked, jobs.Parked{JobID: id, Reason: reason})
	}
	return ids, s.Park(s.t.Context(), tx, parked)
}

// parkBeside has a request of a batch cancelled while its job is given back and
// parked, in some order of what the two do, and makes sure that nothing of it is left.
func (s *shared) parkBeside(order func(r *jobs.Request, park, written func())) {
	s.t.Helper()
	r := &s.wait("a", 1, func(r *jobs.Request) { r.BatchID = uuid.NewString() })[0]
	s.exec("INSERT INTO tidegate.batches (id, tenant, total, state) VALUES ($1, 'a', 1, 'in_progress')", r.BatchID)
	s.exec("DELETE FROM tidegate.waiting")
	s.exec("UPDATE tidegate.river_job SET state = 'available' WHERE state = 'pending'")
	tx, err := s.pool.Begin(s.t.Context())
	s.must(err)
	var ids []int64
	order(r, func() {
		ids, err = s.parkIn(tx, time.Hour, "budget of tenant a: all is spent")
		s.must(err)
	}, func() {
		s.must(tx.Commit(s.t.Context()))
		s.must(s.EndParked(s.t.Context(), ids))
	})
	if err := tx.Commit(s.t.Context()); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
		s.t.Fatal(err)
	}
	if left := s.number("SELECT count(*) FROM tidegate.waiting") + s.number("SELECT count(*) FROM tidegate.river_job WHERE kind = 'completion' AND state <> 'completed'"); left != 0 {
		s.t.Errorf("%d rows are left of a request that was cancelled", left)
		s.exec("DELETE FROM tidegate.waiting")
		s.exec("UPDATE tidegate.river_job SET state = 'completed', finalized_at = now()")
	}
}

func (s *shared) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// A job that is parked waits with its reason, has its old place when its time has
// come, and is not counted twice. On a route that is direct, River keeps it.
func TestPark(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	parked := s.wait("a", 2, nil)
	s.admit(jobs.Intake{AtMost: 2})
	s.wait("a", 1, nil)
	s.park(time.Hour, "it is dear")
	s.stands("parked", 3, 3, 0, 0)
	expect(t, "reasons", s.number("SELECT count(*) FROM tidegate.waiting WHERE reason = 'it is dear' AND not_before > now() + interval '50 minutes'"), 2)
	if heads, n := s.admit(jobs.Intake{AtMost: 9}); n != 1 || len(heads.Tenants[0].Requests) != 1 {
		t.Errorf("before their time: %+v", heads)
	}
	s.exec("UPDATE tidegate.waiting SET not_before = now()")
	s.wait("a", 1, nil)
	heads, n := s.admit(jobs.Intake{AtMost: 2})
	if n != 2 || heads.Tenants[0].Requests[0].RequestID != parked[0].ID || heads.Tenants[0].Requests[0].Work != 0 {
		t.Errorf("%d were admitted in their time, of %+v", n, heads)
	}
	s.announce(jobs.AdmissionDirect)
	s.park(time.Hour, "it is dear")
	s.stands("on a direct route", 1, 1, 0, 0)
	expect(t, "scheduled", s.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'scheduled'"), 3)
}

// A request that ends while its job is on its way back waits for nothing, whichever of
// the two is written first.
func TestParkInTheMomentOfACancellation(t *testing.T) {
	t.Parallel()
	for _, admission := range []string{jobs.AdmissionFair, jobs.AdmissionDirect} {
		t.Run(admission, func(t *testing.T) {
			t.Parallel()
			s := newShared(t)
			s.announce(admission)
			cancelRequest := func(r *jobs.Request) error {
				_, err := s.CancelRequest(t.Context(), r.ID)
				return err
			}
			cancelBatch := func(r *jobs.Request) error {
				_, err := s.CancelBatch(t.Context(), r.BatchID)
				return err
			}
			for _, cancel := range []func(*jobs.Request) error{cancelRequest, cancelBatch} {
				s.parkBeside(func(r *jobs.Request, park, _ func()) { s.must(cancel(r)); park() })
				s.parkBeside(func(r *jobs.Request, park, written func()) { park(); s.must(cancel(r)); written() })
				s.parkBeside(func(r *jobs.Request, park, written func()) {
					s.beside(func(context.Context) error { return cancel(r) }, func(tx pgx.Tx) error {
						if err := exec(t, "SAVEPOINT before")(tx); err != nil {
							return err
						}
						return exec(t, "INSERT INTO tidegate.results (request_id, id, state, status) VALUES ($1, gen_random_uuid(), 'answered', 200)", r.ID)(tx)
					}, func(tx pgx.Tx) error {
						park()
						written()
						return exec(t, "ROLLBACK TO before")(tx)
					})
				})
			}
		})
	}
}

// What waits for a time of its own has its turn when a target of its route is free
// again, or another chain may have one.
func TestUnparkWaiting(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	again := func(unpark func()) {
		t.Helper()
		s.admit(jobs.Intake{AtMost: 9})
		s.park(time.Hour, "it is dear")
		unpark()
		expect(t, "those whose turn it is", s.number("SELECT count(*) FROM tidegate.waiting WHERE not_before IS NULL AND reason IS NULL"), 2)
	}
	s.wait("a", 2, nil)
	again(func() {
		if n, err := s.Unpark(t.Context(), s.held, "cheap", 100); err != nil || n != 2 {
			t.Errorf("%d, %v", n, err)
		}
	})
	again(func() {
		r := route("summaries", "cheap", "dear")
		r.Admission = jobs.AdmissionFair
		if err := s.SaveRoutes(t.Context(), []jobs.Route{r}); err != nil {
			t.Fatal(err)
		}
	})
}

// A route that has no fair admission any more keeps nothing back.
func TestAdmitAll(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	urgent := s.wait("a", 3, nil)
	urgent = append(s.wait("b", 1, func(r *jobs.Request) { r.Priority = 1 }), urgent...)
	s.announce(jobs.AdmissionDirect)
	for all := 0; all < 4; {
		n, err := s.AdmitAll(t.Context(), s.held, "summaries", 3)
		if err != nil || n == 0 {
			t.Fatalf("%d, %v", n, err)
		}
		all += n
	}
	s.stands("in the end", 0, 0, 4, 0)
	if got := s.fetch(); !slices.Equal(got, ids(urgent)) {
		t.Errorf("workers get %v, want %v", got, ids(urgent))
	}
}

// What waited for a time there has its old place in the queue: nobody would find it
// again that was available in a year.
func TestAdmitAllThatWasParked(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	parked := s.wait("a", 2, nil)
	s.admit(jobs.Intake{AtMost: 2})
	s.park(365*24*time.Hour, "budget of tenant a: all is spent")
	s.announce(jobs.AdmissionDirect)
	if n, err := s.AdmitAll(t.Context(), s.held, "summaries", 9); n != 2 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if got := s.fetch(); !slices.Equal(got, ids(parked)) {
		t.Errorf("workers get %v, want %v", got, ids(parked))
	}
}

// spend has the budgets of tenants spent for today.
func (s *shared) spend(tenants string, args ...any) {
	s.t.Helper()
	s.exec("INSERT INTO tidegate.budgets (scope, name, per_day, set_by, out_since, waits_day) SELECT 'tenant', t.name, 1, 'file', now(), tidegate.today() FROM "+tenants+" t (name)", args...)
}

// However many tenants have no money, those behind them have their turn.
func TestTurnsBehindThoseWithoutMoney(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	s.exec(`INSERT INTO tidegate.waiting (request_id, job_id, deadline, work, priority, route, tenant)
		SELECT gen_random_uuid(), -n, now() + interval '1 day', 100, 2, 'summaries', 'poor' || n FROM generate_series(1, $1) n`, store.TenantsMost)
	s.spend("(SELECT tenant FROM tidegate.waiting)")
	s.wait("rich", 1, nil)
	in := jobs.Intake{Route: "summaries", AtMost: 5}
	all := func(heads jobs.Heads) jobs.Admitted { return everything(heads, 5) }
	n, last, err := s.Admit(t.Context(), s.held, in, all)
	if err != nil || n != 0 || last == "" {
		t.Fatalf("of those without money: %d, to go on behind %q, %v", n, last, err)
	}
	in.Behind = last
	if n, _, err = s.Admit(t.Context(), s.held, in, all); err != nil || n != 1 {
		t.Errorf("of the one behind: %d, %v", n, err)
	}
}

// Nor do those whose deadlines come first and who have none.
func TestNearBehindThoseWithoutMoney(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	s.wait("poor", 5, func(r *jobs.Request) { r.Deadline = time.Now().Add(time.Minute) })
	s.spend("(VALUES ('poor'))")
	s.wait("rich", 1, func(r *jobs.Request) { r.Deadline = time.Now().Add(2 * time.Minute) })
	if heads, n := s.admit(jobs.Intake{AtMost: 5, Near: time.Hour}); n != 1 {
		t.Errorf("%d were admitted of %+v", n, heads)
	}
}

func TestBacklogs(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	backlogs := func(most int) []jobs.Backlog {
		t.Helper()
		found, err := s.Backlogs(t.Context(), most)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if got := backlogs(9); len(got) != 0 {
		t.Errorf("where nothing waits: %+v", got)
	}
	s.wait("a", 5, nil)
	s.wait("a", 1, func(r *jobs.Request) { r.Route = "labels" })
	s.admit(jobs.Intake{AtMost: 3})
	s.exec("UPDATE tidegate.river_job SET state = 'running', attempted_by = '{one}' WHERE id = (SELECT min(id) FROM tidegate.river_job WHERE state = 'available')")
	if _, err := s.Beat(t.Context(), jobs.Beat{Worker: "one"}); err != nil {
		t.Fatal(err)
	}
	ended := s.accept("", 1)
	s.commit(answered(&ended[0]))
	calls := []jobs.Begun{
		{RequestID: uuid.NewString(), Target: "cheap", Route: "summaries", At: time.Now()},
		{RequestID: uuid.NewString(), Target: "cheap", Route: "summaries", At: time.Now(), Slot: 1},
	}
	if _, err := s.Begin(t.Context(), "one", calls); err != nil {
		t.Fatal(err)
	}
	s.exec("UPDATE tidegate.calls SET request_id = $1 WHERE slot = 1", ended[0].ID) // its place was not taken over
	s.exec("UPDATE tidegate.waiting SET not_before = now() + interval '1 hour' WHERE route = 'labels'")
	want := []jobs.Backlog{{Route: "labels"}, {Route: "summaries", Available: 2, Running: 1, Calling: 1, Waiting: 1}}
	if got := backlogs(1); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Who does not lead admits nothing.
func TestAdmitAsNobody(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	s.wait("a", 1, nil)
	other := s.held
	other.Epoch++
	_, _, err := s.Admit(t.Context(), other, jobs.Intake{Route: "summaries", AtMost: 1}, func(h jobs.Heads) jobs.Admitted { return everything(h, 1) })
	if !errors.Is(err, jobs.ErrDeposed) {
		t.Errorf("it says %v", err)
	}
	if _, err := s.AdmitAll(t.Context(), other, "summaries", 1); !errors.Is(err, jobs.ErrDeposed) {
		t.Errorf("it says %v", err)
	}
	s.stands("in the end", 1, 1, 0, 0)
}

// Admissions, cancellations and expiries of the same requests wait for none of each
// other that waits for them, and each request has one end.
func TestAdmitBesideWhatEnds(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	const n = 600
	all := s.wait("a", n, func(r *jobs.Request) {
		r.BatchID, r.Deadline = "b", time.Now().Add(-time.Second)
	})
	if err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		return store.InsertBatch(t.Context(), tx, jobs.Batch{ID: "b", Tenant: "a", Total: n, CreatedAt: time.Now()})
	}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), aMoment)
	defer stop()
	var parts sync.WaitGroup
	parts.Go(func() {
		if _, err := s.CancelBatch(ctx, "b"); err != nil {
			t.Error(err)
		}
	})
	parts.Go(func() {
		for _, r := range slices.Backward(all) {
			if _, err := s.CancelRequest(ctx, r.ID); err != nil {
				t.Error(err)
				return
			}
		}
	})
	parts.Go(func() {
		for range 20 {
			_, _, err := s.Admit(ctx, s.held, jobs.Intake{Route: "summaries", AtMost: 20}, func(h jobs.Heads) jobs.Admitted { return everything(h, 20) })
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	parts.Go(func() {
		if _, err := s.Expire(ctx, s.held, jobs.Sweep{Ago: time.Hour, AtMost: n}); err != nil {
			t.Error(err)
		}
	})
	parts.Wait()
	expect(t, "results", s.number("SELECT count(*) FROM tidegate.results"), n)
	expect(t, "waiting", s.number("SELECT count(*) FROM tidegate.waiting"), 0)
	expect(t, "jobs that nobody will end", s.number("SELECT count(*) FROM tidegate.river_job WHERE state NOT IN ('available', 'completed')"), 0)
}

// A backlog costs an admission nothing: what it reads of a tenant's million it would
// read of a hundred. Statistics that are older than the backlog change nothing.
func TestAdmissionReadsFewRows(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	s.exec("ANALYZE tidegate.waiting")
	s.exec(`INSERT INTO tidegate.waiting (request_id, job_id, deadline, work, priority, route, tenant)
		SELECT gen_random_uuid(), n, now() + n * interval '1 second', 100, 2, 'summaries', CASE WHEN n % 1000 = 0 THEN 'small' ELSE 'big' END FROM generate_series(1, 50000) n`)
	s.exec(`INSERT INTO tidegate.waiting (request_id, job_id, not_before, deadline, work, priority, route, tenant)
		SELECT gen_random_uuid(), -n, now() + interval '1 day', now() + interval '1 day', 0, 1, 'summaries', 'big' FROM generate_series(1, 20000) n`)
	for name, q := range map[string]struct {
		sql  string
		args []any
	}{
		"turns":    {store.ReadTurns, []any{"summaries", "", 100, store.TenantsMost, store.TurnsLeast}},
		"near":     {store.ReadNear, []any{"summaries", "", 100, store.TenantsMost, store.TurnsLeast, time.Hour}},
		"backlogs": {store.ReadCounts, []any{store.BacklogMost, 0}},
	} {
		if pages := s.pages(q.sql, q.args...); pages > 300 {
			t.Errorf("%s reads %d pages", name, pages)
		}
	}
	whole := s.pages("SELECT count(*) FROM tidegate.waiting")
	if whole < 700 {
		t.Errorf("the whole table is %d pages: the test would let anything pass", whole)
	}
}

// What waits with a near deadline, and may not start, since its tenant has no money,
// costs an admission nothing, however much there is of it.
func TestNearDeadlinesWithoutMoneyAreNotRead(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	s.exec("ANALYZE tidegate.waiting")
	s.exec(`INSERT INTO tidegate.waiting (request_id, job_id, deadline, work, priority, route, tenant)
		SELECT gen_random_uuid(), -n, now() + n * interval '1 millisecond', 100, 2, 'summaries', 'poor' || n % 20 FROM generate_series(1, 100000) n`)
	s.spend("(SELECT DISTINCT tenant FROM tidegate.waiting)")
	s.wait("rich", 3, func(r *jobs.Request) { r.Deadline = time.Now().Add(30 * time.Minute) })
	if pages := s.pages(store.ReadNear, "summaries", "", 100, store.TenantsMost, store.TurnsLeast, time.Hour); pages > 300 {
		t.Errorf("it reads %d pages", pages)
	}
	if heads, n := s.admit(jobs.Intake{AtMost: 5, Near: time.Hour}); n != 3 {
		t.Errorf("%d were admitted of %+v", n, heads)
	}
}

// Jobs and what waits are found by their ids also where nothing waited when the
// planner last counted: it would read all that does now, once for each of them.
func TestWaitingIsFoundByID(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	s.exec("ALTER TABLE tidegate.river_job SET (autovacuum_enabled = off); ALTER TABLE tidegate.waiting SET (autovacuum_enabled = off)")
	s.exec(`INSERT INTO tidegate.river_job (state, finalized_at, max_attempts, args, kind, queue)
		SELECT 'completed', now(), 5, '{}', 'completion', 'summaries' FROM generate_series(1, 4000)`)
	s.exec("ANALYZE tidegate.river_job, tidegate.waiting")
	inBatch := func(r *jobs.Request) { r.BatchID = "b" }
	some := s.wait("a", 20, inBatch)
	s.admit(jobs.Intake{AtMost: len(some)})
	s.exec("UPDATE tidegate.river_job SET state = 'scheduled' WHERE state = 'available'")
	waits := ids(s.wait("a", 20, inBatch))
	s.wait("a", 3000, nil)
	s.exec(`INSERT INTO tidegate.river_job (state, scheduled_at, max_attempts, args, kind, queue)
		SELECT 'scheduled', now() + interval '1 day', 5, '{}', 'completion', 'summaries' FROM generate_series(1, 3000)`)
	var given []int64
	for id := range 20 {
		given = append(given, int64(4001+id))
	}
	for name, q := range map[string]struct {
		sql  string
		args []any
	}{
		"admit":              {store.AdmitThese, []any{"summaries", waits, []string{""}, []float64{1}}},
		"admit all":          {store.AdmitAny, []any{"summaries", 20}},
		"park":               {store.ParkThese, []any{given, make([]string, len(given)), jobs.DefaultPriority, time.Hour}},
		"end what is parked": {store.EndGiven, []any{given}},
		"end what waits":     {store.EndWaits, []any{waits[0]}},
		"cancel one":         {store.CancelOne, []any{waits[0]}},
		"cancel of a batch":  {store.CancelSome, []any{"b", uuid.Nil, 5000}},
		"nothing of a batch": {store.CancelSome, []any{"none", uuid.Nil, 5000}},
	} {
		for _, plan := range []string{"force_custom_plan", "force_generic_plan"} {
			if rows := s.touched(plan, q.sql, q.args...); rows > 300 {
				t.Errorf("%s, with %s, reads %d rows", name, plan, rows)
			}
		}
	}
}

// touched is how many rows of jobs, and of what waits, a statement reads, which is
// taken back.
func (s *shared) touched(plan, sql string, args ...any) (rows int) {
	s.t.Helper()
	tx, err := s.pool.Begin(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(s.t.Context()) }()
	read := func() (n int) {
		if err == nil {
			err = tx.QueryRow(s.t.Context(), `SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables
				WHERE relname IN ('river_job', 'waiting')`).Scan(&n)
		}
		return n
	}
	_, err = tx.Exec(s.t.Context(), "SELECT set_config('plan_cache_mode', $1, true)", plan)
	if err == nil && sql == store.AdmitThese {
		_, err = tx.Exec(s.t.Context(), store.ByIndex)
	}
	before := read()
	if err == nil {
		_, err = tx.Exec(s.t.Context(), sql, args...)
	}
	rows = read() - before
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// pages is how many a query reads, as an admission does.
func (s *shared) pages(sql string, args ...any) (pages int) {
	s.t.Helper()
	err := pgx.BeginFunc(s.t.Context(), s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(s.t.Context(), "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"); err != nil {
			return err
		}
		rows, err := tx.Query(s.t.Context(), "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) "+sql, args...)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, line := range lines { // the first is of the whole
			if _, after, found := strings.Cut(line, "Buffers: shared "); found {
				var hit, read int
				if n, _ := fmt.Sscanf(after, "hit=%d read=%d", &hit, &read); n == 0 {
					_, _ = fmt.Sscanf(after, "read=%d", &read)
				}
				pages = hit + read
				return nil
			}
		}
		return fmt.Errorf("no pages in %s", strings.Join(lines, "\n"))
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return pages
}

// The supervisor is told where nothing waited, and once.
func TestInsertWaitingTells(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	words := make(chan store.Word, 100)
	ctx, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { s.Listen(ctx, func(w store.Word) { words <- w }, func(error) {}) })
	defer func() { stop(); run.Wait() }()
	hear := func(want store.Word) {
		t.Helper()
		select {
		case word := <-words:
			if word != want {
				t.Errorf("it hears %+v, want %+v", word, want)
			}
		case <-time.After(aMoment):
			t.Fatal("it hears nothing")
		}
	}
	hear(store.Word{Fleet: true, Waiting: true})
	s.wait("a", 1, nil)
	hear(store.Word{Waiting: true})
	s.wait("b", 1, nil) // it will be looked for in any case
	s.exec("SELECT pg_notify('tidegate_fleet', '')")
	hear(store.Word{Fleet: true})
}

func TestStatusOfWhatWaits(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	s.wait("a", 1, nil)
	s.admit(jobs.Intake{AtMost: 9})
	s.park(time.Hour, "it is dear")
	s.wait("a", 2, nil)
	s.wait("b", 3, nil)
	status, err := s.Status(t.Context())
	if err != nil || len(status.Waiting) != 3 {
		t.Fatalf("%+v, %v", status.Waiting, err)
	}
	until := status.Waiting[2].Until.Sub(status.At)
	status.Waiting[2].Until = time.Time{}
	want := []store.WaitingStatus{
		{Route: "summaries", Tenant: "b", Requests: 3},
		{Route: "summaries", Tenant: "a", Requests: 2},
		{Route: "summaries", Tenant: "a", Requests: 1, Reason: "it is dear"},
	}
	if !slices.Equal(status.Waiting, want) || until < 50*time.Minute || until > time.Hour {
		t.Errorf("%+v, until in %s", status.Waiting, until)
	}
	if status.Routes[0].Waiting != 6 {
		t.Errorf("the route has %d", status.Routes[0].Waiting)
	}
}
