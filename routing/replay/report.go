package replay

import "time"

// A Metric is something that is told of a policy.
type Metric string

// The metrics. Times are in seconds, from when a request came to its answer or its
// refusal: those that expired have none.
const (
	Success      Metric = "success"               // share of the requests that were answered
	Failure      Metric = "failure"               // share of those that were not
	Mean         Metric = "completion_mean_s"     //
	P50          Metric = "completion_p50_s"      //
	P95          Metric = "completion_p95_s"      //
	P99          Metric = "completion_p99_s"      //
	Cost         Metric = "cost_usd_per_1k"       // of a thousand requests, failed calls and all
	Calls        Metric = "calls_per_request"     //
	Reroutes     Metric = "reroutes_per_1k"       // calls that went to another target than the last one of the request
	Waited       Metric = "waited_mean_s"         // in which a request was not called
	WaitedLong   Metric = "waited_over_1s"        // share of the requests
	DeadlinesMet Metric = "deadlines_met"         // share of the requests with one
	Tripped      Metric = "circuits_tripped_week" // times that circuits opened, as if it were a week
)

// Metrics lists all metrics, in the order of a report.
func Metrics() []Metric {
	return []Metric{Success, Failure, Mean, P50, P95, P99, Cost, Calls, Reroutes, Waited, WaitedLong, DeadlinesMet, Tripped}
}

// A Range is an estimate, and between what it may well be.
type Range struct {
	At   float64 `json:"at"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Holds tells whether a number is within the range.
func (r Range) Holds(x float64) bool { return x >= r.Low && x <= r.High }

// A Drain is how long it took until nobody waited any more on a route after nobody
// could be called for a while.
type Drain struct {
	Route   string        `json:"route"`
	Held    time.Duration `json:"held_ns"`  // nobody could be called
	Waiting int           `json:"waiting"`  // requests, when the first one was answered
	Took    time.Duration `json:"drain_ns"` // from that answer on
	// HeldLow to TookHigh are between what these may well be: chance decides when a probe
	// finds out that a target is back.
	HeldLow  time.Duration `json:"held_low_ns"`
	HeldHigh time.Duration `json:"held_high_ns"`
	TookLow  time.Duration `json:"drain_low_ns"`
	TookHigh time.Duration `json:"drain_high_ns"`
	// Alone tells that this time of a sampled log was run only once, so that nothing is
	// known of between what it is.
	Alone bool `json:"alone,omitempty"`
}

// Confidence is how far an estimate can be relied upon.
type Confidence string

// The confidences.
const (
	Confident Confidence = "confident"
	Doubtful  Confidence = "doubtful"   // there are warnings
	NoVerdict Confidence = "no verdict" // it says nothing
)

// A Result is what is said of one policy.
type Result struct {
	Policy     string           `json:"policy"`
	Confidence Confidence       `json:"confidence"`
	Reasons    []string         `json:"reasons,omitempty"` // why it is not confident, as a person reads it
	Metrics    map[Metric]Range `json:"metrics"`           // DeadlinesMet only where there are deadlines
	Shares     map[string]Range `json:"shares"`            // of the calls, by target
	// Change is how far the metrics are from those of the policy that made the log, on the
	// same luck; nil: it is not known, or this is it.
	Change   map[Metric]Range   `json:"change,omitempty"`
	Tripped  map[string]float64 `json:"circuits_tripped,omitempty"` // times, by target
	Drains   []Drain            `json:"drains,omitempty"`
	Coverage Coverage           `json:"coverage"`
	Shape    Shape              `json:"shape"`
	Openings []Opening          `json:"openings,omitempty"` // of circuits, in the times that were run
}

// Coverage is how near the records are from which calls were drawn.
type Coverage struct {
	Far     float64            `json:"far"`               // share of the draws that are more than five minutes away
	Missing map[string]float64 `json:"missing,omitempty"` // share of the calls to targets of which the log has none, by target
	Peaks   map[string]float64 `json:"peaks,omitempty"`   // calls a second in the busiest minute, as a part of that of the log, where it is over 1.5
	Moved   float64            `json:"moved"`             // share of the calls that go elsewhere than those of the log went
}

// A SelfReplay is how well the policy that made the log, replayed against it, comes to
// what the log has.
type SelfReplay struct {
	Policy   string  `json:"policy"`
	Latency  float64 `json:"latency_ratio"`        // replayed mean completion, as a part of what it was
	Failures float64 `json:"failures_ratio"`       // of the share that was not answered, likewise
	Cost     float64 `json:"cost_ratio,omitempty"` // zero: the log has no costs
}

// A Report is what a replay says.
type Report struct {
	Requests int                `json:"requests"`
	Attempts int                `json:"attempts"`
	From     time.Time          `json:"from"`
	To       time.Time          `json:"to"`
	Logged   map[Metric]float64 `json:"logged"`        // what there was
	Shares   map[string]float64 `json:"logged_shares"` // of the calls, by target
	Self     *SelfReplay        `json:"self_replay,omitempty"`
	Shape    Shape              `json:"logged_shape"`
	Results  []Result           `json:"results"`
	Warnings []string           `json:"warnings,omitempty"`
	Outages  []string           `json:"outages,omitempty"`
	Limits   []string           `json:"limits,omitempty"`
	Explored float64            `json:"explored"` // share of the calls that were made to learn
	Sampled  float64            `json:"sampled"`  // share of the requests that were run
	Seed     uint64             `json:"seed"`
}
