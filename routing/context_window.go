package routing

import (
	"fmt"
	"math"

	"tidegate/jobs"
)

// Whether a prompt fits a context window is known before a call only by estimate.
// So a request is held back from a target only when it is clearly too long, by a
// margin that shrinks as usage comes back; what may fit is sent, and the provider
// decides. Where no target of the chain has room, an estimate must not end a
// request that could have been answered: the largest window is asked, unless there
// is no doubt. A wrong refusal is for good, a useless call is one call.
const (
	exactMargin   = 0.1     // of an estimate by the model's own encoding …
	strangeMargin = 1.0 / 3 // … and by another's, before usage came back
	leastMargin   = 0.05    // of any, however much came back: samples are a few percent off
	missMargin    = 2       // times how far off estimates are on average
	offMargin     = 3       // times how far off the samples of this one may well be
	mostStrange   = 2       // times what another encoding says is more than any model makes of a text
	mostSchema    = 0.1     // of a prompt: each provider writes it down in its own way
)

// A length is how a request and a target's context window go together, by
// estimate.
type length struct {
	prompt int  // tokens
	answer int  // tokens of the answer that count to the window, too
	over   bool // it is clearly too long
	beyond bool // without any doubt, and by the prompt alone
}

// length compares the request with the context window of a target. Nothing is
// counted of a request that fits whatever the encoding.
func (t *try) length(target *target) length {
	window := target.ContextTokens
	if window <= 0 {
		return length{}
	}
	c := t.counted()
	if c.questions > 1 { // the window is of each of them
		return length{}
	}
	l := length{answer: answerIn(target.Target, c.output)}
	if c.atMost()+l.answer <= window {
		return l
	}
	is, plain, exact := t.input(target)
	exact = exact && float64(c.schema) <= mostSchema*float64(c.text)
	l.prompt = is.tokens
	l.over = is.least(exact)+l.answer > window
	l.beyond = min(is.least(exact), undoubted(is, plain, exact)) > window
	return l
}

// undoubted is what of an estimate may end a request for good. Few calls may be
// wrong, and no model makes far more of a text than any other. Nor do calls narrow
// the margin: where another's encoding counts, what they say of one language is not
// so of the next.
func undoubted(is estimate, plain int, exact bool) int {
	if is.relied() {
		plain *= mostStrange
	}
	return estimate{tokens: min(is.tokens, plain), off: is.off}.least(exact)
}

// answerIn is how much of the limit to an answer counts to the window of a target.
// OpenAI, Anthropic and those who do as they do refuse a prompt that leaves no
// room for the answer that it asks for. Gemini's window is that of prompts alone.
func answerIn(target *jobs.Target, limit int) int {
	if target.Dialect == "gemini" {
		return 0
	}
	return limit
}

// least is what a prompt has at least, as far as one can tell. exact tells that it
// was counted by the model's own encoding.
func (e estimate) least(exact bool) int {
	margin := strangeMargin
	if exact {
		margin = exactMargin
	}
	margin = max(margin/math.Sqrt(float64(1+e.calls)), missMargin*e.miss, leastMargin)
	margin = math.Hypot(margin, offMargin*e.off)
	return int(float64(e.tokens) * max(1-margin, 0))
}

// crampedAt says why the context window of a target is too small for the request;
// empty: it is not, or it is the best that there is, and there is some doubt.
func (t *try) crampedAt(target *target) string {
	l := t.length(target)
	if !l.over || !l.beyond && t.roomiest(target) {
		return ""
	}
	if known := t.fit.cramped; known == nil || known.ContextTokens < target.ContextTokens {
		t.fit.cramped = target
	}
	return l.exceeds() + fmt.Sprintf(", and here is room for %s", grouped(target.ContextTokens))
}

// roomiest tells whether no other target that the request may be sent to has a
// larger window, or room.
func (t *try) roomiest(than *target) bool {
	for _, target := range t.ranked {
		if target == than {
			continue
		}
		if larger := target.ContextTokens > than.ContextTokens || !t.length(target).over; larger && t.barred(target) == "" && !t.length(target).beyond {
			return false
		}
	}
	return true
}

// exceeds says what a length is, as a person reads it.
func (l length) exceeds() string {
	said := fmt.Sprintf("the prompt has about %s tokens (an estimate)", grouped(roughly(l.prompt)))
	if l.answer > 0 {
		said += fmt.Sprintf(", its answer may have %s", grouped(l.answer))
	}
	return said
}

// tooLongForAll is why a request is refused that no window has room for.
func (t *try) tooLongForAll() *jobs.Error {
	largest := t.fit.cramped
	return &jobs.Error{
		Class: jobs.Context, Status: 400, Code: "context_length_exceeded",
		Message: t.length(largest).exceeds() + fmt.Sprintf(", and the largest context window that it could go to has room for %s (%s); it was not sent", grouped(largest.ContextTokens), largest.Name),
	}
}

// roughly leaves away what an estimate does not know.
func roughly(n int) int {
	unit := 1
	for n/unit >= 1000 {
		unit *= 10
	}
	return (n + unit/2) / unit * unit
}

// grouped writes a number as in 128,000.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
