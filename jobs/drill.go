package jobs

import "time"

// A DrillMode is how a target fails in a drill.
type DrillMode string

// The modes of a drill. No call leaves the worker in any of them.
const (
	Drill503     DrillMode = "503"     // the provider says that it is overloaded
	Drill500     DrillMode = "500"     // another failure of the provider's
	Drill429     DrillMode = "429"     // the provider refuses for its rate limit
	DrillHang    DrillMode = "hang"    // no answer until the call's own timeout
	DrillRefused DrillMode = "refused" // no connection
	DrillQuota   DrillMode = "quota"   // the account is out of money
)

// DrillModes lists every mode.
func DrillModes() []DrillMode {
	return []DrillMode{Drill503, Drill500, Drill429, DrillHang, DrillRefused, DrillQuota}
}

// A Drill is an outage on demand: until it ends, each call to the target fails
// in its mode, in every worker. Its times are of this machine's clock.
type Drill struct {
	Target string
	Mode   DrillMode
	Rate   float64 // the share of calls that fail, in (0, 1]
	Since  time.Time
	Until  time.Time
}
