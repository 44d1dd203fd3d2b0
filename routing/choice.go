package routing

import (
	"math"
	"slices"
	"time"

	"tidegate/jobs"
)

// band is how much worse than the best one, of what is missing to a perfect score,
// a target may be that is as good: so that many workers do not all go to one.
const band = 0.1

// A choice is how a request's chain was ranked, and by what. Where the chain is
// taken as it is written, there is none.
type choice struct {
	goal       string
	strategy   Strategy
	estimator  string
	order      []int // of candidates: the best first
	scores     []jobs.Score
	candidates []Candidate
	ranked     []*target // the chain, in that order
	chosen     int       // of candidates: whom the request is to go to; -1: to whoever comes first
	propensity float64   // the chance with which it was
	explored   bool
}

// choose ranks the chain for the request by a strategy.
func (t *try) choose(goal string, strategy Strategy, by *choosing) {
	c := newChoice(len(t.ranked))
	c.goal, c.strategy, c.estimator, c.chosen, c.propensity = goal, strategy, by.estimator, -1, 1
	for i := range c.order {
		c.order[i] = i
	}
	t.consider(c, by)
	strategy(c.order, c.scores, c.candidates)
	t.choice = c
	t.pick(by)
	for i, index := range c.order {
		c.ranked[i] = t.ranked[index]
	}
	t.ranked = c.ranked
}

// newChoice has room for a chain of n.
func newChoice(n int) *choice {
	if n > usualChain {
		return &choice{order: make([]int, n), scores: make([]jobs.Score, n), candidates: make([]Candidate, n), ranked: make([]*target, n)}
	}
	var whole struct { // what is allocated at once
		choice
		order      [usualChain]int
		scores     [usualChain]jobs.Score
		candidates [usualChain]Candidate
		ranked     [usualChain]*target
	}
	made := &whole
	made.choice = choice{order: made.order[:n:n], scores: made.scores[:n:n], candidates: made.candidates[:n:n], ranked: made.ranked[:n:n]}
	return &made.choice
}

// consider fills in what a strategy is to know of each target of the chain.
func (t *try) consider(c *choice, by *choosing) {
	now := t.router.now()
	input, output := t.expected()
	use := jobs.Usage{Input: int(input), Output: int(output)}
	var last fading
	guesses := make([]guess, 0, usualChain)
	best, surest := math.Inf(1), math.Inf(1) // of those that are known
	for _, target := range t.ranked {
		g := target.statistics.guess(by, now, &last)
		if guesses = append(guesses, g); g.known {
			best, surest = min(best, g.fixed+g.each*output), min(surest, g.failure)
		}
	}
	if math.IsInf(best, 1) {
		best = unknownSeconds
	}
	for i, target := range t.ranked {
		g, of := guesses[i], &c.candidates[i]
		seconds := best
		switch {
		case g.known:
			seconds = g.fixed + g.each*output
		case !g.tried: // it is thought to do as well as the best, and so it is tried
			g.failure = min(g.failure, surest)
		}
		load := target.pace.load()
		if load.out >= trialCalls {
			seconds *= max(g.slower, 1)
		}
		*of = Candidate{
			Target: target.Target, Success: (1 - g.failure) * target.circuit.trust(), Latency: inSeconds(g.completion(seconds, load)), Known: g.known,
			Cost: target.Price.Cost(use), Unpriced: !target.Price.Known(), doubtful: g.slower > 1 && load.out == 0,
		}
		ready, until := target.circuit.readiness()
		switch of.Shut = ready != Flowing; {
		case !of.Shut:
			of.Wait = load.until(t.waiting(), seconds)
		case !until.IsZero():
			of.Wait = max(until.Sub(now), 0)
		}
	}
}

// trialCalls at once find out whether a target that was slow is well again, once it may
// be. Others go by what was seen of it last: they would all be out before the first is
// answered, and what they find out would count for as long again.
const trialCalls = 3

// unknownSeconds is what a call is thought to take where nothing is known of any.
const unknownSeconds = 10

// expected is what the request is expected to use, in tokens, whoever answers.
func (t *try) expected() (input, output float64) {
	if r := t.request.Recorded; r != nil && r.Output > 0 {
		return float64(r.Input), float64(r.Output)
	}
	input, output = t.route.lengthsOf(t.request.Endpoint).expected(t.request.BodyBytes())
	if !t.request.Endpoint.Speaks() {
		return input, 0
	}
	if t.request.Recorded != nil { // what its answer was limited to, nobody knows
		return input, output
	}
	if c := t.counted(); c.output > 0 {
		output = min(output, float64(c.output))
	}
	return input, output
}

// waiting is how many requests of the route wait in this worker for their turn.
func (t *try) waiting() float64 { return float64(t.route.waiting.Load()) }

// completion is how long a request is expected to take until it is answered, of whose
// call one that is answered takes so many seconds.
func (g guess) completion(seconds float64, load load) float64 {
	limit, failure := load.limit(seconds), min(max(g.failure, 0), mostFailure)
	seconds += failure / (1 - failure) * (g.again + g.part*seconds)
	if g.crowds && limit > 0 {
		full := min(float64(load.out+1)/limit, 1) // beyond, it waits
		seconds *= 1 + full*full
	}
	return seconds
}

// inSeconds is a duration that is not below zero, nor so long that two of them are
// more than one holds.
func inSeconds(seconds float64) time.Duration {
	if !(seconds > 0) {
		return 0
	}
	return time.Duration(min(seconds, mostSeconds) * float64(time.Second))
}

const mostSeconds = 365 * 24 * 3600

// scored tells whether the strategy gave scores.
func (c *choice) scored() bool {
	for i := range c.scores {
		if c.scores[i] != (jobs.Score{}) {
			return true
		}
	}
	return false
}

// pick puts one of those that are nearly the best before the others, whichever, or
// now and then any that may be called at once, so that something is known of it. One
// that was in trouble, and that nobody asks, is explored a little more: somebody is to
// notice when it is over.
func (t *try) pick(by *choosing) {
	c := t.choice
	if !c.scored() {
		return
	}
	room := make([]int, 0, 2*usualChain)
	near, ready := t.nearest(room[0:0:usualChain]), c.ready(room[usualChain:usualChain])
	if len(near) == 0 {
		return
	}
	top := near[0]
	near = c.atOnce(near)
	var doubtful []int
	explore, doubt := by.explore, 0.0
	if len(ready) < 2 || t.hurried() {
		explore = 0
	}
	if explore > 0 {
		if doubtful = c.doubtful(ready); len(doubtful) > 0 {
			doubt = doubtMore * explore
		}
	}
	of, x := near, t.router.chance(explore+doubt)
	switch c.explored = x < explore+doubt; {
	case x < explore:
		of = ready
	case c.explored:
		of = doubtful
	}
	at := of[t.router.draw(len(of))]
	if c.explored && t.unfit(t.ranked[c.order[at]]) != "" {
		at, c.explored = near[t.router.draw(len(near))], false
	}
	c.chosen = c.order[at]
	c.propensity = chance(at, near, 1-explore-doubt) + chance(at, ready, explore) + chance(at, doubtful, doubt)
	c.first(at, top)
}

// doubtMore is how much more often one is explored of which there is doubt, than all
// together are.
const doubtMore = 2

// nearest lists the places in the order of those that are nearly the best. Whether the
// best one fits the request is looked at only where another one is near, for that takes
// time.
func (t *try) nearest(near []int) []int {
	c := t.choice
	best := 0.0
	for at, index := range c.order {
		if c.candidates[index].Shut {
			continue
		}
		switch loss := 1 - c.scores[index].Total; {
		case len(near) == 0:
			near, best = append(near, at), loss
		case !(loss <= (1+band)*best) || t.unfit(t.ranked[index]) != "":
		case len(near) == 1 && t.unfit(t.ranked[c.order[near[0]]]) != "":
			near, best = append(near[:0], at), loss
		default:
			near = append(near, at)
		}
	}
	return near
}

// ready lists the places of those that may be called at once.
func (c *choice) ready(ready []int) []int {
	for at, index := range c.order {
		if is := &c.candidates[index]; !is.Shut && is.Wait == 0 {
			ready = append(ready, at)
		}
	}
	return ready
}

// doubtful lists the places of those that were in trouble when they were heard of
// last, and that nobody asks now.
func (c *choice) doubtful(ready []int) (doubtful []int) {
	for _, at := range ready {
		if c.candidates[c.order[at]].doubtful {
			doubtful = append(doubtful, at)
		}
	}
	return doubtful
}

// leisure is how far off a deadline is that is no reason not to try something.
const leisure = time.Hour

// hurried tells whether the deadline is near.
func (t *try) hurried() bool {
	deadline := t.deadline()
	return !deadline.IsZero() && deadline.Sub(t.router.now()) < leisure
}

// usualChain is how many targets a chain has at most for which nothing more is
// allocated.
const usualChain = 8

// atOnce leaves those that may be called at once, if there are any.
func (c *choice) atOnce(near []int) []int {
	now := 0
	for _, at := range near {
		if c.candidates[c.order[at]].Wait == 0 {
			near[now], now = at, now+1
		}
	}
	if now == 0 {
		return near
	}
	return near[:now]
}

// chance is that of one to be picked, where any of some is with a given one.
func chance(at int, of []int, with float64) float64 {
	if !slices.Contains(of, at) {
		return 0
	}
	return with / float64(len(of))
}

// first moves what stands at one place of the order before another one.
func (c *choice) first(from, to int) {
	index := c.order[from]
	copy(c.order[to+1:from+1], c.order[to:from])
	c.order[to] = index
}

// decision is what is written down with the first attempt.
func (c *choice) decision() *jobs.Decision {
	d := &jobs.Decision{Goal: c.goal, Estimator: c.estimator, Explored: c.explored, Candidates: make([]jobs.Considered, len(c.order))}
	for i, index := range c.order {
		is := &c.candidates[index]
		d.Candidates[i] = jobs.Considered{
			Target: is.Target.Name, Success: is.Success, Latency: is.Latency.Round(time.Millisecond), Wait: is.Wait, Cost: is.Cost,
			Unpriced: is.Unpriced, Unknown: !is.Known, Shut: is.Shut, Score: c.scores[index],
		}
	}
	return d
}
