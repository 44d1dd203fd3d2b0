package routing

import "time"

// A paceClock is the time in which a pace lives. It never goes back, whatever is
// done to the machine's clock, and it stands still while the pace is paused: so a
// pause fills no bucket, and no second of it is taken for one without demand.
// Requires external locking.
type paceClock struct {
	at    time.Duration // since the pace was made, without its pauses
	seen  time.Time     // of the machine's clock, when it was last read
	until time.Time     // the end of the pause; zero, or past: there is none
}

// read brings the time up to now.
func (c *paceClock) read(now time.Time) time.Duration {
	from := c.seen
	c.seen = now
	if now.Before(from) { // it was set back, and the pause with it
		c.until = c.until.Add(now.Sub(from))
		return c.at
	}
	if from.Before(c.until) {
		from = c.until
	}
	c.at += max(0, now.Sub(from))
	return c.at
}

// paused tells whether the pause is on.
func (c *paceClock) paused() bool { return c.seen.Before(c.until) }

// pause begins a pause, or makes the one that is on longer.
func (c *paceClock) pause(d time.Duration) {
	if until := c.seen.Add(d); until.After(c.until) {
		c.until = until
	}
}
