package webhook

import (
	"math/rand/v2"
	"time"
)

// waits are those between the tries of one event, as Standard Webhooks proposes them.
var waits = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

const (
	// jitter is the part of a wait that is added to it at most, so that what failed
	// together is not repeated together.
	jitter = 0.1
	// mostAfter bounds how long a receiver may ask not to be tried.
	mostAfter = 24 * time.Hour
)

// Wait is how long to wait behind a try, from 1, of which the receiver asked that it
// be let alone for after (zero: it did not).
func Wait(try int, after time.Duration) time.Duration {
	wait := waits[min(max(try, 1), len(waits))-1]
	wait += time.Duration(jitter * rand.Float64() * float64(wait))
	return max(wait, min(after, mostAfter))
}

// Tries is how often one event is tried.
func Tries() int { return len(waits) + 1 }
