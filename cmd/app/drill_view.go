package app

import (
	"fmt"
	"io"
	"time"

	"tidegate/jobs"
)

// A drillView is a drill that is on, as JSON shows it.
type drillView struct {
	Target string         `json:"target"`
	Mode   jobs.DrillMode `json:"mode"`
	Rate   float64        `json:"rate"` // the share of its calls that fail
	Since  time.Time      `json:"since"`
	Until  time.Time      `json:"until"`
	LeftMS int64          `json:"left_ms"`
	End    string         `json:"end"` // the command that ends it
}

func viewDrills(drills []jobs.Drill, now time.Time) []drillView {
	views := make([]drillView, len(drills)) // in JSON a list, also when it is empty
	for i, d := range drills {
		views[i] = drillView{
			Target: d.Target, Mode: d.Mode, Rate: d.Rate, Since: d.Since, Until: d.Until,
			LeftMS: max(0, d.Until.Sub(now)).Milliseconds(), End: "tidegate drill --end " + d.Target,
		}
	}
	return views
}

// writeDrills writes a table of the drills that are on, if there are any.
func writeDrills(w io.Writer, now time.Time, drills []drillView) {
	if len(drills) == 0 {
		return
	}
	fmt.Fprintln(w, "\nDRILL\tMODE\tFAILS\tSINCE\tLEFT\tEND IT WITH")
	for _, d := range drills {
		left := time.Duration(d.LeftMS) * time.Millisecond
		fmt.Fprintf(w, "%s\t%s\t%g%%\t%s\t%s\t%s\n", d.Target, d.Mode, 100*d.Rate, age(now, d.Since), left.Round(time.Second), d.End)
	}
}
