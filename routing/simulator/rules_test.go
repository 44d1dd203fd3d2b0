package simulator_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate/routing/simulator"
)

// ask calls a server without a network, so that synctest owns the clock.
func ask(s *simulator.Server, name, text string) *httptest.ResponseRecorder {
	body := fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":%q}]}`, text)
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, s.BaseURL(name)+"/chat/completions", strings.NewReader(body)))
	return recorder
}

func build(t *testing.T, config simulator.Config) *simulator.Server {
	t.Helper()
	s, err := simulator.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScript(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := build(t, simulator.Config{Providers: []simulator.Provider{{Name: "a", Script: []simulator.Step{
			{At: 5 * time.Minute, Fault: simulator.Fault{Mode: simulator.ServerError, For: time.Minute}},
			{At: time.Minute, Fault: simulator.Fault{Mode: simulator.Unavailable, For: 2 * time.Minute}},
		}}}})
		began := time.Now()
		expect := func(at time.Duration, status int) {
			t.Helper()
			time.Sleep(time.Until(began.Add(at)))
			if got := ask(s, "a", "x").Code; got != status {
				t.Errorf("at %s: %d, want %d", at, got, status)
			}
		}
		expect(0, 200)
		expect(time.Minute-1, 200)
		expect(time.Minute, 503)
		expect(3*time.Minute-1, 503)
		expect(3*time.Minute, 200)
		if err := s.Set("a", simulator.Fault{Mode: simulator.Quota}); err != nil {
			t.Fatal(err)
		}
		expect(4*time.Minute, 429)
		expect(5*time.Minute, 500) // the later one holds
		expect(6*time.Minute, 200) // and nothing comes back
		s.StartScript()
		began = time.Now()
		expect(90*time.Second, 503)
		if err := s.Clear("a"); err != nil {
			t.Fatal(err)
		}
		expect(100*time.Second, 200)
	})
}

func TestLatencyIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := simulator.Config{Providers: []simulator.Provider{
			{Name: "even", Latency: simulator.Latency{Median: 10 * time.Second, PerToken: time.Second}},
			{Name: "spread", Latency: simulator.Latency{Median: time.Second, P99: 10 * time.Second}},
		}}
		s, again := build(t, config), build(t, config)
		took := func(s *simulator.Server, name, text string) time.Duration {
			began := time.Now()
			ask(s, name, text)
			return time.Since(began)
		}
		if got := took(s, "even", "Tides turn."); got != 13*time.Second { // 11 bytes are 3 tokens
			t.Errorf("even: %s", got)
		}
		const calls = 2000
		slower, slowest := 0, 0
		for i := range calls {
			text := fmt.Sprintf("document %d", i)
			d := took(s, "spread", text)
			if d > time.Second {
				slower++
			}
			if d > 10*time.Second {
				slowest++
			}
			if i < 20 && (took(s, "spread", text) != d || took(again, "spread", text) != d) {
				t.Errorf("%s: the same request took another time", text)
			}
		}
		if slower < calls*45/100 || slower > calls*55/100 || slowest < calls/200 || slowest > calls/50 {
			t.Errorf("above the median: %d, above p99: %d of %d", slower, slowest, calls)
		}
	})
}

func TestRequestsPerMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits := simulator.Limits{RequestsPerMinute: 60, TokensPerMinute: 6000, Burst: 2 * time.Second}
		s := build(t, simulator.Config{Providers: []simulator.Provider{{Name: "a", Limits: limits}}})
		for i, remaining := range []string{"1", "0"} {
			got := ask(s, "a", "Tides turn.")
			if got.Code != 200 || got.Header().Get("x-ratelimit-remaining-requests") != remaining {
				t.Errorf("call %d: %d %v", i, got.Code, got.Header())
			}
		}
		over := ask(s, "a", "Tides turn.")
		for name, want := range map[string]string{
			"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s",
			"x-ratelimit-limit-tokens": "6000", "Retry-After": "1", "retry-after-ms": "1000",
		} {
			if got := over.Header().Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if body := over.Body.String(); over.Code != 429 || !strings.Contains(body, "requests per min (RPM): Limit 60.") || !strings.Contains(body, "try again in 1s") {
			t.Errorf("%d %s", over.Code, body)
		}
		time.Sleep(time.Second)
		if got := ask(s, "a", "Tides turn."); got.Code != 200 {
			t.Errorf("a second later: %d", got.Code)
		}
	})
}

func TestTokensPerMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := build(t, simulator.Config{Providers: []simulator.Provider{{Name: "a", Limits: simulator.Limits{TokensPerMinute: 120}}}})
		long := strings.Repeat("word ", 60) // 75 tokens, and 7 around them
		if got := ask(s, "a", long); got.Code != 200 {
			t.Fatalf("first: %d %s", got.Code, got.Body)
		}
		got := ask(s, "a", long)
		if body := got.Body.String(); got.Code != 429 || !strings.Contains(body, `"type":"tokens"`) || !strings.Contains(body, "TPM") {
			t.Errorf("second: %d %s", got.Code, body)
		}
		time.Sleep(time.Minute)
		if got := ask(s, "a", long); got.Code != 200 {
			t.Errorf("a minute later: %d", got.Code)
		}
	})
}

func TestTokensThatWereNotUsedComeBack(t *testing.T) {
	t.Parallel()
	s := build(t, simulator.Config{Providers: []simulator.Provider{{Name: "a", Limits: simulator.Limits{TokensPerMinute: 1000}}}})
	body := `{"model":"m","max_tokens":900,"messages":[{"role":"user","content":"Tides turn."}]}`
	for i := range 5 {
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/a/v1/chat/completions", strings.NewReader(body)))
		if recorder.Code != 200 {
			t.Errorf("call %d: %d %s", i, recorder.Code, recorder.Body)
		}
	}
}

func TestConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := build(t, simulator.Config{Providers: []simulator.Provider{{
			Name: "a", Latency: simulator.Latency{Median: time.Minute}, Limits: simulator.Limits{Concurrency: 2},
		}}})
		codes := make(chan int, 3)
		for range 3 {
			go func() { codes <- ask(s, "a", "Tides turn.").Code }()
		}
		if first := <-codes; first != 429 {
			t.Errorf("the first to come back has %d", first)
		}
		if second, third := <-codes, <-codes; second != 200 || third != 200 {
			t.Errorf("the others have %d and %d", second, third)
		}
		if got := ask(s, "a", "Tides turn.").Code; got != 200 {
			t.Errorf("when they are gone: %d", got)
		}
	})
}

func TestCounters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := build(t, simulator.Config{Remember: true, Providers: []simulator.Provider{{Name: "a"}, {Name: "b"}}})
		ask(s, "a", "one")
		mark := s.Calls("*")
		time.Sleep(time.Second)
		outage := time.Now()
		if err := s.Set("a", simulator.Fault{Mode: simulator.Unavailable}); err != nil {
			t.Fatal(err)
		}
		if got := s.FirstCallAfter("*", outage); !got.IsZero() {
			t.Errorf("there was no call yet: %s", got)
		}
		time.Sleep(time.Second)
		ask(s, "a", "two")
		time.Sleep(time.Second)
		ask(s, "b", "two") // as after a failover
		ask(s, "b", "one") // bought again
		if got := s.FirstCallAfter("*", outage).Sub(outage); got != time.Second {
			t.Errorf("first call after: %s", got)
		}
		if got := s.FirstCallAfter("b", outage).Sub(outage); got != 2*time.Second {
			t.Errorf("first call at b after: %s", got)
		}
		since := s.Calls("*").Since(mark)
		if since.Total != 3 || since.Outcomes[simulator.OK] != 2 || since.Outcomes[simulator.Unavailable] != 1 {
			t.Errorf("since the mark: %+v", since)
		}
		if got, want := s.Seen("*"), (simulator.Seen{Distinct: 2, Repeated: 2, Answered: 2, AnsweredTwice: 1}); got != want {
			t.Errorf("seen: %+v, want %+v", got, want)
		}
		if got, want := s.Seen("b"), (simulator.Seen{Distinct: 2, Answered: 2}); got != want {
			t.Errorf("seen at b: %+v, want %+v", got, want)
		}
	})
}

func TestSameSeedSameBytes(t *testing.T) {
	t.Parallel()
	now := func() time.Time { return time.Unix(1_800_000_000, 0) }
	bodies := make(map[uint64]string)
	for _, seed := range []uint64{1, 1, 2} {
		s := build(t, simulator.Config{Seed: seed, Now: now, Providers: []simulator.Provider{{Name: "a"}}})
		got := ask(s, "a", prompt).Body.String()
		if before, ok := bodies[seed]; ok && before != got {
			t.Errorf("seed %d answered\n%s\nand\n%s", seed, before, got)
		}
		bodies[seed] = got
	}
	if bodies[1] == bodies[2] {
		t.Error("another seed gives the same id")
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	for says, config := range map[string]simulator.Config{
		"providers: there are none":            {},
		"name:":                                {Providers: []simulator.Provider{{Name: "A b"}}},
		"is taken":                             {Providers: []simulator.Provider{{Name: "a"}, {Name: "a"}}},
		"use one of anthropic, gemini, openai": {Providers: []simulator.Provider{{Name: "a", Dialect: "french"}}},
		"latency.p99:":                         {Providers: []simulator.Provider{{Name: "a", Latency: simulator.Latency{Median: 2, P99: 1}}}},
		"limits.burst:":                        {Providers: []simulator.Provider{{Name: "a", Limits: simulator.Limits{Burst: -1}}}},
		"cached_share:":                        {Providers: []simulator.Provider{{Name: "a", CachedShare: 2}}},
		"script[0].at:":                        {Providers: []simulator.Provider{{Name: "a", Script: []simulator.Step{{At: -1}}}}},
		"script[0].mode:":                      {Providers: []simulator.Provider{{Name: "a", Script: []simulator.Step{{Fault: simulator.Fault{Mode: "x"}}}}}},
	} {
		if _, err := simulator.New(config); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
}

func TestPlainEchoes(t *testing.T) {
	t.Parallel()
	s := build(t, simulator.Config{Plain: true, Providers: []simulator.Provider{{Name: "a"}}})
	if got := ask(s, "a", prompt).Body.String(); !strings.Contains(got, "which begins with: Summarise the following") {
		t.Errorf("got %s", got)
	}
}

func TestHugeTokenLimitIsNoCredit(t *testing.T) {
	t.Parallel()
	s := build(t, simulator.Config{Providers: []simulator.Provider{{Name: "a", ContextTokens: 1000, Limits: simulator.Limits{TokensPerMinute: 1000}}}})
	body := fmt.Sprintf(`{"model":"m","max_tokens":%d,"messages":[{"role":"user","content":"Tides turn."}]}`, math.MaxInt)
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/a/v1/chat/completions", strings.NewReader(body)))
	if recorder.Code != 400 {
		t.Errorf("got %d %s", recorder.Code, recorder.Body)
	}
}
