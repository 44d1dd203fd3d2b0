package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
	"tidegate/routing"
)

// A past describes a log to be made: who is called, and what comes of it.
type past struct {
	requests int
	every    time.Duration // between two requests, on average
	seed     uint64
	// calls says whom a request called, in order, and how likely the first was.
	calls func(luck *rand.Rand, at time.Duration) (targets []string, propensity float64, explored bool)
	// meets says how a call ends.
	meets func(luck *rand.Rand, target string, at time.Duration, output int) (jobs.Class, time.Duration)
}

func (p past) log(t testing.TB) *Log {
	t.Helper()
	luck := rand.New(rand.NewPCG(p.seed, 1))
	b := NewBuilder(p.requests)
	at := time.Duration(0)
	for range p.requests {
		at += time.Duration(luck.ExpFloat64() * float64(p.every))
		output := 20 + luck.IntN(300)
		use := jobs.Usage{Input: 400, Output: output}
		var made []Attempt
		begins := at
		targets, propensity, explored := p.calls(luck, at)
		for _, target := range targets {
			class, takes := p.meets(luck, target, begins, output)
			call := Attempt{At: day.Add(begins), Target: target, Class: class, Latency: takes, Propensity: propensity, Explored: explored, Cost: 100}
			begins += takes
			if class == jobs.OK {
				call.Usage = use
			}
			made = append(made, call)
			if class == jobs.OK {
				break
			}
		}
		if err := b.Add(Request{At: day.Add(at), Route: "r", Usage: use}, made...); err != nil {
			t.Fatal(err)
		}
	}
	log, err := b.Log()
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// anyOf calls any of some targets, and then any other.
func anyOf(targets ...string) func(*rand.Rand, time.Duration) ([]string, float64, bool) {
	return func(luck *rand.Rand, _ time.Duration) ([]string, float64, bool) {
		var order []string
		for _, i := range luck.Perm(len(targets)) {
			order = append(order, targets[i])
		}
		return order, 1 / float64(len(targets)), true
	}
}

// firstOf calls the first of some targets, and one in so many any other to learn of it.
func firstOf(explores int, targets ...string) func(*rand.Rand, time.Duration) ([]string, float64, bool) {
	return func(luck *rand.Rand, _ time.Duration) ([]string, float64, bool) {
		if explores > 0 && luck.IntN(explores) == 0 {
			other := 1 + luck.IntN(len(targets)-1)
			return []string{targets[other], targets[0]}, 1 / float64(explores*(len(targets)-1)), true
		}
		return targets, 1, false
	}
}

// steady targets answer within a second or so, each a half slower than the one before,
// and fail one in a hundred.
func steady(luck *rand.Rand, target string, _ time.Duration, output int) (jobs.Class, time.Duration) {
	if luck.IntN(100) == 0 {
		return jobs.Overload, 300 * time.Millisecond
	}
	slower := 1 + 0.5*float64(target[0]-'a')
	return jobs.OK, time.Duration(slower * (0.7 + 0.6*luck.Float64()) * float64(output+60) * 0.005 * float64(time.Second))
}

// chainOf is a policy that takes a chain as it is written.
func chainOf(names ...string) Policy {
	route := jobs.Route{Name: "r", Goal: routing.Ordered}
	for _, name := range names {
		route.Chain = append(route.Chain, &jobs.Target{Name: name, Provider: name, Price: jobs.Price{Input: 100_000, Output: 400_000}, Timeouts: jobs.DefaultTimeouts})
	}
	return Policy{Name: strings.Join(names, ""), Routes: []jobs.Route{route}}
}

func replayed(t *testing.T, log *Log, o Options, policies ...Policy) *Report {
	t.Helper()
	r, err := Replay(context.Background(), log, policies, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// says tells whether one of the reasons of a result has a text in it.
func says(r Result, text string) bool {
	for _, reason := range r.Reasons {
		if strings.Contains(reason, text) {
			return true
		}
	}
	return false
}

func TestLuckIsDrawnAhead(t *testing.T) {
	t.Parallel()
	log := past{requests: 2000, every: time.Second, calls: anyOf("a", "b"), meets: steady}.log(t)
	pools := poolsOf(log)
	for _, side := range sides {
		l := newLuck(pools, side, 1, 0)
		seen := map[*met]bool{}
		for tick := uint32(100_000); tick < 1_500_000; tick += 250 {
			m := l.draw(tick, uint64(tick), 0, 0)
			seen[m] = true
			from := pools[0].from(tick)
			place := from
			for place = range pools[0].mets {
				if &pools[0].mets[place] == m {
					break
				}
			}
			if low, high := from, from+side.near; !side.back && (place < low || place >= high) {
				t.Fatalf("%+v at %d: drawn from %d, not from %d to %d", side, tick, place, low, high)
			}
			if low, high := from-side.near, from; side.back && (place < low || place >= high) {
				t.Fatalf("%+v at %d: drawn from %d, not from %d to %d", side, tick, place, low, high)
			}
		}
		if len(seen) < 500 {
			t.Errorf("%+v: %d different ones were drawn", side, len(seen))
		}
	}
}

// Two policies that send the same request to the same target meet the same there, and
// another call of it may meet something else.
func TestLuckIsTheSameForAll(t *testing.T) {
	t.Parallel()
	pools := poolsOf(past{requests: 2000, every: time.Second, calls: anyOf("a", "b"), meets: steady}.log(t))
	one, other := newLuck(pools, sides[0], 1, 0), newLuck(pools, sides[0], 1, 0)
	again, seeds := 0, 0
	for record := range uint64(500) {
		tick := uint32(record) * 2000
		m := one.draw(tick, record, 0, 1)
		other.draw(tick, record, 0, 0) // it goes elsewhere, too
		if m != other.draw(tick, record, 0, 1) {
			t.Fatalf("record %d meets two things", record)
		}
		if m != one.draw(tick, record, 1, 1) {
			again++
		}
		third := newLuck(pools, sides[0], 2, tick)
		if m != third.draw(tick, record, 0, 1) {
			seeds++
		}
	}
	if again < 400 || seeds < 400 {
		t.Errorf("of 500, %d meet something else again, %d with another seed", again, seeds)
	}
}

// An answer twice as long takes twice as long, but for what each call takes.
func TestLatencyIsByToken(t *testing.T) {
	t.Parallel()
	p := &pool{start: 50}
	m := &met{latency: 1_000_000, output: 50, first: 51}
	target := &jobs.Target{Timeouts: jobs.Timeouts{Total: 5 * time.Second}}
	for _, c := range []struct {
		output int
		class  jobs.Class
		takes  time.Duration
	}{{50, jobs.OK, time.Second}, {150, jobs.OK, 2 * time.Second}, {0, jobs.OK, time.Second}, {950, jobs.Timeout, 5 * time.Second}} {
		f := m.fate(p, target, jobs.Usage{Output: c.output})
		if f.class != c.class || f.takes != c.takes {
			t.Errorf("%d tokens: %s after %s, want %s after %s", c.output, f.class, f.takes, c.class, c.takes)
		}
	}
	if f := m.fate(p, target, jobs.Usage{Output: 150}); f.firstByte.Round(time.Millisecond) != 400*time.Millisecond {
		t.Errorf("the first byte comes after %s", f.firstByte)
	}
	target.Timeouts.FirstByte = 300 * time.Millisecond
	if f := m.fate(p, target, jobs.Usage{Output: 150}); f.class != jobs.Timeout || f.takes != 300*time.Millisecond {
		t.Errorf("%s after %s", f.class, f.takes)
	}
	failed := &met{latency: 300_000, class: 4}
	if f := failed.fate(p, target, jobs.Usage{Output: 900}); f.class != jobs.Overload || f.takes != 300*time.Millisecond || f.usage != (jobs.Usage{}) {
		t.Errorf("%+v", f)
	}
}

func TestStartIsFound(t *testing.T) {
	t.Parallel()
	luck := rand.New(rand.NewPCG(1, 1))
	var mets []met
	for range 3000 {
		output := uint32(10 + luck.IntN(900))
		mets = append(mets, met{output: output, latency: uint32((float64(output) + 200) * 5000 * (0.8 + 0.4*luck.Float64()))})
	}
	if got := startOf(mets); got < 130 || got > 300 {
		t.Errorf("%v tokens", got)
	}
	if got := startOf(mets[:30]); got != usualStart {
		t.Errorf("of thirty, %v tokens", got)
	}
}

// A router that heard of calls when they begin would open the circuit after five that
// fail. They take a minute, and a request comes each second.
func TestRouterHearsWhenCallsEnd(t *testing.T) {
	t.Parallel()
	const well = 5 * time.Minute
	log := past{requests: 600, every: time.Second, calls: anyOf("a", "b"), meets: func(luck *rand.Rand, target string, at time.Duration, output int) (jobs.Class, time.Duration) {
		if target == "a" && at > well {
			return jobs.Timeout, time.Minute
		}
		return jobs.OK, time.Second
	}}.log(t)
	r := replayed(t, log, Options{}, chainOf("a", "b")).Results[0]
	if failed := r.Metrics[Reroutes].At * 0.6; failed < 30 || failed > 120 {
		t.Errorf("%.0f calls go to a target that takes a minute to fail", failed)
	}
	if r.Tripped["a"] == 0 || r.Metrics[Success].At < 0.99 {
		t.Errorf("tripped %v, success %v", r.Tripped, r.Metrics[Success])
	}
}

// The log is of one that was asked for too much: 429s are of that, and not of who asks
// for less.
func TestRefusalsComeOfTheLimit(t *testing.T) {
	t.Parallel()
	at, window := time.Duration(0), 0
	log := past{requests: 6000, every: 100 * time.Millisecond, calls: anyOf("a", "b"), meets: func(luck *rand.Rand, target string, now time.Duration, output int) (jobs.Class, time.Duration) {
		if target != "a" {
			return jobs.OK, time.Second
		}
		if now-at > time.Second {
			at, window = now, 0
		}
		if window++; window > 3 {
			return jobs.Rate, 50 * time.Millisecond
		}
		return jobs.OK, time.Second
	}}.log(t)
	w := &world{log: log, pools: poolsOf(log), faults: faultsOf(log)}
	for _, m := range w.pools[0].mets {
		if classes[m.class] == jobs.Rate {
			t.Fatal("a 429 may be drawn")
		}
	}
	if got := w.pools[0].limit; got.rate < 2 || got.rate > 4 || got.refuses != 50_000 {
		t.Errorf("the limit is %+v", got)
	}
	if got := w.pools[1].limit.rate; got != 0 {
		t.Errorf("the limit of who refused nothing is %v", got)
	}
	meter := newMeter(jobs.Limits{}, w.pools[0].limit)
	refused := func(each time.Duration) (n int) {
		for i := range 1000 {
			if !meter.takes(int64(i)*int64(each), 0) {
				n++
			}
		}
		return n
	}
	if n := refused(time.Second); n > 0 {
		t.Errorf("of a call each second %d are refused", n)
	}
	if n := refused(100 * time.Millisecond); n < 500 {
		t.Errorf("of ten calls a second %d in a thousand are refused", n)
	}
	configured := newMeter(jobs.Limits{RequestsPerMinute: 60, Concurrency: 2}, limit{})
	configured.out = 2
	if configured.takes(0, 0) {
		t.Error("it takes more calls at once than it is configured for")
	}
}

// What is wrong with a request goes with it, wherever it is sent, and is nobody else's.
func TestFaultsGoWithTheirRequests(t *testing.T) {
	t.Parallel()
	n := 0
	log := past{requests: 3000, every: time.Second, calls: anyOf("a", "b"), meets: func(luck *rand.Rand, target string, at time.Duration, output int) (jobs.Class, time.Duration) {
		if n++; n%10 == 0 {
			return jobs.BadRequest, 50 * time.Millisecond
		}
		return jobs.OK, time.Second
	}}.log(t)
	for i := range log.Attempts() {
		if a, _ := log.Attempt(i); a.Class == jobs.BadRequest && log.tells(i) {
			t.Fatal("a bad request may be drawn by another one")
		}
	}
	bad := 0.0
	for range faultsOf(log) {
		bad++
	}
	if r := replayed(t, log, Options{}, chainOf("a", "b")).Results[0]; math.Abs(r.Metrics[Failure].At-bad/3000) > 1e-9 {
		t.Errorf("%v of the requests are not answered, and %v of 3000 were wrong", r.Metrics[Failure].At, bad)
	}
}

func TestSelfReplayIsNearWhatWas(t *testing.T) {
	t.Parallel()
	log := past{requests: 20_000, every: 2 * time.Second, calls: firstOf(0, "a", "b"), meets: steady}.log(t)
	right, wrong := chainOf("a", "b"), chainOf("b", "a")
	r := replayed(t, log, Options{Against: &right})
	if s := r.Self; s == nil || math.Abs(s.Latency-1) > 0.03 || s.Failures < 0.7 || s.Failures > 1.4 {
		t.Errorf("the policy that made the log is off by %+v", s)
	}
	if got := r.Results[0]; got.Confidence != Doubtful || !says(got, "to learn of a target") { // nothing was explored
		t.Errorf("%s: %q", got.Confidence, got.Reasons)
	}
	log = past{requests: 4000, every: 2 * time.Second, calls: firstOf(0, "a", "b"), meets: steady}.log(t)
	r = replayed(t, log, Options{Against: &wrong}, right)
	for _, got := range r.Results {
		if got.Confidence != NoVerdict || !says(got, "replayed against its own log, takes 1.") {
			t.Errorf("against another policy, %s: %q, off by %+v", got.Confidence, got.Reasons, r.Self)
		}
	}
	if r = replayed(t, log, Options{}, right); r.Self != nil || !says(r.Results[0], "is not known") {
		t.Errorf("against none, %+v: %q", r.Self, r.Results[0].Reasons)
	}
}

func TestFewFailuresSayNothingOfTheReplay(t *testing.T) {
	t.Parallel()
	tallies := func(failed float64) *tally {
		t := newTally(1)
		t.blocks = []block{{sums: sums{requests: 1000, answered: 1000 - failed, ended: 1000, completion: 1000}, weight: 1}}
		return t
	}
	if got := selfReplay("p", tallies(2), tallies(5), time.Hour).Failures; got != 1 {
		t.Errorf("2 and 5 failures: %v", got)
	}
	if got := selfReplay("p", tallies(20), tallies(50), time.Hour).Failures; got != 2.5 {
		t.Errorf("20 and 50 failures: %v", got)
	}
}

func TestVerdictNeedsRecordsThatAreNear(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		explores int
		want     Confidence
		says     string
	}{{2, Confident, ""}, {24, Doubtful, "more than 5 minutes away"}, {400, NoVerdict, "more than 5 minutes away: the log has too few calls"}} {
		log := past{requests: 20_000, every: time.Second, calls: firstOf(c.explores, "a", "b"), meets: steady}.log(t)
		policy := chainOf("b", "a")
		w := &world{log: log, pools: poolsOf(log)}
		at := tallyOf(log, &stretch{to: log.Requests(), weight: 1}, 2, time.Hour)
		newRun(&world{log: log, pools: w.pools, faults: faultsOf(log)}, &policy, sides[0], stretch{to: log.Requests(), weight: 1}, at).all(t.Context())
		coverage := w.coverage(&Report{}, []string{"b", "a"}, at)
		no, but := (&Coverage{Far: coverage.Far}).says(nil, nil)
		got := Confident
		if len(but) > 0 {
			got = Doubtful
		}
		if len(no) > 0 {
			got = NoVerdict
		}
		if got != c.want || !says(Result{Reasons: append(no, but...)}, c.says) && c.says != "" {
			t.Errorf("one in %d: %.2f are far away: %s, want %s: %q", c.explores, coverage.Far, got, c.want, append(no, but...))
		}
	}
}

func TestVerdictNeedsExploration(t *testing.T) {
	t.Parallel()
	plain := past{requests: 5000, every: time.Second, calls: firstOf(0, "a", "b"), meets: func(luck *rand.Rand, target string, at time.Duration, output int) (jobs.Class, time.Duration) {
		if target == "a" && luck.IntN(2) == 0 {
			return jobs.Overload, 300 * time.Millisecond
		}
		return jobs.OK, time.Second
	}}.log(t)
	r := replayed(t, plain, Options{}, chainOf("b", "a")).Results[0]
	if r.Confidence != NoVerdict || !says(r, "set estimator.explore") {
		t.Errorf("%s: %q", r.Confidence, r.Reasons)
	}
}

func TestVerdictNeedsCallsOfTheTarget(t *testing.T) {
	t.Parallel()
	log := past{requests: 2000, every: time.Second, calls: anyOf("a", "b"), meets: steady}.log(t)
	r := replayed(t, log, Options{}, chainOf("c", "a")).Results[0]
	if r.Confidence != NoVerdict || !says(r, "go to c, which the log has no call of") {
		t.Errorf("%s: %q", r.Confidence, r.Reasons)
	}
}

func TestWarnsOfLoadThatNobodyHasSeen(t *testing.T) {
	t.Parallel()
	log := past{requests: 5000, every: 200 * time.Millisecond, calls: firstOf(5, "a", "b"), meets: steady}.log(t)
	if r := replayed(t, log, Options{}, chainOf("b", "a")).Results[0]; !says(r, "b would have") {
		t.Errorf("%q, %+v", r.Reasons, r.Coverage)
	}
	if r := replayed(t, log, Options{}, chainOf("a", "b")).Results[0]; says(r, "would have") {
		t.Errorf("%q, %+v", r.Reasons, r.Coverage)
	}
}

// The interval is that of all sides, two deviations more, and as much as the replay of
// what there was is off.
func TestRangesAreWideEnough(t *testing.T) {
	t.Parallel()
	of := func(completion ...float64) *tally {
		t := newTally(1)
		for _, c := range completion {
			t.blocks = append(t.blocks, block{sums: sums{requests: 10, answered: 9, refused: 1, ended: 10, completion: 10 * c}, weight: 1})
		}
		return t
	}
	near := func(what string, got Range, low, high, by float64) {
		t.Helper()
		if math.Abs(got.Low-low) > by || math.Abs(got.High-high) > by {
			t.Errorf("%s: %+v, want %v to %v", what, got, low, high)
		}
	}
	even, low, high := of(slices.Repeat([]float64{5}, fewBlocks)...), of(slices.Repeat([]float64{4}, fewBlocks)...), of(slices.Repeat([]float64{7}, fewBlocks)...)
	near("three sides", ranges([]*tally{even, low, high}, even, nil, week, 1)[Mean], 4, 7, 1e-5)
	deviation := math.Sqrt(14.0 / 6) // of 5, 4 and 7
	near("three sides of a block", ranges([]*tally{of(5), of(4), of(7)}, of(5), nil, week, 1)[Mean], 4-deviation, 7+deviation, 1e-5)
	uneven := of(1, 3, 5, 7, 9, 1, 3, 5, 7, 9)
	apart := 2 * math.Sqrt(8.0/10)
	near("uneven blocks", ranges([]*tally{uneven, uneven}, uneven, nil, week, 1)[Mean], 5-apart, 5+apart, 0.4)
	off := ranges([]*tally{even, even}, even, &SelfReplay{Latency: 0.8, Failures: 2, Cost: 1}, week, 1)
	near("a replay that is off", off[Mean], 4, 6.25, 1e-5)
	near("failures that are off", off[Failure], 0.05, 0.2, 1e-5)
	near("success, of failures that are off", off[Success], 0.8, 0.95, 1e-5)
}

// The same log, policies and seed give the same bytes, however many run at a time.
func TestReplayIsDeterministic(t *testing.T) {
	t.Parallel()
	log := past{requests: 1500, every: 20 * time.Second, calls: anyOf("a", "b", "c"), meets: steady}.log(t)
	against := chainOf("a", "b", "c")
	balanced := chainOf("c", "b", "a")
	balanced.Routes[0].Goal, balanced.Choosing.Explore = routing.Balanced, 0.05
	bytesOf := func(o Options) []byte {
		o.Against = &against
		r := replayed(t, log, o, balanced, chainOf("c")) // some of a log may be in no chain
		if (r.Sampled == 1) != o.Whole {
			t.Errorf("%+v: %v are run", o, r.Sampled)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, o := range []Options{{Whole: true}, {Budget: 4000}} {
		one := o
		one.Workers = 1
		first := bytesOf(one)
		o.Workers = 4
		for range 2 {
			if again := bytesOf(o); !bytes.Equal(first, again) {
				t.Errorf("%+v: two reports:\n%s\n%s", o, first, again)
			}
		}
		o.Seed = 7
		if bytes.Equal(first, bytesOf(o)) {
			t.Errorf("%+v: another seed gives the same", o)
		}
	}
}
