package tracing

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"tidegate/jobs"
)

const (
	// endWithin is how long the last spans may take.
	endWithin = 3 * time.Second
	library   = "tidegate"
)

// A Target is what spans say of a target.
type Target struct{ Provider, Model, BaseURL string }

// A Tracer makes spans. Its methods do nothing on nil. Safe for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	targets  atomic.Pointer[map[string]Target]
}

// New returns a Tracer if the environment asks for one, by OpenTelemetry's own variables:
// OTEL_TRACES_EXPORTER=otlp, OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT; and nil otherwise, or with OTEL_SDK_DISABLED=true or
// OTEL_TRACES_EXPORTER=none. warn is told when spans could not be sent; they are lost then.
func New(ctx context.Context, version string, env func(string) string, warn func(error)) (*Tracer, error) {
	on, err := wanted(env)
	if err != nil || !on {
		return nil, err
	}
	client := otlptracehttp.NewClient()
	if _, is := first(env, protocols); is == protocolGRPC {
		client = otlptracegrpc.NewClient()
	}
	exporter, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("preparing traces: %w", err)
	}
	described, err := resource.New(ctx,
		resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(attribute.String("service.name", library), attribute.String("service.version", version)),
		resource.WithFromEnv(), // OTEL_SERVICE_NAME goes before
	)
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("preparing traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(warn))
	t := &Tracer{provider: sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(described), sdk.WithIDGenerator(ids{}))}
	t.tracer = t.provider.Tracer(library, trace.WithInstrumentationVersion(version))
	return t, nil
}

// wanted tells whether traces are to be sent.
func wanted(env func(string) string) (bool, error) {
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	switch exporter := env("OTEL_TRACES_EXPORTER"); exporter {
	case "none":
		return false, nil
	case "otlp":
	case "":
		if _, endpoint := first(env, endpoints); endpoint == "" {
			return false, nil
		}
	default:
		return false, fmt.Errorf("$OTEL_TRACES_EXPORTER: %q is not there; use otlp or none", exporter)
	}
	if name, is := first(env, protocols); is != "" && is != protocolHTTP && is != protocolGRPC {
		return false, fmt.Errorf("$%s: %q is not there; use %s, which collectors take at port 4318, or %s, at port 4317", name, is, protocolHTTP, protocolGRPC)
	}
	err := checkEndpoint(env)
	return err == nil, err
}

// checkEndpoint refuses an address that the exporter would put a default of its own in the
// place of.
func checkEndpoint(env func(string) string) error {
	name, endpoint := first(env, endpoints)
	if endpoint == "" {
		return nil
	}
	if at, err := url.Parse(endpoint); err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return fmt.Errorf("$%s: must be a URL with http or https, as in http://127.0.0.1:4318", name)
	}
	return nil
}

// How spans go to a collector.
const (
	protocolHTTP = "http/protobuf"
	protocolGRPC = "grpc"
)

// Variables, of which the first goes before the other one.
var (
	protocols = []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"}
	endpoints = []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}
)

// first is the first variable that says something, and what.
func first(env func(string) string, names []string) (name, value string) {
	for _, name = range names {
		if value = env(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

// Know says what the targets of the configuration are, by name.
func (t *Tracer) Know(targets map[string]Target) {
	if t != nil {
		t.targets.Store(&targets)
	}
}

// Close sends what was not sent yet.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

// target is a target, and where it is.
func (t *Tracer) target(name string) (of Target, host string, port int) {
	known := t.targets.Load()
	if known == nil {
		return of, "", 0
	}
	of = (*known)[name]
	at, err := url.Parse(of.BaseURL)
	if err != nil {
		return of, "", 0
	}
	port, err = strconv.Atoi(at.Port())
	if err != nil {
		port = map[string]int{"http": 80, "https": 443}[at.Scheme]
	}
	return of, at.Hostname(), port
}

// place is where the spans of a request belong: its trace, and the span above them, which
// its producer named. Who named none gets a trace whose id can be told from the request.
type place struct {
	traceID trace.TraceID
	above   trace.SpanContext // not valid: there is none
}

func placeOf(requestID, traceparent string) place {
	if above := read(traceparent); above.IsValid() {
		return place{above.TraceID(), above}
	}
	return place{traceID: trace.TraceID(sum("trace " + requestID)[:16])}
}

// TraceID is the trace of a request: that which its producer named, or its own where the
// environment asks for traces as New reads it, since workers make one then; empty: it has
// none, as far as can be told from here.
func TraceID(request *jobs.Request, env func(string) string) string {
	if on, err := wanted(env); request.Traceparent == "" && (!on || err != nil) {
		return ""
	}
	return placeOf(request.ID, request.Traceparent).traceID.String()
}

// read reads a traceparent; one that is none gives a context that is not valid.
func read(traceparent string) trace.SpanContext {
	if !jobs.ValidTraceparent(traceparent) {
		return trace.SpanContext{}
	}
	traceID, _ := trace.TraceIDFromHex(traceparent[3:35]) // which was looked at
	spanID, _ := trace.SpanIDFromHex(traceparent[36:52])
	flags := trace.TraceFlags(0)
	if strings.ContainsRune("13579bdf", rune(traceparent[54])) {
		flags = trace.FlagsSampled
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: flags, Remote: true})
}

// write is a traceparent.
func write(of trace.SpanContext) string {
	return fmt.Sprintf("00-%s-%s-%02x", of.TraceID(), of.SpanID(), byte(of.TraceFlags()&trace.FlagsSampled))
}

// workID is the span of the try that ended a request, and publishID that of its event.
func workID(requestID string) trace.SpanID { return trace.SpanID(sum("work " + requestID)[:8]) }

func publishID(resultID string) trace.SpanID { return trace.SpanID(sum("publish " + resultID)[:8]) }

func sum(of string) []byte {
	s := sha256.Sum256([]byte(of))
	return s[:]
}
