package integration

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"tidegate/integration/fixture"
	"tidegate/routing/simulator"
	"tidegate/worker/publish"
)

// A spanReceiver takes spans as an OpenTelemetry collector does, over HTTP.
type spanReceiver struct {
	mu    sync.Mutex
	spans []*otlp.Span
	names map[string]bool // of the services
	raw   strings.Builder // all that was sent
}

// ServeHTTP takes some.
func (r *spanReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	var sent collector.ExportTraceServiceRequest
	if err != nil || request.URL.Path != "/v1/traces" || proto.Unmarshal(body, &sent) != nil {
		http.Error(w, "not what a collector takes", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.raw.Write(body)
	for _, of := range sent.ResourceSpans {
		r.names[valueOf(of.Resource.Attributes, "service.name")] = true
		for _, scope := range of.ScopeSpans {
			r.spans = append(r.spans, scope.Spans...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// of are the spans of a trace, in the order of their beginnings.
func (r *spanReceiver) of(trace string) []*otlp.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*otlp.Span
	for _, s := range r.spans {
		if hex.EncodeToString(s.TraceId) == trace {
			found = append(found, s)
		}
	}
	return found
}

func valueOf(attributes []*common.KeyValue, name string) string {
	for _, a := range attributes {
		if a.Key == name {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// named are the spans with a name.
func named(spans []*otlp.Span, name string) (found []*otlp.Span) {
	for _, s := range spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// TestTraceOfAFailover: what is sent with a traceparent is one trace, from the door to the
// event, through two processes, with the call that failed and the one after it.
func TestTraceOfAFailover(t *testing.T) {
	t.Parallel()
	const above, trace = "00f067aa0ba902b7", "4bf92f3577b34da6a3ce929d0e0e4736"
	st := newStage(t, staging{})
	st.prepare()
	st.down("cheap", simulator.Fault{Mode: simulator.Unavailable})
	got := &spanReceiver{names: map[string]bool{}}
	environment := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + serve(t, got), "OTEL_SERVICE_NAME=tides", "OTEL_BSP_SCHEDULE_DELAY=50", "NO_PROXY=*"}
	p := buildProgram(t)
	where := []string{"--config", write(t, "tidegate.yaml", st.config.String()), "--database-url", st.URL, "--nats-url", st.NATSURL, "--data", t.TempDir()}
	server := p.start(t, environment, append([]string{"serve", "--listen", "127.0.0.1:0"}, where...)...)
	f := &front{stage: st, base: server.base()}
	reply, text := f.do(t.Context(), http.MethodPost, "/jobs", jsonType, `{"route":"summaries","body":{"messages":[{"role":"user","content":"`+secretPrompt+`. Ends."}]}}`,
		"Traceparent", "00-"+trace+"-"+above+"-01")
	if reply.status != http.StatusAccepted {
		t.Fatalf("%d %s", reply.status, text)
	}
	worker := p.start(t, environment, append([]string{"work"}, where...)...)
	fixture.Await(t, soon, "the span of the event has come", func() bool { return len(named(got.of(trace), "publish result")) == 1 })
	for _, process := range []*process{worker, server} {
		process.signal(syscall.SIGTERM)
		process.end()
	}

	spans := got.of(trace)
	one := func(name, parent string, kind otlp.Span_SpanKind) *otlp.Span {
		t.Helper()
		found := named(spans, name)
		if len(found) != 1 {
			t.Fatalf("%d spans %q in %v", len(found), name, spans)
		}
		if s := found[0]; hex.EncodeToString(s.ParentSpanId) != parent || s.Kind != kind || s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("%q is below %x, not %s: %v", name, s.ParentSpanId, parent, s)
		}
		return found[0]
	}
	id := func(s *otlp.Span) string { return hex.EncodeToString(s.SpanId) }
	door := one("POST /v1/jobs", above, otlp.Span_SPAN_KIND_SERVER)
	work := one("process summaries", id(door), otlp.Span_SPAN_KIND_CONSUMER)
	failed := one("chat sim-small", id(work), otlp.Span_SPAN_KIND_CLIENT)
	answered := one("chat sim-medium", id(work), otlp.Span_SPAN_KIND_CLIENT)
	published := one("publish result", id(work), otlp.Span_SPAN_KIND_PRODUCER)
	if len(spans) != 5 {
		t.Errorf("%d spans: %v", len(spans), spans)
	}
	if failed.Status.GetCode() != otlp.Status_STATUS_CODE_ERROR || valueOf(failed.Attributes, "error.type") != "OVERLOAD" || answered.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR {
		t.Errorf("the call that failed: %v, and that which did not: %v", failed, answered)
	}
	if len(answered.Links) != 1 || id(failed) != hex.EncodeToString(answered.Links[0].SpanId) || len(failed.Links) > 0 {
		t.Errorf("the failover is not linked to what failed: %v", answered.Links)
	}
	for name, want := range map[string]string{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "sim-fast", "gen_ai.request.model": "sim-medium", "tidegate.target": "sim-fast", "server.address": "127.0.0.1",
	} {
		if value := valueOf(answered.Attributes, name); value != want {
			t.Errorf("%s is %q, not %q", name, value, want)
		}
	}
	counted := func(a *common.KeyValue) bool {
		return a.Key == "gen_ai.usage.output_tokens" && a.Value.GetIntValue() > 0
	}
	if !slices.ContainsFunc(answered.Attributes, counted) {
		t.Errorf("no tokens: %v", answered.Attributes)
	}
	if !got.names["tides"] || len(got.names) != 1 {
		t.Errorf("services: %v", got.names)
	}
	if strings.Contains(got.raw.String(), secretPrompt) {
		t.Error("a span has the prompt")
	}
	if story := st.must("why", valueOf(work.Attributes, "messaging.message.id")).out; !strings.Contains(story, "trace "+trace) {
		t.Errorf("why does not tell of the trace:\n%s", story)
	}
	if header := traceparentOfResult(t, st.Conn); header != "00-"+trace+"-"+id(published)+"-01" {
		t.Errorf("the event's ce-traceparent is %q, and its span %x", header, published.SpanId)
	}
}

// TestTracesOfBatches: a batch's requests belong to the trace that whoever made it named:
// by the header of its create or its retry, since its lines have none, or to a shell's
// command by the environment.
func TestTracesOfBatches(t *testing.T) {
	t.Parallel()
	f := newFront(t, staging{})
	client, traces := f.client(), map[string]string{}
	trace := func(n int) string { return fmt.Sprintf("00-%032d-00f067aa0ba902b7-01", n) }
	batch := f.order(client, f.upload(client, batchLines(3)).ID, option.WithHeader("Traceparent", trace(1)))
	traces[batch.ID] = trace(1)
	f.poll(client, batch.ID, openai.BatchStatusCompleted)
	f.exec("UPDATE tidegate.results SET state = 'refused', class = 'CONTENT' WHERE request_id = (SELECT min(id::text)::uuid FROM tidegate.requests)")
	f.exec("UPDATE tidegate.batches SET completed = total - 1, failed = 1")
	var retry struct{ ID string }
	reply, text := f.do(t.Context(), http.MethodPost, "/batches/"+batch.ID+"/retry", jsonType, `{}`, "Traceparent", trace(2))
	check(t, json.Unmarshal([]byte(text), &retry))
	if reply.status != http.StatusOK {
		t.Fatalf("%d %s", reply.status, text)
	}
	traces[retry.ID] = trace(2)
	f.poll(client, retry.ID, openai.BatchStatusCompleted)
	shell := buildProgram(t).start(t, []string{"TRACEPARENT=" + trace(3)}, "enqueue", write(t, "in.jsonl", openaiLine(0)), "--database-url", f.URL)
	if code := shell.end(); code != 0 {
		t.Fatalf("enqueue: %d", code)
	}
	byShell := batchForm.FindString(shell.out.String())
	traces[byShell] = trace(3)
	fixture.Await(t, soon, "the events of the ends say so", func() bool {
		return maps.Equal(traces, traceparentsOfBatches(t, f.Conn))
	})
	for id, want := range traces {
		if all, in := f.count("SELECT count(*) FROM tidegate.requests WHERE batch_id = $1", id),
			f.count("SELECT count(*) FROM tidegate.requests q JOIN tidegate.traces t ON t.request_id = q.id WHERE batch_id = $1 AND t.traceparent = $2", id, want); all == 0 || in != all {
			t.Errorf("%d of %d requests of %s are in its trace", in, all, id)
		}
	}
}

// TestTraceOfACommand: where a shell asks for traces, its command is a span in the trace
// that $TRACEPARENT names; what it enqueues is below that, and so is the batch's end.
func TestTraceOfACommand(t *testing.T) {
	t.Parallel()
	const above, trace = "00f067aa0ba902b7", "4bf92f3577b34da6a3ce929d0e0e4736"
	st := newStage(t, staging{})
	st.prepare()
	got := &spanReceiver{names: map[string]bool{}}
	environment := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + serve(t, got), "OTEL_BSP_SCHEDULE_DELAY=50", "NO_PROXY=*", "TRACEPARENT=00-" + trace + "-" + above + "-01"}
	p := buildProgram(t)
	shell := p.start(t, environment, "enqueue", write(t, "in.jsonl", openaiLine(0), openaiLine(1)), "--database-url", st.URL)
	if code := shell.end(); code != 0 || strings.Contains(shell.errors.String(), "Warning") {
		t.Fatalf("enqueue: %d, %s", code, shell.errors.String())
	}
	worker := p.start(t, environment[:3], "work", "--config", write(t, "tidegate.yaml", st.config.String()), "--database-url", st.URL, "--nats-url", st.NATSURL, "--data", t.TempDir())
	fixture.Await(t, soon, "the spans of all events have come", func() bool {
		return len(named(got.of(trace), "publish result")) == 2 && len(named(got.of(trace), "publish batch")) == 1
	})
	worker.signal(syscall.SIGTERM)
	worker.end()

	made := named(got.of(trace), "enqueue summaries")
	batch := batchForm.FindString(shell.out.String())
	if len(made) != 1 || hex.EncodeToString(made[0].ParentSpanId) != above || made[0].Kind != otlp.Span_SPAN_KIND_PRODUCER || valueOf(made[0].Attributes, "tidegate.batch") != batch {
		t.Fatalf("the command's span: %v", made)
	}
	for _, s := range slices.Concat(named(got.of(trace), "process summaries"), named(got.of(trace), "publish batch")) {
		if !slices.Equal(s.ParentSpanId, made[0].SpanId) {
			t.Errorf("it is not below the command: %v", s)
		}
	}
	ended := named(got.of(trace), "publish batch")[0]
	if said := traceparentsOfBatches(t, st.Conn)[batch]; said != "00-"+trace+"-"+hex.EncodeToString(ended.SpanId)+"-01" {
		t.Errorf("the event of the end says %q, and its span is %x", said, ended.SpanId)
	}
	refused := p.start(t, append([]string{"OTEL_TRACES_EXPORTER=zipkin"}, environment[1:]...), "enqueue", write(t, "in.jsonl", openaiLine(2)), "--database-url", st.URL)
	if code := refused.end(); code != 0 || !strings.Contains(refused.errors.String(), "Warning: there is no span of this command: $OTEL_TRACES_EXPORTER") {
		t.Errorf("with variables that are wrong: %d, %s", code, refused.errors.String())
	}
}

// traceparentsOfBatches are those of the events of batches, by batch.
func traceparentsOfBatches(t *testing.T, conn *nats.Conn) map[string]string {
	t.Helper()
	js, err := jetstream.New(conn)
	check(t, err)
	stream, err := js.Stream(t.Context(), publish.StreamName)
	check(t, err)
	found := map[string]string{}
	for i := stream.CachedInfo().State.FirstSeq; i <= stream.CachedInfo().State.LastSeq; i++ {
		msg, err := stream.GetMsg(t.Context(), i)
		check(t, err)
		if said := msg.Header["ce-traceparent"]; msg.Header.Get("ce-type") == publish.TypeBatch && len(said) == 1 {
			found[msg.Header.Get("ce-subject")] = said[0]
		}
	}
	return found
}

// traceparentOfResult is that of the one result's event in the stream.
func traceparentOfResult(t *testing.T, conn *nats.Conn) string {
	t.Helper()
	js, err := jetstream.New(conn)
	check(t, err)
	stream, err := js.Stream(t.Context(), publish.StreamName)
	check(t, err)
	for i := stream.CachedInfo().State.FirstSeq; i <= stream.CachedInfo().State.LastSeq; i++ {
		msg, err := stream.GetMsg(t.Context(), i)
		check(t, err)
		if msg.Header.Get("ce-type") == publish.TypeResult {
			return msg.Header["ce-traceparent"][0]
		}
	}
	t.Fatal("there is no event of a result")
	return ""
}
