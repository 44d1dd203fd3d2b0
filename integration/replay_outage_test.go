package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/replay"
	"tidegate/routing/simulator"
)

// Requests of a staged outage that is replayed: they come one after the other, and some
// seconds after the first one nobody answers for a while.
const (
	comeEvery  = 50 * time.Millisecond
	comeFor    = 17 * time.Second
	outAfter   = 5 * time.Second
	outFor     = 8 * time.Second // the gate notices late, and a drain is what comes after five seconds
	placesThen = 16
)

// newSea is a stage whose worker has places for more requests than come, and asks any
// target now and then.
func newSea(t *testing.T) (s *stage, policy string) {
	t.Helper()
	s = newStage(t, staging{latency: 250 * time.Millisecond, config: func(c *config.Config) {
		c.Worker.Concurrency, c.Routes[0].Deadline, c.Estimator.Explore = placesThen, 0, 0.3
	}})
	s.work(func(c *app.StackConfig) { c.Choosing.Explore, c.Concurrency = s.config.Estimator.Explore, placesThen })
	return s, s.policyOf("old.yaml", nil)
}

// come enqueues the same requests at the same even pace on both stages. storm is called
// each time, and told how long ago the first one came.
func come(t *testing.T, storm func(since time.Duration), stages ...*stage) {
	t.Helper()
	ticker := time.NewTicker(comeEvery)
	defer ticker.Stop()
	first := time.Now()
	last := make([]jobs.Batch, len(stages))
	for range int(comeFor / comeEvery) {
		for i, s := range stages {
			last[i] = s.enqueue(1, func(_ int, r *jobs.Request) { r.Goal = "cost" })
		}
		storm(time.Since(first))
		<-ticker.C
	}
	for i, s := range stages {
		s.settle(last[i])
	}
}

// An outage that is added to the traffic of a calm time comes to what the same outage does
// to the same traffic: the same circuits open, requests wait as long, and the backlog is
// gone as soon.
//
// It runs alone: what other tests take from the machine is in the log of one stage at one
// time, and in that of the other at another.
func TestStagedOutageIsReplayed(t *testing.T) {
	calm, policy := newSea(t)
	stormy, _ := newSea(t)
	began, ended := time.Duration(0), time.Duration(0)
	come(t, func(since time.Duration) {
		switch {
		case began == 0 && since >= outAfter:
			began = since
			stormy.down("*", simulator.Fault{Mode: simulator.Unavailable})
		case began > 0 && ended == 0 && since >= began+outFor:
			ended = since
			stormy.back()
		}
	}, calm, stormy)

	args := []string{"--against", policy, "--workers", "1", "--json"}
	was := lastLine[replayed](t, stormy.replay(args...).out)
	for _, target := range calm.config.Targets {
		args = append(args, "--outage", fmt.Sprintf("target=%s,mode=503,takes=8ms,from=%s,for=%s", target.Name, began, ended-began))
	}
	r := lastLine[replayed](t, calm.replay(args...).out)
	got := r.Results[0]
	fixture.Await(t, soon, "all circuits are closed again", func() bool {
		return stormy.count("SELECT count(*) FROM tidegate.circuits WHERE state <> 'closed'") == 0
	})
	for _, target := range calm.config.Targets {
		opened := stormy.count("SELECT count(*) FROM tidegate.transitions WHERE kind = 'circuit' AND state = 'open' AND name = $1", target.Name)
		if got.Tripped[target.Name] != float64(opened) {
			t.Errorf("the circuit of %s opens %v times in the replay, and %d times in the outage", target.Name, got.Tripped[target.Name], opened)
		}
	}
	for _, m := range []replay.Metric{replay.Mean, replay.P50, replay.P95, replay.Waited} {
		if is, r := was.Logged[m], got.Metrics[m]; beyond(is, r.Low, r.High) {
			t.Errorf("%s: the outage has %v, and the replay %+v", m, is, r)
		}
	}
	if is := was.Logged[replay.Success]; is != 1 || got.Metrics[replay.Success].At != 1 {
		t.Errorf("%v of the requests are answered, in the replay %+v", is, got.Metrics[replay.Success])
	}
	if len(got.Drains) != 1 {
		t.Fatalf("the replay has the drains %+v", got.Drains)
	}
	is, d := stormy.drained(), got.Drains[0]
	t.Logf("the outage waited %.2f s, completed p95 %.2f s and drained like %+v", was.Logged[replay.Waited], was.Logged[replay.P95], is)
	t.Logf("the replay has %.2f, %.2f and %+v", got.Metrics[replay.Waited], got.Metrics[replay.P95], d)
	if beyond(is.Held.Seconds(), d.HeldLow.Seconds(), d.HeldHigh.Seconds()) || beyond(is.Took.Seconds(), d.TookLow.Seconds(), d.TookHigh.Seconds()) {
		t.Errorf("the outage drains like %+v, and the replay like %+v", is, d)
	}
	if apart := is.Waiting - d.Waiting; apart < -d.Waiting/10-3 || apart > d.Waiting/10+3 {
		t.Errorf("%d requests wait when it is over, and %d in the replay", is.Waiting, d.Waiting)
	}
}

// beyond tells whether seconds are out of a range by more than a busy machine makes of
// them, which is no matter of the replay: a tenth, and a second. On a quiet one they are in it.
func beyond(x, low, high float64) bool { return x < 0.9*low-1 || x > 1.1*high+1 }

// drained is the drain after the only outage of a stage, as the ledger has it.
func (s *stage) drained() (d replay.Drain) {
	s.Helper()
	type asked struct{ came, called, answered time.Time }
	rows, err := s.Pool.Query(s.Context(), `
		SELECT r.created_at, a.at, a.at + make_interval(secs => a.latency_us / 1e6)
		FROM tidegate.requests r JOIN tidegate.attempts a ON a.request_id = r.id AND a.class = 'OK' ORDER BY 3`)
	check(s.T, err)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a asked, err error) {
		return a, row.Scan(&a.came, &a.called, &a.answered)
	})
	check(s.T, err)
	var open time.Time // since when nobody could be called
	check(s.T, s.Pool.QueryRow(s.Context(), "SELECT max(at) FROM tidegate.transitions WHERE kind = 'circuit' AND state = 'open'").Scan(&open))
	var first time.Time
	for _, a := range all {
		if a.called.Before(open) {
			continue
		}
		if first.IsZero() {
			first = a.answered
			d.Held = first.Sub(open)
		}
		waiting := 0
		for _, other := range all {
			if !other.came.After(a.answered) && other.called.After(a.answered) {
				waiting++
			}
		}
		if d.Waiting == 0 {
			d.Waiting = waiting
		}
		if waiting == 0 {
			d.Took = a.answered.Sub(first)
			return d
		}
	}
	s.Fatal("the outage has no drain")
	return d
}
