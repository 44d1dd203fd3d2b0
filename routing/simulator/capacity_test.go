package simulator_test

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/routing/simulator"
)

// burst asks n times at once in the clock's eyes, and counts the statuses.
func burst(s *simulator.Server, n int) map[int]int {
	codes := make(map[int]int)
	for range n {
		codes[ask(s, "a", "Tides turn.").Code]++
	}
	return codes
}

func carrying(t *testing.T, capacity simulator.Capacity) *simulator.Server {
	t.Helper()
	return build(t, simulator.Config{Providers: []simulator.Provider{{Name: "a", Capacity: capacity}}})
}

func expectBurst(t *testing.T, when string, got, want map[int]int) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

func TestCapacityAt(t *testing.T) {
	t.Parallel()
	cold := simulator.Capacity{PerSecond: 500, ColdFrom: 0.4, ColdFor: 5 * time.Minute}
	relapse := simulator.Capacity{PerSecond: 500, RelapseAfter: time.Minute, RelapseFor: 2 * time.Minute}
	for _, c := range []struct {
		name     string
		capacity simulator.Capacity
		since    time.Duration
		want     float64
	}{
		{"no bound", simulator.Capacity{}, 0, math.Inf(1)},
		{"even", simulator.Capacity{PerSecond: 500}, time.Hour, 500},
		{"smaller", simulator.Capacity{PerSecond: 500, Factor: 0.6}, 0, 300},
		{"larger", simulator.Capacity{PerSecond: 500, Factor: 1.5}, 0, 750},
		{"cold at first", cold, 0, 200},
		{"cold half-way", cold, 150 * time.Second, 350},
		{"warm", cold, 5 * time.Minute, 500},
		{"from nothing", simulator.Capacity{PerSecond: 500, ColdFor: time.Minute}, 0, 0},
		{"before the relapse", relapse, time.Minute - 1, 500},
		{"relapsed", relapse, time.Minute, 0},
		{"after the relapse", relapse, 3 * time.Minute, 500},
	} {
		if got := c.capacity.At(c.since); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestCapacityIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := carrying(t, simulator.Capacity{PerSecond: 10})
		expectBurst(t, "a second's worth at once", burst(s, 13), map[int]int{200: 10, 429: 3})
		time.Sleep(500 * time.Millisecond)
		expectBurst(t, "half a second later", burst(s, 10), map[int]int{200: 5, 429: 5})
		time.Sleep(time.Hour)
		expectBurst(t, "an hour is not saved up", burst(s, 13), map[int]int{200: 10, 429: 3})
		if err := s.SetCapacity("*", simulator.Capacity{}); err != nil {
			t.Fatal(err)
		}
		expectBurst(t, "without a bound", burst(s, 50), map[int]int{200: 50})
	})
}

func TestCapacityWarmsUpFromTheRecovery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := carrying(t, simulator.Capacity{PerSecond: 100, ColdFrom: 0.4, ColdFor: 100 * time.Second})
		time.Sleep(time.Hour)
		expectBurst(t, "warm before the outage", burst(s, 110), map[int]int{200: 100, 429: 10})
		if err := s.Set("a", simulator.Fault{Mode: simulator.Unavailable, For: time.Minute}); err != nil {
			t.Fatal(err)
		}
		expectBurst(t, "down", burst(s, 5), map[int]int{503: 5})
		time.Sleep(time.Minute)
		expectBurst(t, "recovered", burst(s, 50), map[int]int{200: 40, 429: 10})
		time.Sleep(50 * time.Second)
		expectBurst(t, "half warm", burst(s, 80), map[int]int{200: 70, 429: 10})
		if err := s.Set("a", simulator.Fault{Mode: simulator.ServerError}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := s.Clear("a"); err != nil {
			t.Fatal(err)
		}
		expectBurst(t, "recovered by command", burst(s, 50), map[int]int{200: 40, 429: 10})
	})
}

func TestCapacityRelapses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := carrying(t, simulator.Capacity{PerSecond: 10, RelapseAfter: time.Minute, RelapseFor: time.Minute})
		time.Sleep(time.Minute - time.Millisecond)
		expectBurst(t, "before", burst(s, 10), map[int]int{200: 10})
		time.Sleep(time.Millisecond)
		expectBurst(t, "within", burst(s, 10), map[int]int{503: 10})
		time.Sleep(time.Minute)
		expectBurst(t, "after", burst(s, 12), map[int]int{200: 10, 429: 2})
	})
}

func TestCapacityMelts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := carrying(t, simulator.Capacity{PerSecond: 10, Melts: true})
		const every = 25 * time.Millisecond // 40 a second, four times the capacity
		codes := make(map[int]int)
		for range 800 {
			codes[ask(s, "a", "Tides turn.").Code]++
			time.Sleep(every)
		}
		// 20 s could carry 200. The load passes twice the capacity in the second
		// that fills its average; from then on it is 503 and nothing else.
		if codes[200] > 40 || codes[503] < 700 {
			t.Errorf("overloaded: %v", codes)
		}
		time.Sleep(10 * time.Second)
		expectBurst(t, "left alone", burst(s, 12), map[int]int{200: 10, 429: 2})
	})
}

// A call that meets a melted provider costs what another could have had.
func TestMeltingWastesCapacity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := carrying(t, simulator.Capacity{PerSecond: 10, Melts: true, Announces: true})
		expectBurst(t, "60 at once", burst(s, 60), map[int]int{200: 10, 429: 30, 503: 20})
		time.Sleep(400 * time.Millisecond)
		got := ask(s, "a", "Tides turn.")
		if left := got.Header().Get("x-ratelimit-remaining-requests"); got.Code != 503 || left != "3" {
			t.Errorf("%d with %s left, want 503 with 3 of the 4 that came back", got.Code, left)
		}
	})
}

// Who is refused by a limit has not used the capacity.
func TestLimitBehindCapacity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := build(t, simulator.Config{Providers: []simulator.Provider{{
			Name: "a", Capacity: simulator.Capacity{PerSecond: 10, Announces: true}, Limits: simulator.Limits{RequestsPerMinute: 600, Burst: 500 * time.Millisecond},
		}}})
		expectBurst(t, "at once", burst(s, 20), map[int]int{200: 5, 429: 15})
		if left := ask(s, "a", "Tides turn.").Header().Get("x-ratelimit-remaining-requests"); left != "5" {
			t.Errorf("the capacity has %s left, want 5", left)
		}
	})
}

func TestCapacityIsAnnounced(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{Capacity: simulator.Capacity{PerSecond: 500, Factor: 0.002, Announces: true}})
	for i, want := range []int{200, 429} {
		got := b.post("a", plainBody)
		if got.status != want || got.header.Get("x-ratelimit-limit-requests") != "30000" || got.header.Get("x-ratelimit-remaining-requests") != "0" {
			t.Errorf("call %d: %d %v", i, got.status, got.header)
		}
		if reset, err := time.ParseDuration(got.header.Get("x-ratelimit-reset-requests")); err != nil || reset <= 0 || reset > time.Second {
			t.Errorf("call %d: reset %s, %v", i, reset, err)
		}
	}
	b.set(simulator.Fault{Mode: simulator.Unavailable})
	if got := b.post("a", plainBody); got.status != 503 || got.header.Get("x-ratelimit-limit-requests") != "30000" {
		t.Errorf("a refusal: %d %v", got.status, got.header)
	}
	silent := one(t, simulator.Provider{Capacity: simulator.Capacity{PerSecond: 500}})
	if got := silent.post("a", plainBody); got.status != 200 || got.header.Get("x-ratelimit-limit-requests") != "" {
		t.Errorf("a capacity that is not announced: %d %v", got.status, got.header)
	}
}

func TestCapacitySaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	for form, sees := range map[simulator.RetryForm]func(seconds, milliseconds, body string) bool{
		"": func(s, ms, body string) bool {
			return s == "10" && len(ms) >= 4 && strings.Contains(body, "try again in ")
		},
		simulator.RetryBoth: func(s, ms, body string) bool {
			return s == "10" && len(ms) >= 4 && strings.Contains(body, "try again in ")
		},
		simulator.RetrySeconds: func(s, ms, body string) bool {
			return s == "10" && ms == "" && strings.Contains(body, "try again in 10s")
		},
		simulator.RetryMilliseconds: func(s, ms, body string) bool {
			return s == "" && len(ms) >= 4 && strings.Contains(body, "try again in ")
		},
		simulator.RetryNone: func(s, ms, body string) bool { return s == "" && ms == "" && !strings.Contains(body, "try again") },
	} {
		t.Run(string(form), func(t *testing.T) {
			t.Parallel()
			b := one(t, simulator.Provider{Capacity: simulator.Capacity{PerSecond: 0.1, RetryAfter: form}})
			if first := b.post("a", plainBody); first.status != 200 {
				t.Fatalf("first: %+v", first)
			}
			got := b.post("a", plainBody)
			if got.status != 429 || !sees(got.header.Get("Retry-After"), got.header.Get("retry-after-ms"), got.body) {
				t.Errorf("got %d %v %s", got.status, got.header, got.body)
			}
		})
	}
}

// told is what the control tells of one provider.
type told struct {
	Capacity *struct {
		PerSecond float64 `json:"per_second"`
		ColdFor   string  `json:"cold_for"`
		Now       float64
	}
	FirstCall   *time.Time `json:"first_call"`
	FirstAnswer *time.Time `json:"first_answer"`
	Seconds     []struct{ At time.Time }
}

func (b *bundle) control(method, path, body string) (first told, status int) {
	b.t.Helper()
	got := b.do(method, "http://"+b.Addr()+"/_simulator/providers/a"+path, body)
	var out struct{ Providers []told }
	if err := json.Unmarshal([]byte(got.body), &out); err != nil {
		b.t.Fatalf("%s: %v", got.body, err)
	}
	if len(out.Providers) == 1 {
		first = out.Providers[0]
	}
	return first, got.status
}

func TestCapacityByCommand(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	set, status := b.control(http.MethodPut, "/capacity", `{"per_second":1,"cold_from":1,"cold_for":"5m","announces":true}`)
	if status != 200 || set.Capacity == nil || set.Capacity.PerSecond != 1 || set.Capacity.ColdFor != "5m0s" || set.Capacity.Now != 1 {
		t.Errorf("after PUT: %d %+v", status, set.Capacity)
	}
	if first, second := b.post("a", plainBody), b.post("a", plainBody); first.status != 200 || second.status != 429 {
		t.Errorf("calls: %d, %d", first.status, second.status)
	}
	ended, status := b.control(http.MethodDelete, "/capacity", "")
	if status != 200 || ended.Capacity != nil {
		t.Errorf("after DELETE: %d %+v", status, ended.Capacity)
	}
	if got := b.post("a", plainBody); got.status != 200 {
		t.Errorf("after DELETE: %d", got.status)
	}
}

func TestCapacityIsChecked(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	for body, says := range map[string]string{
		`{}`:                                   "per_second: is missing",
		`{"per_second":-1}`:                    "per_second:",
		`{"per_second":1,"factor":-1}`:         "factor:",
		`{"per_second":1,"cold_from":1.5}`:     "cold_from:",
		`{"per_second":1,"cold_for":"ages"}`:   "ages",
		`{"per_second":1,"relapse_for":"-1s"}`: "relapse_for:",
		`{"per_second":1,"retry_after":"x"}`:   "milliseconds or none",
		`{"pre_second":1}`:                     "pre_second",
	} {
		got := b.do(http.MethodPut, "http://"+b.Addr()+"/_simulator/providers/a/capacity", body)
		if got.status != 400 || !strings.Contains(got.body, says) {
			t.Errorf("%s: %d %s, want %q", body, got.status, got.body, says)
		}
	}
	for _, capacity := range []simulator.Capacity{{Factor: 2}, {PerSecond: math.NaN()}, {PerSecond: 1, ColdFor: -1}} {
		if _, err := simulator.New(simulator.Config{Providers: []simulator.Provider{{Name: "a", Capacity: capacity}}}); err == nil || !strings.Contains(err.Error(), "capacity.") {
			t.Errorf("%+v: %v", capacity, err)
		}
	}
}

func TestCapacityAsJSON(t *testing.T) {
	t.Parallel()
	want := simulator.Capacity{
		PerSecond: 500, Factor: 0.6, ColdFrom: 0.4, ColdFor: 5 * time.Minute, Melts: true, RelapseAfter: time.Minute,
		RelapseFor: 2 * time.Minute, Announces: true, RetryAfter: simulator.RetrySeconds,
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got simulator.Capacity
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("%s: %+v, %v", text, got, err)
	}
	b := one(t, simulator.Provider{})
	if _, status := b.control(http.MethodPut, "/capacity", string(text)); status != 200 {
		t.Errorf("the control refuses %s", text)
	}
}

func TestSecondsOnTheWire(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{Capacity: simulator.Capacity{PerSecond: 0.01}})
	began := time.Now()
	b.post("a", plainBody)
	b.post("a", plainBody)
	b.set(simulator.Fault{Mode: simulator.Unavailable})
	b.post("a", plainBody)
	b.set(simulator.Fault{Mode: simulator.ServerError})
	b.post("a", plainBody)
	type sum struct{ Calls, Answered, RateLimited, Unavailable, Other int }
	var got sum
	for _, second := range b.Seconds("a", began) {
		got = sum{got.Calls + second.Calls, got.Answered + second.Answered, got.RateLimited + second.RateLimited, got.Unavailable + second.Unavailable, got.Other + second.Other}
		if second.InFlight != 1 {
			t.Errorf("in flight at once: %d", second.InFlight)
		}
	}
	if want := (sum{4, 1, 1, 1, 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	all, _ := b.control(http.MethodGet, "/seconds?since="+url.QueryEscape(began.Format(time.RFC3339Nano)), "")
	if len(all.Seconds) != len(b.Seconds("a", began)) || all.FirstCall == nil || all.FirstAnswer == nil || all.FirstAnswer.Before(*all.FirstCall) {
		t.Errorf("on the wire: %+v", all)
	}
	none, _ := b.control(http.MethodGet, "/seconds?since="+url.QueryEscape(time.Now().Add(time.Hour).Format(time.RFC3339)), "")
	if len(none.Seconds) != 0 || none.FirstCall != nil || none.FirstAnswer != nil {
		t.Errorf("in an hour: %+v", none)
	}
	if _, status := b.control(http.MethodGet, "/seconds?since=now", ""); status != 400 {
		t.Errorf("a time that is none: %d", status)
	}
}

func TestSecondsByTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := carrying(t, simulator.Capacity{PerSecond: 2})
		began := time.Now()
		burst(s, 3)
		time.Sleep(5 * time.Second)
		later := time.Now()
		if err := s.Set("a", simulator.Fault{Mode: simulator.Slow, Delay: time.Second}); err != nil {
			t.Fatal(err)
		}
		burst(s, 1)
		want := []simulator.Second{
			{At: began.Truncate(time.Second), Calls: 3, Answered: 2, RateLimited: 1, InFlight: 1},
			{At: later.Truncate(time.Second), Calls: 1, InFlight: 1},
			{At: later.Add(time.Second).Truncate(time.Second), Answered: 1, InFlight: 1},
		}
		if diff := cmp.Diff(want, s.Seconds("a", time.Time{})); diff != "" {
			t.Errorf("seconds (-want +got):\n%s", diff)
		}
		if got := s.FirstAnswerAfter("*", began.Add(time.Second)); !got.Equal(later.Add(time.Second)) {
			t.Errorf("first answer after: %s", got)
		}
		if got := s.Seconds("z", time.Time{}); got != nil {
			t.Errorf("of nobody: %v", got)
		}
	})
}
