package replay

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

// While all targets are out, requests wait and cost no call but the probes; then they
// are all answered, with nothing tripped again.
func TestOutageThatDidNotHappen(t *testing.T) {
	t.Parallel()
	log := past{requests: 7200, every: time.Second, calls: anyOf("a", "b"), meets: steady}.log(t)
	from := day.Add(30 * time.Minute)
	out := func(target string) Outage {
		return Outage{Target: target, Class: jobs.Overload, Status: 503, Takes: 300 * time.Millisecond, From: from, For: 20 * time.Minute}
	}
	policy := chainOf("a", "b")
	r := replayed(t, log, Options{Outages: []Outage{out("a"), out("b")}, Against: &policy}, policy)
	got := r.Results[1]
	if success := got.Metrics[Success].At; success < 0.999 {
		t.Errorf("%v of the requests are answered", success)
	}
	if calls := got.Metrics[Calls].At; calls > 1.05 {
		t.Errorf("%v calls for a request", calls)
	}
	for _, target := range []string{"a", "b"} {
		if n := got.Tripped[target]; n < 1 || n > 3 {
			t.Errorf("the circuit of %s opens %v times", target, n)
		}
	}
	if len(got.Drains) != 1 {
		t.Fatalf("%d drains", len(got.Drains))
	}
	d := got.Drains[0]
	if d.Held < 19*time.Minute || d.Held > 23*time.Minute || d.Waiting < 1000 || d.Waiting > 1400 || d.Took <= 0 || d.Took > 20*time.Minute {
		t.Errorf("%+v", d)
	}
	if waited := got.Metrics[WaitedLong].At; waited < 0.15 || waited > 0.35 {
		t.Errorf("%v of the requests waited", waited)
	}
	quiet := replayed(t, log, Options{Against: &policy}, policy)
	if got := quiet.Results[1]; len(got.Drains) > 0 || got.Tripped["a"] > 0 {
		t.Errorf("without an outage: %+v", got)
	}
	if *r.Self != *quiet.Self { // that is of what there was
		t.Errorf("the replay of what there was changes with what there was not: %+v, %+v", *r.Self, *quiet.Self)
	}
}

// Calls that were under way when the gate began to hold are answered while it does. That is
// not the end of it.
func TestAnswersOfBeforeAreNoEnd(t *testing.T) {
	t.Parallel()
	slow := func(*rand.Rand, string, time.Duration, int) (jobs.Class, time.Duration) {
		return jobs.OK, 30 * time.Second
	}
	log := past{requests: 3600, every: time.Second, calls: anyOf("a"), meets: slow}.log(t)
	o := Outage{Target: "a", Class: jobs.Overload, Status: 503, Takes: 300 * time.Millisecond, From: day.Add(20 * time.Minute), For: 10 * time.Minute}
	got := replayed(t, log, Options{Outages: []Outage{o}}, chainOf("a")).Results[0]
	if len(got.Drains) != 1 || got.Drains[0].Held < 9*time.Minute || got.Drains[0].Held > 13*time.Minute {
		t.Errorf("an outage of ten minutes has the drains %+v", got.Drains)
	}
}

// A target that is out is not asked: the next one is.
func TestOutageOfOneIsRoutedAround(t *testing.T) {
	t.Parallel()
	log := past{requests: 7200, every: time.Second, calls: anyOf("a", "b"), meets: steady}.log(t)
	o := Outage{Target: "a", Class: jobs.Overload, Takes: 300 * time.Millisecond, From: day, For: time.Hour}
	got := replayed(t, log, Options{Outages: []Outage{o}}, chainOf("a", "b")).Results[0]
	if share := got.Shares["b"].At; share < 0.4 || share > 0.65 {
		t.Errorf("the other one has %v of the calls", share)
	}
	if got.Metrics[Success].At < 0.999 || got.Tripped["a"] == 0 || len(got.Drains) > 0 {
		t.Errorf("%+v", got)
	}
}

func TestOutageOfAPart(t *testing.T) {
	t.Parallel()
	log := past{requests: 7200, every: time.Second, calls: anyOf("a"), meets: steady}.log(t)
	slow := Outage{Target: "a", Class: jobs.OK, Slower: 3, Share: 0.5, From: day, For: 3 * time.Hour}
	usual := replayed(t, log, Options{}, chainOf("a")).Results[0].Metrics[Mean].At
	if got := replayed(t, log, Options{Outages: []Outage{slow}}, chainOf("a")).Results[0].Metrics[Mean].At / usual; got < 1.9 || got > 2.1 {
		t.Errorf("half of the calls take three times as long, all together %v times", got)
	}
}

func TestParseOutage(t *testing.T) {
	t.Parallel()
	got, err := ParseOutage("target=openai, mode=503,from=2026-03-01T10:00:00Z,for=2h,share=0.25", day)
	want := Outage{Target: "openai", Class: jobs.Overload, Status: 503, Takes: 300 * time.Millisecond, From: day.Add(10 * time.Hour), For: 2 * time.Hour, Share: 0.25}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	got, err = ParseOutage("target=a,mode=503,from=1h,for=2h,takes=50ms", day)
	want = Outage{Target: "a", Class: jobs.Overload, Status: 503, Takes: 50 * time.Millisecond, From: day.Add(time.Hour), For: 2 * time.Hour}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	got, err = ParseOutage("target=a,mode=slow:4,from=26h,for=30m", day)
	want = Outage{Target: "a", Class: jobs.OK, Slower: 4, From: day.Add(26 * time.Hour), For: 30 * time.Minute}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for text, want := range map[string]string{
		"":                                             "is not a key and a value",
		"target=a,target=b":                            "target is said twice",
		"target=a,what=b":                              `"what" is not known`,
		"mode=503,from=1h,for=1h":                      "target is missing",
		"target=a,mode=404,from=1h,for=1h":             `mode="404" is not known`,
		"target=a,mode=slow:x,from=1h,for=1h":          "is not how many times slower",
		"target=a,mode=503,from=soon,for=1h":           `from="soon" is neither`,
		"target=a,mode=503,from=1h":                    `for="" is not a duration`,
		"target=a,mode=503,from=1h,for=-1h":            "is not a duration",
		"target=a,mode=503,from=1h,for=1h,share=2":     "share=\"2\" is not",
		"target=a,mode=503,from=1h,for=1h,takes=x":     "takes=\"x\" is not how long",
		"target=a,mode=slow:2,from=1h,for=1h,takes=1s": "of a mode that refuses",
	} {
		if _, err := ParseOutage(text, day); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What others have of a drain is of the same route; and of a time that they were not run
// for, they have nothing.
func TestDrainsHaveTheRangesOfTheirRoutes(t *testing.T) {
	t.Parallel()
	const s = int64(time.Second)
	of := func(route string, held, took time.Duration) drain {
		return drain{route: route, from: 10 * s, to: 100 * s, held: held, took: took, waiting: 7}
	}
	alone := drain{route: "a", from: 200 * s, to: 300 * s, held: time.Minute, took: time.Second, alone: true}
	first := &tally{drains: []drain{of("a", 60*time.Second, 5*time.Second), of("b", 70*time.Second, 6*time.Second), alone}}
	other := &tally{drains: []drain{of("a", 62*time.Second, 4*time.Second), of("b", 69*time.Second, 8*time.Second)}}
	by := func(apart float64) time.Duration { return time.Duration(apart / math.Sqrt2 * float64(time.Second)) } // the deviation of two
	want := []Drain{
		{"a", 60 * time.Second, 7, 5 * time.Second, 60*time.Second - by(2), 62*time.Second + by(2), 4*time.Second - by(1), 5*time.Second + by(1), false},
		{"b", 70 * time.Second, 7, 6 * time.Second, 69*time.Second - by(1), 70*time.Second + by(1), 6*time.Second - by(2), 8*time.Second + by(2), false},
		{"a", time.Minute, 0, time.Second, time.Minute, time.Minute, time.Second, time.Second, true},
	}
	nearly := cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < time.Microsecond })
	if diff := cmp.Diff(want, drainRanges([]*tally{first, other}), nearly); diff != "" {
		t.Error(diff)
	}
}
