package replay

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tidegate/jobs"
)

var day = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// A record is a request with its calls.
type record struct {
	Request  Request
	Attempts []Attempt
}

func built(t testing.TB, records ...record) *Log {
	t.Helper()
	b := NewBuilder(0)
	for i, r := range records {
		if err := b.Add(r.Request, r.Attempts...); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
	}
	log, err := b.Log()
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// read lists the records of a log.
func read(l *Log) (requests []Request, attempts []Attempt, of []int) {
	for i := range l.Requests() {
		requests = append(requests, l.Request(i))
	}
	for i := range l.Attempts() {
		a, request := l.Attempt(i)
		attempts, of = append(attempts, a), append(of, request)
	}
	return requests, attempts, of
}

func TestLogKeepsWhatItIsTold(t *testing.T) {
	t.Parallel()
	usage := jobs.Usage{Input: 900, CachedInput: 300, Output: 150, Reasoning: 20}
	first := record{
		Request: Request{
			At: day.Add(time.Second), Route: "summaries", Tenant: "acme", Goal: "cost", Endpoint: jobs.EndpointResponses,
			Deadline: day.Add(time.Hour), MaxCost: 1200, Body: 4000, Usage: usage,
		},
		Attempts: []Attempt{
			{At: day.Add(2 * time.Second), Target: "b", Class: jobs.Invalid, Latency: 1500 * time.Microsecond, Cost: 7, Usage: jobs.Usage{Input: 901, Output: 3}, Propensity: 0.25, Explored: true, Blamed: true},
			{At: day.Add(3 * time.Second), Target: "a", Class: jobs.OK, Latency: 2 * time.Second, FirstByte: time.Second, Cost: 300, Usage: usage, Propensity: 1},
		},
	}
	second := record{Request: Request{At: day.Add(5 * time.Second), Route: "labels"}}
	log := built(t, first, second)
	requests, attempts, of := read(log)
	if diff := cmp.Diff([]Request{first.Request, second.Request}, requests); diff != "" {
		t.Errorf("requests (-told +kept):\n%s", diff)
	}
	near := cmp.Comparer(func(a, b float64) bool { return a-b < 1e-4 && b-a < 1e-4 })
	if diff := cmp.Diff(first.Attempts, attempts, near); diff != "" {
		t.Errorf("attempts (-told +kept):\n%s", diff)
	}
	if diff := cmp.Diff([]int{0, 0}, of); diff != "" {
		t.Errorf("requests of attempts: %s", diff)
	}
	if log.Start() != first.Request.At || log.End() != second.Request.At || len(log.Warnings()) > 0 {
		t.Errorf("from %s to %s, %q", log.Start(), log.End(), log.Warnings())
	}
	if diff := cmp.Diff([]string{"labels", "summaries"}, log.Routes()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a", "b"}, log.Targets()); diff != "" {
		t.Error(diff)
	}
}

// What an answered request took is known from its answer, and is stored once.
func TestLogTakesTheUsageFromTheAnswer(t *testing.T) {
	t.Parallel()
	usage := jobs.Usage{Input: 40, Output: 300}
	log := built(t, record{Request{At: day, Route: "r"}, []Attempt{
		{At: day, Target: "a", Class: jobs.Overload}, {At: day, Target: "b", Class: jobs.OK, Usage: usage},
	}})
	requests, attempts, _ := read(log)
	if requests[0].Usage != usage || attempts[0].Usage != (jobs.Usage{}) || attempts[1].Usage != usage {
		t.Errorf("%+v, %+v", requests, attempts)
	}
	if n := len(log.attempts.usages); n != 0 {
		t.Errorf("%d usages are stored beside those of the requests", n)
	}
}

func TestLogSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := Attempt{At: day, Target: "a", Class: jobs.OK}
	of := func(change func(*Attempt)) []Attempt {
		bad := good
		change(&bad)
		return []Attempt{good, bad}
	}
	for _, c := range []struct {
		want     string
		request  Request
		attempts []Attempt
	}{
		{"at: it has no time", Request{Route: "r"}, nil},
		{"route: it has none", Request{At: day}, nil},
		{"body: -1", Request{At: day, Route: "r", Body: -1}, nil},
		{"max_cost: -1", Request{At: day, Route: "r", MaxCost: -1}, nil},
		{"output_tokens: -3", Request{At: day, Route: "r", Usage: jobs.Usage{Output: -3}}, nil},
		{"attempt 2: at:", Request{At: day, Route: "r"}, of(func(a *Attempt) { a.At = time.Time{} })},
		{"attempt 2: target:", Request{At: day, Route: "r"}, of(func(a *Attempt) { a.Target = "" })},
		{`attempt 2: class: "FINE"`, Request{At: day, Route: "r"}, of(func(a *Attempt) { a.Class = "FINE" })},
		{"attempt 2: latency: -1s", Request{At: day, Route: "r"}, of(func(a *Attempt) { a.Latency = -time.Second })},
		{"attempt 2: first_byte: -1s", Request{At: day, Route: "r"}, of(func(a *Attempt) { a.FirstByte = -time.Second })},
		{"attempt 2: cost: -1", Request{At: day, Route: "r"}, of(func(a *Attempt) { a.Cost = -1 })},
		{"attempt 2: propensity: 1.5", Request{At: day, Route: "r"}, of(func(a *Attempt) { a.Propensity = 1.5 })},
		{"attempt 2: input_tokens: -1", Request{At: day, Route: "r"}, of(func(a *Attempt) { a.Usage.Input = -1 })},
		{"at: 2026-05-30", Request{At: day.Add(90 * 24 * time.Hour), Route: "r"}, nil},
		{"at: 2026-03-01T00:00:00Z is more than 49 days from 2025-12-01", Request{At: day.Add(-90 * 24 * time.Hour), Route: "r"}, nil},
	} {
		b := NewBuilder(0)
		if err := b.Add(Request{At: day, Route: "r"}); err != nil {
			t.Fatal(err)
		}
		err := b.Add(c.request, c.attempts...)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
		if log, err := b.Log(); err != nil || log.Requests() != 1 || log.Attempts() != 0 {
			t.Errorf("%q left something behind", c.want)
		}
	}
}

func TestEmptyLogIsNone(t *testing.T) {
	t.Parallel()
	b := NewBuilder(10)
	if err := b.AddProbe(Attempt{At: day, Target: "a", Class: jobs.OK}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Log(); !errors.Is(err, ErrEmpty) {
		t.Errorf("%v", err)
	}
}

func TestLogWarns(t *testing.T) {
	t.Parallel()
	log := built(t,
		record{Request{At: day.Add(time.Minute), Route: "r"}, []Attempt{{At: day.Add(50 * time.Second), Target: "a", Class: jobs.OK, Latency: 80 * time.Minute}}},
		record{Request{At: day, Route: "r"}, nil})
	for i, want := range []string{"1 of 2 requests stood out of order", "1 of 1 calls began more than 1s before", "1 numbers were larger"} {
		if got := log.Warnings(); len(got) != 3 || !strings.HasPrefix(got[i], want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := built(t, record{Request: Request{At: day, Route: "r"}}).Warnings(); len(got) != 1 || !strings.HasPrefix(got[0], "no request has a call") {
		t.Errorf("%q", got)
	}
}

// Whatever the order in which records are told, the log is the same.
func TestLogIsInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		luck := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		n := rapid.IntRange(1, 40).Draw(t, "requests")
		records := make([]record, n)
		at := day
		for i := range records {
			at = at.Add(time.Duration(1+luck.IntN(5_000_000)) * time.Millisecond)
			records[i].Request = Request{At: at, Route: "r", Body: luck.IntN(3) * 50, MaxCost: jobs.MicroUSD(luck.IntN(2) * i)}
			for j := range luck.IntN(3) {
				records[i].Attempts = append(records[i].Attempts, Attempt{At: at.Add(time.Duration(j*n+i) * time.Millisecond), Target: string(rune('a' + luck.IntN(3))), Class: jobs.OK, Usage: jobs.Usage{Output: 1 + luck.IntN(9)}})
			}
		}
		add := func(order []int) *Log {
			b := NewBuilder(n)
			for _, i := range order {
				if err := b.Add(records[i].Request, records[i].Attempts...); err != nil {
					t.Fatal(err)
				}
			}
			log, err := b.Log()
			if err != nil {
				t.Fatal(err)
			}
			return log
		}
		inOrder := make([]int, n)
		for i := range inOrder {
			inOrder[i] = i
		}
		one, other := add(inOrder), add(luck.Perm(n))
		r1, a1, of1 := read(one)
		r2, a2, of2 := read(other)
		if diff := cmp.Diff(r1, r2) + cmp.Diff(a1, a2) + cmp.Diff(of1, of2); diff != "" {
			t.Fatal(diff)
		}
		for i := range r1 {
			if diff := cmp.Diff(records[i].Request.At, r1[i].At); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func BenchmarkBuilder(b *testing.B) {
	builder := NewBuilder(b.N)
	usage := jobs.Usage{Input: 900, Output: 150}
	b.ReportAllocs()
	for i := range b.N {
		at := day.Add(time.Duration(i) * 100 * time.Millisecond)
		if err := builder.Add(Request{At: at, Route: "r", Body: 3600}, Attempt{At: at, Target: "a", Class: jobs.OK, Latency: time.Second, Cost: 200, Usage: usage, Propensity: 1}); err != nil {
			b.Fatal(err)
		}
	}
}

// A call that is added by itself is the same as one that came with its request.
func TestLogTakesCallsOneByOne(t *testing.T) {
	t.Parallel()
	usage := jobs.Usage{Input: 40, Output: 300}
	r := record{Request{At: day, Route: "r", Body: 9}, []Attempt{
		{At: day, Target: "a", Class: jobs.Overload}, {At: day.Add(time.Second), Target: "b", Class: jobs.OK, Usage: usage},
	}}
	other := record{Request: Request{At: day.Add(time.Minute), Route: "r"}}
	wantRequests, wantAttempts, wantOf := read(built(t, r, other))
	b := NewBuilder(0)
	for _, request := range []Request{r.Request, other.Request} {
		if err := b.Add(request); err != nil {
			t.Fatal(err)
		}
	}
	for _, call := range []int{1, 0} {
		if err := b.AddCall(0, r.Attempts[call]); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.AddCall(2, r.Attempts[0]); err == nil {
		t.Error("there is no third request, and nobody complains")
	}
	if err := b.AddCall(0, Attempt{At: day, Target: "a"}); err == nil {
		t.Error("it has no class, and nobody complains")
	}
	log, err := b.Log()
	if err != nil {
		t.Fatal(err)
	}
	requests, attempts, of := read(log)
	if diff := cmp.Diff(wantRequests, requests) + cmp.Diff(wantAttempts, attempts) + cmp.Diff(wantOf, of); diff != "" {
		t.Errorf("(-together +one by one):\n%s", diff)
	}
}

// What was exported stands in the order of its calls, which is one, too: nothing is said
// of it. What stands there twice counts once.
func TestLogOfCallsInOrder(t *testing.T) {
	t.Parallel()
	call := func(after time.Duration) Attempt {
		return Attempt{At: day.Add(after), Target: "a", Class: jobs.OK, Latency: time.Second, Propensity: 1, Cost: 7}
	}
	late := record{Request{At: day.Add(time.Second), Route: "r"}, []Attempt{call(2 * time.Second)}}
	early := record{Request{At: day, Route: "r"}, []Attempt{call(3 * time.Second)}}
	log := built(t, late, early)
	if got := log.Warnings(); len(got) > 0 || !log.Request(0).At.Equal(day) {
		t.Errorf("%q: %+v", got, log.Request(0))
	}
	b := NewBuilder(0)
	other := call(3 * time.Second)
	other.Target, other.Usage = "b", jobs.Usage{Input: 3}
	for _, err := range []error{
		b.Add(early.Request, call(3*time.Second), call(3*time.Second)), b.AddCall(0, call(3*time.Second)), b.AddCall(0, other), b.AddCall(0, call(4*time.Second)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := b.Log()
	if err != nil {
		t.Fatal(err)
	}
	if got := log.Warnings(); len(got) != 1 || !strings.HasPrefix(got[0], "2 calls stood there more than once") {
		t.Errorf("%q", got)
	}
	_, calls, of := read(log)
	if diff := cmp.Diff([]Attempt{call(3 * time.Second), other, call(4 * time.Second)}, calls); diff != "" || !cmp.Equal(of, []int{0, 0, 0}) {
		t.Errorf("%v\n%s", of, diff)
	}
}

// A log that does not know how long calls take says so.
func TestLogWithoutLatency(t *testing.T) {
	t.Parallel()
	log := built(t, record{Request{At: day, Route: "r"}, []Attempt{{At: day, Target: "a", Class: jobs.Overload}, {At: day, Target: "a", Class: jobs.OK}}})
	if got := log.Warnings(); len(got) != 1 || !strings.HasPrefix(got[0], "1 of 2 calls were answered and took no time") {
		t.Errorf("%q", got)
	}
}

// What a log does not know of what there was is not told as nothing.
func TestLoggedIsWhatTheLogKnows(t *testing.T) {
	t.Parallel()
	request := Request{At: day, Route: "r", Usage: jobs.Usage{Input: 10, Output: 10}}
	if got := replayed(t, built(t, record{Request: request}), Options{}, chainOf("a")).Logged; len(got) > 0 {
		t.Errorf("a log without a call has %v", got)
	}
	unpriced := built(t, record{request, []Attempt{{At: day, Target: "a", Class: jobs.OK, Latency: time.Second}}})
	got := replayed(t, unpriced, Options{}, chainOf("a")).Logged
	if _, is := got[Cost]; is || got[Mean] != 1 {
		t.Errorf("a log without costs has %v", got)
	}
}
