package app

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// canaryDays is how many days before this one are shown.
const canaryDays = 6

// A noRequestView is what canaries and probes cost on a day, as JSON shows it.
type noRequestView struct {
	Day              string        `json:"day"` // of UTC, as in 2031-01-31
	Canaries         int           `json:"canaries"`
	CanariesCost     jobs.MicroUSD `json:"canaries_micro_usd"`
	CanariesUnpriced bool          `json:"canaries_unpriced"` // there is more, of targets whose price nobody knows
	Probes           int           `json:"probes"`
	ProbesCost       jobs.MicroUSD `json:"probes_micro_usd"`
	ProbesUnpriced   bool          `json:"probes_unpriced"`
}

func viewNoRequests(days []store.NoRequestDay) []noRequestView {
	views := make([]noRequestView, len(days))
	for i, d := range days {
		views[i] = noRequestView{
			Day: d.Day.Format(time.DateOnly), Canaries: d.Canaries.Calls, CanariesCost: d.Canaries.Cost, CanariesUnpriced: d.Canaries.Unpriced,
			Probes: d.Probes.Calls, ProbesCost: d.Probes.Cost, ProbesUnpriced: d.Probes.Unpriced,
		}
	}
	return views
}

// writeNoRequests says what was spent for no request: nothing where nobody asks.
func writeNoRequests(w io.Writer, days []store.NoRequestDay) error {
	if len(days) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nOF NO REQUEST\tCANARIES\tTHEY COST\tPROBES\tTHEY COST")
	for _, d := range days {
		fmt.Fprintf(table, "%s\t%d\t%s\t%d\t%s\n", d.Day.Format(time.DateOnly),
			d.Canaries.Calls, jobs.CostText(d.Canaries.Cost, d.Canaries.Unpriced), d.Probes.Calls, jobs.CostText(d.Probes.Cost, d.Probes.Unpriced))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "What canaries of a route cost is in the budget of that, too; all else here is in none.")
	return err
}
