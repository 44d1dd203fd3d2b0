package app

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"tidegate/store"
)

// silentAfter is how long a worker may not have beaten before status doubts that
// it lives: it beats every two seconds, and is declared dead after ten.
const silentAfter = 6 * time.Second

// How a worker stands.
const (
	workerAlive  = "alive"
	workerSilent = "silent"
	workerDead   = "dead"
)

type workerView struct {
	Worker     string    `json:"worker"`
	State      string    `json:"state"` // alive, silent or dead
	StartedAt  time.Time `json:"started_at"`
	SilentMS   int64     `json:"silent_ms"` // since its last beat
	Supervises bool      `json:"supervises"`
	Version    string    `json:"version,omitempty"` // missing: an older one, that does not say
	Desk       bool      `json:"desk"`              // it works no queue
}

func viewWorkers(workers []store.WorkerStatus) []workerView {
	views := make([]workerView, len(workers))
	for i, w := range workers {
		views[i] = workerView{Worker: w.Worker, State: workerAlive, StartedAt: w.StartedAt, SilentMS: w.Silent.Milliseconds(), Supervises: w.Supervises, Version: w.Version, Desk: w.Desk}
		switch {
		case w.Dead:
			views[i].State = workerDead
		case w.Silent > silentAfter:
			views[i].State = workerSilent
		}
	}
	return views
}

// writeWorkers writes a table of the workers, if there are any.
func writeWorkers(w io.Writer, now time.Time, workers []workerView) {
	if len(workers) == 0 {
		return
	}
	fmt.Fprintln(w, "\nWORKER\tSTATE\tAGE\tLAST BEAT\tSUPERVISES\tVERSION")
	for _, one := range workers {
		leads := "-"
		if one.Supervises {
			leads = "yes"
		}
		silent := time.Duration(one.SilentMS) * time.Millisecond
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", one.Worker, one.State, age(now, one.StartedAt), silent.Round(100*time.Millisecond), leads, cmp.Or(one.Version, "older"))
	}
}

// pausedWhy says who pauses a route, and why.
func pausedWhy(pauses []pauseView) string {
	if len(pauses) == 0 {
		return "its queue was paused in River"
	}
	said := make([]string, len(pauses))
	for i, p := range pauses {
		said[i] = "by " + ownerName(p.Owner)
		if p.Reason != "" && p.Reason != "paused by a person" {
			said[i] += ": " + p.Reason
		}
	}
	return strings.Join(said, "; ")
}

// pausedSince is when the first of a route's pauses began.
func pausedSince(river time.Time, pauses []pauseView) time.Time {
	since := river
	for _, p := range pauses {
		if since.IsZero() || p.Since.Before(since) {
			since = p.Since
		}
	}
	return since
}
