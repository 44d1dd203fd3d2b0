package publish_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"tidegate/jobs"
	"tidegate/worker/publish"
)

const (
	resultID  = "0199aaaa-0000-7000-8000-000000000001"
	requestID = "0199aaaa-0000-7000-8000-000000000002"
)

var storedAt = time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.FixedZone("CET", 3600))

func event() *jobs.ResultEvent {
	return &jobs.ResultEvent{
		Result: jobs.Result{
			ID: resultID, RequestID: requestID, State: jobs.StateAnswered, Status: 200, Body: []byte(`{"choices": []}`), Target: "cheap", Model: "cheap-1",
			FinishReason: "stop", Usage: jobs.Usage{Input: 10, CachedInput: 4, Output: 5, Reasoning: 2}, Cost: 318, Attempts: 2, StoredAt: storedAt,
		},
		Tenant: "acme", Route: "summaries", BatchID: "batch_1", CustomID: "doc-1", Metadata: map[string]string{"tier": "gold"}, BodyBytes: 15,
	}
}

func message(t *testing.T, e jobs.Event) *nats.Msg {
	t.Helper()
	msg, err := publish.Message(e, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// same compares JSON by what it says, and its names to the letter.
func same(t *testing.T, want string, got []byte) {
	t.Helper()
	var w, g any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if diff := cmp.Diff(w, g); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
}

func TestMessageOfAResult(t *testing.T) {
	t.Parallel()
	msg := message(t, jobs.Event{Result: event()})
	if want := "tidegate.v1.acme.results.summaries.batch_1." + requestID; msg.Subject != want {
		t.Errorf("its subject is %s", msg.Subject)
	}
	headers := nats.Header{
		"Nats-Msg-Id": {resultID}, "ce-specversion": {"1.0"}, "ce-id": {resultID}, "ce-source": {"tidegate"}, "ce-type": {"dev.tidegate.result.v1"},
		"ce-subject": {requestID}, "ce-time": {"2026-03-04T04:06:07.089Z"}, "content-type": {"application/json"},
	}
	if diff := cmp.Diff(headers, msg.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	same(t, `{
		"request_id": "`+requestID+`", "custom_id": "doc-1", "batch_id": "batch_1", "tenant": "acme", "route": "summaries", "state": "answered",
		"metadata": {"tier": "gold"}, "target": "cheap", "model": "cheap-1", "finish_reason": "stop",
		"usage": {"input_tokens": 10, "cached_input_tokens": 4, "output_tokens": 5, "reasoning_tokens": 2},
		"cost_micro_usd": 318, "attempts": 2, "response": {"choices": []}, "stored_at": "2026-03-04T05:06:07.089+01:00"
	}`, msg.Data)
}

func TestMessageOfARefusal(t *testing.T) {
	t.Parallel()
	e := &jobs.ResultEvent{Tenant: "acme", Route: "summaries", Result: jobs.Result{
		ID: resultID, RequestID: requestID, State: jobs.StateRefused, Status: 400, Class: jobs.Content, Code: "content_filter", Message: "no", StoredAt: storedAt,
	}}
	e.Unpriced = true // a target without a price was called
	msg := message(t, jobs.Event{Result: e})
	if want := "tidegate.v1.acme.results.summaries.-." + requestID; msg.Subject != want {
		t.Errorf("its subject is %s", msg.Subject)
	}
	same(t, `{
		"request_id": "`+requestID+`", "tenant": "acme", "route": "summaries", "state": "refused",
		"usage": {"input_tokens": 0, "cached_input_tokens": 0, "output_tokens": 0, "reasoning_tokens": 0},
		"cost_micro_usd": null, "attempts": 0, "error": {"class": "CONTENT", "status": 400, "code": "content_filter", "message": "no"},
		"stored_at": "2026-03-04T05:06:07.089+01:00"
	}`, msg.Data)
}

// An answer that does not fit, or that is not JSON, is replaced by a reference.
func TestMessageByReference(t *testing.T) {
	t.Parallel()
	large, garbled := event(), event()
	large.Body, large.BodyBytes = nil, jobs.MaxEventBody+1 // as the store hands it out
	garbled.Body = []byte("{")
	for _, e := range []*jobs.ResultEvent{large, garbled} {
		msg := message(t, jobs.Event{Result: e})
		if got := msg.Header["ce-dataref"]; len(got) != 1 || got[0] != "tidegate:results/"+requestID {
			t.Errorf("it refers to %q", got)
		}
		var body publish.ResultBody
		if err := json.Unmarshal(msg.Data, &body); err != nil || body.Response != nil || body.CustomID != "doc-1" {
			t.Errorf("its data is %s, %v", msg.Data, err)
		}
	}
}

// The smaller the messages that NATS takes, the more is left out of an event,
// and never more than must be.
func TestMessageFitsItsLimit(t *testing.T) {
	t.Parallel()
	answered, refused := event(), event()
	long := strings.Repeat("x", 200) // longer than a reference
	answered.Body, answered.Metadata = []byte(`{"choices": ["`+long+`"]}`), map[string]string{"tier": long}
	refused.State, refused.Class, refused.Message, refused.Body = jobs.StateRefused, jobs.Content, long, nil
	for name, c := range map[string]struct {
		event *jobs.ResultEvent
		left  []string // of response, metadata, message: in the forms from large to small
	}{
		"an answer":  {answered, []string{"response metadata", "metadata", ""}},
		"no answer":  {refused, []string{"metadata message", ""}},
		"of a batch": {nil, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := jobs.Event{Result: c.event}
			if c.event == nil {
				e.Batch = &jobs.BatchEvent{Batch: jobs.Batch{ID: "batch_1", Tenant: "acme", State: jobs.BatchCompleted, Total: 1}}
			}
			limit, forms := int64(1<<20), []string{}
			for {
				msg, err := publish.Message(e, limit)
				if err != nil {
					var tooLarge *publish.TooLargeError
					if !errors.As(err, &tooLarge) || tooLarge.Limit != limit || tooLarge.Bytes != limit+1 {
						t.Errorf("below its smallest form: %v", err)
					}
					break
				}
				size := int64(len(msg.Data)) + headerBytes(msg)
				if size > limit {
					t.Fatalf("%d bytes, and at most %d were wanted", size, limit)
				}
				forms = append(forms, parts(t, msg))
				limit = size - 1
			}
			if diff := cmp.Diff(c.left, slices.Compact(forms)); diff != "" {
				t.Errorf("forms (-want +got):\n%s", diff)
			}
		})
	}
}

// headerBytes is what NATS sends for the headers of a message.
func headerBytes(msg *nats.Msg) int64 {
	n := len("NATS/1.0\r\n\r\n")
	for name, values := range msg.Header {
		for _, value := range values {
			n += len(name) + len(": ") + len(value) + len("\r\n")
		}
	}
	return int64(n)
}

// parts names what an event has of what may be left out, and checks that it
// says where the rest is.
func parts(t *testing.T, msg *nats.Msg) string {
	t.Helper()
	var body publish.ResultBody
	if err := json.Unmarshal(msg.Data, &body); err != nil {
		t.Fatal(err)
	}
	var all []string
	if body.Response != nil {
		all = append(all, "response")
	}
	if body.Metadata != nil {
		all = append(all, "metadata")
	}
	if body.Error != nil && body.Error.Message != "" {
		all = append(all, "message")
	}
	return strings.Join(all, " ")
}

func TestMessageOfABatch(t *testing.T) {
	t.Parallel()
	msg := message(t, jobs.Event{Batch: &jobs.BatchEvent{Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Batch: jobs.Batch{
		ID: "batch_1", Tenant: "acme", State: jobs.BatchCompleted, Total: 3, Completed: 2, Failed: 1, CreatedAt: storedAt, EndedAt: storedAt.Add(time.Hour),
	}}})
	if want := "tidegate.v1.acme.batches.batch_1.completed"; msg.Subject != want {
		t.Errorf("its subject is %s", msg.Subject)
	}
	headers := nats.Header{
		"Nats-Msg-Id": {"batch_1-completed"}, "ce-specversion": {"1.0"}, "ce-id": {"batch_1-completed"}, "ce-source": {"tidegate"},
		"ce-type": {"dev.tidegate.batch.v1"}, "ce-subject": {"batch_1"}, "ce-time": {"2026-03-04T05:06:07.089Z"}, "content-type": {"application/json"},
		"ce-traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	}
	if diff := cmp.Diff(headers, msg.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	same(t, `{
		"batch_id": "batch_1", "tenant": "acme", "state": "completed", "total": 3, "completed": 2, "failed": 1,
		"created_at": "2026-03-04T05:06:07.089+01:00", "ended_at": "2026-03-04T06:06:07.089+01:00"
	}`, msg.Data)
	msg = message(t, jobs.Event{Batch: &jobs.BatchEvent{Batch: jobs.Batch{
		ID: "batch_1", Tenant: "acme", State: jobs.BatchFailed, CreatedAt: storedAt, EndedAt: storedAt, Order: &jobs.BatchOrder{InputFile: "file-1", OutputFile: "file-2", ErrorFile: "file-3"},
	}}})
	same(t, `{
		"batch_id": "batch_1", "tenant": "acme", "state": "failed", "total": 0, "completed": 0, "failed": 0,
		"created_at": "2026-03-04T05:06:07.089+01:00", "ended_at": "2026-03-04T05:06:07.089+01:00",
		"input_file_id": "file-1", "output_file_id": "file-2", "error_file_id": "file-3"
	}`, msg.Data)
}

func TestMessageOfACircuit(t *testing.T) {
	t.Parallel()
	const id = "0199aaaa-0000-4000-8000-000000000003"
	e := &jobs.CircuitEvent{ID: id, Circuit: jobs.Circuit{
		Target: "cheap", Region: "eu", State: jobs.CircuitOpen, Generation: 7, Reason: "OVERLOAD: status 503", Since: storedAt, DownSince: storedAt,
		CooldownUntil: storedAt.Add(time.Minute),
	}}
	msg := message(t, jobs.Event{Circuit: e})
	if want := "tidegate.v1.circuits.cheap.open"; msg.Subject != want {
		t.Errorf("its subject is %s", msg.Subject)
	}
	headers := nats.Header{
		"Nats-Msg-Id": {id}, "ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {"tidegate"},
		"ce-type": {"dev.tidegate.circuit.v1"}, "ce-subject": {"cheap"}, "ce-time": {"2026-03-04T04:06:07.089Z"}, "content-type": {"application/json"},
	}
	if diff := cmp.Diff(headers, msg.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	same(t, `{
		"target": "cheap", "region": "eu", "state": "open", "generation": 7, "reason": "OVERLOAD: status 503", "since": "2026-03-04T05:06:07.089+01:00",
		"down_since": "2026-03-04T05:06:07.089+01:00", "cooldown_until": "2026-03-04T05:07:07.089+01:00"
	}`, msg.Data)
	e.Circuit = jobs.Circuit{Target: "cheap", State: jobs.CircuitOpen, Generation: 7, Since: storedAt, Person: true, CooldownUntil: storedAt.Add(100 * jobs.LongestCooldown)}
	msg = message(t, jobs.Event{Circuit: e})
	same(t, `{"target": "cheap", "state": "open", "generation": 7, "since": "2026-03-04T05:06:07.089+01:00", "until_closed": true, "by_person": true}`, msg.Data)
	e.Circuit = jobs.Circuit{Target: "cheap", State: jobs.CircuitClosed, Generation: 8, Since: storedAt, Person: true}
	msg = message(t, jobs.Event{Circuit: e})
	if want := "tidegate.v1.circuits.cheap.closed"; msg.Subject != want {
		t.Errorf("its subject is %s", msg.Subject)
	}
	same(t, `{"target": "cheap", "state": "closed", "generation": 8, "since": "2026-03-04T05:06:07.089+01:00", "by_person": true}`, msg.Data)
}

func TestMessageOfARoute(t *testing.T) {
	t.Parallel()
	const id = "0199aaaa-0000-4000-8000-000000000004"
	e := &jobs.PauseEvent{
		ID: id, Pause: jobs.Pause{Route: "summaries", Owner: jobs.OwnerPerson, Reason: "lunch", Since: storedAt}, At: storedAt,
		PausedBy: []jobs.Owner{jobs.OwnerCircuit, jobs.OwnerPerson},
	}
	msg := message(t, jobs.Event{Pause: e})
	if want := "tidegate.v1.routes.summaries.paused"; msg.Subject != want {
		t.Errorf("its subject is %s", msg.Subject)
	}
	headers := nats.Header{
		"Nats-Msg-Id": {id}, "ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {"tidegate"},
		"ce-type": {"dev.tidegate.route.v1"}, "ce-subject": {"summaries"}, "ce-time": {"2026-03-04T04:06:07.089Z"}, "content-type": {"application/json"},
	}
	if diff := cmp.Diff(headers, msg.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	same(t, `{
		"route": "summaries", "state": "paused", "owner": "person", "reason": "lunch", "since": "2026-03-04T05:06:07.089+01:00",
		"at": "2026-03-04T05:06:07.089+01:00", "paused_by": ["circuit", "person"]
	}`, msg.Data)
	e.Resumed, e.PausedBy, e.At = true, nil, storedAt.Add(time.Hour)
	msg = message(t, jobs.Event{Pause: e})
	if want := "tidegate.v1.routes.summaries.resumed"; msg.Subject != want {
		t.Errorf("its subject is %s", msg.Subject)
	}
	same(t, `{
		"route": "summaries", "state": "resumed", "owner": "person", "reason": "lunch", "since": "2026-03-04T05:06:07.089+01:00",
		"at": "2026-03-04T06:06:07.089+01:00", "paused_by": []
	}`, msg.Data)
}

func TestMessageOfABudget(t *testing.T) {
	t.Parallel()
	const id = "0199aaaa-0000-4000-8000-000000000005"
	e := &jobs.BudgetEvent{
		ID: id, BudgetKey: jobs.BudgetKey{Scope: jobs.BudgetTenant, Name: "acme"}, BudgetLimits: jobs.BudgetLimits{PerDay: 5_000_000},
		Out: true, SpentToday: 4_990_000, Spent: 12_000_000, At: storedAt,
	}
	msg := message(t, jobs.Event{Budget: e})
	if want := "tidegate.v1.budgets.tenant.acme.spent"; msg.Subject != want {
		t.Errorf("its subject is %s", msg.Subject)
	}
	if got := msg.Header; got.Get("ce-type") != "dev.tidegate.budget.v1" || got.Get("ce-subject") != "tenant acme" || got.Get("Nats-Msg-Id") != id {
		t.Errorf("headers: %v", got)
	}
	same(t, `{
		"scope": "tenant", "name": "acme", "state": "spent", "limit": "per_day", "per_day_micro_usd": 5000000,
		"spent_today_micro_usd": 4990000, "spent_micro_usd": 12000000, "at": "2026-03-04T05:06:07.089+01:00"
	}`, msg.Data)
	e.Out, e.Scope, e.Name = false, jobs.BudgetBatch, "batch_0199aaaa000040008000000000000005"
	msg = message(t, jobs.Event{Budget: e})
	if want := "tidegate.v1.budgets.batch." + e.Name + ".resumed"; msg.Subject != want || strings.Contains(string(msg.Data), "limit") {
		t.Errorf("its subject is %s, and it says %s", msg.Subject, msg.Data)
	}
}

// What is no name would be another subject, or a pattern.
func TestMessageOfNoName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a.b", ">", "*", "a b", "A"} {
		for _, e := range []jobs.Event{
			{Circuit: &jobs.CircuitEvent{Circuit: jobs.Circuit{Target: name, State: jobs.CircuitOpen}}},
			{Pause: &jobs.PauseEvent{Pause: jobs.Pause{Route: name}}},
			{Budget: &jobs.BudgetEvent{BudgetKey: jobs.BudgetKey{Scope: jobs.BudgetTenant, Name: name}}},
		} {
			if msg, err := publish.Message(e, 1<<20); err == nil {
				t.Errorf("%q goes to %s", name, msg.Subject)
			}
		}
	}
}

func TestMessageOfNothing(t *testing.T) {
	t.Parallel()
	if msg, err := publish.Message(jobs.Event{}, 1<<20); err == nil {
		t.Errorf("it is %+v", msg)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"tidegate.v1.*.results.*.*.*":               publish.ResultFilter("", "", ""),
		"tidegate.v1.acme.results.*.*.*":            publish.ResultFilter("acme", "", ""),
		"tidegate.v1.*.results.summaries.batch_1.*": publish.ResultFilter("", "summaries", "batch_1"),
	} {
		if got != want {
			t.Errorf("the filter is %s, not %s", got, want)
		}
		if !slices.ContainsFunc(publish.StreamSubjects(), func(subject string) bool { return publish.Overlap(subject, got) }) {
			t.Errorf("the stream does not listen to %s", got)
		}
	}
}
