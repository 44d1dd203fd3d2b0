package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/simulator"
	"tidegate/store"
)

// askedAt is the body of request number n at an endpoint, as no other number has it.
func askedAt(of jobs.Endpoint, n int) json.RawMessage {
	text := fmt.Sprintf("Summarise: the gate closed %d times. The tide rose. It fell again.", n)
	switch of {
	case jobs.EndpointEmbeddings:
		return json.RawMessage(fmt.Sprintf(`{"model":"auto","input":[%q,"the tide"],"dimensions":16}`, text))
	case jobs.EndpointResponses:
		return json.RawMessage(fmt.Sprintf(`{"model":"auto","input":%q}`, text))
	case jobs.EndpointCompletions:
		return json.RawMessage(fmt.Sprintf(`{"model":"auto","prompt":%q}`, text))
	default:
		return body(n)
	}
}

// linesAt are n lines of a batch file of an endpoint.
func linesAt(of jobs.Endpoint, n int) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, `{"custom_id":"n-%05d","method":"POST","url":%q,"body":%s}`+"\n", i, of.String(), askedAt(of, i))
	}
	return all.String()
}

func (f *front) orderAt(client openai.Client, file string, of jobs.Endpoint) (*openai.Batch, error) {
	return client.Batches.New(f.Context(), openai.BatchNewParams{
		InputFileID: file, Endpoint: openai.BatchNewParamsEndpoint(of.String()), CompletionWindow: openai.BatchNewParamsCompletionWindow24h,
	})
}

// answerAt checks an answer as the official SDK reads it, and returns its usage.
func answerAt(t *testing.T, of jobs.Endpoint, body []byte) (input, output int64) {
	t.Helper()
	switch of {
	case jobs.EndpointEmbeddings:
		var answer openai.CreateEmbeddingResponse
		check(t, answer.UnmarshalJSON(body))
		if len(answer.Data) != 2 {
			t.Fatalf("%s", body)
		}
		for i, v := range answer.Data {
			sum := 0.0
			for _, x := range v.Embedding {
				sum += x * x
			}
			if len(v.Embedding) != 16 || math.Abs(sum-1) > 1e-5 || v.Index != int64(i) {
				t.Errorf("%d numbers of length %g at %d", len(v.Embedding), sum, v.Index)
			}
		}
		return answer.Usage.PromptTokens, 0
	case jobs.EndpointResponses:
		var answer responses.Response
		check(t, answer.UnmarshalJSON(body))
		if answer.OutputText() == "" || answer.Status != responses.ResponseStatusCompleted || !strings.HasPrefix(answer.ID, "resp_") {
			t.Errorf("%s", body)
		}
		return answer.Usage.InputTokens, answer.Usage.OutputTokens
	case jobs.EndpointCompletions:
		var answer openai.Completion
		check(t, answer.UnmarshalJSON(body))
		if answer.Choices[0].Text == "" || answer.Choices[0].FinishReason != openai.CompletionChoiceFinishReasonStop {
			t.Errorf("%s", body)
		}
		return answer.Usage.PromptTokens, answer.Usage.CompletionTokens
	default:
		var answer openai.ChatCompletion
		check(t, answer.UnmarshalJSON(body))
		return answer.Usage.PromptTokens, answer.Usage.CompletionTokens
	}
}

// A batch of each endpoint goes all the way, from the official SDK and back to it.
func TestBatchOfEachEndpoint(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	client := f.client()
	for _, of := range jobs.Endpoints() {
		t.Run(of.Name(), func(t *testing.T) {
			batch, err := f.orderAt(client, f.upload(client, linesAt(of, 12)).ID, of)
			check(t, err)
			batch = f.poll(client, batch.ID, openai.BatchStatusCompleted)
			lines, _ := f.wholeBatch(client, batch, 12)
			var input, output int64
			for id, line := range lines {
				if line.Error != nil || line.Response.StatusCode != http.StatusOK {
					t.Fatalf("%s: %+v", id, line)
				}
				in, out := answerAt(t, of, line.Response.Body)
				input, output = input+in, output+out
			}
			if batch.Endpoint != of.String() || batch.Usage.InputTokens != input || input == 0 || batch.Usage.OutputTokens != output || batch.Usage.TotalTokens != input+output {
				t.Errorf("%d tokens in and %d out, and it ends as %s", input, output, batch.RawJSON())
			}
			if n := f.count("SELECT count(*) FROM tidegate.requests WHERE batch_id = $1 AND endpoint IS DISTINCT FROM nullif($2, '/v1/chat/completions')", batch.ID, of.String()); n != 0 {
				t.Errorf("%d requests are of another endpoint", n)
			}
		})
	}
	// An embedding has no answer in tokens, and so costs what its input does.
	if n := f.count(`SELECT count(*) FROM tidegate.attempts a JOIN tidegate.requests q ON q.id = a.request_id
		WHERE q.endpoint = '/v1/embeddings' AND (a.output_tokens > 0 OR a.cost_micro_usd <> round(a.input_tokens * 0.10))`); n != 0 {
		t.Errorf("%d attempts at embeddings have another cost", n)
	}
}

// What is wrong with a line is said by its number, before anything is enqueued.
func TestFaultsOfEndpointsOverHTTP(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{config: func(c *config.Config) {
		chat := c.Routes[0]
		chat.Name, chat.Chain = "talk", []string{"sim-dear"}
		c.Targets[2].Endpoints = []string{"chat"}
		c.Routes[0].Chain = c.Routes[0].Chain[:2]
		c.Routes = append(c.Routes, chat)
	}})
	client := f.client()
	_, err := f.orderAt(client, f.upload(client, linesAt(jobs.EndpointChat, 1)).ID, jobs.EndpointUnknown)
	if told := apiError(t, err, http.StatusBadRequest); told.Param != "endpoint" || !strings.Contains(told.Message, "there are: /v1/chat/completions, /v1/embeddings, /v1/responses, /v1/completions") {
		t.Errorf("it says %s", told.RawJSON())
	}
	line := func(url, route, body string) string {
		return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":%q,"route":%q,"body":%s}`+"\n", url+route+body, url, route, body)
	}
	many := `{"input":[` + strings.TrimSuffix(strings.Repeat(`"a",`, 2048), ",") + `]}`
	for name, c := range map[string]struct {
		content string
		code    string
		param   string
		says    string
		line    int64
	}{
		"another endpoint":      {line("/v1/embeddings", summaries, `{"input":"a"}`) + line("/v1/responses", summaries, `{"input":"a"}`), jobs.CodeBadURL, "url", `only "/v1/embeddings"`, 2},
		"a route without it":    {line("/v1/embeddings", "talk", `{"input":"a"}`), jobs.CodeBadURL, "url", `no target of the route "talk" serves /v1/embeddings; it serves /v1/chat/completions`, 1},
		"a chat":                {line("/v1/embeddings", summaries, `{"messages":[{}]}`), jobs.CodeBadLine, "body.input", "must be a text", 1},
		"more inputs than that": {linesOfMany(26, many), "too_many_tasks", "body.input", "more than 50000 inputs", 25},
	} {
		t.Run(name, func(t *testing.T) {
			batch, err := f.orderAt(client, f.upload(client, c.content).ID, jobs.EndpointEmbeddings)
			check(t, err)
			batch = f.poll(client, batch.ID, openai.BatchStatusFailed)
			fault := batch.Errors.Data[0]
			if len(batch.Errors.Data) != 1 || fault.Line != c.line || fault.Code != c.code || fault.Param != c.param || !strings.Contains(fault.Message, c.says) {
				t.Errorf("it fails as %s", batch.RawJSON())
			}
		})
	}
	if n := f.count("SELECT count(*) FROM tidegate.requests"); n != 0 {
		t.Errorf("%d requests were enqueued", n)
	}
}

// linesOfMany are n lines of embeddings of many inputs.
func linesOfMany(n int, body string) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, `{"custom_id":"m-%d","method":"POST","url":"/v1/embeddings","route":%q,"body":%s}`+"\n", i, summaries, body)
	}
	return all.String()
}

// Requests of every endpoint go through one queue and one outage, once each, and their
// events say what they are of.
func TestEndpointsTogetherThroughAnOutage(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	of := func(i int) jobs.Endpoint { return jobs.Endpoints()[i%4] }
	batch := s.enqueue(60, func(i int, r *jobs.Request) { r.Endpoint, r.Body = of(i), askedAt(of(i), i) })
	s.down("*", simulator.Fault{Mode: simulator.Unavailable})
	s.work(nil)
	s.awaitOutage()
	s.back()
	batch = s.settle(batch)
	if batch.Completed != 60 {
		t.Fatalf("%+v", batch)
	}
	s.onceEach(batch)
	events, _ := s.events()
	for _, e := range events {
		var n int
		if _, err := fmt.Sscanf(e.body.CustomID, "n-%03d", &n); err != nil {
			t.Fatal(err)
		}
		if said := e.body.Endpoint; said != of(n).String() && (said != "" || of(n) != jobs.EndpointChat) {
			t.Errorf("request %d of %s: its event says %q", n, of(n), said)
		}
		answerAt(t, of(n), e.body.Response)
	}
	text := s.must("results", batch.ID).out
	for _, line := range decodeLines[fileLine](t, text) {
		var n int
		if _, err := fmt.Sscanf(line.CustomID, "n-%03d", &n); err != nil {
			t.Fatal(err)
		}
		answerAt(t, of(n), line.Response.Body)
	}
}

// awaitOutage waits until the first target has been found out.
func (s *stage) awaitOutage() {
	s.Helper()
	fixture.Await(s.T, soon, "every circuit is open", func() bool {
		return s.count("SELECT count(*) FROM tidegate.circuits WHERE state <> 'closed'") == len(s.config.Targets)
	})
}

// A target that says it serves an endpoint, and does not, costs a call: the request goes
// on to the next one, and others go on to be answered by it.
func TestEndpointThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{simulated: func(c *simulator.Config) { c.Providers[0].Endpoints = []string{"chat"} }})
	s.work(nil)
	batch := s.settle(s.enqueue(4, func(i int, r *jobs.Request) {
		r.Endpoint = jobs.Endpoints()[i]
		r.Body = askedAt(r.Endpoint, i)
	}))
	if batch.Completed != 4 {
		t.Fatalf("%+v", batch)
	}
	for result, err := range s.store.Results(t.Context(), store.Filter{BatchID: batch.ID}) {
		check(t, err)
		attempts, err := s.store.Attempts(t.Context(), result.RequestID)
		check(t, err)
		if chat := result.Endpoint == jobs.EndpointChat; chat != (result.Target == "sim-cheap") || chat != (len(attempts) == 1) {
			t.Errorf("%s: %s answered, %+v", result.Endpoint, result.Target, attempts)
		} else if !chat && (attempts[0].Class != jobs.BadRequest || attempts[0].Code != "endpoint_not_served" || attempts[0].Status != http.StatusNotFound) {
			t.Errorf("%s: %+v", result.Endpoint, attempts[0])
		}
	}
	if n := s.count("SELECT count(*) FROM tidegate.circuits WHERE state <> 'closed'"); n != 0 {
		t.Errorf("%d circuits are open", n)
	}
	text := s.must("why", "n-001", "--batch", batch.ID).out
	s.says(text, "sim-cheap, the first of the chain, was called and did not answer: BAD_REQUEST HTTP 404 (endpoint_not_served)", "does not serve /v1/embeddings, although its endpoints say so")
}

// What no target serves is refused where it is accepted; and if the configuration is
// another one later, where it is worked: it waits for nobody.
func TestEndpointThatNobodyServes(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	batch := s.enqueue(2, func(i int, r *jobs.Request) {
		r.Endpoint, r.Body = jobs.EndpointEmbeddings, askedAt(jobs.EndpointEmbeddings, i)
	})
	for i := range s.config.Targets {
		s.config.Targets[i].Endpoints = []string{"chat", "responses"}
	}
	s.work(nil)
	batch = s.settle(batch)
	for result, err := range s.store.Results(t.Context(), store.Filter{BatchID: batch.ID}) {
		check(t, err)
		if result.State != jobs.StateRefused || result.Class != jobs.BadRequest || result.Code != "endpoint_not_served" || !strings.Contains(result.Message, `no target of the route "summaries" serves /v1/embeddings; it serves /v1/chat/completions, /v1/responses`) {
			t.Errorf("%+v", result.Result)
		}
	}
	if text := s.must("why", "n-000", "--batch", batch.ID).out; !strings.Contains(text, "refused for good") || !strings.Contains(text, "BAD_REQUEST (endpoint_not_served)") {
		t.Error(text)
	}
	_, err := s.newQueue().Enqueue(t.Context(), jobs.Request{Route: summaries, Endpoint: jobs.EndpointEmbeddings, Body: askedAt(jobs.EndpointEmbeddings, 1)})
	if err == nil || !strings.HasPrefix(err.Error(), `endpoint: no target of the route "summaries" serves /v1/embeddings`) {
		t.Errorf("it says %v", err)
	}
}

// While a worker lives that knows of chats alone, nothing else is accepted: it would
// take it for a chat.
func TestOlderWorkerLives(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.prepare()
	f := &front{stage: s, base: s.serveHTTP()} // without a worker, which would find out that the other is dead
	client := f.client()
	file := f.upload(client, linesAt(jobs.EndpointResponses, 2)).ID
	_, err := f.Pool.Exec(t.Context(), "INSERT INTO tidegate.workers (id, beats) VALUES ('old-1', 1)")
	check(t, err)
	hasty := f.client(option.WithMaxRetries(0))
	_, err = hasty.Batches.New(f.Context(), openai.BatchNewParams{InputFileID: file, Endpoint: "/v1/responses", CompletionWindow: "24h"})
	if told := apiError(t, err, http.StatusServiceUnavailable); told.Code != "workers_too_old" || !strings.Contains(told.Message, "the worker old-1 is of an older version") {
		t.Errorf("it says %s", told.RawJSON())
	}
	request := jobs.Request{Route: summaries, Endpoint: jobs.EndpointResponses, Body: askedAt(jobs.EndpointResponses, 1)}
	_, err = f.queue.Enqueue(t.Context(), request)
	if stranger := new(store.StrangerError); !errors.As(err, &stranger) || stranger.Worker != "old-1" {
		t.Errorf("it says %v", err)
	}
	if _, err := f.queue.Enqueue(t.Context(), jobs.Request{Route: summaries, Body: body(1)}); err != nil {
		t.Errorf("a chat: %v", err)
	}
	_, err = f.Pool.Exec(t.Context(), "DELETE FROM tidegate.workers WHERE id = 'old-1'")
	check(t, err)
	s.work(nil)
	batch, err := f.orderAt(client, file, jobs.EndpointResponses)
	check(t, err)
	f.poll(client, batch.ID, openai.BatchStatusCompleted)
	_, err = f.queue.Enqueue(t.Context(), request)
	check(t, err)
}
