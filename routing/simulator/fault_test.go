package simulator_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/routing/simulator"
)

// wire says what a client sees of each mode. A mode without a row fails.
var wire = map[simulator.Mode]func(reply) bool{
	simulator.OK:          answered,
	simulator.RateLimit:   refused(429),
	simulator.ServerError: refused(500),
	simulator.Unavailable: refused(503),
	simulator.Overloaded:  refused(529),
	simulator.Quota:       refused(429),
	simulator.DailyQuota:  refused(429),
	simulator.SpendLimit:  refused(429),
	simulator.Unpaid:      refused(402),
	simulator.Forbidden:   refused(403),
	simulator.TooLarge:    refused(413),
	simulator.GaveUp:      refused(504),
	simulator.Auth:        refused(401),
	simulator.BadRequest:  refused(400),
	simulator.NotFound:    refused(404),
	simulator.Context:     refused(400),
	simulator.Content:     refused(400),
	simulator.Filtered: func(r reply) bool {
		return whole(r) && strings.Contains(r.body, `"finish_reason":"content_filter"`)
	},
	simulator.Reset: func(r reply) bool { return r.err != nil && r.status == 0 },
	simulator.Cut: func(r reply) bool {
		return r.err != nil && r.status == 200 && strings.HasPrefix(r.body, `{"id":"chatcmpl-`) && !json.Valid([]byte(r.body))
	},
	simulator.Garbled: func(r reply) bool { return r.err == nil && r.status == 200 && !json.Valid([]byte(r.body)) },
	simulator.Inside:  func(r reply) bool { return whole(r) && strings.HasPrefix(r.body, `{"error":`) },
	simulator.Empty:   func(r reply) bool { return whole(r) && strings.Contains(r.body, `"content":""`) },
	simulator.Garbage: func(r reply) bool {
		return whole(r) && !strings.Contains(r.body, "Tides") && strings.Contains(r.body, `"model":"small"`)
	},
	simulator.Smaller: func(r reply) bool {
		return whole(r) && strings.Contains(r.body, `"Tides are"`) && strings.Contains(r.body, `"model":"sim-tiny-`)
	},
	simulator.Refusing: func(r reply) bool { return whole(r) && strings.Contains(r.body, "I'm sorry") },
	simulator.Slow:     answered,
	simulator.Drip:     answered,
	simulator.Hang:     func(r reply) bool { return r.err != nil && r.status == 0 },
}

func whole(r reply) bool {
	return r.err == nil && r.status == 200 && json.Valid([]byte(r.body))
}

func answered(r reply) bool { return whole(r) && strings.Contains(r.body, "Tides are predictable.") }

func refused(status int) func(reply) bool {
	return func(r reply) bool { return r.err == nil && r.status == status && json.Valid([]byte(r.body)) }
}

func TestEveryModeOnTheWire(t *testing.T) {
	t.Parallel()
	for _, mode := range simulator.Modes() {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			b := one(t, simulator.Provider{})
			b.set(simulator.Fault{Mode: mode, Delay: 30 * time.Millisecond})
			if mode == simulator.Hang {
				b.http.Timeout = 200 * time.Millisecond
			}
			began := time.Now()
			got := b.post("a", plainBody)
			if sees, ok := wire[mode]; !ok || !sees(got) {
				t.Errorf("a client sees %+v", got)
			}
			if took := time.Since(began); mode == simulator.Slow && took < 30*time.Millisecond {
				t.Errorf("slow took %s", took)
			}
			await(t, "the call is counted under its mode", func() bool { return b.Calls("a").Outcomes[mode] == 1 })
			if calls := b.Calls("a"); calls.Total != 1 || calls.InFlight != 0 {
				t.Errorf("calls: %+v", calls)
			}
			if err := b.Clear("a"); err != nil {
				t.Fatal(err)
			}
			if again := b.post("a", plainBody); !answered(again) {
				t.Errorf("after Clear: %+v", again)
			}
		})
	}
}

func TestGarbledHasTwoForms(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	b.set(simulator.Fault{Mode: simulator.Garbled})
	forms := make(map[byte]int)
	for _, letter := range strings.Split("abcdefghijkl", "") {
		got := b.post("a", `{"model":"m","messages":[{"role":"user","content":"`+letter+`"}]}`)
		if got.err != nil || json.Valid([]byte(got.body)) {
			t.Fatalf("got %+v", got)
		}
		forms[got.body[0]]++
	}
	if forms['{'] == 0 || forms['<'] == 0 {
		t.Errorf("forms: %v", forms)
	}
}

func TestStreamIsCut(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	b.set(simulator.Fault{Mode: simulator.Cut})
	client := b.openai("a", "")
	stream := client.Chat.Completions.NewStreaming(t.Context(), question(prompt))
	defer func() { _ = stream.Close() }() // what it read is judged, not how it closed
	chunks := 0
	for stream.Next() {
		chunks++
	}
	if stream.Err() == nil || chunks == 0 {
		t.Errorf("%d chunks, then %v", chunks, stream.Err())
	}
}

func TestDripSendsTheHeaderFirst(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	b.set(simulator.Fault{Mode: simulator.Drip, Delay: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.BaseURL("a")+"/chat/completions", strings.NewReader(plainBody))
	if err != nil {
		t.Fatal(err)
	}
	response, err := b.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(response.Body, first); err != nil || first[0] != '{' {
		t.Errorf("first byte: %q, %v", first, err)
	}
	cancel()
	await(t, "the call is counted as left", func() bool { return b.Calls("a").Outcomes[simulator.Left] == 1 })
}

func TestRefusalAsksToWait(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	b.set(simulator.Fault{Mode: simulator.RateLimit, RetryAfter: 1500 * time.Millisecond, Code: "slow_down"})
	got := b.post("a", plainBody)
	if got.header.Get("Retry-After") != "2" || got.header.Get("retry-after-ms") != "1500" {
		t.Errorf("headers: %v", got.header)
	}
	if !strings.Contains(got.body, "try again in 1.5s") || !strings.Contains(got.body, `"slow_down"`) {
		t.Errorf("body: %s", got.body)
	}
	b.set(simulator.Fault{Mode: simulator.RateLimit})
	if got := b.post("a", plainBody); got.header.Get("Retry-After") != "" || got.header.Get("retry-after-ms") != "" {
		t.Errorf("a fault that asks for nothing sent %v", got.header)
	}
}

func TestBrownOutMeetsItsShare(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	b.set(simulator.Fault{Mode: simulator.Unavailable, Rate: 0.25})
	const calls = 400
	for range calls {
		b.post("a", plainBody)
	}
	outcomes := b.Calls("a").Outcomes
	if failed := outcomes[simulator.Unavailable]; failed < calls/6 || failed > calls/3 || failed+outcomes[simulator.OK] != calls {
		t.Errorf("outcomes: %v", outcomes)
	}
}

func TestOutageTakesTheListOfModelsToo(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	b.set(simulator.Fault{Mode: simulator.Unavailable})
	if got := b.do(http.MethodGet, b.BaseURL("a")+"/models", ""); got.status != 503 {
		t.Errorf("got %+v", got)
	}
	b.set(simulator.Fault{Mode: simulator.Unavailable, Rate: 0.99})
	if got := b.do(http.MethodGet, b.BaseURL("a")+"/models", ""); got.status != 200 {
		t.Errorf("in a brown-out: %+v", got)
	}
}

func TestAFaultOfOneLeavesTheOther(t *testing.T) {
	t.Parallel()
	b := start(t, simulator.Config{Providers: []simulator.Provider{{Name: "a"}, {Name: "b"}}})
	if err := b.Set("a", simulator.Fault{Mode: simulator.ServerError}); err != nil {
		t.Fatal(err)
	}
	if got := b.post("a", plainBody); got.status != 500 {
		t.Errorf("a: %+v", got)
	}
	if got := b.post("b", plainBody); got.status != 200 {
		t.Errorf("b: %+v", got)
	}
	if all := b.Calls("*"); all.Total != 2 || all.Outcomes[simulator.OK] != 1 || all.Outcomes[simulator.ServerError] != 1 {
		t.Errorf("all: %+v", all)
	}
}

func TestStopEndsWhatHangs(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	b.set(simulator.Fault{Mode: simulator.Hang})
	var calls sync.WaitGroup
	for range 5 {
		calls.Go(func() {
			if got := b.post("a", plainBody); got.err == nil {
				t.Errorf("a hanging call got %+v", got)
			}
		})
	}
	await(t, "five calls hang", func() bool { return b.Calls("a").InFlight == 5 })
	b.stop()
	<-b.done
	calls.Wait()
	if got := b.Calls("a").Outcomes[simulator.Hang]; got != 5 {
		t.Errorf("counted as hung: %d", got)
	}
}

func TestAClientThatLeavesEndsItsCall(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{Latency: simulator.Latency{Median: time.Hour}})
	b.http.Timeout = 100 * time.Millisecond
	if got := b.post("a", plainBody); got.err == nil {
		t.Errorf("got %+v", got)
	}
	await(t, "the call is counted as left", func() bool {
		calls := b.Calls("a")
		return calls.Outcomes[simulator.Left] == 1 && calls.InFlight == 0
	})
}

func TestWrongFaultsAndNamesAreRefused(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	for _, test := range []struct {
		name  string
		fault simulator.Fault
		says  string
	}{
		{"a", simulator.Fault{Mode: "broken"}, "mode:"},
		{"a", simulator.Fault{Rate: 1.5}, "rate:"},
		{"a", simulator.Fault{For: -1}, "for:"},
		{"z", simulator.Fault{Mode: simulator.Hang}, `no "z"; use one of a`},
	} {
		if err := b.Set(test.name, test.fault); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("Set(%q, %+v): %v, want %q", test.name, test.fault, err, test.says)
		}
	}
}

func TestATakenPortIsNamed(t *testing.T) {
	t.Parallel()
	b := one(t, simulator.Provider{})
	second, err := simulator.New(simulator.Config{Listen: b.Addr(), Providers: []simulator.Provider{{Name: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), b.Addr()) {
		t.Errorf("got %v, want an error that names %s", err, b.Addr())
	}
}
