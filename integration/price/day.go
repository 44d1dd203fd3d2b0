package main

import (
	"math"
	"time"

	"tidegate/jobs"
)

// slot is the time that one reading of a target's uptime is for.
const slot = 15 * time.Minute

// slotsOfADay is how many readings a day has.
const slotsOfADay = int(24 * time.Hour / slot)

// An endpoint is a target as a day's readings have it.
type endpoint struct {
	name  string
	price jobs.Price
	up    [slotsOfADay]float64 // the share of calls that is answered
}

// at is the share of calls that is answered at a time of the day.
func (e *endpoint) at(since time.Duration) float64 {
	return e.up[min(max(int(since/slot), 0), slotsOfADay-1)]
}

// A day is the targets of one model on one day, the cheapest first.
type day struct {
	name    string
	targets []endpoint
}

// trouble is in how many readings the cheapest target answered fewer than 95% of the
// calls, and in how many fewer than half.
func (d *day) trouble() (brown, out int) {
	for _, up := range d.targets[0].up {
		if up < 0.95 {
			brown++
		}
		if up < 0.5 {
			out++
		}
	}
	return brown, out
}

// worst is when the cheapest target answers the least for so long.
func (d *day) worst(within time.Duration) time.Duration {
	n := int(within / slot)
	least, at := math.Inf(1), 0
	for from := 0; from+n <= slotsOfADay; from++ {
		sum := 0.0
		for _, up := range d.targets[0].up[from : from+n] {
			sum += up
		}
		if sum < least {
			least, at = sum, from
		}
	}
	return time.Duration(at) * slot
}

// A load is how much of a day is to be done.
type load struct {
	name     string
	requests int
	share    float64       // of the time until the deadline that the cheapest target alone would need, were it always up
	from     time.Duration // of the day: when the batch comes
	within   time.Duration // and when it is wanted, after that
}

// perMinute is the limit of each target, in requests.
func (l load) perMinute() int {
	return max(1, int(float64(l.requests)/(l.share*l.within.Minutes())+0.5))
}

// usage is what one request takes.
var usage = jobs.Usage{Input: 40, Output: 300}
