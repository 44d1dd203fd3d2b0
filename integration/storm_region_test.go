package integration

import (
	"encoding/json"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
	"tidegate/worker/publish"
)

// regions puts the two cheapest targets into one region and the dear one into
// another.
func regions(c *config.Config) {
	c.Targets[0].Region, c.Targets[1].Region, c.Targets[2].Region = "eu", "eu", "us"
}

// through leads a worker to the targets of a region by a way of its own. No
// region is all of them.
func (s *storm) through(c *app.StackConfig, region, way string) {
	s.Helper()
	for _, route := range c.Routes {
		for _, target := range route.Chain {
			at, err := url.Parse(target.BaseURL)
			check(s.T, err)
			if region == "" || target.Region == region {
				target.BaseURL = way + at.Path
			}
		}
	}
}

// A reach is two workers, each with a line of its own to the region eu.
type reach struct {
	*storm
	crews []*crew
	lines [2]*line
}

func newReach(t *testing.T) *reach {
	t.Helper()
	r := &reach{storm: newStorm(t, staging{config: regions}), lines: [2]*line{{}, {}}}
	r.crews = r.storm.crews(2, func(i int, c *app.StackConfig) {
		r.through(c, "eu", r.lines[i].serve(t, r.before(r.sim)))
	})
	return r
}

var europe = []string{cheap, "sim-fast"}

// TestOneHostLosesARegion: one worker of two cannot dial the targets of a region.
// It goes on with another region, and nobody else hears of it: what it alone saw
// is its own business, until it reaches them again.
func TestOneHostLosesARegion(t *testing.T) {
	t.Parallel()
	r := newReach(t)
	batch := r.enqueue(150, nil)
	r.awaitResults(inHand)
	r.lines[0].cut(r.stage)
	fixture.Await(t, soon, "one worker does not reach the region", func() bool {
		return !slices.ContainsFunc(europe, func(name string) bool { return !r.crews[0].circuit(name).Local })
	})
	r.drained(batch)
	if n := r.attempts()["sim-dear OK"]; n == 0 {
		t.Error("nobody went to the other region")
	}
	r.rounds(3)
	for _, name := range europe {
		here, there, fleet := r.crews[0].circuit(name), r.crews[1].circuit(name), r.shared(name)
		if here.State == jobs.CircuitClosed || here.Region != "eu" {
			t.Errorf("here it is %+v", here)
		}
		if there.State != jobs.CircuitClosed || fleet.State != jobs.CircuitClosed || fleet.Generation != 0 {
			t.Errorf("there it is %+v, and in the fleet %+v", there, fleet)
		}
	}
	r.lines[0].mend(r.stage)
	for _, name := range europe {
		r.awaitClosed(name, r.crews...)
		if n := len(r.told("tidegate.v1.circuits." + name + ".open")); n != 0 {
			t.Errorf("%d events of %s", n, name)
		}
	}
}

// TestTwoHostsLoseARegion: what two workers saw is so for the fleet. Its circuits
// open for all, by their region's name, and no request is lost.
func TestTwoHostsLoseARegion(t *testing.T) {
	t.Parallel()
	r := newReach(t)
	batch := r.enqueue(200, nil)
	r.awaitResults(inHand)
	r.lines[0].cut(r.stage)
	r.lines[1].cut(r.stage)
	for _, name := range europe {
		fixture.Await(t, soon, name+" is open for all", func() bool { return r.shared(name).State != jobs.CircuitClosed })
	}
	r.drained(batch)
	shown := r.shownCircuits()
	for _, name := range europe {
		if c := shown[name]; c.Region != "eu" || c.State == "closed" || c.Reason == "" {
			t.Errorf("circuits says of %s: %+v", name, c)
		}
		if got := r.lastCircuit(name, "open"); got.Region != "eu" || got.Reason == "" {
			t.Errorf("the event of %s is %+v", name, got)
		}
	}
	if c := shown["sim-dear"]; c.State != "closed" || c.Region != "us" {
		t.Errorf("circuits says of the other region: %+v", c)
	}
	r.lines[0].mend(r.stage)
	r.lines[1].mend(r.stage)
	for _, name := range europe {
		r.awaitClosed(name, r.crews...)
		if got := r.lastCircuit(name, "closed"); got.Region != "eu" {
			t.Errorf("the event of %s is %+v", name, got)
		}
	}
}

// TestHostWithoutAWayLetsOthersProbe: in an outage one of two hosts loses its way
// to the providers. What it cannot see must not put off the probes of the other,
// again and again.
func TestHostWithoutAWayLetsOthersProbe(t *testing.T) {
	t.Parallel()
	lost := &line{}
	s := newStorm(t, staging{config: oneTarget})
	ways := []string{lost.serve(t, s.before(s.sim)), serve(t, s.before(s.sim))}
	crews := s.crews(2, func(i int, c *app.StackConfig) {
		c.HoldBudget = time.Second
		s.through(c, "", ways[i])
	})
	batch := s.enqueue(100, nil)
	s.awaitResults(inHand)
	s.down("*", simulator.Fault{Mode: simulator.Unavailable})
	s.awaitAllShut(cheap, crews...)
	lost.cut(s.stage)
	const vain = "SELECT count(*) FROM tidegate.attempts WHERE probe AND class <> 'OK' AND "
	unreached, reached := s.count(vain+"status IS NULL"), 0
	fixture.Await(t, soon, "many probes went out", func() bool {
		unreached, reached = s.count(vain+"status IS NULL"), s.count(vain+"status = 503")
		return unreached+reached >= 6
	})
	if unreached > 2 {
		t.Errorf("%d of %d probes went out where nothing gets through", unreached, unreached+reached)
	}
	s.back()
	s.drained(batch)
}

// lastCircuit waits for an event of a target's circuit, and returns the last.
func (s *storm) lastCircuit(target, state string) (body publish.CircuitBody) {
	s.Helper()
	js, err := jetstream.New(s.Conn)
	check(s.T, err)
	stream, err := js.Stream(s.Context(), publish.StreamName)
	check(s.T, err)
	fixture.Await(s.T, soon, target+" is "+state+" in an event", func() bool {
		msg, err := stream.GetLastMsgForSubject(s.Context(), "tidegate.v1.circuits."+target+"."+state)
		return err == nil && json.Unmarshal(msg.Data, &body) == nil
	})
	return body
}

// TestHostThatIsCutOff: a worker reaches no target at all, while another one
// does. After its hold budget it gives its jobs back, and the other answers them;
// it takes none until its own probe succeeds, and then it works again.
func TestHostThatIsCutOff(t *testing.T) {
	t.Parallel()
	s := newStorm(t, staging{})
	well := s.crews(1, nil)[0]
	fixture.Await(t, soon, "it lives", func() bool { return s.count("SELECT count(*) FROM tidegate.workers WHERE beats > 1") == 1 })
	line := &line{}
	at := line.serve(t, s.before(s.sim))
	line.cut(s.stage)
	var name string
	cut := s.crews(1, func(_ int, c *app.StackConfig) {
		name, c.HoldBudget = c.Name, time.Second
		s.through(c, "", at)
	})[0]
	first := s.enqueue(100, nil)
	fixture.Await(t, soon, "jobs wait where no target is reached", func() bool { return cut.Worker.Waiting(summaries) > 0 })
	s.awaitBatch(first)
	if n := s.count("SELECT count(*) FROM tidegate.river_job WHERE (metadata->>'snoozes')::int > 0"); n == 0 {
		t.Error("no job was given back")
	}
	second := s.awaitBatch(s.enqueue(20, func(i int, r *jobs.Request) { r.Body = body(1000 + i) }))
	const took = "SELECT count(*) FROM tidegate.river_job j JOIN tidegate.requests q ON q.id = (j.args->>'r')::uuid WHERE q.batch_id = $1 AND $2 = ANY (attempted_by)"
	if n := s.count(took, second.ID, name); n != 0 {
		t.Errorf("the one that is cut off took %d jobs", n)
	}
	line.mend(s.stage)
	s.awaitClosed(cheap, cut)
	well.stop()
	third := s.settle(s.enqueue(20, func(i int, r *jobs.Request) { r.Body = body(2000 + i) }))
	if n := s.count(took, third.ID, name); n != 20 {
		t.Errorf("it took %d jobs of 20 when it was back", n)
	}
	s.noneBurned()
	if n := s.count("SELECT count(*) FROM tidegate.results WHERE state = 'answered'"); n != 140 || s.sim.Seen("*").AnsweredTwice != 0 {
		t.Errorf("%d of 140 were answered, %d twice", n, s.sim.Seen("*").AnsweredTwice)
	}
	if got := s.shared(cheap); got.Generation != 0 {
		t.Errorf("the fleet's circuit is %+v", got)
	}
}
