package routing

import (
	"math"
	"time"
)

// Decayed is the estimator that forgets with time: what a target did half a minute
// ago counts half as much as what it does now, and where nothing was heard of late,
// what it does in general is what is expected of it. So one that was slow is asked
// again by itself once it may be well.
const Decayed = "decayed"

var _ = enlist(Decayed, func(Choosing) estimator {
	return estimator{hear: hearDecayed, fade: fadeDecayed, age: ageDecayed, guess: guessDecayed}
})

const (
	fastHalf    = 30 * time.Second // of what is known of the last minute
	slowHalf    = 30 * time.Minute // of what is known in general
	failHalf    = 20 * time.Second // of failures
	forgotten   = 1e-30            // of a sample of the last minute is nothing: that is an hour later
	neverForget = 20               // samples of what is known in general stay, however old

	startTokens = 60  // tokens that a call takes as long as, beside those of its answer
	tail        = 4   // times the mean: what is longer counts as this, for one answer in a hundred takes seven times as long
	tailFrom    = 5   // samples that there must be for it
	trouble     = 2   // times what is usual: a target that is so slow has a slow time, and no bad luck
	wellAgain   = 1.5 // times what is usual: an answer so quick of one in trouble says that it may be over, …
	believed    = .25 // … and such a part of what was seen in the trouble still counts
	pull        = 3   // samples that what is known in general counts as, beside those of the last minute
	firstFailed = .05 // failures …
	firstTried  = 5   // … of so many calls are thought of a target of which nothing is known
	mostFailure = .98 // chance: beyond, everything takes for ever

	failureSeconds = 3  // a failure costs, …
	failurePart    = .5 // … and such a part of a call
)

// What the sums of the decayed estimator are.
const (
	fastSeconds = iota // per token
	fastCalls
	slowSeconds
	slowCalls
	fastFailed
	fastTried
	slowFailed
	slowTried
)

func hearDecayed(own *sums, all sums, s sample, ago time.Duration) {
	recent, lately, general := halved(ago, failHalf), halved(ago, fastHalf), halved(ago, slowHalf)
	own[fastTried] += recent
	own[slowTried] += general
	if s.failed {
		own[fastFailed] += recent
		own[slowFailed] += general
		return
	}
	each := max(s.seconds, 0) / (max(s.output, 0) + startTokens)
	if all[slowCalls] > tailFrom {
		general := all[slowSeconds] / all[slowCalls]
		each = min(each, tail*general)
		if each < wellAgain*general && all[fastSeconds] > trouble*general*all[fastCalls] {
			own[fastSeconds] *= believed
			own[fastCalls] *= believed
		}
	}
	own[fastSeconds] += lately * each
	own[fastCalls] += lately
	own[slowSeconds] += general * each
	own[slowCalls] += general
}

// halved is what is left of 1 after some time.
func halved(after, half time.Duration) float64 { return math.Exp2(-float64(after) / float64(half)) }

func fadeDecayed(by time.Duration) fading {
	return fading{by: by, fast: halved(by, fastHalf), fail: halved(by, failHalf), slow: halved(by, slowHalf)}
}

func ageDecayed(s *sums, by fading) {
	s[fastSeconds] *= by.fast
	s[fastCalls] *= by.fast
	if s[fastCalls] < forgotten { // so small, they would not be told apart any more
		s[fastSeconds], s[fastCalls] = 0, 0
	}
	s[fastFailed] *= by.fail
	s[fastTried] *= by.fail
	ageGeneral(&s[slowSeconds], &s[slowCalls], by.slow)
	ageGeneral(&s[slowFailed], &s[slowTried], by.slow)
}

// ageGeneral never forgets the last samples.
func ageGeneral(sum, of *float64, by float64) {
	if *of > neverForget {
		by = max(by, neverForget / *of)
		*sum *= by
		*of *= by
	}
}

func guessDecayed(all sums) guess {
	failed := all[slowFailed]
	if fresh := all[fastTried]; fresh < 1 && failed > 0 { // half as many for each half hour without a call: it may be well again
		failed *= math.Pow(fresh, float64(failHalf)/float64(slowHalf))
	}
	usual := (failed + firstFailed) / (all[slowTried] + firstTried)
	g := guess{
		failure: min((all[fastFailed]+pull*usual)/(all[fastTried]+pull), mostFailure),
		tried:   all[slowTried] > 0,
		again:   failureSeconds, part: failurePart, crowds: true,
	}
	if all[slowCalls] > 0 {
		general := all[slowSeconds] / all[slowCalls]
		g.known, g.each = true, (all[fastSeconds]+pull*general)/(all[fastCalls]+pull)
		g.fixed = startTokens * g.each
		if last := all[fastSeconds] / all[fastCalls]; last > trouble*general && last > g.each { // not, if that is not a number
			g.slower = last / g.each
		}
	}
	return g
}
