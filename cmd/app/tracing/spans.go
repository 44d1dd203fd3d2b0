package tracing

import (
	"context"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"tidegate/jobs"
)

// Kept makes the spans of what a worker wrote down; see worker.Watch. Calls of no request
// are in no trace.
func (t *Tracer) Kept(entry *jobs.Entry, stored bool) {
	if t == nil {
		return
	}
	attempts := entry.Trace.Attempts()
	if entry.Request.ID == jobs.NoRequest || len(attempts) == 0 && entry.Result == nil {
		return
	}
	began, ended := time.Now(), time.Now()
	if n := len(attempts); n > 0 {
		began, ended = attempts[0].At, attempts[n-1].At.Add(attempts[n-1].Latency)
	}
	ctx, work := t.work(entry, stored, began)
	if work.IsRecording() {
		var before trace.SpanContext
		for i := range attempts {
			before = t.call(ctx, entry, &attempts[i], before, i == len(attempts)-1)
		}
	}
	work.End(trace.WithTimestamp(ended))
}

// work is the span of a try.
func (t *Tracer) work(entry *jobs.Entry, stored bool, began time.Time) (context.Context, trace.Span) {
	request, at := entry.Request, placeOf(entry.Request.ID, entry.Request.Traceparent)
	ids := chosen{traceID: at.traceID}
	if entry.Result != nil && stored {
		ids.spanID = workID(request.ID)
	}
	ctx := withIDs(trace.ContextWithRemoteSpanContext(context.Background(), at.above), ids)
	ctx, span := t.tracer.Start(ctx, "process "+request.Route, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(began), trace.WithAttributes(
		attribute.String("messaging.system", library), attribute.String("messaging.operation.name", "process"), attribute.String("messaging.operation.type", "process"),
		attribute.String("messaging.destination.name", request.Route), attribute.String("messaging.message.id", request.ID),
	))
	if !span.IsRecording() {
		return ctx, span
	}
	if request.BatchID != "" {
		span.SetAttributes(attribute.String("tidegate.batch", request.BatchID))
	}
	if !request.CreatedAt.IsZero() {
		span.SetAttributes(attribute.Float64("tidegate.waited_seconds", max(0, began.Sub(request.CreatedAt).Seconds())))
	}
	switch result := entry.Result; {
	case result == nil:
		span.SetAttributes(attribute.String("tidegate.state", "waits"))
	case !stored:
		span.SetAttributes(attribute.String("tidegate.state", "discarded"))
	default:
		span.SetAttributes(attribute.String("tidegate.state", string(result.State)), attribute.Float64("tidegate.cost_usd", result.Cost.Dollars()), attribute.Int("tidegate.attempts", result.Attempts))
		if result.State != jobs.StateAnswered {
			fail(span, result.Class)
		}
	}
	return ctx, span
}

// call is the span of one call. last tells that it is the one that the result is of.
func (t *Tracer) call(ctx context.Context, entry *jobs.Entry, a *jobs.Attempt, before trace.SpanContext, last bool) trace.SpanContext {
	of, host, port := t.target(a.Target)
	operation := entry.Request.Endpoint.Operation()
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(a.At), trace.WithAttributes(
		attribute.String("gen_ai.operation.name", operation), attribute.String("gen_ai.provider.name", of.Provider), attribute.String("gen_ai.request.model", of.Model),
		attribute.String("tidegate.target", a.Target), attribute.String("tidegate.class", string(a.Class)), attribute.Bool("tidegate.probe", a.Probe),
		attribute.Float64("tidegate.cost_usd", a.Cost.Dollars()),
	)}
	if before.IsValid() { // it is the failover of that one
		options = append(options, trace.WithLinks(trace.Link{SpanContext: before, Attributes: []attribute.KeyValue{attribute.String("tidegate.link", "failover")}}))
	}
	_, span := t.tracer.Start(withIDs(ctx, chosen{}), operation+" "+of.Model, options...)
	if host != "" {
		span.SetAttributes(attribute.String("server.address", host), attribute.Int("server.port", port))
	}
	if a.Status > 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", a.Status))
	}
	if a.Usage != (jobs.Usage{}) {
		span.SetAttributes(
			attribute.Int("gen_ai.usage.input_tokens", a.Usage.Input), attribute.Int("gen_ai.usage.cache_read.input_tokens", a.Usage.CachedInput),
			attribute.Int("gen_ai.usage.output_tokens", a.Usage.Output),
		)
	}
	if a.Class != jobs.OK {
		fail(span, a.Class)
	} else if r := entry.Result; last && r != nil && r.State == jobs.StateAnswered {
		span.SetAttributes(attribute.String("gen_ai.response.model", r.Model), attribute.String("gen_ai.response.id", r.ProviderID))
		if r.FinishReason != "" {
			span.SetAttributes(attribute.StringSlice("gen_ai.response.finish_reasons", []string{r.FinishReason}))
		}
	}
	span.End(trace.WithTimestamp(a.At.Add(a.Latency)))
	return span.SpanContext()
}

// fail says that what a span is of failed. A class is all that is said of it.
func fail(span trace.Span, class jobs.Class) {
	if class == "" {
		class = "_OTHER"
	}
	span.SetStatus(codes.Error, string(class))
	span.SetAttributes(attribute.String("error.type", string(class)))
}

// Wrap has what is accepted over HTTP belong to a span of its own, below that of whoever
// sent it.
func (t *Tracer) Wrap(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route := accepts(r.URL.Path)
		if r.Method != http.MethodPost || route == "" {
			next.ServeHTTP(w, r)
			return
		}
		ctx := trace.ContextWithRemoteSpanContext(r.Context(), read(r.Header.Get("Traceparent")))
		ctx, span := t.tracer.Start(ctx, "POST "+route, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("http.request.method", r.Method), attribute.String("http.route", route),
		))
		r = r.WithContext(ctx)
		r.Header = r.Header.Clone()
		r.Header.Set("Traceparent", write(span.SpanContext()))
		told := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			span.SetAttributes(attribute.Int("http.response.status_code", told.status))
			if told.status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, http.StatusText(told.status))
			}
			span.End()
		}()
		next.ServeHTTP(told, r)
	})
}

// accepts is the route of a path at which requests are accepted; empty: it is none.
func accepts(path string) string {
	switch {
	case path == "/v1/jobs", path == "/v1/jobs:batch", path == "/v1/chat/completions", path == "/v1/batches":
		return path
	case strings.HasPrefix(path, "/v1/batches/") && strings.HasSuffix(path, "/retry"):
		return "/v1/batches/{id}/retry"
	default:
		return ""
	}
}

// A statusWriter remembers what was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
	begun  bool
}

// WriteHeader remembers the first status that is final.
func (w *statusWriter) WriteHeader(status int) {
	if !w.begun && status >= http.StatusOK {
		w.status, w.begun = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
