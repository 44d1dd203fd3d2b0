package app

import (
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

func TestKeptIsSaid(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const month = 30 * 24 * time.Hour
	for name, c := range map[string]struct {
		kept jobs.Kept
		says string
		late bool
	}{
		"for ever":      {jobs.Kept{What: jobs.KeptAttempts, SweptAt: now.AddDate(0, 0, -3)}, "attempts for ever", false},
		"in time":       {jobs.Kept{What: jobs.KeptRequests, Keep: month, Reached: now.Add(-month - time.Minute), SweptAt: now}, "requests for 30d", false},
		"first sweep":   {jobs.Kept{What: jobs.KeptRequests, Keep: month, At: now.Add(-2 * month), SweptAt: now, Removed: 5}, "requests for 30d (5 requests removed so far, removal is under way)", false},
		"some days":     {jobs.Kept{What: jobs.KeptAttempts, Keep: 36 * time.Hour, Reached: now.Add(-36 * time.Hour), SweptAt: now, Removed: 1}, "attempts for 36h0m0s (1 day removed so far)", false},
		"behind":        {jobs.Kept{What: jobs.KeptRequests, Keep: month, Reached: now.Add(-month - 7*time.Hour), SweptAt: now}, "requests for 30d (removal is behind by 7h0m)", true},
		"held":          {jobs.Kept{What: jobs.KeptAttempts, Keep: month, Reached: now.Add(-month), SweptAt: now, Held: "somebody reads"}, "attempts for 30d (somebody reads)", true},
		"nobody sweeps": {jobs.Kept{What: jobs.KeptRequests, Keep: month, Reached: now.Add(-month - 2*time.Hour), SweptAt: now.Add(-2 * time.Hour)}, "requests for 30d (nobody has swept for 2h0m)", true},
	} {
		view := viewKept([]jobs.Kept{c.kept}, now)[0]
		if said := view.said(now); said != c.says || view.late() != c.late {
			t.Errorf("%s: %q, late %v", name, said, view.late())
		}
	}
	var said strings.Builder
	writeKept(&said, now, nil)
	writeKept(&said, now, viewKept([]jobs.Kept{{What: jobs.KeptRequests}, {What: jobs.KeptAttempts}}, now))
	if said.String() != "Kept: requests for ever; attempts for ever.\n" {
		t.Errorf("it says %q", said.String())
	}
}
