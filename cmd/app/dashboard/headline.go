package dashboard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tidegate/jobs"
)

// How much a headline matters.
const (
	calm    = "calm"    // all flows
	notice  = "notice"  // somebody wants it so, or it is a matter of the pace
	warning = "warning" // something is down, and others do its part
	alarm   = "alarm"   // something stands still
)

// A Headline is what somebody must know who has five seconds.
type Headline struct {
	Mood  string
	Text  string    // with a time to follow, if there is one
	Since time.Time // zero: of no time
	Rest  []string  // sentences that say what follows from it
	Done  Done      // when all that waits will be, but for what is unsaid
	// Unsaid is of what nobody can say when it is done, and why not; empty: of all it can
	// be said.
	Unsaid string
	// Say is the same without what changes all the time: it is read aloud when it
	// changes.
	Say string
}

// headline finds what matters most.
func (o *Overview) headline() Headline {
	waiting := 0
	for i := range o.Routes {
		waiting += o.Routes[i].Waiting
	}
	h := o.worst(waiting)
	h.Rest = append(h.Rest, o.rest(waiting)...)
	o.done(&h)
	h.Say = strings.TrimSpace(h.Text + ". " + o.aloud())
	return h
}

// worst is the first sentence.
func (o *Overview) worst(waiting int) Headline {
	down, since := o.down()
	still, stillSince := o.in(Holds)
	paused, pausedSince := o.pausedBy(jobs.OwnerCircuit)
	budget, budgetSince := o.pausedBy(jobs.OwnerBudget)
	person, personSince := o.pausedBy(jobs.OwnerPerson)
	unserved, _ := o.in(Unserved)
	still = append(still, paused...)
	switch {
	case o.Workers.Alive == 0 && waiting > 0:
		return Headline{Mood: alarm, Text: "No worker is alive, and " + many(waiting, "job") + " " + agree(waiting, "waits", "wait")}
	case len(still) > 0 && len(down) > 0:
		return Headline{Mood: alarm, Text: fmt.Sprintf("%s: %s %s down", stands(still), listed(down), are(down)), Since: since}
	case len(still) > 0:
		return Headline{Mood: alarm, Text: stands(still) + ": no target may be called", Since: earlier(stillSince, pausedSince)}
	case len(budget) > 0:
		return Headline{Mood: alarm, Text: stands(budget) + ": the budget is spent", Since: budgetSince}
	case len(down) > 0:
		return Headline{Mood: warning, Text: listed(down) + " " + are(down) + " down", Since: since}
	case len(unserved) > 0 && o.waitingOn(unserved) > 0:
		return Headline{Mood: alarm, Text: "No worker works " + listed(unserved)}
	case len(person) > 0:
		return Headline{Mood: notice, Text: listed(person) + " " + are(person) + " paused by a person", Since: personSince}
	}
	if bad := o.named(func(t *Target) bool { return t.Degraded != "" }); len(bad) > 0 {
		return Headline{Mood: warning, Text: "The answers of " + listed(bad) + " have changed for the worse"}
	}
	if cools := o.named(func(t *Target) bool { return t.Cools(o.At) }); len(cools) > 0 {
		return Headline{Mood: notice, Text: listed(cools) + " " + agree(len(cools), "cools", "cool") + " down"}
	}
	if o.Workers.Alive == 0 {
		return Headline{Mood: notice, Text: "Nothing waits, and no worker is alive"}
	}
	return Headline{Mood: calm, Text: "All flows"}
}

// rest is what follows from it: what waits, where calls go, what else is so.
func (o *Overview) rest(waiting int) (said []string) {
	inHand := 0
	for i := range o.Routes {
		inHand += o.Routes[i].InHand
	}
	switch {
	case waiting > 0:
		said = append(said, fmt.Sprintf("%s %s.", many(waiting, "job"), agree(waiting, "waits", "wait")))
	case inHand > 0:
		said = append(said, many(inHand, "job")+" in hand, nothing waits behind.")
	case o.Workers.Alive > 0: // else it is said already
		said = append(said, "Nothing waits.")
	}
	if to := o.rerouted(); to != "" {
		said = append(said, to)
	}
	if drills := o.named(func(t *Target) bool { return t.Drill != nil }); len(drills) > 0 {
		said = append(said, "This is a drill of "+listed(drills)+".")
	}
	if o.Workers.Silent > 0 {
		said = append(said, many(o.Workers.Silent, "worker")+" "+agree(o.Workers.Silent, "is", "are")+" silent.")
	}
	return said
}

// aloud is what of the rest does not change all the time.
func (o *Overview) aloud() string {
	if to := o.rerouted(); to != "" {
		return to
	}
	return ""
}

// rerouted says who is called in place of those that are down.
func (o *Overview) rerouted() string {
	down, _ := o.down()
	var to []string
	for i := range o.Routes {
		r := &o.Routes[i]
		if r.State != Flows || len(r.Chain) == 0 || !slices.Contains(down, r.Chain[0]) {
			continue
		}
		if next := slices.IndexFunc(r.Chain, func(name string) bool { return !slices.Contains(down, name) }); next > 0 && !slices.Contains(to, r.Chain[next]) {
			to = append(to, r.Chain[next])
		}
	}
	if len(to) == 0 {
		return ""
	}
	return "Calls go to " + listed(to) + "."
}

// done says when everything that waits will be done, and of what nobody can say: why not
// is said of the route on which the most wait.
func (o *Overview) done(h *Headline) {
	unsaid := 0
	var most *Route
	for i := range o.Routes {
		r := &o.Routes[i]
		switch {
		case r.Waiting+r.InHand == 0:
		case !r.Done.At.IsZero():
			if r.Done.At.After(h.Done.At) {
				h.Done = r.Done
			}
		default:
			unsaid++
			if most == nil || r.Waiting+r.InHand > most.Waiting+most.InHand {
				most = r
			}
		}
	}
	if most == nil {
		return
	}
	h.Unsaid = most.Name
	if unsaid > 1 {
		h.Unsaid = many(unsaid, "route") + ", as " + most.Name
	}
	if most.Done.Why != "" {
		h.Unsaid += " (" + most.Done.Why + ")"
	}
}

// down names the targets that are, and since when the first of them is.
func (o *Overview) down() (names []string, since time.Time) {
	for i := range o.Targets {
		if t := &o.Targets[i]; t.Down() {
			at := t.DownSince
			if at.IsZero() {
				at = t.Since
			}
			names, since = append(names, t.Name), earlier(since, at)
		}
	}
	return names, since
}

func (o *Overview) named(is func(*Target) bool) (names []string) {
	for i := range o.Targets {
		if is(&o.Targets[i]) {
			names = append(names, o.Targets[i].Name)
		}
	}
	return names
}

// in names the routes in a state.
func (o *Overview) in(state string) (names []string, since time.Time) {
	for i := range o.Routes {
		if r := &o.Routes[i]; r.State == state {
			names, since = append(names, r.Name), earlier(since, r.Since)
		}
	}
	return names, since
}

// pausedBy names the routes that somebody pauses.
func (o *Overview) pausedBy(owner jobs.Owner) (names []string, since time.Time) {
	for i := range o.Routes {
		for _, p := range o.Routes[i].Pauses {
			if p.Owner == owner {
				names, since = append(names, o.Routes[i].Name), earlier(since, p.Since)
			}
		}
	}
	return names, since
}

func (o *Overview) waitingOn(routes []string) (n int) {
	for i := range o.Routes {
		if slices.Contains(routes, o.Routes[i].Name) {
			n += o.Routes[i].Waiting
		}
	}
	return n
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func stands(names []string) string {
	return listed(names) + " " + agree(len(names), "stands", "stand") + " still"
}

func are(names []string) string { return agree(len(names), "is", "are") }

// agree is the verb that goes with a number.
func agree(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
