package app

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"

	"tidegate/cmd/app/tracing"
	"tidegate/jobs"
)

// traced has what a command makes belong to the span that $TRACEPARENT names, which is how
// a shell's commands are told of it. A text that is none is left out, as the conventions
// want it.
func traced(ctx context.Context) context.Context {
	return jobs.WithTraceparent(ctx, os.Getenv("TRACEPARENT"))
}

// A commandTrace is the span of a command that makes requests. It never fails a command:
// what is wrong with it is a warning.
type commandTrace struct {
	tracer *tracing.Tracer // nil: nobody wants traces
	made   *tracing.Enqueuing
	out    io.Writer

	mu   sync.Mutex
	lost error
}

// traceCommand begins it if the environment asks for traces, and returns the context of
// what is made. close it at the end.
func traceCommand(ctx context.Context, out io.Writer, name string) (context.Context, *commandTrace) {
	c := &commandTrace{out: out}
	ctx = traced(ctx)
	var err error
	if c.tracer, err = tracing.New(ctx, programVersion(), os.Getenv, c.lose); err != nil {
		fmt.Fprintf(out, "Warning: there is no span of this command: %v\n", err)
	}
	ctx, c.made = c.tracer.Enqueue(ctx, name)
	return ctx, c
}

func (c *commandTrace) lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = err
}

// close sends the span; of a command that has made nothing, it says that it failed.
func (c *commandTrace) close() {
	c.made.End(&jobs.Batch{}, "", context.Canceled)
	err := c.tracer.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err = firstError(err, c.lost); err != nil {
		fmt.Fprintf(c.out, "Warning: the span of this command was not sent: %v\n", err)
	}
}

// ofRoutes notes of which route requests are; empty: of several.
func ofRoutes(requests iter.Seq2[jobs.Request, error], route *string) iter.Seq2[jobs.Request, error] {
	return func(yield func(jobs.Request, error) bool) {
		first := true
		for request, err := range requests {
			switch {
			case err != nil:
			case first:
				*route, first = request.Route, false
			case *route != request.Route:
				*route = ""
			}
			if !yield(request, err) {
				return
			}
		}
	}
}
