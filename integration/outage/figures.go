package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"tidegate/integration/bench"
)

// The bars of the first row.
const (
	mostWasted    = 60   // calls, probes included
	mostFirst     = 3.5  // seconds after the recovery
	mostDone      = 9    // seconds after the recovery
	mostOverShare = 0.01 // of the calls that met no 503
)

// figures are what a row is about. A nil one never came, or is not there in this
// system.
type figures struct {
	WastedCalls int      `json:"wasted_calls"`
	AttemptsMax int      `json:"attempts_max"`
	Lost        int      `json:"lost"`
	Duplicates  int      `json:"duplicates"`
	FirstAnswer *float64 `json:"first_answer_s"`
	AllDone     *float64 `json:"all_done_s"`
	Over        int      `json:"over_limit_429s"`
	Reopened    *float64 `json:"reopened"`

	calls    int // that met no 503
	inFlight int // when the first circuit opened
	probes   int // that were answered 503, so they are among the wasted, too
}

// object is the JSON of all rows: the first row's figures, and beside them the
// others'.
func object(taken map[string]figures) any {
	type midFlight struct {
		figures
		InFlight int `json:"in_flight_at_trip"`
		Probes   int `json:"probes"`
	}
	mid := taken[midFlightRow]
	return struct {
		figures
		MidFlight midFlight `json:"mid_flight"`
		River     figures   `json:"river"`
	}{taken[tidegateRow], midFlight{mid, mid.inFlight, mid.probes}, taken[riverRow]}
}

func (p plan) bars(taken map[string]figures) *bench.Bars {
	bars := &bench.Bars{}
	f := taken[tidegateRow]
	bars.AtMost("tidegate: wasted_calls", bench.Number(f.WastedCalls), mostWasted)
	bars.AtMost("tidegate: first_answer_s", f.FirstAnswer, mostFirst)
	bars.AtMost("tidegate: all_done_s", f.AllDone, mostDone)
	bars.AtMost("tidegate: over_limit_429s", bench.Number(f.Over), mostOverShare*float64(f.calls))
	mid := taken[midFlightRow]
	bars.AtMost("mid-flight: wasted_calls", bench.Number(mid.WastedCalls), float64(mid.inFlight+mid.probes))
	for _, name := range []string{tidegateRow, midFlightRow} {
		f := taken[name]
		bars.AtMost(name+": attempts_max", bench.Number(f.AttemptsMax), 1)
		bars.AtMost(name+": lost", bench.Number(f.Lost), 0)
		bars.AtMost(name+": duplicates", bench.Number(f.Duplicates), 0)
		bars.AtMost(name+": reopened", f.Reopened, 0)
	}
	return bars
}

func (p plan) table(machine string, taken map[string]figures) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d jobs, provider down for %s, then %d requests/s, %d workers in %d processes, answers in %s\n%s\n\n",
		p.jobs, p.outage, p.allowed, p.workers, p.processes, p.latency, machine)
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\twasted\tof them probes\tin flight at the trip\tattempts\tlost\tduplicates\tfirst answer s\tall done s\t429s\treopened\t")
	for _, row := range rows {
		f := taken[row.name]
		probes, inFlight, reopened := fmt.Sprint(f.probes), fmt.Sprint(f.inFlight), bench.Cell(f.Reopened)
		if row.schema != "tidegate" {
			probes, inFlight, reopened = "-", "-", "-"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%d\t%s\t\n", row.name, f.WastedCalls, probes, inFlight, f.AttemptsMax, f.Lost,
			f.Duplicates, bench.Cell(f.FirstAnswer), bench.Cell(f.AllDone), f.Over, reopened)
	}
	_ = w.Flush() // into memory
	return text.String()
}
