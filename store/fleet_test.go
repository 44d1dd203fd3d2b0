package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"tidegate/integration/fixture"
	"tidegate/jobs"
)

const soon = 30 * time.Second

func (w *world) fleet() jobs.Fleet {
	w.t.Helper()
	fleet, err := w.Fleet(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return fleet
}

func TestFleetOfNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fleet := w.fleet()
	if len(fleet.Peers)+len(fleet.Circuits)+len(fleet.Pauses)+len(fleet.Drills)+len(fleet.LastGood) != 0 || fleet.LastGood == nil {
		t.Errorf("it is %+v", fleet)
	}
	if fleet.Ahead < -soonEnough || fleet.Ahead > soonEnough { // one machine has one clock
		t.Errorf("the database is ahead by %s", fleet.Ahead)
	}
}

func TestFleetSaysWhatWorkersSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := jobs.Beat{
		Worker: "one", Demand: map[string]int{"a": 3}, Accepted: map[string]float64{"a": 1.5}, Announced: map[string]float64{"b": 20}, Ended: map[string]int{"summaries": 7}, Unreached: []string{"c"},
		Statistics: jobs.Statistics{Estimator: "decayed", Of: map[string][]float32{"a": {1, 0.5}}},
	}
	for range 2 {
		if dead, err := w.Beat(t.Context(), one); dead || err != nil {
			t.Fatal(dead, err)
		}
	}
	w.kill("gone")
	w.kill("long-gone")
	w.exec("UPDATE tidegate.workers SET dead_at = now() - interval '2 hours' WHERE id = 'long-gone'")
	if dead, err := w.Beat(t.Context(), jobs.Beat{Worker: "gone"}); !dead || err != nil {
		t.Errorf("the dead live again: %v, %v", dead, err)
	}
	w.save("one", open(2, "down", time.Minute))
	w.exec("INSERT INTO tidegate.pauses (route, owner, reason, since) VALUES ('summaries', 'person', 'lunch', now() - interval '1 hour')")
	begin := func(target string, mode jobs.DrillMode, until time.Duration) {
		if err := w.StartDrill(t.Context(), jobs.Drill{Target: target, Mode: mode, Rate: 0.5, Until: time.Now().Add(until)}); err != nil {
			t.Fatal(err)
		}
	}
	begin("a", jobs.DrillHang, time.Hour)
	begin("a", jobs.Drill503, time.Minute)
	begin("b", jobs.Drill503, -time.Minute)
	held := w.lead("one")
	for _, rate := range []float64{3, 12.5, 7} {
		if err := w.SavePace(t.Context(), held, "a", rate); err != nil {
			t.Fatal(err)
		}
	}
	fleet := w.fleet()
	empty := jobs.Beat{Worker: "gone", Demand: map[string]int{}, Accepted: map[string]float64{}, Announced: map[string]float64{}, Unreached: []string{}, Ended: map[string]int{}}
	for i := range fleet.Peers {
		near(t, "the beat", fleet.Peers[i].At, 0)
		fleet.Peers[i].At = time.Time{}
	}
	if diff := cmp.Diff([]jobs.Peer{{Beat: empty, Beats: 2, Dead: true}, {Beat: one, Beats: 2}}, fleet.Peers); diff != "" {
		t.Errorf("peers (-want +got):\n%s", diff)
	}
	if len(fleet.Circuits) != 1 || len(fleet.Pauses) != 1 || len(fleet.Drills) != 1 {
		t.Fatalf("it is %+v", fleet)
	}
	near(t, "the cooldown", fleet.Circuits[0].CooldownUntil, time.Minute)
	near(t, "the pause", fleet.Pauses[0].Since, -time.Hour)
	near(t, "the drill", fleet.Drills[0].Until, time.Minute)
	expect(t, "the drill", []any{fleet.Drills[0].Target, fleet.Drills[0].Mode, fleet.Drills[0].Rate}, []any{"a", "503", 0.5})
	expect(t, "last good", fleet.LastGood, map[string]float64{"a": 12.5})
	pauses, err := w.Pauses(t.Context())
	if err != nil || len(pauses) != 1 || pauses[0].Owner != jobs.OwnerPerson || pauses[0].Reason != "lunch" {
		t.Fatalf("pauses %+v, %v", pauses, err)
	}
	near(t, "the pause", pauses[0].Since, -time.Hour)
	for _, want := range []bool{true, false} {
		if was, err := w.EndDrill(t.Context(), "a"); was != want || err != nil {
			t.Errorf("the drill was under way: %v, %v", was, err)
		}
	}
	w.exec("UPDATE tidegate.paces SET at = now() - interval '25 hours'")
	if err := w.SavePace(t.Context(), held, "a", 2); err != nil || w.fleet().LastGood["a"] != 2 {
		t.Errorf("after a day: %v, %v", w.fleet().LastGood, err)
	}
}

func (w *world) lead(worker string) jobs.Lead {
	w.t.Helper()
	held, ok, err := w.Lead(w.t.Context(), worker, time.Hour)
	if err != nil || !ok {
		w.t.Fatalf("%s does not lead: %v", worker, err)
	}
	return held
}

func TestOneLeads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	leads := func(worker string, lasts time.Duration, epoch int64) {
		t.Helper()
		held, ok, err := w.Lead(t.Context(), worker, lasts)
		if err != nil || ok != (epoch > 0) || held.Epoch != epoch {
			t.Errorf("%s leads %v in epoch %d, not %d: %v", worker, ok, held.Epoch, epoch, err)
		}
	}
	leads("one", time.Hour, 1)
	leads("two", time.Hour, 0)
	leads("one", -time.Second, 1)
	leads("one", -time.Second, 1) // late, but nobody took it
	leads("two", time.Hour, 2)
	leads("one", time.Hour, 0)
	if err := w.Resign(t.Context(), jobs.Lead{Worker: "one", Epoch: 1}); err != nil {
		t.Error(err)
	}
	leads("one", time.Hour, 0) // it had nothing to give back
	if err := w.Resign(t.Context(), jobs.Lead{Worker: "two", Epoch: 2}); err != nil {
		t.Error(err)
	}
	w.kill("gone")
	leads("gone", time.Hour, 0)
	leads("two", time.Hour, 3)
	if err := w.Leave(t.Context(), "two"); err != nil {
		t.Error(err)
	}
	leads("one", time.Hour, 4)
}

func TestTheDeposedDoNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.lead("one")
	w.exec("UPDATE tidegate.leases SET expires_at = now()")
	w.lead("two")
	w.kill("three")
	_, pauseErr := w.Pause(t.Context(), old, "summaries", "down", noChange(t))
	_, resumeErr := w.Resume(t.Context(), old, "summaries", noChange(t))
	_, rescueErr := w.Rescue(t.Context(), old, "four", jobs.RescueLimits{})
	_, expireErr := w.Expire(t.Context(), old, jobs.Sweep{Ago: time.Hour, AtMost: 1})
	for doing, err := range map[string]error{
		"pause": pauseErr, "resume": resumeErr, "rescue": rescueErr, "expire": expireErr,
		"forget": w.Forget(t.Context(), old), "pace": w.SavePace(t.Context(), old, "a", 1),
	} {
		if !errors.Is(err, jobs.ErrDeposed) {
			t.Errorf("%s: %v", doing, err)
		}
	}
	expect(t, "rows", w.number("SELECT (SELECT count(*) FROM tidegate.pauses) + (SELECT count(*) FROM tidegate.paces) + (SELECT count(*) FROM tidegate.workers WHERE id = 'four')"), 0)
}

// While the leader acts, nobody takes its lease, also when that has expired.
func TestLeadWaitsForAnAction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.lead("one")
	acting, ended := make(chan struct{}), make(chan struct{})
	end := sync.OnceFunc(func() { close(ended) })
	var parts sync.WaitGroup
	defer parts.Wait()
	defer end()
	parts.Go(func() {
		_, err := w.Pause(t.Context(), held, "summaries", "down", func(context.Context, pgxTx) error {
			close(acting)
			<-ended
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-acting
	parts.Go(func() {
		if got, ok, err := w.Lead(t.Context(), "two", time.Hour); ok || err != nil {
			t.Errorf("two leads in %+v: %v", got, err) // the lease of an hour goes on
		}
	})
	fixture.Await(t, soon, "the other waits", func() bool {
		return w.number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
	})
}

// A leader that falls silent in the middle of an action, as one does whose host
// was cut off, neither keeps the lease from others nor acts when it is back.
func TestSilentLeaderIsCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held, ok, err := w.Lead(t.Context(), "one", time.Millisecond)
	if err != nil || !ok {
		t.Fatalf("one does not lead: %v", err)
	}
	_, err = w.Pause(t.Context(), held, "summaries", "down", func(context.Context, pgxTx) error {
		if _, ok, err := w.Lead(t.Context(), "two", time.Hour); !ok || err != nil {
			t.Errorf("while the leader is silent, nobody else leads: %v", err)
		}
		return nil
	})
	if err == nil {
		t.Error("it acted, and another leads")
	}
	expect(t, "pauses", w.number("SELECT count(*) FROM tidegate.pauses"), 0)
}

func TestForget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("alive")
	w.kill("gone")
	w.kill("long-gone")
	w.exec("UPDATE tidegate.workers SET dead_at = now() - interval '25 hours' WHERE id = 'long-gone'")
	w.exec("INSERT INTO tidegate.suspects (request_id, last_worker, last_at) VALUES (gen_random_uuid(), 'w', now()), (gen_random_uuid(), 'w', now() - interval '8 days')")
	if err := w.Forget(t.Context(), w.lead("alive")); err != nil {
		t.Fatal(err)
	}
	expect(t, "workers", w.number("SELECT count(*) FROM tidegate.workers"), 2)
	expect(t, "suspects", w.number("SELECT count(*) FROM tidegate.suspects"), 1)
	if dead, err := w.Beat(t.Context(), jobs.Beat{Worker: "long-gone", Again: true}); !dead || err != nil {
		t.Errorf("one that was forgotten beats again: it is told %t, %v", dead, err)
	}
	expect(t, "workers", w.number("SELECT count(*) FROM tidegate.workers"), 2)
}

func TestLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one", "two")
	w.kill("gone")
	w.save("one", open(1, "down", -time.Second))
	expect(t, "probe", w.take("one", 1), true)
	w.begin("one", 0, uuid.NewString())
	w.begin("two", 0, uuid.NewString())
	for range 2 {
		for _, name := range []string{"one", "gone"} {
			if err := w.Leave(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect(t, "workers", w.number("SELECT count(*) FROM tidegate.workers"), 2) // the dead stay dead
	expect(t, "calls", w.number("SELECT count(*) FROM tidegate.calls"), 1)
	expect(t, "prober", w.circuit().Prober, "")
}

// begin begins one call now and returns when that was.
func (w *world) begin(worker string, slot int, requestID string) time.Time {
	w.t.Helper()
	at := time.Now()
	if _, err := w.Begin(w.t.Context(), worker, []jobs.Begun{{Slot: slot, RequestID: requestID, Target: "cheap", Route: "summaries", At: at}}); err != nil {
		w.t.Fatal(err)
	}
	return at
}

func TestBegin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	call := func(slot int, target string) jobs.Begun {
		return jobs.Begun{Slot: slot, RequestID: uuid.NewString(), Target: target, Route: "r", At: time.Now()}
	}
	if _, err := w.Begin(t.Context(), "one", []jobs.Begun{call(0, "a")}); !errors.Is(err, jobs.ErrDead) {
		t.Errorf("before its first beat: %v", err)
	}
	w.beat("one")
	if _, err := w.Begin(t.Context(), "one", []jobs.Begun{call(0, "a"), call(1, "a"), call(1, "b")}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Begin(t.Context(), "one", []jobs.Begun{call(0, "c")}); err != nil {
		t.Fatal(err)
	}
	expect(t, "calls", w.number("SELECT count(*) FROM tidegate.calls WHERE (slot, target) IN ((0, 'c'), (1, 'b'))"), 2)
	expect(t, "calls", w.number("SELECT count(*) FROM tidegate.calls"), 2)
	w.kill("one")
	if _, err := w.Begin(t.Context(), "one", []jobs.Begun{call(5, "a")}); !errors.Is(err, jobs.ErrDead) {
		t.Errorf("of the dead: %v", err)
	}
	if _, err := w.Begin(t.Context(), "one", []jobs.Begun{{RequestID: "no id"}}); err == nil {
		t.Error("it took a call without a request")
	}
	expect(t, "calls", w.number("SELECT count(*) FROM tidegate.calls"), 2)
}

// A request that has its result is not begun, and a call that was not made after
// all frees its place.
func TestBeginLooksWhoHasEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.beat("one")
	two := w.accept("", 2)
	over, open := two[0], two[1]
	w.commit(answered(&over))
	begun := func(slot int, id string) jobs.Begun {
		return jobs.Begun{Slot: slot, RequestID: id, Target: "a", Route: "r", At: time.Now()}
	}
	ended, err := w.Begin(t.Context(), "one", []jobs.Begun{begun(0, over.ID), begun(1, open.ID)})
	if err != nil || !slices.Equal(ended, []string{over.ID}) {
		t.Fatalf("ended: %q, %v", ended, err)
	}
	expect(t, "calls", w.number("SELECT count(*) FROM tidegate.calls WHERE request_id = $1 AND slot = 1", open.ID), 1)
	expect(t, "calls", w.number("SELECT count(*) FROM tidegate.calls"), 1)
	if _, err := w.Begin(t.Context(), "one", []jobs.Begun{begun(1, ""), begun(7, "")}); err != nil {
		t.Fatal(err)
	}
	expect(t, "calls", w.number("SELECT count(*) FROM tidegate.calls"), 0)
}

// Beats do not touch an index: else a fleet at rest would make work for vacuum.
func TestBeatsStayOnTheirPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const beats = 20
	for range beats {
		w.beat("one")
	}
	fixture.Await(t, soon, "the updates are counted", func() bool {
		return w.number("SELECT coalesce(sum(n_tup_upd), 0) FROM pg_stat_user_tables WHERE relname = 'workers'") >= beats-1
	})
	if n := w.number("SELECT n_tup_upd - n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'workers'"); n != 0 {
		t.Errorf("%d of %d beats were not HOT", n, beats)
	}
}
