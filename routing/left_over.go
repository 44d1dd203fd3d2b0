package routing

import (
	"context"
	"strings"
	"time"

	"tidegate/jobs"
)

const (
	// againMin and againMax bound the wait of a request that cannot wait at the
	// gate, because there it flows: targets were asked and failed while their
	// circuits stay closed, or those that fit it are shut and others are not.
	againMin = time.Second
	againMax = 30 * time.Second
	// againSoon is the wait for a target that came free while others were looked
	// at: so that nobody runs in circles, should that not be so.
	againSoon = 50 * time.Millisecond
	// againPaced bounds the wait for a turn of a request that cannot wait at the gate.
	againPaced = 5 * time.Second
	// againPriced is the wait for a price that somebody has to write down.
	againPriced = time.Hour
)

// stopped is the outcome of a request whose caller has gone.
func (t *try) stopped(ctx context.Context) jobs.Outcome {
	return jobs.Outcome{
		Verdict: jobs.Blocked, Err: t.last, Until: t.router.now(), Trace: t.trace,
		Reason: "the caller stopped waiting: " + ctx.Err().Error(),
	}
}

// leftOver says what becomes of a request when its chain has been walked and
// nobody answered.
func (t *try) leftOver() jobs.Outcome {
	now := t.router.now()
	outcome := jobs.Outcome{Verdict: jobs.Blocked, Err: t.last, Trace: t.trace, Until: now}
	shut := t.shut()
	switch {
	case shut.fit == 0 && t.fit.unpriced != "": // the budget may be unset, or the price be added: it has not failed
		outcome.Until = now.Add(againPriced)
		outcome.Reason = t.fit.unpriced + " has no price, and the request is under a budget: add its price to the configuration, or unset the budget"
	case shut.fit == 0:
		return refused(t.hopeless(), t.trace)
	case shut.fit == len(shut.reasons):
		outcome.Held, outcome.Until, outcome.Reason = !shut.flows, shut.until, strings.Join(shut.reasons, "; ")
		if shut.flows && shut.until.IsZero() {
			outcome.Until = now.Add(againMin)
		}
	case t.last == nil: // one came free after we had passed it
		outcome.Until, outcome.Reason = now.Add(againSoon), "a target of the chain has just come free"
	default:
		outcome.Until = now.Add(min(againMin<<min(failures(t.history), 5), againMax))
		outcome.Reason = "no target that may be called now answered; the last one said: " + t.last.Error()
	}
	return outcome
}

// shut is which of the targets that fit a request may not be called now.
type shut struct {
	fit     int       // targets that the request may be sent to, now or later
	reasons []string  // one for each of them that is shut
	until   time.Time // when the first of these may be worth a call; zero: a probe that is out will tell
	flows   bool      // another target is not shut: the gate flows for other requests
}

// shut looks at every target once: a second look might see another state, and
// what is said of them all would never have been true.
func (t *try) shut() shut {
	var s shut
	for _, target := range t.ranked {
		ready, until, reason := target.circuit.Ready()
		if t.unfit(target) != "" {
			s.flows = s.flows || ready != Shut
			continue
		}
		s.fit++
		if ready == Shut {
			s.reasons = append(s.reasons, target.Name+": "+reason)
			s.until = earlier(s.until, until)
		}
	}
	return s
}

// failures counts how often the request failed in earlier tries, at the target
// that failed it most: a chain of many is no reason to wait longer.
func failures(history jobs.Trace) int {
	most, at := 0, map[string]int{}
	for _, step := range history {
		if a := step.Attempt; a != nil && a.Class.Trips() {
			at[a.Target]++
			most = max(most, at[a.Target])
		}
	}
	return most
}
