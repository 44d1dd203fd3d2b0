package jobs

import (
	"context"
	"regexp"
	"strings"
)

// traceForm is a traceparent of W3C's Trace Context, of the version that everybody reads.
var traceForm = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// ValidTraceparent tells whether a text names a span as the header traceparent does.
func ValidTraceparent(text string) bool {
	return traceForm.MatchString(text) && !strings.HasPrefix(text, "ff") &&
		text[3:35] != strings.Repeat("0", 32) && text[36:52] != strings.Repeat("0", 16)
}

type traceKey struct{}

// WithTraceparent says that what is done under the context belongs to a span, for
// requests that are accepted there and name none themselves. A text that is none is left
// out.
func WithTraceparent(ctx context.Context, traceparent string) context.Context {
	if !ValidTraceparent(traceparent) {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, traceparent)
}

// TraceparentOf is the span that WithTraceparent named; empty: none.
func TraceparentOf(ctx context.Context) string {
	traceparent, _ := ctx.Value(traceKey{}).(string)
	return traceparent
}
