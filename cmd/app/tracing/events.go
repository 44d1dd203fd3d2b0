package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"tidegate/jobs"
)

// A publishing is the span of an event, as both know it who send it and who make the span.
type publishing struct {
	span    trace.SpanID
	place   place             // of the request or the batch
	parent  trace.SpanContext // not valid: it is the first of its trace
	name    string
	id      string // of the message
	begins  time.Time
	belongs attribute.KeyValue
}

// publishingOf is nil of an event that is in no trace.
func publishingOf(event *jobs.Event) *publishing {
	switch {
	case event.Result != nil: // below the try that the result is of
		r := event.Result
		at := placeOf(r.RequestID, r.Traceparent)
		parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: at.traceID, SpanID: workID(r.RequestID), Remote: true, TraceFlags: at.above.TraceFlags()})
		return &publishing{span: publishID(r.ID), place: at, parent: parent, name: "publish result", id: r.ID, begins: r.StoredAt, belongs: attribute.String("tidegate.request", r.RequestID)}
	case event.Batch != nil: // below what made it
		b := event.Batch
		at, id := placeOf(b.ID, b.Traceparent), b.ID+"-"+string(b.State)
		return &publishing{span: publishID(id), place: at, parent: at.above, name: "publish batch", id: id, begins: b.EndedAt, belongs: attribute.String("tidegate.batch", b.ID)}
	default:
		return nil
	}
}

// sampled are the flags of the span: those of the trace that was named, or what the id of
// one of our own says.
func (p *publishing) sampled(t *Tracer) trace.TraceFlags {
	if p.place.above.IsValid() {
		return p.place.above.TraceFlags()
	}
	_, asked := t.tracer.Start(withIDs(context.Background(), chosen{traceID: p.place.traceID}), "asked", trace.WithNewRoot()) // never ended
	return asked.SpanContext().TraceFlags()
}

// Traceparent is the span of the event of a result or a batch; empty: there is none.
func (t *Tracer) Traceparent(event *jobs.Event) string {
	p := publishingOf(event)
	switch {
	case p == nil:
		return ""
	case t == nil && p.place.above.IsValid():
		return write(p.place.above)
	case t == nil:
		return ""
	}
	return write(trace.NewSpanContext(trace.SpanContextConfig{TraceID: p.place.traceID, SpanID: p.span, TraceFlags: p.sampled(t)}))
}

// Sent makes the span of the event of a result or a batch that was acknowledged. event is
// as the outbox has it, with what its request or batch named.
func (t *Tracer) Sent(event *jobs.Event, acknowledged bool) {
	p := publishingOf(event)
	if t == nil || p == nil || !acknowledged {
		return
	}
	ctx := context.Background()
	if p.parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, p.parent.WithTraceFlags(p.sampled(t)))
	}
	_, span := t.tracer.Start(withIDs(ctx, chosen{traceID: p.place.traceID, spanID: p.span}), p.name, trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(p.begins), trace.WithAttributes(
		attribute.String("messaging.system", "nats"), attribute.String("messaging.operation.name", "publish"), attribute.String("messaging.operation.type", "send"),
		attribute.String("messaging.message.id", p.id), p.belongs,
	))
	span.End()
}

// An Enqueuing is the span of a command that makes requests. Its methods do nothing on nil.
type Enqueuing struct {
	span trace.Span
	name string
}

// Enqueue begins the span of a command, below that which the context names, and returns
// the context of what it makes.
func (t *Tracer) Enqueue(ctx context.Context, name string) (context.Context, *Enqueuing) {
	if t == nil {
		return ctx, nil
	}
	above := trace.ContextWithRemoteSpanContext(ctx, read(jobs.TraceparentOf(ctx)))
	_, span := t.tracer.Start(above, name, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		attribute.String("messaging.system", library), attribute.String("messaging.operation.name", name), attribute.String("messaging.operation.type", "send"),
	))
	return jobs.WithTraceparent(ctx, write(span.SpanContext())), &Enqueuing{span, name}
}

// End says what was made: so many requests, of a batch or (without its id) of none, all of
// one route; empty: of several, or it is not known of which. Only the first End counts.
func (e *Enqueuing) End(batch *jobs.Batch, route string, err error) {
	if e == nil {
		return
	}
	if route != "" {
		e.span.SetName(e.name + " " + route)
		e.span.SetAttributes(attribute.String("messaging.destination.name", route))
	}
	if err != nil {
		fail(e.span, "")
	} else {
		e.span.SetAttributes(attribute.Int("messaging.batch.message_count", batch.Total))
	}
	if err == nil && batch.ID != "" {
		e.span.SetAttributes(attribute.String("tidegate.batch", batch.ID))
	}
	e.span.End()
}
