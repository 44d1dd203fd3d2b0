package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
	"tidegate/store"
)

const month = 30 * 24 * time.Hour

// aged ends requests, and has them and their batches be older by so many days.
func (w *world) aged(days int, requests []jobs.Request) {
	w.t.Helper()
	var entries []jobs.Entry
	var ids []string
	for i := range requests {
		entries, ids = append(entries, answered(&requests[i])), append(ids, requests[i].ID)
	}
	w.commit(entries...)
	w.exec("UPDATE tidegate.requests SET created_at = created_at - $2 * interval '1 day' WHERE id = ANY ($1::text[]::uuid[])", ids, days)
	w.exec("UPDATE tidegate.results SET stored_at = stored_at - $2 * interval '1 day' WHERE request_id = ANY ($1::text[]::uuid[])", ids, days)
	w.exec("UPDATE tidegate.batches SET ended_at = ended_at - $2 * interval '1 day' WHERE id = $1", requests[0].BatchID, days)
}

type removing func(context.Context, jobs.Lead, jobs.RemovalStep) (jobs.Removed, error)

// removes does one step that must succeed.
func (w *world) removes(do removing, held jobs.Lead, step jobs.RemovalStep) jobs.Removed {
	w.t.Helper()
	done, err := do(w.t.Context(), held, step)
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

// Each step looks at so many rows, whatever there is to be removed, and another one
// goes on behind it.
func TestStepOfRemovalIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	w.aged(31, w.accept("batch_1", 50))
	w.aged(31, w.accept("", 50))
	w.owed()
	for name, do := range map[string]removing{"batches": w.RemoveBatches, "singles": w.RemoveSingles} {
		var steps, sum, batches int
		for place := (jobs.RemovalPlace{}); ; {
			done := w.removes(do, held, jobs.RemovalStep{Keep: month, Behind: place, AtMost: 7})
			if done.Requests > 7 {
				t.Errorf("%s: a step of 7 removed %d", name, done.Requests)
			}
			steps, sum, batches, place = steps+1, sum+done.Requests, batches+done.Batches, done.Place
			if !done.More {
				break
			}
		}
		if sum != 50 || steps < 8 || batches > 1 {
			t.Errorf("%s: %d requests and %d batches in %d steps", name, sum, batches, steps)
		}
	}
	if n := w.number("SELECT (SELECT count(*) FROM tidegate.requests) + (SELECT count(*) FROM tidegate.results) + count(*) FROM tidegate.batches"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// A step finds its rows by indexes, also where nobody has counted them.
func TestRemovalReadsFewRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec("ALTER TABLE tidegate.requests SET (autovacuum_enabled = off); ALTER TABLE tidegate.results SET (autovacuum_enabled = off); ALTER TABLE tidegate.batches SET (autovacuum_enabled = off)")
	w.exec("ANALYZE tidegate.requests, tidegate.results, tidegate.batches")
	w.exec(`INSERT INTO tidegate.requests (id, created_at, tenant, route, batch_id, body)
		SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, now() - interval '90 days' + n * interval '1 second', 'acme', 'summaries',
			CASE WHEN n % 2 = 0 THEN 'batch_' || n / 1000 END, repeat('x', 300)::bytea FROM generate_series(1, 40000) n`)
	w.exec("INSERT INTO tidegate.results (request_id, id, stored_at, status, state, body) SELECT id, gen_random_uuid(), created_at, 200, 'answered', repeat('x', 300)::bytea FROM tidegate.requests")
	w.exec(`INSERT INTO tidegate.batches (id, tenant, state, total, created_at, ended_at)
		SELECT 'batch_' || n, 'acme', 'completed', 0, now(), CASE WHEN n < 20000 THEN now() - interval '90 days' ELSE now() END FROM generate_series(0, 39999) n`)
	const rows = 20
	for name, q := range map[string]struct {
		sql  string
		args []any
		most int
	}{
		"of a batch": {store.RemoveOfBatch, []any{"batch_7", "00000000-0000-0000-0000-000000000000", rows}, 60 * rows},
		"singles":    {store.RemoveSingles, []any{month, time.Time{}, "00000000-0000-0000-0000-000000000000", rows}, 60 * rows},
		"batches":    {store.LockOld, []any{month, rows}, 60 * rows},
	} {
		if pages, plan := w.reads(q.sql, q.args...); pages > q.most {
			t.Errorf("%s reads %d pages:\n%s", name, pages, plan)
		}
	}
	if whole, _ := w.reads("SELECT count(*) FROM tidegate.results"); whole < 1300 {
		t.Errorf("the whole table is %d pages: the test would let anything pass", whole)
	}
}

// reads is how many pages a statement reads, which is rolled back, and how.
func (w *world) reads(sql string, args ...any) (pages int, how string) {
	w.t.Helper()
	undo := errors.New("undo")
	err := pgx.BeginFunc(w.t.Context(), w.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(w.t.Context(), "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) "+sql, args...)
		if err != nil {
			return err
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, line := range plan { // the first is of the whole
			if _, after, found := strings.Cut(line, "Buffers: shared "); found && pages == 0 {
				for part := range strings.FieldsSeq(after) {
					kind, count, _ := strings.Cut(part, "=")
					if n, err := strconv.Atoi(count); err == nil && (kind == "hit" || kind == "read") {
						pages += n
					}
				}
			}
		}
		how = strings.Join(plan, "\n")
		return undo
	})
	if !errors.Is(err, undo) {
		w.t.Fatal(err)
	}
	return pages, how
}

// What is removed is gone for everybody from its first step on.
func TestRemovedBatchIsSeenByNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	requests := w.accept("batch_1", 5)
	w.aged(31, requests)
	w.owed()
	done := w.removes(w.RemoveBatches, held, jobs.RemovalStep{Keep: month, AtMost: 2})
	if done.Requests != 2 || done.Batches != 0 || !done.More {
		t.Fatalf("a first step did %+v", done)
	}
	if _, err := w.Batch(t.Context(), "batch_1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it is there: %v", err)
	}
	for name, list := range map[string]func() ([]jobs.Batch, error){
		"all":           func() ([]jobs.Batch, error) { return w.Batches(t.Context(), 10) },
		"of its tenant": func() ([]jobs.Batch, error) { return w.BatchesOf(t.Context(), "acme", store.Page{Limit: 10}) },
	} {
		if found, err := list(); err != nil || len(found) != 0 {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	if _, err := w.CreateRetry(t.Context(), jobs.Retry{ID: store.NewBatchID(), Of: "batch_1", CreatedAt: time.Now()}, store.Once{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it can be retried: %v", err)
	}
	if n, err := w.Republish(t.Context(), "", requests[4].ID); err != nil || n != 0 {
		t.Errorf("%d events of it are sent again, %v", n, err)
	}
	if n, err := w.Republish(t.Context(), "batch_1", ""); err != nil || n != 0 {
		t.Errorf("%d events of it are sent again, %v", n, err)
	}
}

// While much is owed to NATS nothing is removed: events are told from the results.
func TestNothingIsRemovedWhileMuchIsOwed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	w.aged(31, w.accept("batch_1", 1))
	w.aged(31, w.accept("", 1))
	w.exec("INSERT INTO tidegate.outbox (event) SELECT '{}' FROM generate_series(1, 5001)")
	for name, do := range map[string]removing{"batches": w.RemoveBatches, "singles": w.RemoveSingles} {
		if done := w.removes(do, held, jobs.RemovalStep{Keep: month, AtMost: 10}); done.Requests != 0 || !strings.Contains(done.Held, "owed to NATS") || done.More {
			t.Errorf("%s: it did %+v", name, done)
		}
	}
}

// An event of what is gone is dropped, and holds up no other.
func TestEventOfWhatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec("INSERT INTO tidegate.outbox (request_id) VALUES (gen_random_uuid())")
	w.exec("INSERT INTO tidegate.outbox (batch_id, batch_state) VALUES ('batch_0', 'completed')")
	if got := w.owed(); len(got) != 0 {
		t.Errorf("sent was %+v", got)
	}
	requests := w.accept("", 1)
	w.exec("INSERT INTO tidegate.outbox (request_id) VALUES (gen_random_uuid())")
	w.commit(answered(&requests[0]))
	if got := w.owed(); len(got) != 1 || got[0].Result.RequestID != requests[0].ID {
		t.Errorf("sent was %+v", got)
	}
	if n := w.number("SELECT count(*) FROM tidegate.outbox"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// Who does not lead removes nothing.
func TestRemovalNeedsTheLead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.aged(31, w.accept("batch_1", 1))
	w.aged(31, w.accept("", 1))
	w.owed()
	w.oldDay(t, 40)
	held := w.lead("one")
	held.Epoch--
	for name, do := range map[string]removing{"batches": w.RemoveBatches, "singles": w.RemoveSingles, "attempts": w.RemoveAttempts} {
		if _, err := do(t.Context(), held, jobs.RemovalStep{Keep: month, AtMost: 10}); !errors.Is(err, jobs.ErrDeposed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// oldDay makes the partition of a day that many days ago, and returns a time of it.
func (w *world) oldDay(t *testing.T, ago int) time.Time {
	t.Helper()
	day := time.Now().UTC().AddDate(0, 0, -ago)
	w.exec("SELECT tidegate.add_attempt_days($1::date, $1::date)", day)
	return day
}

func (w *world) days() []string {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), `SELECT relname::text FROM pg_class WHERE relnamespace = 'tidegate'::regnamespace AND relkind = 'r'
		AND relname ~ 'attempts_' ORDER BY 1`)
	if err != nil {
		w.t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

// sweepDays removes days until there are no more, and returns how many, and why some
// stay.
func (w *world) sweepDays(held jobs.Lead, atMost int) (days int, why []string) {
	w.t.Helper()
	for step := (jobs.RemovalStep{Keep: month, AtMost: atMost}); ; {
		done := w.removes(w.RemoveAttempts, held, step)
		if days += done.Days; done.Held != "" {
			why = append(why, done.Held)
		}
		if step.Behind = done.Place; !done.More || done.InTheWay {
			return days, why
		}
	}
}

func TestDaysAreRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	before := w.days()
	old, older, edge := w.oldDay(t, 32), w.oldDay(t, 40), w.oldDay(t, 30) // which is over for less than a month
	requests := w.accept("", 30)
	for i := range requests {
		entry := answered(&requests[i])
		for n, at := range []time.Time{old, older, edge} {
			entry.Trace[0].Attempt.At = at.Add(time.Duration(n) * time.Millisecond)
			w.commit(entry)
		}
	}
	waits := w.accept("", 1) // for longer than that, and was called meanwhile
	w.commit(jobs.Entry{Request: &waits[0], Trace: jobs.Trace{{Attempt: &jobs.Attempt{At: older, Target: "cheap", Class: jobs.Overload}}}})
	w.commit(jobs.Entry{Request: &jobs.Request{ID: jobs.NoRequest}, Trace: jobs.Trace{{Attempt: &jobs.Attempt{At: old, Target: "cheap", Class: jobs.OK}}}})
	w.exec("INSERT INTO tidegate.attempts_other (at, request_id, latency_us, route, target, class) SELECT now() - n * interval '11 days', $1, 0, 'r', 't', 'OK' FROM generate_series(1, 9) n", requests[0].ID)

	days, why := w.sweepDays(held, 7)
	if days != 1 || len(why) != 1 || !strings.Contains(why[0], older.Format(time.DateOnly)) || !strings.Contains(why[0], waits[0].ID) {
		t.Errorf("%d days are gone; others stay: %q", days, why)
	}
	name := func(at time.Time) string { return "attempts_" + at.Format("20060102") }
	want := append(slices.Clone(before), name(older), name(edge))
	if slices.Sort(want); !slices.Equal(w.days(), want) {
		t.Errorf("there are %v, not %v", w.days(), want)
	}
	if n := w.number("SELECT count(*) FROM tidegate.attempts_other WHERE at < now() - interval '30 days'"); n != 0 {
		t.Errorf("%d other ones are old", n)
	}
	if n := w.number("SELECT count(*) FROM tidegate.attempts_other"); n != 2 { // of 11 and 22 days ago
		t.Errorf("%d other ones are young", n)
	}
	w.commit(answered(&waits[0]))
	if days, why := w.sweepDays(held, 7); days != 1 || len(why) != 0 {
		t.Errorf("when it has ended, %d days are gone; others stay: %q", days, why)
	}
	if n := w.number("SELECT count(*) FROM tidegate.attempts WHERE request_id <> $1", requests[0].ID); n != 30 { // of the edge, and its own of now
		t.Errorf("%d attempts are left", n)
	}
}

// While somebody reads attempts, whoever writes them does not wait behind a day that is
// to go, and that day goes later.
func TestDayIsRemovedBesideAReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	old := w.oldDay(t, 40)
	requests := w.accept("", 3)
	entry := answered(&requests[0])
	entry.Trace[0].Attempt.At = old
	w.commit(entry)
	err := pgx.BeginFunc(t.Context(), w.pool, func(reader pgx.Tx) error {
		if _, err := reader.Exec(t.Context(), "DECLARE all_of_them CURSOR FOR SELECT * FROM tidegate.attempts; FETCH 1 FROM all_of_them"); err != nil {
			return err
		}
		// Each of these ends while the reader goes on.
		for i := range 3 {
			if days, why := w.sweepDays(held, 7); days != 0 || len(why) != 1 || !strings.Contains(why[0], "reads attempts") {
				return fmt.Errorf("%d days are gone beside the reader: %q", days, why)
			}
			if i > 0 {
				w.commit(answered(&requests[i]))
			}
		}
		_, err := reader.Exec(t.Context(), "FETCH ALL FROM all_of_them")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if days, why := w.sweepDays(held, 7); days != 1 || len(why) != 0 {
		t.Errorf("when it has read them, %d days are gone: %q", days, why)
	}
	if slices.Contains(w.days(), "attempts_"+old.Format("20060102")) {
		t.Error("its table is there")
	}
}

// One that was cut off after a day was taken out drops it the next time, and one that
// somebody else has taken out and kept is his.
func TestDaysThatAreTakenOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	old, kept := w.oldDay(t, 40), w.oldDay(t, 41)
	w.exec("ALTER TABLE tidegate.attempts DETACH PARTITION tidegate.attempts_" + old.Format("20060102"))
	w.exec("ALTER TABLE tidegate.attempts_" + old.Format("20060102") + " RENAME TO removed_attempts_" + old.Format("20060102"))
	w.exec("ALTER TABLE tidegate.attempts DETACH PARTITION tidegate.attempts_" + kept.Format("20060102"))
	if days, why := w.sweepDays(held, 7); days != 0 || len(why) != 0 {
		t.Errorf("%d days, %q", days, why)
	}
	left := w.days()
	if slices.ContainsFunc(left, func(name string) bool { return strings.HasPrefix(name, "removed_") }) || !slices.Contains(left, "attempts_"+kept.Format("20060102")) {
		t.Errorf("there are %v", left)
	}
}

func TestKeptSaysHowFarItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	save := func(kept jobs.Kept, whole *time.Duration) jobs.Kept {
		t.Helper()
		if err := w.SaveKept(t.Context(), held, kept, whole); err != nil {
			t.Fatal(err)
		}
		status, err := w.Status(t.Context())
		if err != nil || len(status.Kept) != 1 {
			t.Fatalf("%+v, %v", status.Kept, err)
		}
		return status.Kept[0]
	}
	at, took := time.Now().Add(-time.Hour).Truncate(time.Microsecond), time.Minute
	if k := save(jobs.Kept{What: jobs.KeptRequests, Keep: month, At: at, Removed: 5}, nil); !k.Reached.IsZero() || !k.At.Equal(at) || k.Removed != 5 || k.Behind(time.Now()) != 0 {
		t.Errorf("in a first sweep: %+v", k)
	}
	k := save(jobs.Kept{What: jobs.KeptRequests, Keep: month, Removed: 2}, &took)
	if k.Removed != 7 || k.Reached.IsZero() || !k.At.IsZero() || k.Behind(k.SweptAt) != time.Minute || k.Behind(k.SweptAt.Add(time.Hour)) != time.Hour+time.Minute {
		t.Errorf("at its end: %+v, behind %s", k, k.Behind(k.SweptAt))
	}
	reached := k.Reached
	if k = save(jobs.Kept{What: jobs.KeptRequests, Keep: month, Held: "why"}, nil); !k.Reached.Equal(reached) || k.Held != "why" {
		t.Errorf("held: %+v", k)
	}
	if k = save(jobs.Kept{What: jobs.KeptRequests, Keep: 2 * month}, nil); !k.Reached.IsZero() || k.Held != "" {
		t.Errorf("of another time: %+v", k)
	}
}
