package jobs

import (
	"fmt"
	"math"
	"time"
)

// A Forecast says when something will be done that waits. The zero value says that
// nothing waits.
type Forecast struct {
	// At is when it is thought to be done, and Early and Late are between what times it
	// is in eight of ten cases; zero: nobody can say.
	At, Early, Late time.Time
	// Work is how long it takes from when it can be worked on; zero: nobody can say.
	Work time.Duration
	// Ahead is how many jobs are to be done until it is done, its own among them.
	Ahead int
	// Reason is why nobody can say when it is done, or what makes it slow, as a person
	// reads it; empty: nothing does.
	Reason string
}

// A Foreseen batch is when it will be done, and until when it must be.
type Foreseen struct {
	Said     Forecast
	Deadline time.Time // zero: it has none
}

// Known tells whether somebody can say when it is done.
func (f *Forecast) Known() bool { return !f.At.IsZero() }

// Margin is by how much it may be off, to either side at most.
func (f *Forecast) Margin() time.Duration { return max(f.Late.Sub(f.At), f.At.Sub(f.Early)) }

// Misses tells whether a deadline is thought to be missed, and whether it may be. A zero
// deadline is none.
func (f *Forecast) Misses(deadline time.Time) (will, may bool) {
	if deadline.IsZero() || !f.Known() {
		return false, false
	}
	return f.At.After(deadline), f.Late.After(deadline)
}

// Text says it in one line, with times of the day as they are where now is.
func (f *Forecast) Text(now time.Time) string {
	switch {
	case f.Known():
		text := "done by " + Clock(f.At, now) + " ± " + Span(f.Margin())
		if f.Reason != "" {
			text += " (" + f.Reason + ")"
		}
		return text
	case f.Ahead == 0 && f.Reason == "":
		return "nothing waits"
	case f.Reason == "":
		return "not known yet"
	case f.Work > 0:
		return f.Reason + "; " + Span(f.Work) + " of work after that"
	default:
		return f.Reason
	}
}

// Clock is a time of the day where now is, with its day where that is another one. Of
// UTC it says so.
func Clock(at, now time.Time) string {
	at = at.In(now.Location())
	zone := ""
	if now.Location() == time.UTC {
		zone = " UTC"
	}
	layout := "15:04"
	switch days := math.Abs(at.Sub(now).Hours() / 24); {
	case at.YearDay() == now.YearDay() && at.Year() == now.Year() && at.Sub(now) < 15*time.Minute:
		layout = "15:04:05"
	case at.YearDay() == now.YearDay() && at.Year() == now.Year():
	case days < 6:
		layout = "Mon 15:04"
	default:
		layout = "2 Jan 2006 15:04"
	}
	return at.Format(layout) + zone
}

// Span is a while in one unit, as precise as makes sense.
func Span(d time.Duration) string {
	switch {
	case d < 100*time.Second:
		return fmt.Sprintf("%d s", max(1, int(math.Ceil(d.Seconds()))))
	case d < 100*time.Minute:
		return fmt.Sprintf("%d min", int(math.Round(d.Minutes())))
	case d < 72*time.Hour:
		return fmt.Sprintf("%.3g h", d.Hours())
	default:
		return fmt.Sprintf("%d days", int(math.Round(d.Hours()/24)))
	}
}

// Short is Text for a table.
func (f *Forecast) Short(now time.Time) string {
	switch {
	case f.Known():
		return Clock(f.At, now) + " ± " + Span(f.Margin())
	case f.Ahead == 0 && f.Reason == "":
		return "-"
	case f.Work > 0:
		return "? (" + Span(f.Work) + " of work)"
	default:
		return "?"
	}
}

// Warning says that a deadline is missed, or may be; empty: it is not, or nobody knows.
func (f *Forecast) Warning(deadline, now time.Time) string {
	will, may := f.Misses(deadline)
	switch {
	case will:
		return "the deadline " + Clock(deadline, now) + " will be missed as things stand: " + f.Text(now)
	case may:
		return "the deadline " + Clock(deadline, now) + " may be missed: " + f.Text(now)
	default:
		return ""
	}
}

// Worse is the one of two that is known later, or not at all.
func (f Forecast) Worse(other Forecast) Forecast {
	later, sooner := other, f
	if f.Known() && other.Known() && f.At.After(other.At) || !f.Known() && (other.Known() || f.Work > other.Work) {
		later, sooner = f, other
	}
	later.Ahead += sooner.Ahead
	if later.Known() && sooner.Known() && sooner.Late.After(later.Late) {
		later.Late = sooner.Late
	}
	return later
}
