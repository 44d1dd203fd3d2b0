package integration

import (
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

// A shownDrill is what JSON says of a drill that is on.
type shownDrill struct {
	Target string    `json:"target"`
	Mode   string    `json:"mode"`
	Rate   float64   `json:"rate"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	LeftMS int       `json:"left_ms"`
	End    string    `json:"end"`
}

// A drill that is on is found where an operator looks, with the command that ends
// it; one that is over is not.
func TestDrillsAreShown(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	s.share(jobs.Circuit{Target: "mini", State: jobs.CircuitClosed, Generation: 1}, jobs.Circuit{Target: "haiku", State: jobs.CircuitClosed, Generation: 1})
	looks := [][]string{{"status"}, {"circuits"}, {"circuits", "mini"}}
	s.noDrills(append(looks, []string{"circuits", "haiku"})...)
	check(t, s.store.StartDrill(t.Context(), jobs.Drill{Target: "mini", Mode: jobs.DrillHang, Rate: 0.25, Until: time.Now().Add(time.Hour)}))
	check(t, s.store.StartDrill(t.Context(), jobs.Drill{Target: "over", Mode: jobs.Drill503, Rate: 1, Until: time.Now().Add(-time.Second)}))
	for _, look := range looks {
		shown := lastLine[shownFleet](t, s.must(append(look, "--json")...).out).Drills
		if len(shown) != 1 {
			t.Fatalf("%v shows %+v", look, shown)
		}
		d := shown[0]
		if d.Target != "mini" || d.Mode != "hang" || d.Rate != 0.25 || d.End != "tidegate drill --end mini" || time.Since(d.Since).Abs() > time.Minute ||
			d.Until.Sub(d.Since).Round(time.Second) != time.Hour || d.LeftMS > 3_600_000 || d.LeftMS < 3_500_000 {
			t.Errorf("%v shows %+v", look, d)
		}
		text := s.must(look...).out
		for _, says := range []string{"DRILL", "LEFT", "hang", "25%", "tidegate drill --end mini"} {
			if !strings.Contains(text, says) {
				t.Errorf("%v does not say %q:\n%s", look, says, text)
			}
		}
	}
	s.noDrills([]string{"circuits", "haiku"})
	s.must("drill", "--end", "mini")
	s.noDrills(looks...)
}

// noDrills checks that no drill is shown, in JSON as an empty list.
func (s *stage) noDrills(looks ...[]string) {
	s.Helper()
	for _, look := range looks {
		shown := s.must(append(look, "--json")...).out
		if text := s.must(look...).out; strings.Contains(text, "DRILL") || !strings.Contains(shown, `"drills":[]`) {
			s.Errorf("%v shows\n%s%s", look, text, shown)
		}
	}
}

// A target of which no worker has spoken yet may have a drill.
func TestDrillOfATargetThatNobodyCalled(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	check(t, s.store.StartDrill(t.Context(), jobs.Drill{Target: "mini", Mode: jobs.Drill503, Rate: 1, Until: time.Now().Add(time.Hour)}))
	if text := s.must("circuits", "mini").out; !strings.Contains(text, "No worker has spoken") || !strings.Contains(text, "--end mini") {
		t.Errorf("it says\n%s", text)
	}
}
