package integration

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/routing/provider"
	"tidegate/routing/simulator"
	"tidegate/store"
)

const longQuestion = `{"messages":[{"role":"system","content":"Answer in three sentences."},
	{"role":"user","content":"Tides “turn” 🌊 at noon. Storms do not care. The gate closes by itself. It opens again. Nobody is there."}],"max_tokens":500}`

// TestStreamsComeToTheWholeAnswer: what is put together of a stream is the answer that
// comes without one, in each dialect, and its first token comes before its last.
func TestStreamsComeToTheWholeAnswer(t *testing.T) {
	t.Parallel()
	sim, at := vendors(t)
	client := provider.New(provider.Config{})
	t.Cleanup(client.Close)
	for _, dialect := range simulated(t) {
		target := at(dialect)
		whole, err := client.Complete(t.Context(), target, jobs.EndpointChat, []byte(longQuestion))
		if err != nil {
			t.Fatalf("%s: %v", dialect, err)
		}
		target.Stream = true
		streamed, err := client.Complete(t.Context(), target, jobs.EndpointChat, []byte(longQuestion))
		if err != nil {
			t.Fatalf("%s: %v", dialect, err)
		}
		if diff := cmp.Diff(answerOf(t, whole), answerOf(t, streamed)); diff != "" {
			t.Errorf("%s: whole (-) and streamed (+):\n%s", dialect, diff)
		}
		check(t, sim.Set(dialect, simulator.Fault{Mode: simulator.Drip, Delay: 500 * time.Millisecond}))
		began := time.Now()
		slow, err := client.Complete(t.Context(), target, jobs.EndpointChat, []byte(longQuestion))
		if took := time.Since(began); err != nil || slow.FirstByte > took-200*time.Millisecond {
			t.Errorf("%s: %v; the first token came after %s of %s", dialect, err, slow.FirstByte, took)
		}
	}
}

// answerOf is what a result keeps of an answer, but for ids and times.
func answerOf(t *testing.T, answer *jobs.Answer) any {
	t.Helper()
	var body map[string]any
	check(t, json.Unmarshal(answer.Body, &body))
	delete(body, "id")
	delete(body, "created")
	choices, _ := body["choices"].([]any)
	choice, _ := choices[0].(map[string]any)
	if message, ok := choice["message"].(map[string]any); ok {
		for _, name := range []string{"refusal", "annotations"} { // which say nothing, and are not streamed
			if value, _ := message[name].([]any); len(value) == 0 {
				delete(message, name)
			}
		}
	}
	return map[string]any{"body": body, "model": answer.Model, "finish": answer.FinishReason, "usage": answer.Usage}
}

// TestStreamedChain works a batch through three vendors that stream. The first is
// overloaded, the second breaks off in the middle; what the third says is stored,
// whole, and nothing of the second's.
func TestStreamedChain(t *testing.T) {
	t.Parallel()
	sim, at := vendors(t)
	chain := simulated(t)
	s := newStage(t, staging{config: func(c *config.Config) {
		c.Targets, c.Routes[0].Chain = nil, chain
		for _, dialect := range chain {
			target := at(dialect)
			c.Targets = append(c.Targets, config.Target{
				Name: dialect, Provider: dialect, Dialect: dialect, BaseURL: target.BaseURL, APIKey: target.Key, Model: target.Model, Stream: true,
				Timeouts: config.Timeouts(jobs.DefaultTimeouts), Circuit: config.Circuit(jobs.DefaultThresholds),
			})
		}
	}})
	check(t, sim.Set(chain[0], simulator.Fault{Mode: simulator.Overloaded}))
	check(t, sim.Set(chain[1], simulator.Fault{Mode: simulator.Cut}))
	s.prepare()
	s.work(nil)
	const requests = 12
	batch := s.settle(s.enqueue(requests, func(_ int, r *jobs.Request) { r.Body = json.RawMessage(longQuestion) }))
	if batch.Completed != requests {
		t.Fatalf("the batch is %+v", batch)
	}
	for entry, err := range s.store.Results(t.Context(), store.Filter{BatchID: batch.ID}) {
		check(t, err)
		if text := string(entry.Body); !strings.Contains(text, "Tides “turn” 🌊 at noon.") || !strings.Contains(text, `"chat.completion"`) || strings.Contains(text, "chunk") {
			t.Errorf("stored is %s", text)
		}
	}
	for _, class := range []string{"OVERLOAD", "GARBLED"} {
		if s.count("SELECT count(*) FROM tidegate.attempts WHERE class = $1", class) == 0 {
			t.Errorf("no attempt is %s", class)
		}
	}
	if n := s.count("SELECT count(*) FROM tidegate.attempts WHERE class = 'OK' AND target = $1 AND first_byte_us > 0", chain[2]); n != requests {
		t.Errorf("%d answers of %s, want %d", n, chain[2], requests)
	}
}
