package routing

import (
	"context"
	"fmt"

	"tidegate/jobs"
	"tidegate/jobs/expect"
)

// An expectation is what a request's answer must be like, and what there has been
// instead. The zero value expects nothing.
type expectation struct {
	rules [2]*expect.Rules // the request's own and its route's; nil: there are none
	bad   int              // answers that were not as expected, of earlier tries, too
	unmet *expect.Unmet    // the last of them
	kept  *jobs.Answer     // the last one, where it may be the result for want of a better one
}

// judges tells whether an answer is judged before it is taken.
func (t *try) judges() bool { return t.expectation.rules != [2]*expect.Rules{} }

// expects tells what the request expects, or why it is refused.
func (t *try) expects(route *route) *jobs.Outcome {
	if t.request.Expect == nil && route.Expect == nil || !t.request.Endpoint.Speaks() || t.request.Recorded != nil {
		return nil // vectors have no text that a route could expect something of, and of what is replayed the record says what it was
	}
	e := &t.expectation
	for i, one := range []*jobs.Expect{t.request.Expect, route.Expect} {
		rules, err := t.router.rules.Compile(one, t.request.Body)
		if err != nil { // it was accepted by one who did not look
			no := refused(badRequest("bad_expectation", "%v", jobs.ExpectError(err)), t.trace)
			return &no
		}
		e.rules[i] = rules
	}
	for _, step := range t.history {
		if a := step.Attempt; a != nil && a.Class == jobs.Invalid && a.Code != degraded {
			e.bad++
		}
	}
	if e.bad > 0 {
		t.escalate()
	}
	return nil
}

// exists tells whether anything is expected.
func (e *expectation) exists() bool { return e.rules != [2]*expect.Rules{} }

// judge makes a refusal of an answer that is not as expected. It was billed all the
// same.
func (t *try) judge(target *target, answer *jobs.Answer) *jobs.Error {
	e := &t.expectation
	if !e.exists() {
		return nil
	}
	said := saidBy(target.Target, answer)
	for _, rules := range e.rules {
		if e.unmet = rules.Judge(&said); e.unmet != nil {
			break
		}
	}
	if e.unmet == nil {
		return nil
	}
	if e.keeps() {
		kept := *answer
		kept.Target, kept.Unmet = target.Name, e.unmet.String()
		e.kept = &kept
	}
	return invalid(answer, e.unmet.Rule, e.unmet.Why)
}

// invalid is an answer that is not taken for one.
func invalid(answer *jobs.Answer, code, why string) *jobs.Error {
	return &jobs.Error{
		Class: jobs.Invalid, Status: 200, Code: code, Message: why, Said: true,
		ProviderRequestID: answer.ProviderRequestID, Usage: answer.Usage, Allowance: answer.Allowance,
	}
}

// keeps tells whether the last answer is the result when none was as expected: the
// request's own word goes before its route's.
func (e *expectation) keeps() bool {
	if e.rules[0] != nil {
		return e.rules[0].Keeps()
	}
	return e.rules[1].Keeps()
}

// tries is how many answers are asked for after a bad one.
func (e *expectation) tries() int {
	if e.rules[0] != nil {
		return e.rules[0].Tries()
	}
	return e.rules[1].Tries()
}

// disappointed counts an answer that was not as expected. Of the first one on, the
// targets that the route has for that are asked before the rest of the chain.
func (t *try) disappointed() {
	t.expectation.bad++
	if t.expectation.bad == 1 {
		t.escalate()
	}
}

// escalate puts the targets that the route has for bad answers before those of the
// chain that were not asked yet.
func (t *try) escalate() {
	if t.route == nil || len(t.route.stronger) == 0 {
		return
	}
	ranked := make([]*target, 0, len(t.ranked)+len(t.route.stronger))
	ranked = append(ranked, t.ranked[:t.next]...)
	ranked = append(ranked, t.route.stronger...)
	t.ranked = append(ranked, t.ranked[t.next:]...)
	t.fit.remember(t.route.stronger, t.history)
}

// askedEnough says why others go first: a target that has answered badly more often than another one
// that the request may be sent to lets that one go first.
func (t *try) askedEnough(target *target) string {
	if t.expectation.bad == 0 {
		return ""
	}
	mine := t.badAt(target)
	if mine == 0 {
		return ""
	}
	for _, other := range t.ranked {
		if other != target && t.badAt(other) < mine && !other.shutForGood() && t.unable(other) == "" {
			return "its answer was not as expected; others are asked before it is asked again"
		}
	}
	return ""
}

// badAt counts the bad answers of a target.
func (t *try) badAt(target *target) (n int) {
	for _, trace := range []jobs.Trace{t.history, t.trace} {
		for _, step := range trace {
			if a := step.Attempt; a != nil && a.Class == jobs.Invalid && a.Target == target.Name {
				n++
			}
		}
	}
	return n
}

// exhausted ends a request none of whose answers was as expected, after as many as
// it may have.
func (t *try) exhausted() *jobs.Outcome {
	e := &t.expectation
	if e.bad == 0 || e.bad <= e.tries() {
		return nil
	}
	no := refused(t.unmet(), t.trace)
	return &no
}

// unmet is why a request is refused whose answers were not as expected.
func (t *try) unmet() *jobs.Error {
	said := *t.last
	said.Status = 0 // it is no provider's word
	said.Message = fmt.Sprintf("no answer was as expected, of %d; the last one, of %s: %s: %s", t.expectation.bad, t.lastTarget(), t.last.Code, t.last.Message)
	return &said
}

func (t *try) lastTarget() string {
	for i := len(t.trace) - 1; i >= 0; i-- {
		if t.trace[i].Attempt != nil {
			return t.trace[i].Attempt.Target
		}
	}
	return ""
}

// settle is the outcome, or the last answer where that is better than to wait, or
// to be refused.
func (t *try) settle(no *jobs.Outcome) *jobs.Outcome {
	kept := t.expectation.kept
	if no == nil || kept == nil || no.Verdict == jobs.Answered {
		return no
	}
	return &jobs.Outcome{Verdict: jobs.Answered, Answer: kept, Trace: no.Trace}
}

// onward takes a place at the next target after a call that was not answered, or not
// made.
func (t *try) onward(ctx context.Context, into *place) *jobs.Outcome {
	if no := t.after(ctx); no != nil {
		return t.settle(no)
	}
	return t.settle(t.seek(into))
}
