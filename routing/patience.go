package routing

import (
	"math"
	"time"

	"tidegate/jobs"
)

// The law of patience: whether a request waits for a target that may not be called,
// while another one may be, for more.
//
//	accepted                                    latest start        deadline
//	   │              spare                          │      need        │
//	   ├──────────────┬─────────────────────────────>│<────────────────>│
//	   │              now                            │  time for the next target: an answer that is late
//	   │                                             │  for its kind, the backlog that shares the deadline,
//	   │                                             │  and a margin for outages of its own
//	   │ waiting is free                             │
//	   │ but for the chance that it lasts until here ┘ and that the next one is down just then
//
// It waits as long as what the next target costs more is more than what not to wait
// is worth:
//
//	worth = value of the answer × chance that both are down at once × late ÷ (1 − late)
//
// where late is the chance that the target is not back before the latest start. So
// an outage that goes on, and a deadline that comes near, make not waiting worth
// more; at the latest start it is worth any price within max_cost.
const (
	// bothDown is how often another provider of a model is bad when one is: 4.4% in
	// the readings of two weeks.
	bothDown = 0.044
	// valueOf is how many answers of the next target one in time is worth, where no
	// max_cost says.
	valueOf = 10
	// asIfWithin is by when a request without a deadline is taken to be wanted, from
	// its acceptance, where waiting has a price.
	asIfWithin = 24 * time.Hour
	// endless is how long there is to spare without a deadline.
	endless = time.Duration(math.MaxInt64)

	marginShare = 0.1 // of the time that a request has: for outages of the next target …
	marginMost  = 30 * time.Minute
	lateFor     = 3 // times the expected completion: 95% of answers come within
)

// An outlook is what is known when a request could be sent on, or wait.
type outlook struct {
	extra  jobs.MicroUSD // that the next target costs more; not above zero: there is nothing to wait for
	value  jobs.MicroUSD // of an answer in time
	spare  time.Duration // until the latest start at the next target; endless: there is no deadline
	outage outage        // of the target that it would wait for
}

// An outage is one that goes on.
type outage struct {
	age     time.Duration
	known   time.Duration // for which it will surely go on, as the provider said; zero: nobody knows
	ends    bool          // with that time it is over: nothing but a cooldown is on
	typical outages
}

// worth is what not to wait is worth, which is more the longer the outage and the
// less there is to spare. It is finite, and not negative.
func (o *outlook) worth() jobs.MicroUSD {
	late := o.outage.late(o.spare)
	if 1-late < hopelessly {
		return mostWorth
	}
	worth := float64(max(o.value, 0)) * bothDown * late / (1 - late)
	return jobs.MicroUSD(min(worth, mostWorth))
}

// hopelessly is a chance that counts as none: what is below it is rounding, too.
const hopelessly = 1e-6

// mostWorth is more than any answer costs, and can be added up.
const mostWorth = 1e15

// waits tells whether the request is to wait, and what not to wait is worth.
func (o *outlook) waits() (worth jobs.MicroUSD, waits bool) {
	worth = o.worth()
	return worth, o.extra > worth && worth < mostWorth
}

// lasts is how long it waits at most, should nothing else change; endless: for as
// long as the outage.
func (o *outlook) lasts() time.Duration {
	if o.spare == endless {
		return endless
	}
	low, high := time.Duration(0), max(0, o.spare) // it waits at low, and not at high
	for high-low > time.Second && high-low > o.spare/1024 {
		middle := low + (high-low)/2
		then := *o
		then.spare -= middle
		then.outage.age += middle
		then.outage.known = max(0, then.outage.known-middle)
		if _, waits := then.waits(); waits {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// late is the chance that the outage goes on for longer than what there is to
// spare: it grows with the age of the outage, and falls with the time to spare.
func (o *outage) late(spare time.Duration) float64 {
	switch {
	case spare <= 0 || o.known >= spare:
		return 1
	case o.ends || spare == endless:
		return 0
	}
	fresh := o.typical.longer(spare)
	lasted := o.typical.longer(o.age + o.known)
	if lasted == 0 {
		return 1
	}
	// An outage of some seconds is likelier to be over in a minute than one that has
	// just begun: that is no reason to wait for it any longer.
	return min(1, max(fresh, o.typical.longer(o.age+spare)/lasted))
}

// outages says how long outages of a target last: log-normal. The zero value
// is the typical one: half of them are over in 15 minutes, nine of ten in an hour.
// Requires external locking.
type outages struct {
	seen        int
	sum, square float64 // of the logarithms of their lengths in units of the typical one
}

const (
	outageTypical = 15 * time.Minute
	outageSpread  = 1.0817 // of the logarithm: ln 4 ÷ 1.2816
	outageLeast   = 0.5    // spread, however alike those were that were seen
	outageTrust   = 8      // outages of the target itself weigh as much as what is typical
	outageShort   = time.Minute
)

// add learns of one that is over. What is over within a minute is no outage to wait
// for, and says nothing of those that are.
func (o *outages) add(length time.Duration) {
	if length < outageShort {
		return
	}
	x := math.Log(float64(length) / float64(outageTypical))
	o.seen++
	o.sum += x
	o.square += x * x
}

// longer is the share of outages that last longer than that.
func (o *outages) longer(than time.Duration) float64 {
	if than <= 0 {
		return 1
	}
	n := float64(o.seen + outageTrust)
	mean := o.sum / n
	spread := max(math.Sqrt((outageTrust*outageSpread*outageSpread+o.square)/n-mean*mean), outageLeast)
	z := (math.Log(float64(than)/float64(outageTypical)) - mean) / spread
	return math.Erfc(z/math.Sqrt2) / 2
}

// need is what it takes to meet a deadline: an answer that comes late for its kind,
// the backlog in front of the deadline as all work it off that may answer it, and a
// margin.
func need(completion time.Duration, backlog int, by drain, window time.Duration) time.Duration {
	margin := min(time.Duration(marginShare*float64(max(0, window))), marginMost)
	return lateFor*completion + margin + by.lasts(backlog)
}
