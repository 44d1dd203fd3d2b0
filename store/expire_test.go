package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"tidegate/integration/fixture"
	"tidegate/jobs"
)

// due writes requests of a batch whose deadlines passed that long ago.
func (w *world) due(batch string, ago ...time.Duration) []jobs.Request {
	w.t.Helper()
	requests := make([]jobs.Request, len(ago))
	for i := range requests {
		requests[i] = jobs.Request{
			ID: uuid.Must(uuid.NewV7()).String(), Tenant: "acme", Route: "summaries", BatchID: batch, CustomID: "due",
			Deadline: time.Now().Add(-ago[i]), Body: []byte(body), CreatedAt: time.Now(),
		}
	}
	w.write(batch, requests)
	return requests
}

// expires makes one sweep and checks what it came by.
func (w *world) expires(held jobs.Lead, sweep jobs.Sweep, seen, ended int) jobs.Due {
	w.t.Helper()
	got, err := w.Expire(w.t.Context(), held, sweep)
	if err != nil || got.Seen != seen || got.Ended != ended {
		w.t.Errorf("%+v saw %d and ended %d, want %d and %d: %v", sweep, got.Seen, got.Ended, seen, ended, err)
	}
	return got.Last
}

func TestExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	w.accept("", 1) // without a deadline
	requests := w.due("batch_1", time.Minute, 5*time.Minute, 3*time.Minute)
	w.due("batch_2", 2*time.Hour, -time.Hour) // too long ago, not yet
	w.commit(answered(&requests[2]))
	w.owed()
	sweep := jobs.Sweep{Ago: time.Hour, AtMost: 10}
	w.expires(held, sweep, 3, 2)
	w.expires(held, sweep, 3, 0)
	expect(t, "expired", w.number(`SELECT count(*) FROM tidegate.results WHERE state = 'expired' AND status = 504 AND code = 'batch_expired'
		AND message = 'its deadline passed before a target could answer'`), 2)
	got := w.batch("batch_1")
	expect(t, "the batch", []any{got.State, got.Completed, got.Failed}, []any{jobs.BatchCompleted, 1, 2})
	expect(t, "the other", w.batch("batch_2").Failed, 0)
	expect(t, "owed", names(w.owed()), []string{"due", "due", "batch_1"})
	expect(t, "a late answer", w.commit(answered(&requests[0])), 0)
}

// River has a parked job available some seconds before its time; its request waits for
// money no less then. Why it was never answered can be read when its job is done, too.
func TestExpireSaysWhatWasWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.limit(ofAcme, 1000, 0)
	requests := w.due("batch_1", time.Minute, time.Minute)
	for i, state := range []string{"scheduled", "available"} {
		w.job(&requests[i], "summaries", 0, "one")
		w.exec(`UPDATE tidegate.river_job SET state = $2::tidegate.river_job_state, scheduled_at = now() + interval '3 seconds', metadata = $3::jsonb WHERE args ->> 'r' = $1`, requests[i].ID, state,
			`{"`+jobs.BudgetMark+`": {"budget": "tenant acme", "why": "budget of tenant acme: nothing is left; it goes on at noon"}, "`+jobs.SkipsMark+`": [{"target": "a", "reason": "it is dear"}]}`)
		story, err := w.Story(t.Context(), requests[i].ID)
		if err != nil || story.Job == nil || story.Job.Why != "budget of tenant acme: nothing is left; it goes on at noon" {
			t.Errorf("%s: %+v, %v", state, story.Job, err)
		}
	}
	w.expires(w.lead("one"), jobs.Sweep{Ago: time.Hour, AtMost: 10}, 2, 2)
	expect(t, "waited for money", w.number("SELECT count(*) FROM tidegate.results WHERE message = $1", jobs.ExpiredForMoney+"budget of tenant acme: nothing is left"), 2)
	w.exec("UPDATE tidegate.river_job SET state = 'completed', finalized_at = now()")
	story, err := w.Story(t.Context(), requests[1].ID)
	if err != nil || story.Result == nil || story.Job == nil || len(story.Job.Skips) != 1 || story.Job.Skips[0].Reason != "it is dear" {
		t.Errorf("%+v, %v", story.Job, err)
	}
}

// Each sweep goes on behind the last one, among equal deadlines too, in either
// direction, and then finds what came behind it only.
func TestExpireInSteps(t *testing.T) {
	t.Parallel()
	for _, latest := range []bool{false, true} {
		w := newWorld(t)
		held := w.lead("one")
		all := w.due("batch_1", make([]time.Duration, 25)...)
		w.exec("UPDATE tidegate.requests SET deadline = date_trunc('second', now()) - interval '1 minute'")
		w.exec("UPDATE tidegate.requests SET deadline = deadline + interval '1 microsecond' WHERE id = $1", all[0].ID)
		sweep := jobs.Sweep{Latest: latest, Ago: time.Hour, AtMost: 10}
		for _, n := range []int{10, 10, 5} {
			sweep.Behind = w.expires(held, sweep, n, n)
		}
		w.expires(held, sweep, 0, 0)
		expect(t, "the batch", w.batch("batch_1").State, jobs.BatchCompleted)
		ago := 30 * time.Second
		if latest {
			ago = 90 * time.Second
		}
		w.due("", ago, 2*time.Hour) // the other is behind only for who goes there, and too long ago for it
		w.expires(held, sweep, 1, 1)
	}
}

// A sweep costs the same however many requests ended before it, also where no
// statistics were taken: it looks up what it needs, and reads no table.
func TestExpireReadsNoTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	w.due("", make([]time.Duration, 3000)...)
	for _, latest := range []bool{false, true} {
		sweep := jobs.Sweep{Latest: latest, Ago: time.Hour, AtMost: 100}
		for range 30 {
			ended := 100
			if latest {
				ended = 0
			}
			sweep.Behind = w.expires(held, sweep, 100, ended)
		}
	}
	const looked = "SELECT coalesce(sum(idx_scan), 0) FROM pg_stat_user_indexes WHERE indexrelname = 'results_pkey'"
	fixture.Await(t, time.Minute, "Postgres has counted the looks", func() bool { return w.number(looked) >= 6000 })
	const read = "SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE schemaname = 'tidegate' AND relname IN ('requests', 'results')"
	expect(t, "rows of tables that were read", w.number(read), 0)
}

// What was called and paid for a request before it expired, or was cancelled, is
// in its result, also when its calls were made on several days.
func TestEndedRequestsCountTheirCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	requests := w.due("batch_1", make([]time.Duration, 5)...)
	w.exec("SELECT tidegate.add_attempt_days(current_date - 10, current_date)")
	w.exec("UPDATE tidegate.requests SET created_at = now() - interval '8 days'")
	for i := range 4 {
		for day := range i {
			tried := jobs.Attempt{At: time.Now().AddDate(0, 0, -3*day), Target: "cheap", Class: jobs.Overload, Status: 503, Cost: 7}
			w.commit(jobs.Entry{Request: &requests[i], Trace: jobs.Trace{{Attempt: &tried}}})
		}
	}
	w.commit(answered(&requests[4]))
	w.exec("UPDATE tidegate.requests SET deadline = NULL WHERE id = $1 OR id = $2", requests[2].ID, requests[3].ID)
	w.expires(held, jobs.Sweep{Ago: time.Hour, AtMost: 10}, 3, 2)
	if done, err := w.CancelRequest(t.Context(), requests[2].ID); !done || err != nil {
		t.Errorf("cancelled %v, %v", done, err)
	}
	if n, err := w.CancelBatch(t.Context(), "batch_1"); n != 1 || err != nil {
		t.Errorf("cancelled %d, %v", n, err)
	}
	for i, want := range []string{"expired 0 0", "expired 1 7", "cancelled 2 14", "cancelled 3 21", "answered 1 30"} {
		var got string
		const ended = "SELECT concat_ws(' ', state, attempts, cost_micro_usd) FROM tidegate.results WHERE request_id = $1"
		if err := w.pool.QueryRow(t.Context(), ended, requests[i].ID).Scan(&got); err != nil || got != want {
			t.Errorf("request %d is %q, want %q: %v", i, got, want, err)
		}
	}
}
