package store_test

import (
	"errors"
	"testing"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// inHand gives the job of a request to a worker, at its first attempt.
func (w *world) inHand(r *jobs.Request, worker, queue string) {
	w.t.Helper()
	w.exec(`INSERT INTO tidegate.river_job (args, kind, max_attempts, queue, state, attempt, attempted_by, attempted_at)
		VALUES (jsonb_build_object('r', $1::text), 'completion', 5, $3, 'running', 1, ARRAY[$2], now())`, r.ID, worker, queue)
}

func (w *world) begin(worker string, slot int, r *jobs.Request, at time.Time) {
	w.t.Helper()
	err := w.Begin(w.t.Context(), worker, []jobs.Begun{{Slot: slot, RequestID: r.ID, Target: "cheap", Route: "summaries", At: at}})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) rescue(held jobs.Lead, worker string) jobs.Rescue {
	w.t.Helper()
	done, err := w.Rescue(w.t.Context(), held, worker, store.RescueLimits{})
	if err != nil {
		w.t.Fatal(err)
	}
	done.Worker = ""
	return done
}

func TestRescue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("dead")
	w.beat("well")
	held := w.lead("well")
	requests := w.accept("batch_1", 4)
	called, waits, done, elses := &requests[0], &requests[1], &requests[2], &requests[3]
	for _, r := range requests[:3] {
		w.inHand(&r, "dead", "summaries")
	}
	w.inHand(elses, "well", "summaries")
	at := time.Now()
	w.begin("dead", 0, done, at)
	w.begin("dead", 0, called, at) // which takes over the place
	w.commit(answered(done))
	if got := w.rescue(held, "dead"); got != (jobs.Rescue{Returned: 2, Lost: 1}) {
		t.Errorf("rescued %+v", got)
	}
	if n := w.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'available' AND attempt = 0"); n != 2 {
		t.Errorf("%d jobs run again with their attempt", n)
	}
	if n := w.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'completed'"); n != 1 {
		t.Errorf("%d jobs were completed that have their result", n)
	}
	if n := w.number("SELECT count(*) FROM tidegate.river_job WHERE state = 'running' AND attempted_by = ARRAY['well']"); n != 1 {
		t.Error("the job of another worker was touched")
	}
	if n := w.number("SELECT crashes FROM tidegate.suspects WHERE request_id = $1", called.ID); n != 1 {
		t.Errorf("%d crashes of the one that was called", n)
	}
	if n := w.number("SELECT count(*) FROM tidegate.suspects WHERE request_id = $1", waits.ID); n != 0 {
		t.Error("one that only waited is a suspect")
	}
	if dead, err := w.Beat(t.Context(), jobs.Beat{Worker: "dead"}); !dead || err != nil {
		t.Errorf("it came back to life: %v", err)
	}
	if err := w.Begin(t.Context(), "dead", []jobs.Begun{{RequestID: waits.ID, At: at}}); !errors.Is(err, store.ErrDead) {
		t.Errorf("a dead worker begins a call: %v", err)
	}
	late := answered(called) // paid, and kept
	late.Trace[0].Attempt.At = at
	if n := w.commit(late); n != 1 {
		t.Errorf("%d results of the late answer", n)
	}
	if n := w.number("SELECT cost_micro_usd FROM tidegate.attempts WHERE request_id = $1 AND class = 'OK'", called.ID); n != 30 {
		t.Errorf("the late attempt cost %d", n)
	}
	if got := w.rescue(held, "dead"); got != (jobs.Rescue{}) {
		t.Errorf("a second time: %+v", got)
	}
}

// One request kills every worker that calls it; its neighbour is only near.
func TestPoisonIsFoundInQuarantine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("supervisor")
	requests := w.accept("batch_1", 2)
	poison, innocent := &requests[0], &requests[1]
	die := func(worker, queue string, calls ...*jobs.Request) jobs.Rescue {
		w.beat(worker)
		w.exec("DELETE FROM tidegate.river_job")
		for slot, r := range calls {
			w.inHand(r, worker, queue)
			w.begin(worker, slot, r, time.Now())
		}
		return w.rescue(held, worker)
	}
	die("one", "summaries", poison, innocent)
	if got := die("two", "summaries", poison, innocent); got.Quarantined != 2 || got.Poisoned != 0 {
		t.Errorf("after two crashes: %+v", got)
	}
	if n := w.number("SELECT count(*) FROM tidegate.river_job WHERE queue = $1 AND state = 'available'", jobs.QuarantineQueue); n != 2 {
		t.Errorf("%d run alone from now on", n)
	}
	die("three", jobs.QuarantineQueue, poison)
	if got := die("four", jobs.QuarantineQueue, poison); got.Poisoned != 1 {
		t.Errorf("after two deaths alone: %+v", got)
	}
	if n := w.number("SELECT count(*) FROM tidegate.results WHERE state = 'poison' AND request_id = $1", poison.ID); n != 1 {
		t.Errorf("%d results of the poison", n)
	}
	if n := w.number("SELECT count(*) FROM tidegate.results WHERE request_id = $1", innocent.ID); n != 0 {
		t.Error("its neighbour was condemned")
	}
	if n := w.number("SELECT count(*) FROM tidegate.attempts WHERE class = 'LOST'"); n != 6 {
		t.Errorf("%d lost calls were written down, want 6", n)
	}
}
