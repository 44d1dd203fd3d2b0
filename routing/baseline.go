package routing

import (
	"fmt"
	"math"

	"tidegate/jobs/expect"
)

// A signal is something of an answer that a target has a habit of.
type signal int

// The signals: shares first, of answers that are somehow bad, then numbers.
const (
	signalRefusal  signal = iota // it refuses, in words
	signalGarbled                // its text is broken: see garbledText
	signalMissed                 // it is not as its request expects, and another target's was
	signalStranger               // a model of another family answered
	signalLength                 // of the answer, in tokens, as a logarithm
	signalEcho                   // how much of the answer stands in the question, 0 to 1
	signalSpeed                  // tokens a second, as a logarithm
	signalQuestion               // tokens of the question, as a logarithm: it tells nothing of the target
	signals
)

const shares = int(signalLength) // how many of the signals are shares

const (
	// opensAfter is how many answers more a change is watched before it may open the
	// circuit.
	opensAfter = 8
	// acceptedAfter is for how many answers a change may go on, where it opens nothing,
	// until it is the habit.
	acceptedAfter = 1000
	// recovered and relapsed are the sums of evidence, as logarithms of odds, at which a
	// target that was taken back is as before, and is not.
	recovered = 4
	relapsed  = -3
)

// A reply is one answer as a baseline sees it.
type reply struct {
	refuses bool
	garbled bool
	family  string  // of the model that answered; empty: it does not say
	tokens  int     // of the answer
	asked   int     // tokens of the question; zero: not known
	speed   float64 // tokens a second; zero: not known
	echo    float64 // below zero: not known
	judged  bool    // its request expects something, …
	unmet   bool    // … and it is not that
	kind    kind    // of the request
}

// A baseline is the habit of a target with the requests of one route: a slow
// memory of some hundred answers, and the last ones beside it, which are not in it
// yet. When these differ by more than chance, and those to requests that are alike do, too,
// that is a change, and the slow memory stands still until it is over.
//
// It counts answers, and knows no time, so that a replay runs the very same.
// Requires external locking.
type baseline struct {
	shares  [shares]habitOfShare
	numbers [int(signals) - shares]habitOfNumber
	family  string  // that answers as a rule
	heard   answers // to see what changes by kinds of requests
	judged  answers // of which it is known whether they are as expected
	change  *change
	doubts  float64 // of a mark that others have made: evidence against it
}

// A change is what is different of late, and how that goes on.
type change struct {
	signal signal
	reason string // as a person reads it
	normal float64
	now    float64 // what it was when the change was seen
	spread float64 // of a number
	after  int     // answers since
	quiet  int     // of these, the latest ones that show nothing of it
	shut   bool    // the circuit has been opened for it
	sum    float64 // of the evidence since the target was taken back: above zero, it is as before
	blind  int     // answers since that say nothing, for nothing like that was asked before
}

// observe takes an answer, and returns the change that is seen with it for the
// first time, or that has gone on for so long that it may open the circuit.
func (b *baseline) observe(s *reply) *change {
	b.push(s)
	if b.change == nil || b.change.marksOnly() {
		if c := b.look(); c != nil && (b.change == nil || !c.marksOnly()) {
			b.change = c
			b.freeze(!c.marksOnly()) // another speed is a habit soon
			return c
		}
	}
	c := b.change
	if c == nil {
		return nil
	}
	if c.signal == signals { // of which nothing was seen here
		return nil
	}
	c.after++
	still := b.tests(c.signal) != ""
	if c.quiet++; still {
		c.quiet = 0
		b.measure(c) // by now more of the last answers are of the change
	}
	switch {
	case c.after > acceptedAfter:
		b.relearn()
	case c.quiet >= lately && !c.shut:
		b.over()
	case still && c.after >= opensAfter:
		return c
	}
	return nil
}

// push takes an answer into the last ones.
func (b *baseline) push(s *reply) {
	b.heard.push(s.heard(b.family))
	b.shares[signalRefusal].push(s.refuses)
	b.shares[signalGarbled].push(s.garbled)
	if s.family != "" {
		if b.family == "" {
			b.family = s.family
		}
		b.shares[signalStranger].push(s.family != b.family)
		if b.shares[signalStranger].slow > 0.9 { // it began with a rare one
			b.family = s.family
			b.shares[signalStranger] = habitOfShare{}
		}
	}
	b.number(signalLength).push(math.Log1p(float64(s.tokens)))
	if s.asked > 0 {
		b.number(signalQuestion).push(math.Log1p(float64(s.asked)))
	}
	if s.speed > 0 {
		b.number(signalSpeed).push(math.Log(s.speed))
	}
	if s.echo >= 0 {
		b.number(signalEcho).push(s.echo)
	}
}

// missed takes whether an answer was as its request expected. It is said apart: an
// answer is held against its target only when another one did better.
func (b *baseline) missed(is bool, asked *kind) {
	b.shares[signalMissed].push(is)
	h := unheard(asked)
	h.values[signalMissed] = bit(is)
	b.judged.push(h)
}

func (b *baseline) number(s signal) *habitOfNumber { return &b.numbers[int(s)-shares] }

// look finds the first signal that has changed.
func (b *baseline) look() *change {
	for s := range signals {
		reason := b.tests(s)
		if reason == "" {
			continue
		}
		c := &change{signal: s, reason: reason}
		b.measure(c)
		return c
	}
	return nil
}

// measure notes how large a change is.
func (b *baseline) measure(c *change) {
	if int(c.signal) < shares {
		c.normal, c.now = b.shares[c.signal].usual(), b.shares[c.signal].now()
		return
	}
	n := b.number(c.signal)
	c.normal, c.now, c.spread = n.mean, n.now(), n.spread(c.signal)
}

// tests says how a signal has changed; empty: it has not. What follows from other
// questions is no change of the target.
func (b *baseline) tests(s signal) string {
	if int(s) < shares {
		h := &b.shares[s]
		if !h.changed() || !b.kept(s).stands(s, true) {
			return ""
		}
		return fmt.Sprintf("%.0f%% of the last %d answers %s, before %.0f%%", 100*h.now(), h.filled, signalWords[s], 100*h.slow)
	}
	if s == signalQuestion || !b.number(s).changed(s) || b.otherQuestions() {
		return ""
	}
	h := b.number(s)
	if !b.heard.stands(s, h.now() > h.mean) {
		return ""
	}
	unit, was, is := signalWords[s], math.Expm1(h.mean), math.Expm1(h.now())
	switch s {
	case signalEcho:
		return fmt.Sprintf("of the last %d answers %.0f%% %s, before %.0f%%", h.filled, 100*h.now(), unit, 100*h.mean)
	case signalSpeed:
		was, is = math.Exp(h.mean), math.Exp(h.now())
	}
	return fmt.Sprintf("the last %d answers have %.0f %s, before %.0f", h.filled, is, unit, was)
}

// kept are the answers by which a signal is looked at.
func (b *baseline) kept(s signal) *answers {
	if s == signalMissed {
		return &b.judged
	}
	return &b.heard
}

var signalWords = [signals]string{
	signalRefusal: "refuse", signalGarbled: "are garbled", signalMissed: "are not as expected", signalStranger: "are of another model",
	signalLength: "tokens", signalEcho: "stand in the question", signalSpeed: "tokens a second",
}

// otherQuestions tells whether the questions have changed, too.
func (b *baseline) otherQuestions() bool {
	h := b.number(signalQuestion)
	return h.slow >= learned && math.Abs(h.score(signalQuestion)) > otherQuestions
}

// marksOnly tells whether a change never opens a circuit: a provider that is slow
// or quick is that, and the latency is weighed elsewhere.
func (c *change) marksOnly() bool { return c.signal == signalSpeed }

// alike tells whether two targets have changed in the same way.
func (c *change) alike(other *change) bool {
	if other == nil || c.signal != other.signal {
		return false
	}
	return int(c.signal) < shares || (c.now > c.normal) == (other.now > other.normal)
}

// opened notes that the circuit was opened for the change.
func (b *baseline) opened() { b.change.shut, b.change.sum = true, 0 }

// weigh adds an answer to the evidence since the target was taken back, and tells
// whether it is for the target.
func (b *baseline) weigh(s *reply) (good bool) {
	odds := b.change.odds(b, s)
	b.change.sum += odds
	return odds >= 0
}

// odds are those that an answer is one as before, against one as in the change, as a
// logarithm.
func (c *change) odds(b *baseline, s *reply) float64 {
	switch {
	case c.signal == signals:
		return oddsOfStrange(b.strange(s) != "")
	case c.signal == signalMissed && !s.judged, c.signal == signalEcho && s.echo < 0, c.signal == signalSpeed && s.speed <= 0:
		return 0
	}
	if int(c.signal) >= shares {
		x := map[signal]float64{signalLength: math.Log1p(float64(s.tokens)), signalEcho: s.echo, signalSpeed: math.Log(s.speed)}[c.signal]
		normal, now := (x-c.normal)/c.spread, (x-c.now)/c.spread
		return min(max((now*now-normal*normal)/2, -2), 2)
	}
	bad := map[signal]bool{
		signalRefusal: s.refuses, signalGarbled: s.garbled, signalMissed: s.unmet, signalStranger: s.family != "" && s.family != b.family,
	}[c.signal]
	normal, now := min(max(c.normal, 0.01), 0.9), min(max(c.now, 0.3), 0.95)
	if bad {
		return math.Log(normal / now)
	}
	return math.Log((1 - normal) / (1 - now))
}

// over ends a change: the target is as before.
func (b *baseline) over() {
	b.change = nil
	b.freeze(false)
	b.heard.forget()
	b.judged.forget()
	for i := range b.shares {
		b.shares[i].forget()
	}
	for i := range b.numbers {
		b.numbers[i].forget()
	}
}

// relearn takes what comes as the habit.
func (b *baseline) relearn() { *b = baseline{} }

func (b *baseline) freeze(is bool) {
	b.heard.frozen, b.judged.frozen = is, is
	for i := range b.shares {
		b.shares[i].frozen = is
	}
	for i := range b.numbers {
		b.numbers[i].frozen = is
	}
}

// strange says what of one answer is not as the target does, by itself; empty:
// nothing is.
func (b *baseline) strange(s *reply) string {
	switch rare := func(x signal) bool { return b.shares[x].slow < 0.3 }; {
	case s.refuses && rare(signalRefusal):
		return "it refuses"
	case s.garbled && rare(signalGarbled):
		return "it is garbled"
	case s.family != "" && b.family != "" && s.family != b.family && rare(signalStranger):
		return "it is of another model"
	}
	return ""
}

// familyOf is the family of the model that answered.
func familyOf(model string) string { return expect.Family(model) }
