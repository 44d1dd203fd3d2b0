package app

import (
	"fmt"
	"io"
	"strings"
	"time"

	"tidegate/jobs"
)

const (
	// sweepLate is how old the last word of a sweep may be: there is one every ten minutes.
	sweepLate = time.Hour
	// removalLate is how far removal may be behind.
	removalLate = 6 * time.Hour
)

// A keptView is how far the removal of what was kept long enough is, as JSON shows it.
type keptView struct {
	What     string    `json:"what"` // requests or attempts
	KeepS    int64     `json:"keep_s"`
	Forever  bool      `json:"for_ever"`
	Reached  time.Time `json:"removed_until,omitzero"` // what ended before is gone
	At       time.Time `json:"under_way_at,omitzero"`  // where a sweep is
	BehindS  int64     `json:"behind_s"`
	SweptAt  time.Time `json:"swept_at"`
	Removed  int       `json:"removed"` // in all: requests, or days
	Held     string    `json:"held,omitempty"`
	behind   time.Duration
	lateWord bool
}

func viewKept(all []jobs.Kept, now time.Time) []keptView {
	views := make([]keptView, len(all))
	for i, k := range all {
		late := k.Behind(now)
		views[i] = keptView{
			What: k.What, KeepS: int64(k.Keep.Seconds()), Forever: k.Keep == 0, Reached: k.Reached, At: k.At, BehindS: int64(late.Seconds()), SweptAt: k.SweptAt,
			Removed: k.Removed, Held: k.Held, behind: late, lateWord: now.Sub(k.SweptAt) > sweepLate,
		}
	}
	return views
}

// late tells whether somebody has to know.
func (k *keptView) late() bool {
	return !k.Forever && (k.behind > removalLate || k.lateWord || k.Held != "")
}

// said is how one is kept, and how far removal is.
func (k *keptView) said(now time.Time) string {
	if k.Forever {
		return k.What + " for ever"
	}
	said := fmt.Sprintf("%s for %s", k.What, daysText(time.Duration(k.KeepS)*time.Second))
	var more []string
	if k.Removed > 0 {
		noun := "request"
		if k.What == jobs.KeptAttempts {
			noun = "day"
		}
		more = append(more, counted(k.Removed, noun)+" removed so far")
	}
	switch {
	case k.behind > removalLate:
		more = append(more, "removal is behind by "+age(now, now.Add(-k.behind)))
	case !k.At.IsZero():
		more = append(more, "removal is under way")
	}
	if k.lateWord {
		more = append(more, "nobody has swept for "+age(now, k.SweptAt))
	}
	if k.Held != "" {
		more = append(more, k.Held)
	}
	if len(more) > 0 {
		said += " (" + strings.Join(more, ", ") + ")"
	}
	return said
}

// daysText says a time in days, where it is some.
func daysText(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}

// writeKept says how long things are kept, if a supervisor has said so.
func writeKept(w io.Writer, now time.Time, all []keptView) {
	if len(all) == 0 {
		return
	}
	said := make([]string, len(all))
	for i := range all {
		said[i] = all[i].said(now)
	}
	fmt.Fprintf(w, "Kept: %s.\n", strings.Join(said, "; "))
}

// checkKept says whether what was kept long enough is removed.
func (e *examination) checkKept(all []jobs.Kept, now time.Time) {
	const about = "retention"
	views := viewKept(all, now)
	for i := range views {
		if v := &views[i]; v.late() {
			e.warn(about, "the log of the worker that supervises says more; OPERATING.md has what may be in the way", "%s", v.said(now))
		} else {
			e.ok(about, "%s", v.said(now))
		}
	}
}
