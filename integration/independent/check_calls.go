package main

import (
	"slices"
	"time"

	"tidegate/jobs"
)

// calls holds the attempts of a question, in their order, against its round, and
// against how often the mocks answered it in whole.
func (c *checks) calls(q question, row stored, made []call, whole int) {
	silent := 0
	for _, one := range made {
		if one.silent() {
			silent++
		}
	}
	c.that(whole >= 1 && whole <= 1+silent, "duplicates", "the mocks answered question %d in whole %d times, and %d of its calls timed out", q.number, whole, silent)
	if q.round == calmRound || q.round == refusedRound {
		made = slices.DeleteFunc(slices.Clone(made), func(one call) bool { return one.broke() || one.silent() }) // these are counted by checkSides
	}
	answered := 0
	for i, one := range made {
		switch {
		case one.Class == jobs.OK:
			answered++
			c.that(i == len(made)-1 && one.Target == row.Target, "calls", "question %d was answered by %s, and went on, or its result says %s", q.number, one.Target, row.Target)
		case q.round == calmRound:
			c.that(false, "calm", "a call of question %d to %s was refused as %s", q.number, one.Target, one.Class)
		case q.round == refusedRound:
			c.that(q.script != nil && i == 0 && one.Target == q.first() && one.Class == q.script.class, "refusals",
				"call %d of question %d, to %s, was refused as %s, which was not in its script", i+1, q.number, one.Target, one.Class)
		}
	}
	c.that(answered == 1, "calls", "question %d was answered %d times", q.number, answered)
	// The chain goes past a target whose circuit is open, and past its script.
	if q.script != nil && q.route != chainRoute {
		c.that(len(made) == 2, "refusals", "question %d was to be refused once, and took %d calls", q.number, len(made))
	}
}

// broke tells whether the connection did. Without chaos that is rare, and nobody's
// fault: the mock closes one that was idle for a while just as the next call is sent.
func (one call) broke() bool { return one.Class == jobs.Transient && one.Status == 0 }

// silent tells whether nobody waited for the answer any more. The mock may have sent
// it all the same: such a call may be bought twice. Without chaos it is a machine
// that stood still for seconds.
func (one call) silent() bool { return one.Class == jobs.Timeout && one.Status == 0 }

// checkSides compares what the three sides counted.
func (e *evidence) checkSides(c *checks, questions []question) {
	c.that(len(e.river) == 1 && e.river[1] == len(questions), "River", "jobs by attempts are %v (0: not complete); they have to be %d with 1", e.river, len(questions))
	answered := map[string]int{}
	for _, dialect := range dialects {
		made, broke, silent := 0, 0, 0
		for _, one := range e.calls {
			if one.Target != dialect {
				continue
			}
			if one.Class == jobs.OK {
				answered[dialect]++
			}
			c.that(one.Class != jobs.Lost, "calls", "one to %s is LOST: nobody ended it", dialect)
			switch {
			case one.broke():
				broke++
			case one.silent():
				silent++
			default:
				made++
			}
		}
		said, closed := 0, 0
		for _, one := range e.served[dialect] {
			if one.status == 0 {
				closed++
			} else {
				said++
			}
		}
		c.that(made <= said && said <= made+silent, "calls", "%s answered %d, for good or ill, as its mock has it, and %d as we have it; %d timed out", dialect, said, made, silent)
		c.that(closed <= broke && broke <= closed+mostBroken, "calls", "the mock of %s closed %d, and %d broke", dialect, closed, broke)
	}
	own := map[string]int{}
	for _, q := range questions {
		own[q.route]++
	}
	for _, dialect := range dialects {
		c.that(own[dialect] > 0 && answered[dialect] >= own[dialect], "routes", "%s answered %d, and its own route has %d", dialect, answered[dialect], own[dialect])
	}
}

// mostBroken is how many calls may break without the mock's knowing.
const mostBroken = 5

// mostUnanswered is how many of the calls without chaos may end without an answer.
const mostUnanswered = 0.01

// checkStorm makes sure that the chaos was one, and that the chain led around it.
// What the provider said is known in the fleet; what one host alone saw opens its
// own circuit, of which the probes tell.
func (e *evidence) checkStorm(c *checks, questions []question) {
	round := map[string]string{}
	for _, q := range questions {
		round[q.customID()] = q.round
	}
	met, probes, quiet, unanswered := map[string]map[jobs.Class]int{}, map[string]int{}, 0, 0
	for _, one := range e.calls {
		if one.Probe {
			probes[one.Target]++
		}
		switch round[one.CustomID] {
		case chaosRound:
			add(met, one)
		case calmRound, refusedRound:
			quiet++
			if one.broke() || one.silent() {
				unanswered++
			}
		}
	}
	c.that(float64(unanswered) <= mostUnanswered*float64(quiet), "calm", "%d of %d calls without chaos ended without an answer", unanswered, quiet)
	c.that(e.opened["openai"] > 0, "chaos", "the circuit of openai never opened in the fleet")
	for _, dialect := range dialects {
		c.that(probes[dialect] > 0, "chaos", "the circuit of %s never opened: there was no probe", dialect)
		for _, class := range []jobs.Class{jobs.Transient, jobs.Garbled} {
			c.that(met[dialect][class] > 0, "chaos", "%s met no %s", dialect, class)
		}
	}
	c.that(met["gemini"][jobs.Timeout] > 0, "chaos", "gemini met no %s, and was too slow for %s", jobs.Timeout, strike)
	c.that(e.rerouted() > 0, "chaos", "no request of the chain was re-routed")
}

// rerouted counts the requests that were answered by another target than the first
// of their chain.
func (e *evidence) rerouted() (n int) {
	for _, row := range e.stored {
		if row.Route == chainRoute && row.Target != dialects[0] {
			n++
		}
	}
	return n
}

// announced is what openai's mock says beside a 429: 60 calls a minute.
const announced = time.Second

// sloppy is how many calls more may come: each worker may have two out at once.
const sloppy = 2 * processes

// checkLimit holds the calls that came when every worker knew what was announced
// with the first 429 of a round to just that.
func (e *evidence) checkLimit(c *checks, since time.Time) {
	first := limitSaid(e.served["openai"], since)
	if first.IsZero() {
		c.that(false, "limits", "the mock of openai announced none")
		return
	}
	known := first.Add(told)
	calls, last := 0, known
	for _, one := range e.served["openai"] {
		if one.at.After(known) {
			calls, last = calls+1, one.at
		}
	}
	most := int(last.Sub(known)/announced) + sloppy
	c.that(calls > 0 && calls <= most, "limits", "openai announced 60 calls a minute, and got %d in the %s after that", calls, last.Sub(known).Round(time.Second))
}
