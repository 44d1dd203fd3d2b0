package tracing

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"tidegate/jobs"
)

func TestTracesAreOffUnlessSomebodyAsks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env       map[string]string
		on, fails bool
	}{
		"nothing":              {nil, false, false},
		"an endpoint":          {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, true, false},
		"one for traces":       {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, true, false},
		"an exporter":          {map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, false},
		"none":                 {map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, false, false},
		"disabled":             {map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, false, false},
		"another exporter":     {map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, false, true},
		"another protocol":     {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, false, true},
		"one for traces alone": {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_TRACES_EXPORTER": "otlp"}, false, true},
		"HTTP":                 {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, true, false},
		"gRPC":                 {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, true, false},
		"no URL":               {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, false, true},
		"no URL, a name":       {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "collector"}, false, true},
	} {
		on, err := wanted(func(key string) string { return c.env[key] })
		if on != c.on || (err != nil) != c.fails {
			t.Errorf("%s: %v %v", name, on, err)
		}
	}
}

// collected hands on the traces that a collector is sent over gRPC.
type collected struct {
	collector.UnimplementedTraceServiceServer
	spans chan *collector.ExportTraceServiceRequest
}

// Export is for collector.TraceServiceServer.
func (c collected) Export(_ context.Context, sent *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.spans <- sent
	return &collector.ExportTraceServiceResponse{}, nil
}

// A collector gets spans over gRPC, too. That it does over HTTP is tested on the whole
// program.
func TestSpansGoOverGRPC(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := collected{spans: make(chan *collector.ExportTraceServiceRequest, 1)}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, got)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String()) // the exporter reads them itself
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	tracer, err := New(t.Context(), "v1", os.Getenv, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	tracer.Kept(&jobs.Entry{Request: &jobs.Request{ID: "r", Route: "summaries", CreatedAt: time.Unix(1, 0)}, Result: &jobs.Result{State: jobs.StateExpired}}, true)
	if err := tracer.Close(); err != nil {
		t.Fatal(err)
	}
	sent := <-got.spans
	if spans := sent.ResourceSpans[0].ScopeSpans[0].Spans; len(spans) != 1 || spans[0].Name != "process summaries" {
		t.Errorf("%v", spans)
	}
}

// Which trace a request is in can be told without a Tracer.
func TestTraceOfARequest(t *testing.T) {
	t.Parallel()
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	off, on := func(string) string { return "" }, func(name string) string {
		return map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}[name]
	}
	named, unnamed := &jobs.Request{ID: "r", Traceparent: "00-" + trace + "-00f067aa0ba902b7-01"}, &jobs.Request{ID: "r"}
	own := placeOf("r", "").traceID.String()
	for _, c := range []struct {
		request *jobs.Request
		env     func(string) string
		want    string
	}{{named, off, trace}, {named, on, trace}, {unnamed, off, ""}, {unnamed, on, own}} {
		if got := TraceID(c.request, c.env); got != c.want {
			t.Errorf("%q: %q, not %q", c.request.Traceparent, got, c.want)
		}
	}
}

// What is accepted over HTTP has a span of its own, below the sender's, which what is
// accepted belongs to; what is only read has none.
func TestSpansOfTheDoor(t *testing.T) {
	t.Parallel()
	const above = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for path, name := range map[string]string{
		"POST /v1/jobs": "POST /v1/jobs", "POST /v1/jobs:batch": "POST /v1/jobs:batch", "POST /v1/chat/completions": "POST /v1/chat/completions", "POST /v1/batches": "POST /v1/batches",
		"POST /v1/batches/batch_1/retry": "POST /v1/batches/{id}/retry", "POST /v1/batches/batch_1/cancel": "", "GET /v1/batches": "", "POST /v1/files": "", "GET /metrics": "",
	} {
		recorded := &recorder{}
		passed := ""
		wrapped := tracerTo(recorded).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			passed = r.Header.Get("Traceparent")
			w.WriteHeader(http.StatusAccepted)
		}))
		method, target, _ := strings.Cut(path, " ")
		request := httptest.NewRequestWithContext(t.Context(), method, target, nil)
		request.Header.Set("Traceparent", above)
		wrapped.ServeHTTP(httptest.NewRecorder(), request)
		switch {
		case name == "":
			if len(recorded.spans) > 0 || passed != above {
				t.Errorf("%s has a span, or another trace: %q", path, passed)
			}
		case len(recorded.spans) != 1 || recorded.spans[0].Name() != name || passed != write(recorded.spans[0].SpanContext()) || passed[3:35] != above[3:35] || passed == above:
			t.Errorf("%s: %v, and %q is handed on", path, recorded.spans, passed)
		}
	}
}

// A relay in another process names the span of a try that it never saw, in the trace that
// its producer named, or in one of its own.
func TestSpansOfTwoProcessesMeet(t *testing.T) {
	t.Parallel()
	for _, asked := range []string{"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"} {
		recorded := &recorder{}
		worker, relay := tracerTo(recorded), tracerTo(recorded)
		request := &jobs.Request{ID: "r", Route: "summaries", Traceparent: asked, CreatedAt: time.Unix(1, 0)}
		a := jobs.Attempt{At: time.Unix(2, 0), Target: "cheap", Class: jobs.OK, Latency: time.Second}
		worker.Kept(&jobs.Entry{Request: request, Trace: jobs.Trace{{Attempt: &a}}, Result: &jobs.Result{State: jobs.StateAnswered}}, true)
		event := jobs.Event{Result: &jobs.ResultEvent{Result: jobs.Result{ID: "e", RequestID: "r"}, Traceparent: asked}}
		said := relay.Traceparent(&event)
		relay.Sent(&event, true)
		if asked != "" && asked[54] == '0' {
			if len(recorded.spans) > 0 || said[54] != '0' {
				t.Errorf("what is not sampled has spans: %v, and the event says %s", recorded.spans, said)
			}
			continue
		}
		if len(recorded.spans) != 3 {
			t.Fatalf("%q: %d spans", asked, len(recorded.spans))
		}
		call, work, published := recorded.spans[0], recorded.spans[1], recorded.spans[2]
		if call.Parent().SpanID() != work.SpanContext().SpanID() || published.Parent().SpanID() != work.SpanContext().SpanID() ||
			published.SpanContext().TraceID() != work.SpanContext().TraceID() || write(published.SpanContext()) != said {
			t.Errorf("%q: the spans do not meet: %v %v %v", asked, call, work, published)
		}
	}
}

// A command that makes a batch is a span below the one that its shell names, and the end of
// the batch is one below that; of who named none, it is the first of a trace of its own.
func TestSpansOfABatch(t *testing.T) {
	t.Parallel()
	const above = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	recorded := &recorder{}
	command, relay := tracerTo(recorded), tracerTo(recorded)
	batch := jobs.Batch{ID: "batch_1", Total: 7, State: jobs.BatchCompleted, EndedAt: time.Unix(5, 0)}
	ctx, made := command.Enqueue(jobs.WithTraceparent(t.Context(), above), "enqueue")
	made.End(&batch, "summaries", nil)
	made.End(&batch, "", context.Canceled) // it has ended
	event := jobs.Event{Batch: &jobs.BatchEvent{Batch: batch, Traceparent: jobs.TraceparentOf(ctx)}}
	said := relay.Traceparent(&event)
	relay.Sent(&event, false) // it comes again
	relay.Sent(&event, true)
	if len(recorded.spans) != 2 {
		t.Fatalf("%d spans", len(recorded.spans))
	}
	enqueued, published := recorded.spans[0], recorded.spans[1]
	if enqueued.Name() != "enqueue summaries" || write(enqueued.Parent()) != above || write(enqueued.SpanContext()) != jobs.TraceparentOf(ctx) || enqueued.Status().Code != 0 {
		t.Errorf("the command: %v", enqueued)
	}
	if published.Name() != "publish batch" || published.Parent().SpanID() != enqueued.SpanContext().SpanID() || write(published.SpanContext()) != said || said[3:35] != above[3:35] {
		t.Errorf("the end: %v, and the event says %s", published, said)
	}
	unnamed := jobs.Event{Batch: &jobs.BatchEvent{Batch: batch}}
	said = relay.Traceparent(&unnamed)
	relay.Sent(&unnamed, true)
	if alone := recorded.spans[2]; alone.Parent().IsValid() || write(alone.SpanContext()) != said || said[3:35] == above[3:35] {
		t.Errorf("of its own: %v, and the event says %s", alone, said)
	}
	_, failed := command.Enqueue(t.Context(), "retry")
	failed.End(&jobs.Batch{}, "", context.Canceled)
	if bad := recorded.spans[3]; bad.Name() != "retry" || bad.Status().Code != codes.Error {
		t.Errorf("a command that failed: %v", bad)
	}
}

// Nobody who has no Tracer pays for one.
func TestNoTracer(t *testing.T) {
	t.Parallel()
	const above = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	var none *Tracer
	if ctx, made := none.Enqueue(t.Context(), "enqueue"); ctx != t.Context() || made != nil {
		t.Error("a span is made")
	}
	(*Enqueuing)(nil).End(nil, "", nil)
	none.Kept(&jobs.Entry{Request: &jobs.Request{}}, true)
	none.Sent(&jobs.Event{Result: &jobs.ResultEvent{}}, true)
	none.Know(nil)
	if none.Close() != nil || none.Traceparent(&jobs.Event{Batch: &jobs.BatchEvent{Traceparent: above}}) != above || none.Traceparent(&jobs.Event{Result: &jobs.ResultEvent{}}) != "" || none.Wrap(nil) != nil {
		t.Error("something is done")
	}
}

// A recorder keeps spans as they end.
type recorder struct{ spans []sdk.ReadOnlySpan }

func tracerTo(r *recorder) *Tracer {
	t := &Tracer{provider: sdk.NewTracerProvider(sdk.WithSyncer(r), sdk.WithIDGenerator(ids{}))}
	t.tracer = t.provider.Tracer(library)
	return t
}

// ExportSpans is for sdk/trace.SpanExporter.
func (r *recorder) ExportSpans(_ context.Context, spans []sdk.ReadOnlySpan) error {
	r.spans = append(r.spans, spans...)
	return nil
}

// Shutdown is for sdk/trace.SpanExporter.
func (r *recorder) Shutdown(context.Context) error { return nil }

func BenchmarkKept(b *testing.B) {
	entry := &jobs.Entry{
		Request: &jobs.Request{ID: "r", Route: "summaries", CreatedAt: time.Unix(1, 0)}, Result: &jobs.Result{State: jobs.StateAnswered},
		Trace: jobs.Trace{{Attempt: &jobs.Attempt{At: time.Unix(2, 0), Target: "cheap", Class: jobs.OK, Latency: time.Second}}},
	}
	for name, t := range map[string]*Tracer{"off": nil, "on": tracerTo(&recorder{})} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				t.Kept(entry, true)
			}
		})
	}
}
