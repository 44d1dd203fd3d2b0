package routing

import (
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

// waiting begins a story of a route that may wait, with targets that take so much for
// a million tokens, whatever they are, in the order of the chain.
func waiting(t testing.TB, whenOpen jobs.WhenOpen, prices map[string]jobs.MicroUSD, names ...string) *story {
	targets := make([]*jobs.Target, len(names))
	for i, name := range names {
		targets[i] = &jobs.Target{Name: name, Provider: "account-of-" + name, Price: jobs.Price{Input: prices[name], Output: prices[name]}}
	}
	s := chainOf(t, targets...)
	s.router.Reload([]jobs.Route{{Name: theRoute, Chain: targets, WhenOpen: whenOpen}})
	return s
}

var cheapAndDear = map[string]jobs.MicroUSD{"cheap": 1_000_000, "dear": 2_000_000}

// within makes the request one that was accepted now and is wanted within so long.
func (s *story) within(d time.Duration) *story {
	r := &jobs.Request{Body: []byte(`{"messages":[{"role":"user","content":"hello"}],"max_tokens":100}`), CreatedAt: s.clock.now()}
	if d > 0 {
		r.Deadline = r.CreatedAt.Add(d)
	}
	return s.asks(r)
}

// trips opens the circuit of a target.
func (s *story) trips(target string) *story {
	s.down(target)
	for range jobs.DefaultThresholds.FailuresInARow {
		permit, ok := s.targets[target].circuit.Acquire()
		if !ok {
			s.t.Fatalf("%s may not be called", target)
		}
		permit.Done(Failure, "503")
	}
	return s.circuit(target, jobs.CircuitOpen)
}

// heals lets a target answer its probe.
func (s *story) heals(target string) *story {
	s.up(target).passes(2 * time.Minute)
	permit, ok := s.targets[target].circuit.Acquire()
	if !ok || !permit.Probe() {
		s.t.Fatalf("%s may not be probed", target)
	}
	permit.Done(Success, "")
	return s.circuit(target, jobs.CircuitClosed)
}

// cooling lets a target be left alone for so long, as a provider asks.
func (s *story) cooling(target string, d time.Duration) *story {
	s.targets[target].circuit.Cool(s.clock.now().Add(d), "429")
	return s
}

// patient asserts that the request waits for a target, and is told both numbers.
func (s *story) patient(target string) *story {
	s.t.Helper()
	if n := len(s.outcome.Trace); s.outcome.Verdict == jobs.Blocked && !s.outcome.Held && n > 0 {
		if w := s.outcome.Trace[n-1].Wait; w != nil && w.Target == target && w.ExtraCost > 0 && strings.Contains(w.Reason, w.ExtraCost.String()) {
			return s
		}
	}
	s.t.Fatalf("got %s, want it to wait for %s", s.told(), target)
	return s
}

func TestRerouteWaitsForNobody(t *testing.T) {
	t.Parallel()
	waiting(t, jobs.WhenOpenReroute, cheapAndDear, "cheap", "dear").trips("cheap").within(24 * time.Hour).tries().to("dear")
}

func TestRequestWaitsForTheCheapTarget(t *testing.T) {
	t.Parallel()
	for _, whenOpen := range []jobs.WhenOpen{jobs.WhenOpenWait, jobs.WhenOpenPrice} {
		waiting(t, whenOpen, cheapAndDear, "cheap", "dear").trips("cheap").within(24*time.Hour).
			tries().patient("cheap").heals("cheap").tries().to("cheap").calls("dear", 0)
	}
}

func TestRequestTakesTheDearTargetInTime(t *testing.T) {
	t.Parallel()
	for _, whenOpen := range []jobs.WhenOpen{jobs.WhenOpenWait, jobs.WhenOpenPrice} {
		s := waiting(t, whenOpen, cheapAndDear, "cheap", "dear").trips("cheap").within(3 * time.Hour).tries().patient("cheap")
		until := s.outcome.Until
		if left := s.request.Deadline.Sub(until); left < 10*time.Minute || left > 2*time.Hour {
			t.Errorf("%s: it waits until %s before its deadline", whenOpen, left)
		}
		s.passes(until.Sub(s.clock.now())-30*time.Second).cooling("cheap", time.Second).tries().patient("cheap")
		s.passes(31*time.Second).stays("cheap").tries().to("dear").skips("cheap", "not waited for")
		if skip := s.outcome.Trace[0].Skip; skip.ExtraCost <= 0 || whenOpen == jobs.WhenOpenPrice && skip.Worth < skip.ExtraCost {
			t.Errorf("its decision is %+v", skip)
		}
	}
}

// stays makes sure that the circuit is open and not to be probed for a while.
func (s *story) stays(target string) *story { return s.cooling(target, time.Minute) }

func TestWaitWithoutADeadline(t *testing.T) {
	t.Parallel()
	s := waiting(t, jobs.WhenOpenWait, cheapAndDear, "cheap", "dear").trips("cheap").within(0).tries().patient("cheap").because("there is no deadline")
	s.passes(100 * 24 * time.Hour).stays("cheap").tries().patient("cheap").passes(time.Minute).heals("cheap").tries().to("cheap")

	// A price is a price, though: that is as if it were wanted within a day.
	s = waiting(t, jobs.WhenOpenPrice, cheapAndDear, "cheap", "dear").trips("cheap").within(0).tries().patient("cheap")
	s.passes(24 * time.Hour).stays("cheap").tries().to("dear")
}

// What is as dear as the preferred target, or cheaper, is taken at once.
func TestNobodyWaitsForWhatIsNoCheaper(t *testing.T) {
	t.Parallel()
	for _, whenOpen := range []jobs.WhenOpen{jobs.WhenOpenWait, jobs.WhenOpenPrice} {
		prices := map[string]jobs.MicroUSD{"good": 3_000_000, "same": 3_000_000, "dear": 5_000_000}
		waiting(t, whenOpen, prices, "good", "same", "dear").trips("good").within(24 * time.Hour).tries().to("same")
		waiting(t, whenOpen, prices, "good", "dear").trips("good").within(24 * time.Hour).tries().patient("good")
	}
	waiting(t, jobs.WhenOpenPrice, nil, "a", "b").trips("a").within(24 * time.Hour).tries().to("b") // nobody knows what is saved
	s := waiting(t, jobs.WhenOpenWait, nil, "a", "b").trips("a").within(time.Hour).tries().because("waits for a: nobody knows what b would cost more, until")
	s.passes(59*time.Minute).stays("a").tries().to("b").skips("a", "nobody knows what b costs more")
}

// A cooldown that the provider announced says how long there is to wait.
func TestWaitForTheEndOfACooldown(t *testing.T) {
	t.Parallel()
	for _, whenOpen := range []jobs.WhenOpen{jobs.WhenOpenWait, jobs.WhenOpenPrice} {
		s := waiting(t, whenOpen, cheapAndDear, "cheap", "dear").cooling("cheap", time.Hour)
		s.within(24 * time.Hour).tries().patient("cheap").waits(time.Hour)
		s.within(time.Hour).tries().to("dear")
	}
}

// A call that failed at a target that is in order is a matter of a moment, and not a
// reason to pay the next one, twice; then it may be the request.
func TestCallThatFailedIsTriedAgainWhereItIsCheap(t *testing.T) {
	t.Parallel()
	s := waiting(t, jobs.WhenOpenPrice, cheapAndDear, "cheap", "dear").within(time.Hour).fails("cheap", jobs.Overload, 3)
	s.tries().patient("cheap").waits(2 * time.Second).passes(2 * time.Second).tries().waits(4 * time.Second).passes(4 * time.Second)
	s.tries().to("dear").calls("cheap", 3)
}

// A request hurries past the pace of its target when its deadline comes near, in all
// choices, and not before.
func TestRequestHurriesPastAPace(t *testing.T) {
	t.Parallel()
	for _, whenOpen := range []jobs.WhenOpen{"", jobs.WhenOpenWait, jobs.WhenOpenPrice} {
		s := waiting(t, whenOpen, cheapAndDear, "cheap", "dear")
		s.targets["cheap"].pace.relimitTo(jobs.Limits{Concurrency: 1})
		if ok, _, _ := s.targets["cheap"].pace.take(0); !ok {
			t.Fatal("there is no place")
		}
		s.within(24 * time.Hour).tries().held().because("all of its calls at once are out")
		s.passes(24*time.Hour-20*time.Minute).tries().to("dear").skips("cheap", "the deadline comes near")
		s.within(0).tries().held()

		s = waiting(t, whenOpen, cheapAndDear, "cheap", "dear")
		s.targets["cheap"].pace.relimitTo(jobs.Limits{RequestsPerMinute: 60})
		s.targets["dear"].pace.relimitTo(jobs.Limits{RequestsPerMinute: 60})
		s.within(24 * time.Hour).passes(22 * time.Hour).tries().to("cheap").tries().held()
		s.router.Backlog(theRoute, 6_000, s.request.Deadline) // which takes the cheap one 6,000 seconds
		s.tries().to("dear")
		s.router.Backlog(theRoute, 6_000, s.clock.now().Add(10*time.Hour)) // which is not yet wanted
		s.tries().held()
	}
}

// A request in a hurry that finds all targets at their pace waits for the first turn
// that there is, also where the last one that it may be sent to gives a later one.
func TestHurryEndsAtTheFirstTurn(t *testing.T) {
	t.Parallel()
	prices := map[string]jobs.MicroUSD{"cheap": 1_000_000, "slow": 2_000_000, "dear": 20_000_000}
	s := waiting(t, "", prices, "cheap", "slow", "dear")
	s.targets["cheap"].pace.relimitTo(jobs.Limits{RequestsPerMinute: 60})
	s.targets["slow"].pace.relimitTo(jobs.Limits{RequestsPerMinute: 1})
	s.within(time.Minute)
	s.request.MaxCost = 500
	s.passes(54 * time.Second).tries().to("cheap").tries().to("slow")
	s.tries().because("cheap").skips("slow", "it may not be called faster")
	if s.outcome.Until.IsZero() || !s.outcome.Until.Before(s.request.Deadline) {
		t.Errorf("it is asked again in %s, after its deadline: %s", s.outcome.Until.Sub(s.clock.now()), s.told())
	}
}

// A request that waits alone for a turn that is far off is asked again when it is time
// to go on to another target, and not at that turn only.
func TestWaitForATurnEndsInTimeForAnother(t *testing.T) {
	t.Parallel()
	prices := map[string]jobs.MicroUSD{"dear": 20_000_000, "slow": 1_000_000, "quick": 1_000_000}
	s := waiting(t, "", prices, "dear", "slow", "quick")
	s.targets["slow"].pace.relimitTo(jobs.Limits{RequestsPerMinute: 1})
	s.within(time.Minute)
	s.request.MaxCost = 500
	s.tries().to("slow").tries().skips("dear", "max_cost").because("slow")
	if s.outcome.Held || !s.outcome.Until.Before(s.request.Deadline) {
		t.Fatalf("it is asked again in %s: %s", s.outcome.Until.Sub(s.clock.now()), s.told())
	}
	for s.outcome.Verdict == jobs.Blocked && s.clock.now().Before(s.request.Deadline) {
		s.passes(s.outcome.Until.Sub(s.clock.now())).tries()
	}
	s.to("quick")
}

// Never above max_cost: what was spent before counts.
func TestHurryKeepsMaxCost(t *testing.T) {
	t.Parallel()
	s := waiting(t, jobs.WhenOpenPrice, cheapAndDear, "cheap", "dear").trips("cheap").within(time.Minute)
	s.request.MaxCost = 150
	s.passes(59*time.Second).stays("cheap").tries().skips("dear", "max_cost").calls("dear", 0)
}

// A backlog drains by what is answered, not by what the limits let through: where every
// other call fails, whoever is last needs twice as long, and the first of them goes on to
// the dear target that much sooner. But that is not thought to go on for longer than an hour.
func TestBacklogDrainsByWhatIsAnswered(t *testing.T) {
	t.Parallel()
	const within = 24 * time.Hour
	needs := func(n int, failing bool) time.Duration {
		s := waiting(t, jobs.WhenOpenWait, cheapAndDear, "cheap", "dear").trips("cheap").cooling("cheap", 4*within)
		s.targets["dear"].pace.relimitTo(jobs.Limits{RequestsPerMinute: 60})
		choosing := s.router.choosing.Load()
		for i := range 2000 {
			s.targets["dear"].statistics.hear(choosing, s.clock.now(), sample{failed: failing && i%2 == 0, seconds: 1, output: 100})
		}
		s.router.Backlog(theRoute, n, s.clock.now().Add(within))
		s.within(within)
		try := newTry(s.router, s.router.plan.Load().routes[theRoute].chain, s.request, nil)
		try.route, try.whenOpen = s.router.plan.Load().routes[theRoute], jobs.WhenOpenWait
		dear := s.targets["dear"]
		return within - try.spare(dear, try.rate(2)) - need(try.completion(dear, within), 0, drain{}, within)
	}
	for _, c := range []struct {
		n       int // at 60 a minute
		failing bool
		want    time.Duration
	}{
		{600, false, 10 * time.Minute},
		{600, true, 20 * time.Minute},
		{18_000, false, 5 * time.Hour},
		{18_000, true, 5*time.Hour + 30*time.Minute},
	} {
		if got := needs(c.n, c.failing); got < c.want-c.want/10 || got > c.want+c.want/10 || c.failing && got < c.want-2*time.Minute {
			t.Errorf("%+v: they need %s", c, got)
		}
	}
}

// Whoever comes between two counts knows nothing of those that came with it, and looks
// again when they are counted: else all would go on to the next target when it is too
// late for most.
func TestRequestThatIsNotCountedYetLooksAgain(t *testing.T) {
	t.Parallel()
	for _, whenOpen := range []jobs.WhenOpen{jobs.WhenOpenWait, jobs.WhenOpenPrice} {
		s := waiting(t, whenOpen, cheapAndDear, "cheap", "dear").trips("cheap")
		s.router.Backlog(theRoute, 0, time.Time{})
		s.passes(10 * time.Second).stays("cheap").within(2 * time.Hour).tries().patient("cheap")
		if !s.outcome.Until.After(s.clock.now().Add(countedSoon)) {
			t.Errorf("%s: it looks again in %s, though the next one has no limit", whenOpen, s.outcome.Until.Sub(s.clock.now()))
		}
		s.targets["dear"].pace.relimitTo(jobs.Limits{RequestsPerMinute: 60})
		s.tries().patient("cheap").waits(countedSoon)
		s.passes(time.Second).router.Backlog(theRoute, 1, s.request.Deadline)
		s.tries().patient("cheap")
		if !s.outcome.Until.After(s.clock.now().Add(countedSoon)) {
			t.Errorf("%s: it is counted, and looks again in %s", whenOpen, s.outcome.Until.Sub(s.clock.now()))
		}
		s.router.Backlog(theRoute, 7_000, s.request.Deadline)
		s.stays("cheap").tries().to("dear")
	}
}

func TestStarts(t *testing.T) {
	t.Parallel()
	s := waiting(t, jobs.WhenOpenPrice, cheapAndDear, "cheap", "dear")
	says := func(all bool, least, most time.Duration) {
		t.Helper()
		if got, lead := s.router.Starts(theRoute, 0); got != all || lead < least || lead > most {
			t.Errorf("all: %t, or within %s; want %t, %s to %s", got, lead, all, least, most)
		}
	}
	says(true, 0, 0)
	s.trips("cheap").cooling("cheap", time.Minute)
	says(false, 30*time.Minute, 2*time.Hour)
	s.passes(2 * time.Minute) // a probe is due: it is one call, and brings nobody else in
	if ready, _ := s.targets["cheap"].circuit.readiness(); ready != ProbeReady {
		t.Fatalf("the cheap one is %d", ready)
	}
	says(false, 30*time.Minute, 2*time.Hour)
	s.cooling("cheap", time.Minute)
	_, before := s.router.Starts(theRoute, 0)
	s.targets["dear"].pace.relimitTo(jobs.Limits{RequestsPerMinute: 60})
	if _, lead := s.router.Starts(theRoute, 3600); lead != before+time.Hour {
		t.Errorf("3,600 that wait need %s, and not an hour more than %s", lead, before)
	}
	s.trips("dear").cooling("dear", time.Minute)
	says(false, 0, 0)
	if all, _ := s.router.Starts("unknown", 0); !all {
		t.Error("requests of an unknown route are to be refused")
	}
	s = waiting(t, jobs.WhenOpenReroute, cheapAndDear, "cheap", "dear").trips("cheap")
	says(true, 0, 0)
}
