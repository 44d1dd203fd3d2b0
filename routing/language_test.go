package routing

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate/jobs"
)

// The tiny language in which the tests tell what routing does:
//
//	chain(t, "a", "b").fails("a", jobs.Overload, 5).routes(5).to("b").circuit("a", jobs.CircuitOpen)
//
// A story has a clock of its own, which stands still unless time passes in it.

// A clock is set by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// A script is a provider that does what it is told, and answers otherwise.
type script struct {
	during func(ctx context.Context, target string, body []byte) *jobs.Error // of each call; nil: the script below decides

	mu     sync.Mutex
	next   map[string][]*jobs.Error // for the next calls
	always map[string]*jobs.Error   // for those after
	calls  map[string]int
	usage  jobs.Usage
	finish map[string]string // by target: why its answers end
	mute   map[string]string // by target: what it cannot say
	checks int               // how often that was asked

	text  map[string]string // by target: what it answers; empty: an answer of nothing
	body  map[string]string // by target: the whole of its answer; empty: the text above
	at    []jobs.Endpoint   // of all calls, in order
	model map[string]string // by target: the model that answers; empty: the one that was asked
}

func newScript() *script {
	return &script{next: map[string][]*jobs.Error{}, always: map[string]*jobs.Error{}, calls: map[string]int{}}
}

func (s *script) Check(target *jobs.Target, _ jobs.Endpoint, _ []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks++
	if why := s.mute[target.Name]; why != "" {
		return errors.New(why)
	}
	return nil
}

func (s *script) Complete(ctx context.Context, target *jobs.Target, of jobs.Endpoint, body []byte) (*jobs.Answer, *jobs.Error) {
	err := s.say(target.Name, of)
	if ctx.Err() != nil {
		return nil, &jobs.Error{Class: jobs.Lost, Message: "the caller has gone"}
	}
	if s.during != nil {
		err = s.during(ctx, target.Name, body)
	}
	if err != nil {
		return nil, err
	}
	answer := []byte(`{"choices":[]}`)
	if text := s.text[target.Name]; text != "" {
		answer = completionOf(text)
	}
	if body := s.body[target.Name]; body != "" {
		answer = []byte(body)
	}
	return &jobs.Answer{Body: answer, Model: cmp.Or(s.model[target.Name], target.Model), Usage: s.usage, FirstByte: time.Millisecond, FinishReason: s.finish[target.Name]}, nil
}

// completionOf is a chat-completion object that says a text.
func completionOf(text string) []byte {
	content, _ := json.Marshal(text)
	return fmt.Appendf(nil, `{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":%s},"finish_reason":"stop"}]}`, content)
}

func (s *script) say(target string, of jobs.Endpoint) *jobs.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, of)
	s.calls[target]++
	if next := s.next[target]; len(next) > 0 {
		s.next[target] = next[1:]
		return next[0]
	}
	return s.always[target]
}

// A story is a router with one route, its provider, and what happens to them.
type story struct {
	t        testing.TB
	clock    *clock
	provider *script
	router   *Router
	targets  map[string]*target

	request *jobs.Request
	history jobs.Trace // of request
	outcome jobs.Outcome
}

const theRoute = "summaries"

// chain begins a story with targets that have nothing but their names.
func chain(t testing.TB, names ...string) *story {
	targets := make([]*jobs.Target, len(names))
	for i, name := range names {
		targets[i] = &jobs.Target{Name: name, Provider: "account-of-" + name}
	}
	return chainOf(t, targets...)
}

func chainOf(t testing.TB, targets ...*jobs.Target) *story {
	s := &story{t: t, clock: newClock(), provider: newScript(), targets: map[string]*target{}}
	return s.serves(jobs.Route{Chain: targets}).asks(&jobs.Request{})
}

// serves is what the route is like from now on.
func (s *story) serves(route jobs.Route) *story {
	route.Name = theRoute
	if s.router == nil {
		s.router = New(Config{Routes: []jobs.Route{route}, Provider: s.provider, Now: s.clock.now, Seed: 1})
	} else {
		s.router.Reload([]jobs.Route{route})
	}
	for _, target := range s.router.plan.Load().targets {
		s.targets[target.Name] = target
	}
	return s
}

// asks makes another request the one that is told of.
func (s *story) asks(request *jobs.Request) *story {
	request.Route = theRoute
	s.request, s.history = request, nil
	return s
}

// fails lets the next n calls of a target fail.
func (s *story) fails(target string, class jobs.Class, n int) *story {
	for range n {
		s.provider.next[target] = append(s.provider.next[target], &jobs.Error{Class: class, Status: 599, Said: true})
	}
	return s
}

// says lets the next call of a target fail in just this way.
func (s *story) says(target string, err jobs.Error) *story {
	s.provider.next[target] = append(s.provider.next[target], &err)
	return s
}

// down lets every call of a target fail until it is up.
func (s *story) down(target string) *story {
	s.provider.always[target] = &jobs.Error{Class: jobs.Overload, Status: 503, Said: true}
	return s
}

func (s *story) up(target string) *story {
	delete(s.provider.always, target)
	return s
}

// routes tries n new requests once each.
func (s *story) routes(n int) *story {
	for range n {
		s.outcome = s.router.Route(context.Background(), &jobs.Request{Route: theRoute}, nil)
	}
	return s
}

// tries tries the request that is told of once more, with its history.
func (s *story) tries() *story {
	s.outcome = s.router.Route(context.Background(), s.request, s.history)
	s.history = append(s.history, s.outcome.Trace...)
	return s
}

func (s *story) passes(d time.Duration) *story {
	s.clock.pass(d)
	return s
}

// to asserts who answered.
func (s *story) to(target string) *story {
	s.t.Helper()
	if s.outcome.Verdict != jobs.Answered || s.outcome.Answer.Target != target {
		s.t.Fatalf("got %s, want an answer of %s", s.told(), target)
	}
	return s
}

// refused asserts that the request ended for good.
func (s *story) refused(class jobs.Class) *story {
	s.t.Helper()
	if s.outcome.Verdict != jobs.Refused || s.outcome.Err.Class != class {
		s.t.Fatalf("got %s, want it refused as %s", s.told(), class)
	}
	return s
}

// held asserts that the gate holds the request.
func (s *story) held() *story {
	s.t.Helper()
	if s.outcome.Verdict != jobs.Blocked || !s.outcome.Held {
		s.t.Fatalf("got %s, want it held by the gate", s.told())
	}
	return s
}

// waits asserts that the request is blocked on its own for just so long.
func (s *story) waits(d time.Duration) *story {
	s.t.Helper()
	if got := s.outcome.Until.Sub(s.clock.now()); s.outcome.Verdict != jobs.Blocked || s.outcome.Held || got != d {
		s.t.Fatalf("got %s, want it to wait %s on its own", s.told(), d)
	}
	return s
}

// circuit asserts the state of a target's circuit.
func (s *story) circuit(target string, want jobs.CircuitState) *story {
	s.t.Helper()
	if got := s.targets[target].circuit.Snapshot(); got.State != want {
		s.t.Fatalf("the circuit of %s is %s (%s), want %s", target, got.State, got.Reason, want)
	}
	return s
}

// cools asserts how much of a target's cooldown is left.
func (s *story) cools(target string, want time.Duration) *story {
	s.t.Helper()
	if got := s.cooldown(target); got != want {
		s.t.Fatalf("%s cools down for %s, want %s", target, got, want)
	}
	return s
}

func (s *story) cooldown(target string) time.Duration {
	return max(s.targets[target].circuit.Snapshot().CooldownUntil.Sub(s.clock.now()), 0)
}

// rests is how long a target is not called, for its cooldown or its pace.
func (s *story) rests(target string) time.Duration {
	pace := s.targets[target].pace
	ok, again, _ := pace.take(0)
	if ok {
		pace.refund(0)
		return s.cooldown(target)
	}
	return max(s.cooldown(target), again.Sub(s.clock.now()))
}

// calls asserts how often a target was called since the beginning.
func (s *story) calls(target string, want int) *story {
	s.t.Helper()
	if got := s.provider.calls[target]; got != want {
		s.t.Fatalf("%s was called %d times, want %d", target, got, want)
	}
	return s
}

// skips asserts that the last try passed a target over, and why.
func (s *story) skips(target, reason string) *story {
	s.t.Helper()
	for _, step := range s.outcome.Trace {
		if step.Skip != nil && step.Skip.Target == target && strings.Contains(step.Skip.Reason, reason) {
			return s
		}
	}
	s.t.Fatalf("%s was not skipped with %q: %s", target, reason, s.told())
	return s
}

// because asserts what the outcome says to a person.
func (s *story) because(reason string) *story {
	s.t.Helper()
	if !strings.Contains(s.told(), reason) {
		s.t.Fatalf("got %s, want it to say %q", s.told(), reason)
	}
	return s
}

// flows asserts how many waiting requests the gate lets go.
func (s *story) flows(want int) *story {
	s.t.Helper()
	if got, _ := s.router.Admits(theRoute); got != want {
		s.t.Fatalf("the gate admits %d, want %d", got, want)
	}
	return s
}

// told is the outcome as a failed test shows it.
func (s *story) told() string {
	o := s.outcome
	var b strings.Builder
	b.WriteString(string(o.Verdict))
	switch {
	case o.Answer != nil:
		b.WriteString(" by " + o.Answer.Target)
	case o.Held:
		b.WriteString(" at the gate until " + o.Until.String())
	case o.Verdict == jobs.Blocked:
		b.WriteString(" for " + o.Until.Sub(s.clock.now()).String())
	}
	if o.Err != nil {
		b.WriteString(", " + o.Err.Error())
	}
	b.WriteString(", " + o.Reason)
	for _, step := range o.Trace {
		switch {
		case step.Attempt != nil:
			b.WriteString("\n  called " + step.Attempt.Target + ": " + string(step.Attempt.Class))
		case step.Skip != nil:
			b.WriteString("\n  skipped " + step.Skip.Target + ": " + step.Skip.Reason)
		case step.Wait != nil:
			b.WriteString("\n  " + step.Wait.Reason)
		}
	}
	return b.String()
}
