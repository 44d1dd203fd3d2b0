package routing

import "time"

const (
	droughtFrom  = 10               // 429s in a row …
	droughtAfter = 65 * time.Second // … for longer than the minute by which providers count are no matter of the pace
	droughtLeast = longWait         // the cooldown then, which doubles …
	droughtMost  = time.Minute      // … up to this
)

// A drought is a row of 429s with nothing accepted in between. A pace finds how
// much a target takes; one that takes nothing, as where an account was never given
// any of a model's quota, has no pace, and requests must not wait for it while the
// next target of their chain is well. The circuit stays closed all the same.
// Requires external locking.
type drought struct {
	refused int
	since   time.Time     // when the first of them came
	wait    time.Duration // the last cooldown
}

// refuse hears of a 429, and says how long to leave the target alone; zero: it is a
// matter of the pace.
func (d *drought) refuse(now time.Time) time.Duration {
	if d.refused == 0 {
		d.since = now
	}
	d.refused++
	if d.refused < droughtFrom || now.Sub(d.since) < droughtAfter {
		return 0
	}
	d.wait = min(max(2*d.wait, droughtLeast), droughtMost)
	return d.wait
}

// limited hears that the target refused a call with a 429 that asks for so long,
// and says how long it is to be left alone; zero: that is for the pace to say. Calls
// that were out when a cooldown began make no drought worse.
func (c *Circuit) limited(asked time.Duration) (wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); !c.cools(now) {
		wait = c.drought.refuse(now)
	}
	if asked >= longWait {
		wait = max(wait, asked)
	}
	return wait
}
