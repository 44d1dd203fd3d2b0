package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"tidegate/jobs"
)

// job puts a River job of a request into a queue, in the hands of workers, the
// last of whom has it now.
func (w *world) job(r *jobs.Request, queue string, attempt int, hands ...string) {
	w.t.Helper()
	w.exec(`INSERT INTO tidegate.river_job (args, kind, max_attempts, queue, state, attempt, attempted_by, scheduled_at)
		VALUES (jsonb_build_object('r', $1::text), 'completion', 5, $2, 'running', $3, $4, '2026-01-01'::timestamptz + $5 * interval '1 second')`,
		r.ID, queue, attempt, hands, w.number("SELECT count(*) FROM tidegate.river_job"))
}

// jobsNow says how each job stands, in the order in which River takes them.
func (w *world) jobsNow() (said []string) {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), `SELECT q.custom_id, j.state::text, j.queue, j.attempt FROM tidegate.river_job j
		JOIN tidegate.requests q ON q.id = (j.args->>'r')::uuid ORDER BY j.priority, j.scheduled_at, j.id`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, state, queue string
		var attempt int
		if err := rows.Scan(&name, &state, &queue, &attempt); err != nil {
			w.t.Fatal(err)
		}
		said = append(said, fmt.Sprint(name, " ", state, " ", queue, " ", attempt))
	}
	if rows.Err() != nil {
		w.t.Fatal(rows.Err())
	}
	return said
}

func (w *world) rescue(held jobs.Lead, worker string) jobs.Rescue {
	w.t.Helper()
	done, err := w.Rescue(w.t.Context(), held, worker, jobs.RescueLimits{})
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

func TestRescueGivesJobsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("lead")
	w.beat("gone", "neighbour")
	requests := w.accept("batch_1", 6)
	w.job(&requests[0], "summaries", 1, "gone")
	w.job(&requests[1], "summaries", 3, "neighbour", "gone")
	w.job(&requests[2], "summaries", 1, "gone", "neighbour") // it was the dead one's once
	w.job(&requests[3], "summaries", 2, "gone")              // it has its result
	w.job(&requests[4], "summaries", 0, "gone")
	w.job(&requests[5], "summaries", 1, "gone")
	w.exec("UPDATE tidegate.river_job SET state = 'available' WHERE (args->>'r') = $1", requests[5].ID) // given back in time
	w.commit(answered(&requests[3]))
	at := w.begin("gone", 0, requests[0].ID)
	w.begin("neighbour", 0, requests[2].ID)
	w.save("gone", open(1, "down", -time.Second))
	expect(t, "probe", w.take("gone", 1), true)
	expect(t, "rescue", w.rescue(held, "gone"), jobs.Rescue{Worker: "gone", Returned: 3, Lost: 1, LostAt: map[string]int{"cheap": 1}})
	want := []string{
		"doc-0 available summaries 0", "doc-1 available summaries 2", "doc-2 running summaries 1", "doc-3 completed summaries 2",
		"doc-4 available summaries 0", "doc-5 available summaries 1",
	}
	if diff := cmp.Diff(want, w.jobsNow()); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	attempts, err := w.Attempts(t.Context(), requests[0].ID)
	if err != nil || len(attempts) != 1 {
		t.Fatalf("attempts %+v, %v", attempts, err)
	}
	a := attempts[0]
	if a.Class != jobs.Lost || a.Target != "cheap" || a.Message != "its worker died" || !a.At.Equal(at.Truncate(time.Microsecond)) || a.Latency < 0 || a.Latency > soon {
		t.Errorf("the lost call is %+v", a)
	}
	if want := fmt.Sprintf("%d - - %d - - acme - - -", requests[0].CreatedAt.Round(time.Second).Unix(), len(body)); w.asked(requests[0].ID) != want {
		t.Errorf("of its request it is known: %s, not %s", w.asked(requests[0].ID), want)
	}
	expect(t, "suspects", w.number("SELECT count(*) FROM tidegate.suspects WHERE crashes = 1 AND alone = 0 AND last_worker = 'gone' AND request_id = $1", requests[0].ID), 1)
	expect(t, "all suspects", w.number("SELECT count(*) FROM tidegate.suspects"), 1)
	expect(t, "calls of the neighbour", w.number("SELECT count(*) FROM tidegate.calls WHERE worker = 'neighbour'"), 1)
	expect(t, "calls", w.number("SELECT count(*) FROM tidegate.calls"), 1)
	expect(t, "prober", w.circuit().Prober, "")
	expect(t, "once more", w.rescue(held, "gone"), jobs.Rescue{Worker: "gone"})
	w.job(&requests[5], "summaries", 1, "gone") // left over: it is repeatable
	expect(t, "of what was left", w.rescue(held, "gone"), jobs.Rescue{Worker: "gone", Returned: 1})
	if dead, err := w.Beat(t.Context(), jobs.Beat{Worker: "gone"}); !dead || err != nil {
		t.Errorf("it lives: %v", err)
	}
}

// A worker that nobody heard of has jobs, and among them what is not ours.
func TestRescueOfAStranger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, args := range []string{`{}`, `{"r": "no id"}`} {
		w.exec(`INSERT INTO tidegate.river_job (args, kind, max_attempts, state, attempt, attempted_by) VALUES ($1, 'other', 5, 'running', 1, '{gone}')`, args)
	}
	expect(t, "rescue", w.rescue(w.lead("lead"), "gone"), jobs.Rescue{Worker: "gone", Returned: 2})
	expect(t, "dead", w.number("SELECT count(*) FROM tidegate.workers WHERE id = 'gone' AND dead_at IS NOT NULL"), 1)
}

// One bad prompt kills four workers: two beside its neighbours, two alone. It
// ends; the others do not.
func TestPoisonIsFoundAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("lead")
	requests := w.accept("batch_1", 2)
	w.job(&requests[0], "summaries", 1, "nobody")
	w.job(&requests[1], "summaries", 1, "nobody")
	w.exec("UPDATE tidegate.river_job SET state = 'available'")
	dies := func(worker string, both bool) jobs.Rescue {
		w.beat(worker)
		if both { // its neighbour runs there, but is not called
			w.exec("UPDATE tidegate.river_job SET state = 'running', attempt = attempt + 1, attempted_by = attempted_by || $1::text", worker)
		} else {
			w.exec("UPDATE tidegate.river_job SET state = 'running', attempt = attempt + 1, attempted_by = attempted_by || $1::text WHERE queue <> 'summaries'", worker)
		}
		w.begin(worker, 0, requests[0].ID)
		return w.rescue(held, worker)
	}
	expect(t, "first", dies("w1", true), jobs.Rescue{Worker: "w1", Returned: 2, Lost: 1, LostAt: map[string]int{"cheap": 1}})
	expect(t, "second", dies("w2", true), jobs.Rescue{Worker: "w2", Returned: 2, Lost: 1, LostAt: map[string]int{"cheap": 1}, Quarantined: 1})
	if diff := cmp.Diff([]string{"doc-0 available tidegate-quarantine 1", "doc-1 available summaries 1"}, w.jobsNow()); diff != "" {
		t.Errorf("after two (-want +got):\n%s", diff)
	}
	expect(t, "third", dies("w3", false), jobs.Rescue{Worker: "w3", Returned: 1, Lost: 1, LostAt: map[string]int{"cheap": 1}})
	expect(t, "results", w.number("SELECT count(*) FROM tidegate.results"), 0)
	expect(t, "fourth", dies("w4", false), jobs.Rescue{Worker: "w4", Lost: 1, LostAt: map[string]int{"cheap": 1}, Poisoned: 1})
	if diff := cmp.Diff([]string{"doc-0 completed tidegate-quarantine 2", "doc-1 available summaries 1"}, w.jobsNow()); diff != "" {
		t.Errorf("at the end (-want +got):\n%s", diff)
	}
	expect(t, "poison", w.number("SELECT count(*) FROM tidegate.results WHERE state = 'poison' AND request_id = $1 AND attempts = 4 AND status = 500", requests[0].ID), 1)
	expect(t, "failed", w.batch("batch_1").Failed, 1)
	expect(t, "owed", names(w.owed()), []string{"doc-0"})
	w.commit(answered(&requests[1]))
	expect(t, "the batch", w.batch("batch_1").State, jobs.BatchCompleted)
}

// A call that ended and was written down is no crash.
func TestCallsThatEndedAreNotLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("gone")
	requests := w.accept("", 1)
	w.job(&requests[0], "summaries", 1, "gone")
	at := w.begin("gone", 0, requests[0].ID)
	failed := jobs.Attempt{At: at, Target: "cheap", Class: jobs.Overload, Status: 503}
	w.commit(jobs.Entry{Request: &requests[0], Trace: jobs.Trace{{Attempt: &failed}}})
	expect(t, "rescue", w.rescue(w.lead("lead"), "gone"), jobs.Rescue{Worker: "gone", Returned: 1})
	expect(t, "suspects", w.number("SELECT count(*) FROM tidegate.suspects"), 0)
}

// The worker was only cut off: what it says in the end replaces the LOST row.
func TestLateAnswerReplacesALostCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("gone")
	requests := w.accept("", 1)
	w.job(&requests[0], "summaries", 1, "gone")
	late := answered(&requests[0])
	late.Trace[0].Attempt.At = w.begin("gone", 0, requests[0].ID)
	expect(t, "lost", w.rescue(w.lead("lead"), "gone").Lost, 1)
	done, _, err := w.Commit(t.Context(), []jobs.Entry{late})
	if err != nil || len(done.Stored) != 1 || len(done.Late) != 1 || done.Late[0].RequestID != requests[0].ID || !done.Late[0].At.Equal(late.Trace[0].Attempt.At.Truncate(time.Microsecond)) {
		t.Errorf("it is committed as %+v, %v", done, err)
	}
	if done, _, err = w.Commit(t.Context(), []jobs.Entry{late}); err != nil || len(done.Stored) != 0 || len(done.Late) != 0 {
		t.Errorf("again, it is committed as %+v, %v", done, err)
	}
	another := late
	wrong := *late.Trace[0].Attempt
	wrong.Class, wrong.Cost = jobs.Timeout, 999
	another.Trace, another.Result = jobs.Trace{{Attempt: &wrong}}, nil
	w.commit(another, another) // what is not LOST stays; twice in a group is once
	again := w.accept("", 1)
	fresh := jobs.Entry{Request: &again[0], Trace: jobs.Trace{{Attempt: &wrong}}}
	w.commit(fresh, fresh)
	expect(t, "attempts of a group that says it twice", w.number("SELECT count(*) FROM tidegate.attempts WHERE request_id = $1", again[0].ID), 1)
	attempts, err := w.Attempts(t.Context(), requests[0].ID)
	if err != nil || len(attempts) != 1 || attempts[0].Class != jobs.OK || attempts[0].Cost != 30 || attempts[0].Message != "" || attempts[0].Usage.Output != 5 {
		t.Errorf("attempts %+v, %v", attempts, err)
	}
}

// A rescue and a worker that begins calls: each call is either refused or lost,
// never forgotten.
func TestBeginAndRescueAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("lead")
	for round := range 20 {
		name := fmt.Sprint("gone-", round)
		w.beat(name)
		begun := make(chan int, 1)
		var parts sync.WaitGroup
		parts.Go(func() {
			for n := 0; ; n++ {
				_, err := w.Begin(t.Context(), name, []jobs.Begun{{Slot: n, RequestID: uuid.NewString(), Target: "a", Route: "r", At: time.Now()}})
				if err != nil {
					begun <- n
					return
				}
			}
		})
		done := w.rescue(held, name)
		parts.Wait()
		if n := <-begun; n != done.Lost || n != done.LostAt["a"] {
			t.Errorf("%d calls began and %d were lost, %v", n, done.Lost, done.LostAt)
		}
	}
	expect(t, "calls", w.number("SELECT count(*) FROM tidegate.calls"), 0)
}

// Workers that were cut off commit while they are rescued, and their batch is
// cancelled: nobody waits for ever, every request ends once.
func TestRescueWhileResultsComeIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("lead")
	const total, workers = 600, 3
	requests := w.accept("batch_1", total)
	entriesOf := make([]jobs.Entry, total)
	for worker := range workers {
		name := fmt.Sprint("gone-", worker)
		w.beat(name)
		var calls []jobs.Begun
		for i := worker; i < total; i += workers {
			entriesOf[i] = answered(&requests[i])
			w.job(&requests[i], jobs.QuarantineQueue, 1, name)
			calls = append(calls, jobs.Begun{Slot: i, RequestID: requests[i].ID, Target: "cheap", Route: "summaries", At: entriesOf[i].Trace[0].Attempt.At})
		}
		if _, err := w.Begin(t.Context(), name, calls); err != nil {
			t.Fatal(err)
		}
	}
	w.exec("INSERT INTO tidegate.suspects SELECT id, 2, 1, 'w', now() FROM tidegate.requests") // the next death ends it
	var parts sync.WaitGroup
	for part := range 2 {
		parts.Go(func() {
			for i := part * total / 2; i < (part+1)*total/2; i += 20 {
				if _, refused, err := w.Commit(t.Context(), entriesOf[i:i+20]); err != nil || len(refused) > 0 {
					t.Error(refused, err)
				}
			}
		})
	}
	for worker := range workers {
		parts.Go(func() {
			if _, err := w.Rescue(t.Context(), held, fmt.Sprint("gone-", worker), jobs.RescueLimits{}); err != nil {
				t.Error(err)
			}
		})
	}
	parts.Wait()
	got := w.batch("batch_1")
	expect(t, "ended", []any{got.State, got.Completed + got.Failed}, []any{jobs.BatchCompleted, total})
	expect(t, "results", w.number("SELECT count(*) FROM tidegate.results"), total)
	expect(t, "owed", w.number("SELECT count(*) FROM tidegate.outbox"), total+1)
	expect(t, "attempts", w.number("SELECT count(*) FROM tidegate.attempts"), total)
	expect(t, "not LOST", w.number("SELECT count(*) FROM tidegate.attempts WHERE class = 'OK'"), total) // all came in, in the end
}

// However many jobs wait, those of a worker are found by their state.
func TestRescueReadsNoWaitingJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`INSERT INTO tidegate.river_job (args, kind, max_attempts, queue, state) SELECT '{}', 'completion', 5, 'summaries', 'available' FROM generate_series(1, 20000)`)
	w.exec(`INSERT INTO tidegate.river_job (args, kind, max_attempts, queue, state, attempted_by) SELECT '{}', 'completion', 5, 'summaries', 'running', '{gone}' FROM generate_series(1, 50)`)
	for _, when := range []string{"before", "after"} { // Postgres has counted the rows
		plan := w.plan(`EXPLAIN SELECT id FROM tidegate.river_job WHERE state = 'running' AND attempted_by[cardinality(attempted_by)] = 'gone'`)
		if strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, "Index") {
			t.Errorf("%s ANALYZE, it reads:\n%s", when, plan)
		}
		w.exec("ANALYZE tidegate.river_job")
	}
}

func (w *world) plan(sql string) string {
	w.t.Helper()
	rows, err := w.pool.Query(context.Background(), sql)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			w.t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}
