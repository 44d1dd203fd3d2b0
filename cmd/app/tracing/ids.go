package tracing

import (
	"context"
	"encoding/binary"
	"math/rand/v2"

	"go.opentelemetry.io/otel/trace"
)

// chosen are the ids of the next span; what is zero is drawn.
type chosen struct {
	traceID trace.TraceID
	spanID  trace.SpanID
}

type chosenKey struct{}

func withIDs(ctx context.Context, ids chosen) context.Context {
	return context.WithValue(ctx, chosenKey{}, ids)
}

// ids gives spans those that were chosen for them, or others.
type ids struct{}

// NewIDs is for sdk/trace.IDGenerator.
func (g ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	is, _ := ctx.Value(chosenKey{}).(chosen)
	for !is.traceID.IsValid() {
		binary.LittleEndian.PutUint64(is.traceID[:8], rand.Uint64())
		binary.LittleEndian.PutUint64(is.traceID[8:], rand.Uint64())
	}
	return is.traceID, g.NewSpanID(ctx, is.traceID)
}

// NewSpanID is for sdk/trace.IDGenerator.
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	is, _ := ctx.Value(chosenKey{}).(chosen)
	for !is.spanID.IsValid() {
		binary.LittleEndian.PutUint64(is.spanID[:], rand.Uint64())
	}
	return is.spanID
}
