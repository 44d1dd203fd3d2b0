package bench

import (
	"testing"
	"time"

	"tidegate/jobs"
)

const (
	closed   = jobs.CircuitClosed
	open     = jobs.CircuitOpen
	halfOpen = jobs.CircuitHalfOpen
)

// path is the changes of a circuit that goes through states, a second each.
func path(states ...jobs.CircuitState) (changes []Change) {
	for i := 1; i < len(states); i++ {
		at := time.Unix(int64(i), 0)
		changes = append(changes, Change{At: at, Was: states[i-1], State: states[i], Since: at})
	}
	return changes
}

func TestReopened(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		states []jobs.CircuitState
		want   int
	}{
		{"nothing", nil, 0},
		{"it closes once", []jobs.CircuitState{"", open, halfOpen, open, halfOpen, closed}, 0},
		{"it opens, and never closed before", []jobs.CircuitState{closed, open, halfOpen, open}, 0},
		{"it closes and opens", []jobs.CircuitState{open, halfOpen, closed, open, halfOpen, open, halfOpen, closed}, 1},
		{"twice", []jobs.CircuitState{open, closed, open, closed, open}, 2},
	} {
		if got := Reopened(path(c.states...)); got != c.want {
			t.Errorf("%s: reopened %d times, want %d", c.name, got, c.want)
		}
	}
}

func TestTrip(t *testing.T) {
	t.Parallel()
	if got := Trip(path("", closed, closed, open, halfOpen, open)); got.Unix() != 3 {
		t.Errorf("it tripped at %v", got)
	}
	if got := Trip(path("", closed)); !got.IsZero() {
		t.Errorf("it never tripped, but at %v", got)
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		outage time.Duration
		want   time.Duration
	}{{time.Second, 1100 * time.Millisecond}, {time.Minute, 3300 * time.Millisecond}, {time.Hour, 66 * time.Second}} {
		if got := ProbeWait(c.outage); got != c.want {
			t.Errorf("after %s the next probe is at most %s away, want %s", c.outage, got, c.want)
		}
	}
	// DESIGN says about 43 and about 260; waits that are all a tenth short make more.
	for _, c := range []struct {
		outage      time.Duration
		least, most int
	}{{500 * time.Millisecond, 0, 0}, {time.Minute, 43, 50}, {3 * time.Hour, 260, 300}} {
		if got := MostProbes(c.outage); got < c.least || got > c.most {
			t.Errorf("an outage of %s takes at most %d probes, want %d to %d", c.outage, got, c.least, c.most)
		}
	}
}
