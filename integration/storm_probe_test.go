package integration

import (
	"testing"
	"time"

	"tidegate/cmd/app"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
)

const (
	// latest is how long a probe may take that is due: to take the lease, to find
	// a request, and what a busy machine needs for it.
	latest = 1500 * time.Millisecond
	// soonestAgain and latestAgain are between the end of a probe and the next, in
	// an outage of less than twenty seconds.
	soonestAgain = 900 * time.Millisecond
	latestAgain  = 1100*time.Millisecond + latest
)

// down503 takes a moment, so that two probes at once would be seen.
var down503 = simulator.Fault{Mode: simulator.Unavailable, Delay: 100 * time.Millisecond}

// TestOneProbeInTheFleet: four workers, one target, an outage. What reaches the
// provider once all know of it is one probe after the other, a second apart,
// also when a fifth worker starts, takes jobs, and learns of the outage from the
// others.
func TestOneProbeInTheFleet(t *testing.T) {
	t.Parallel()
	s := newStorm(t, staging{config: oneTarget})
	patient := func(_ int, c *app.StackConfig) { c.Timing.Hold = time.Hour } // so that the fifth takes jobs
	crews := s.crews(4, patient)
	batch := s.enqueue(20*inHand, nil)
	s.awaitResults(inHand)
	s.down("*", down503)
	began := s.awaitAllShut(cheap, crews...)
	if n := s.count("SELECT count(*) FROM tidegate.attempts WHERE class <> 'OK' AND NOT probe"); n > 4*(tripsAt+atOnce) {
		t.Errorf("%d calls met the outage before all knew of it: in each worker %d open the circuit, and %d more may be in flight", n, tripsAt, atOnce)
	}
	s.awaitProbes(2)
	fifth := s.crews(1, patient)[0]
	fixture.Await(t, soon, "the fifth has jobs that wait", func() bool { return fifth.Worker.Waiting(summaries) == inHand })
	s.awaitProbes(5)
	if n := s.count("SELECT count(*) FROM tidegate.circuits"); n != 1 || s.shared(cheap).State == jobs.CircuitClosed {
		t.Errorf("%d circuits, and it is %+v", n, s.shared(cheap))
	}
	ended := time.Now()
	calls := s.since(began, ended)
	s.apart(calls, 0, latestAgain)
	s.writtenApart(began, len(calls)-1, soonestAgain, latestAgain) // the last one may be out
	if lasted := ended.Sub(began); len(calls) < 4 || len(calls) > int(lasted/soonestAgain)+1 {
		t.Errorf("%d probes in %s", len(calls), lasted)
	}
	s.back()
	s.drained(batch)
	s.awaitClosed(cheap, append(crews, fifth)...)
}

// TestProbesOfALongOutage: workers that start in an outage of a minute's age know
// of it, and probe each twentieth of it: after three seconds. Nobody else is
// called, and no job is lost when it is over.
func TestProbesOfALongOutage(t *testing.T) {
	t.Parallel()
	s := newStorm(t, staging{config: oneTarget})
	s.down("*", down503)
	now := time.Now()
	s.share(jobs.Circuit{
		Target: cheap, State: jobs.CircuitOpen, Generation: 7, Reason: "OVERLOAD: status 503",
		Since: now.Add(-time.Minute), DownSince: now.Add(-time.Minute), CooldownUntil: now.Add(500 * time.Millisecond),
	})
	crews := s.crews(3, nil)
	batch := s.enqueue(3*inHand, nil)
	s.awaitProbes(3)
	calls := s.since(now, time.Now())
	s.apart(calls, 2700*time.Millisecond, 3500*time.Millisecond+latest)
	if len(calls) != 3 || s.calls(jobs.Overload) != 3 {
		t.Errorf("%d calls reached the provider, %d were written down, for 3 probes", len(calls), s.calls(jobs.Overload))
	}
	fixture.Await(t, soon, "three probes have moved the circuit on", func() bool { return s.shared(cheap).Generation == 10 })
	if got := s.shared(cheap); time.Since(got.DownSince) < time.Minute {
		t.Errorf("the circuit is %+v", got)
	}
	s.back()
	s.drained(batch)
	s.awaitClosed(cheap, crews...)
}

// TestOutageOutlivesEveryWorker: all workers stop in an outage. The one that
// starts later makes no call to learn of it.
func TestOutageOutlivesEveryWorker(t *testing.T) {
	t.Parallel()
	s := newStorm(t, staging{config: oneTarget})
	crews := s.crews(2, nil)
	batch := s.enqueue(3*inHand, nil)
	s.awaitResults(2)
	s.down("*", down503)
	s.awaitAllShut(cheap, crews...)
	s.awaitProbes(1)
	for _, c := range crews {
		c.stop()
	}
	left := s.shared(cheap)
	if left.State != jobs.CircuitOpen || left.Prober != "" || left.DownSince.IsZero() {
		t.Errorf("what they leave is %+v", left)
	}
	if n := s.count("SELECT count(*) FROM tidegate.river_job WHERE finalized_at IS NULL AND (state <> 'available' OR attempt <> 0)"); n != 0 {
		t.Errorf("%d jobs are not back as they were", n)
	}
	began, before := time.Now(), s.probes()
	next := s.crews(1, nil)[0]
	s.awaitProbes(before + 2)
	s.apart(s.since(began, time.Now()), soonestAgain, latestAgain)
	if n := len(s.since(began, time.Now())); n != s.probes()-before {
		t.Errorf("%d calls reached the provider, for %d probes", n, s.probes()-before)
	}
	if got := s.shared(cheap); !got.DownSince.Equal(left.DownSince) && got.DownSince.Sub(left.DownSince).Abs() > time.Second {
		t.Errorf("the outage began at %s, not at %s", got.DownSince, left.DownSince)
	}
	s.back()
	s.drained(batch)
	s.awaitClosed(cheap, next)
}
