package store_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
	"tidegate/store"
)

func (w *world) beat(worker string) {
	w.t.Helper()
	if dead, err := w.Beat(w.t.Context(), jobs.Beat{Worker: worker, Demand: map[string]int{"cheap": 3}}); dead || err != nil {
		w.t.Fatalf("%s is dead: %v, %v", worker, dead, err)
	}
}

func (w *world) lead(worker string) jobs.Lead {
	w.t.Helper()
	held, ok, err := w.Lead(w.t.Context(), worker, time.Minute)
	if !ok || err != nil {
		w.t.Fatalf("%s does not lead: %v", worker, err)
	}
	return held
}

// share says as a worker where the circuit of cheap stands, and returns what
// the fleet then knows.
func (w *world) share(worker string, c jobs.Circuit) jobs.Circuit {
	w.t.Helper()
	c.Target = "cheap"
	if err := w.ShareCircuits(w.t.Context(), worker, []jobs.Circuit{c}); err != nil {
		w.t.Fatal(err)
	}
	return w.circuit()
}

func (w *world) circuit() jobs.Circuit {
	w.t.Helper()
	fleet, err := w.Fleet(w.t.Context())
	if err != nil || len(fleet.Circuits) != 1 {
		w.t.Fatalf("the fleet has %d circuits, %v", len(fleet.Circuits), err)
	}
	return fleet.Circuits[0]
}

func TestHigherGenerationIsRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("a")
	w.beat("b")
	soon, later := time.Now().Add(time.Minute), time.Now().Add(time.Hour)
	w.share("a", jobs.Circuit{State: jobs.CircuitOpen, Generation: 5, Reason: "of a", CooldownUntil: soon, DownSince: time.Now()})
	if got := w.share("b", jobs.Circuit{State: jobs.CircuitOpen, Generation: 5, Reason: "of b"}); got.Reason != "of a" {
		t.Errorf("of two changes to one generation the later one stands: %+v", got)
	}
	if got := w.share("b", jobs.Circuit{State: jobs.CircuitClosed, Generation: 4, CooldownUntil: later}); got.State != jobs.CircuitOpen || got.CooldownUntil.Sub(later).Abs() > time.Second {
		t.Errorf("of an older generation only the later cooldown counts: %+v", got)
	}
	if err := w.SetCircuit(t.Context(), "cheap", jobs.CircuitClosed, 0, "I know better"); err != nil {
		t.Fatal(err)
	}
	if got := w.circuit(); got.State != jobs.CircuitClosed || got.Generation != 6 || !got.Person || !got.CooldownUntil.IsZero() {
		t.Errorf("a person's word: %+v", got)
	}
	if err := w.SetCircuit(t.Context(), "nobody", jobs.CircuitOpen, 0, ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown target: %v", err)
	}
	if got := w.share("a", jobs.Circuit{State: jobs.CircuitOpen, Generation: 9, Local: true}); got.Generation != 6 {
		t.Errorf("what only one host saw was shared: %+v", got)
	}
}

func TestOneProbeInTheFleet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("a")
	w.beat("b")
	w.share("a", jobs.Circuit{State: jobs.CircuitOpen, Generation: 5, DownSince: time.Now()})
	var taken atomic.Int64
	var tries sync.WaitGroup
	for i := range 50 {
		tries.Go(func() {
			worker := []string{"x", "y", "z", "u", "v"}[i%5] + string(rune('0'+i/5))
			ok, err := w.TakeProbe(context.Background(), worker, "cheap", 5)
			if err != nil {
				t.Error(err)
			}
			if ok {
				taken.Add(1)
			}
		})
	}
	tries.Wait()
	holder := w.circuit().Prober
	if taken.Load() != 1 || holder == "" {
		t.Fatalf("%d probes, held by %q", taken.Load(), holder)
	}
	if ok, err := w.TakeProbe(t.Context(), "a", "cheap", 5); ok || err != nil {
		t.Errorf("a second probe: %v, %v", ok, err)
	}
	if _, err := w.Rescue(t.Context(), w.lead("b"), holder, store.RescueLimits{}); err != nil {
		t.Fatal(err)
	}
	if ok, err := w.TakeProbe(t.Context(), "a", "cheap", 5); !ok || err != nil {
		t.Errorf("the probe of a dead worker is not free: %v, %v", ok, err)
	}
	if got := w.share("a", jobs.Circuit{State: jobs.CircuitClosed, Generation: 6}); got.Prober != "" || got.State != jobs.CircuitClosed {
		t.Errorf("after its probe: %+v", got)
	}
	if ok, err := w.TakeProbe(t.Context(), "a", "cheap", 6); ok || err != nil {
		t.Errorf("a probe of a closed circuit: %v, %v", ok, err)
	}
}

func TestOneLeads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.lead("a")
	if _, ok, err := w.Lead(t.Context(), "b", time.Minute); ok || err != nil {
		t.Errorf("two lead: %v", err)
	}
	if err := w.Resign(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second := w.lead("b")
	if second.Epoch <= first.Epoch {
		t.Errorf("the epoch went from %d to %d", first.Epoch, second.Epoch)
	}
	if _, err := w.Expire(t.Context(), first, time.Hour, 0); !errors.Is(err, store.ErrDeposed) {
		t.Errorf("the deposed one acts: %v", err)
	}
}

func TestExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("a")
	requests := w.accept("batch_1", 3)
	w.exec("UPDATE tidegate.requests SET deadline = now() - interval '1 second' WHERE id IN ($1, $2)", requests[0].ID, requests[1].ID)
	w.exec("UPDATE tidegate.requests SET deadline = now() + interval '1 hour' WHERE id = $1", requests[2].ID)
	w.commit(answered(&requests[0]))
	if n, err := w.Expire(t.Context(), held, time.Minute, 0); n != 1 || err != nil {
		t.Errorf("%d expired, %v", n, err)
	}
	if n := w.number("SELECT count(*) FROM tidegate.results WHERE state = 'expired' AND request_id = $1", requests[1].ID); n != 1 {
		t.Errorf("%d results of the one that is over", n)
	}
	if b := w.batch("batch_1"); b.Failed != 1 || b.Completed != 1 || len(w.owed()) != 2 {
		t.Errorf("the batch is %+v", b)
	}
}

func TestAPersonsPauseWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.SaveRoutes(t.Context(), []jobs.Route{{Name: "summaries", Goal: "ordered"}}); err != nil {
		t.Fatal(err)
	}
	held := w.lead("a")
	set := func(to string) func(context.Context, pgx.Tx) error { // what River's own pause and resume do
		return func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE tidegate.river_queue SET paused_at = "+to+" WHERE name = 'summaries'")
			return err
		}
	}
	paused := func() int {
		return w.number("SELECT count(*) FROM tidegate.river_queue WHERE name = 'summaries' AND paused_at IS NOT NULL")
	}
	if changed, err := w.Pause(t.Context(), held, "summaries", "all down", set("now()")); !changed || err != nil || paused() != 1 {
		t.Fatalf("paused: %v, %v", changed, err)
	}
	w.exec("UPDATE tidegate.river_queue SET paused_at = coalesce(paused_at, now()) WHERE name = 'summaries'") // a person, in River's page
	if changed, err := w.Resume(t.Context(), held, "summaries", set("NULL")); changed || err != nil || paused() != 1 {
		t.Errorf("the supervisor undid a person's pause: %v, %v", changed, err)
	}
	pauses, err := w.Pauses(t.Context())
	if err != nil || len(pauses) != 1 || pauses[0].Owner != jobs.OwnerPerson {
		t.Errorf("pauses: %+v, %v", pauses, err)
	}
	if err := w.ResumeByPerson(t.Context(), "summaries", set("NULL")); err != nil || paused() != 0 {
		t.Errorf("a person's resume: %v", err)
	}
	if pauses, err := w.Pauses(t.Context()); err != nil || len(pauses) != 0 {
		t.Errorf("pauses are left: %+v, %v", pauses, err)
	}
	if err := w.PauseByPerson(t.Context(), "nowhere", "", set("now()")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown route: %v", err)
	}
}
