package simulator

import (
	"math"
	"time"
)

const (
	burst = time.Second // of a capacity, that may be used at once
	// meltOver is by how much the load must pass the capacity to melt it.
	meltOver = 2
	// offeredOver is over what time the load is smoothed.
	offeredOver = 2 * time.Second
)

// A carrier keeps a Capacity. Requires external locking.
type carrier struct {
	Capacity
	level     float64 // requests that may be carried at once
	at        time.Time
	offered   float64 // requests a second that were asked of it, smoothed
	offeredAt time.Time
}

func newCarrier(capacity Capacity, now time.Time) carrier {
	return carrier{Capacity: capacity, level: most(capacity.At(0)), at: now, offeredAt: now}
}

// admit takes one request, or says as what it is refused and when to come back.
// well is when the provider was last made well.
func (c *carrier) admit(now, well time.Time) (refused Mode, wait time.Duration) {
	if c.PerSecond == 0 {
		return OK, 0
	}
	c.refill(now, well)
	rate := c.At(now.Sub(well))
	if c.asked(now); c.Melts && c.offered > meltOver*rate {
		c.level = max(0, c.level-1)
		return Unavailable, 0
	}
	if c.level < 1 {
		return RateLimit, soonest((1 - c.level) / rate)
	}
	c.level--
	return OK, 0
}

// excess is how a refusal of admit is told: under the name of the limit that it
// looks like, and with the wait that this provider owns up to.
func (c *carrier) excess(mode Mode, wait time.Duration) excess {
	if mode != RateLimit {
		return excess{}
	}
	switch c.RetryAfter {
	case RetryNone:
		wait = 0
	case RetrySeconds:
		wait = (wait + time.Second - 1).Truncate(time.Second)
	}
	return excess{limit: "requests per min (RPM)", most: c.perMinute(), wait: wait}
}

// giveBack undoes an admit: the call was refused for another limit.
func (c *carrier) giveBack() {
	if c.PerSecond != 0 {
		c.level++
	}
}

// asked counts a request into the load, an average that forgets.
func (c *carrier) asked(now time.Time) {
	passed := max(0, now.Sub(c.offeredAt)).Seconds()
	c.offered = c.offered*math.Exp(-passed/offeredOver.Seconds()) + 1/offeredOver.Seconds()
	c.offeredAt = now
}

// refill brings the level up to now, at the rate of now: it is right to within a
// call while calls come often, and full after a pause.
func (c *carrier) refill(now, well time.Time) {
	if passed := now.Sub(c.at); passed > 0 {
		rate := c.At(now.Sub(well))
		c.level = min(most(rate), c.level+passed.Seconds()*rate)
		c.at = now
	}
}

// most is how many requests may be carried at once.
func most(rate float64) float64 { return max(1, rate*burst.Seconds()) }

// tell is what the headers announce: the nominal limit per minute, whatever is
// carried just now.
func (c *carrier) tell(now, well time.Time) allowed {
	if c.PerSecond == 0 || !c.Announces {
		return allowed{}
	}
	c.refill(now, well)
	rate := c.At(now.Sub(well))
	missing := max(0, most(rate)-c.level)
	return allowed{limit: c.perMinute(), remaining: int(max(0, c.level)), reset: soonest(missing / rate)}
}

func (c Capacity) perMinute() int { return int(math.Round(c.PerSecond * 60)) }

// soonest is a wait in seconds as a duration: what is carried again never, or
// only after an hour, says an hour.
func soonest(seconds float64) time.Duration {
	if math.IsNaN(seconds) {
		return 0
	}
	return time.Duration(math.Ceil(min(seconds, time.Hour.Seconds()) * float64(time.Second)))
}
