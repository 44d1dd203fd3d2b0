package main

import (
	"fmt"
	"strings"
	"time"

	"tidegate/integration/bench"
)

// mostAside is how long the first answer may take beside the wait for a probe.
const mostAside = 3 * time.Second

// figures are what a hold costs.
type figures struct {
	Rewritten   int      `json:"rows_rewritten"`
	WAL         *float64 `json:"wal_mb"`
	Calls       int      `json:"calls"`
	FirstAnswer *float64 `json:"resume_to_first_answer_s"`

	down     time.Time // when the outage began
	began    time.Time // the hold that is measured
	ended    time.Time
	recovery time.Time
	inHand   int // jobs, at the end of the hold
	paused   int // queues, likewise
	others   int // calls that were no probes
}

func (p plan) bars(f figures) *bench.Bars {
	bars := &bench.Bars{}
	bars.AtMost("rows_rewritten", bench.Number(f.Rewritten), 0)
	bars.AtMost("calls", bench.Number(f.Calls), float64(f.mostProbes()))
	bars.AtMost("calls that were no probes", bench.Number(f.others), 0)
	bars.AtMost("resume_to_first_answer_s", f.FirstAnswer, (f.probeWait() + mostAside).Seconds())
	return bars
}

// mostProbes is what one fleet may make of them between the two readings.
func (f figures) mostProbes() int {
	return bench.MostProbes(f.ended.Sub(f.down)) - bench.MostProbes(f.began.Sub(f.down)) + 1
}

// probeWait is how long the next probe may have been away at the recovery.
func (f figures) probeWait() time.Duration { return bench.ProbeWait(f.recovery.Sub(f.down)) }

func (p plan) table(machine string, f figures) string {
	var text strings.Builder
	paused := "not paused"
	if f.paused > 0 {
		paused = "paused"
	}
	fmt.Fprintf(&text, "%d requests wait for %s, %d worker processes; the queue was %s, %d jobs were in hand\n%s\n\n",
		p.jobs, f.ended.Sub(f.began).Round(time.Second), p.processes, paused, f.inHand, machine)
	for _, line := range []struct{ figure, what string }{
		{fmt.Sprint(f.Rewritten), "rows of river_job rewritten"},
		{bench.Cell(f.WAL), "MB of WAL"},
		{fmt.Sprint(f.Calls), fmt.Sprintf("calls, of which %d were no probes; one fleet may make %d probes", f.others, f.mostProbes())},
		{bench.Cell(f.FirstAnswer), fmt.Sprintf("seconds from recovery to first answer; the next probe may be %.1f s away", f.probeWait().Seconds())},
	} {
		fmt.Fprintf(&text, "%10s  %s\n", line.figure, line.what)
	}
	return text.String()
}
