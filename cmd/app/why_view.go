package app

import (
	"cmp"
	"os"
	"slices"
	"time"

	"tidegate/cmd/app/tracing"
	"tidegate/jobs"
	"tidegate/store"
)

// A whyView is the story of a request as JSON shows it.
type whyView struct {
	RequestID string        `json:"request_id"`
	CustomID  string        `json:"custom_id,omitempty"`
	BatchID   string        `json:"batch_id,omitempty"`
	RetryOf   string        `json:"retry_of,omitempty"` // the request that it tries again
	Tenant    string        `json:"tenant"`
	Route     string        `json:"route"`
	Chain     []string      `json:"chain"` // of its route now
	Goal      string        `json:"optimization_goal,omitempty"`
	TraceID   string        `json:"trace_id,omitempty"` // that which its producer named, or its own
	Accepted  time.Time     `json:"accepted_at"`
	Deadline  time.Time     `json:"deadline,omitzero"`
	MaxCost   jobs.MicroUSD `json:"max_cost_micro_usd,omitzero"`
	State     string        `json:"state"` // of its result; before it has one: waiting, in_hand or calling
	Ended     time.Time     `json:"ended_at,omitzero"`
	Target    string        `json:"target,omitempty"`
	Cost      jobs.MicroUSD `json:"cost_micro_usd"`
	Unpriced  bool          `json:"unpriced"`
	Calls     int           `json:"calls"`
	InShort   []string      `json:"in_short"` // sentences
	Steps     []whyStep     `json:"steps"`

	story *store.Story
	waits *jobs.Wait // that it may still be in; nil: none
}

// A whyStep is one thing that happened: a target that was passed over, a wait, or a
// call with the choice that led to it.
type whyStep struct {
	At      time.Time        `json:"at"`
	Skipped *jobs.Skip       `json:"skipped,omitempty"`
	Waited  *jobs.Wait       `json:"waited,omitempty"`
	Choice  *whyChoice       `json:"choice,omitempty"`
	Call    *jobs.Attempt    `json:"call,omitempty"`
	Open    *store.StoryCall `json:"under_way,omitempty"`
}

// A whyChoice is how the target of a call was chosen.
type whyChoice struct {
	Goal       string         `json:"optimization_goal"`
	Estimator  string         `json:"estimator,omitempty"`
	Explored   bool           `json:"explored"`
	Propensity float32        `json:"propensity"`
	Candidates []whyCandidate `json:"candidates"`
}

// A whyCandidate is a target that might have been called.
type whyCandidate struct {
	Target      string        `json:"target"`
	Score       float64       `json:"score"`
	FromSuccess float64       `json:"score_from_success"`
	FromLatency float64       `json:"score_from_latency"`
	FromCost    float64       `json:"score_from_cost"`
	SuccessRate float64       `json:"success_rate"`
	LatencyMS   int64         `json:"expected_latency_ms"` // failures and repeated tries among it
	WaitMS      int64         `json:"wait_ms"`             // until it could be called
	Cost        jobs.MicroUSD `json:"expected_cost_micro_usd"`
	Unpriced    bool          `json:"unpriced"`
	Unknown     bool          `json:"never_called"` // of late, so that nothing was known of it
	Shut        bool          `json:"shut"`         // it could not be called
}

// newWhy puts a story into the order of time, and into words.
func newWhy(s *store.Story) *whyView {
	r := &s.Request
	v := &whyView{
		RequestID: r.ID, CustomID: r.CustomID, BatchID: r.BatchID, RetryOf: r.RetryOf, Tenant: r.Tenant, Route: r.Route, Chain: s.Chain, Goal: r.Goal,
		TraceID: tracing.TraceID(r, os.Getenv), Accepted: r.CreatedAt, Deadline: r.Deadline, MaxCost: r.MaxCost, Steps: []whyStep{}, Calls: len(s.Attempts), story: s,
	}
	for i := range s.Attempts {
		v.add(&s.Attempts[i])
	}
	v.addParked()
	switch {
	case s.Result != nil:
		v.State, v.Ended, v.Target = string(s.Result.State), s.Result.StoredAt, s.Result.Target
	case s.Call != nil:
		v.State = "calling"
		v.Steps = append(v.Steps, whyStep{At: s.Call.Since, Open: s.Call})
	case s.Job != nil && s.Job.State == "running":
		v.State = "in_hand"
	default:
		v.State = "waiting"
	}
	slices.SortStableFunc(v.Steps, func(a, b whyStep) int { return a.At.Compare(b.At) })
	v.InShort = v.inShort()
	return v
}

// add takes what led to an attempt apart.
func (v *whyView) add(a *jobs.Attempt) {
	v.Cost += a.Cost
	v.Unpriced = v.Unpriced || a.Unpriced
	d := a.Decision
	step := whyStep{At: a.At, Call: a}
	if d != nil {
		for i := range d.Waits {
			v.Steps = append(v.Steps, whyStep{At: d.Waits[i].Since, Waited: &d.Waits[i]})
		}
		for i := range d.Skipped {
			v.Steps = append(v.Steps, whyStep{At: d.Skipped[i].At, Skipped: &d.Skipped[i]})
		}
		if len(d.Candidates) > 0 {
			step.Choice = newChoice(a)
		}
	}
	v.Steps = append(v.Steps, step)
}

// addParked adds what came since the last call of a request that was parked: it is
// written down with its job.
func (v *whyView) addParked() {
	job := v.story.Job
	if job == nil {
		return
	}
	told, last := map[time.Time]bool{}, time.Time{}
	for _, step := range v.Steps {
		switch {
		case step.Waited != nil:
			told[step.At.UTC()] = true
		case step.Call != nil:
			last = step.At
		}
	}
	for i := range job.Waits {
		if w := &job.Waits[i]; !told[w.Since.UTC()] {
			v.Steps = append(v.Steps, whyStep{At: w.Since, Waited: w})
			v.waits = w
		}
	}
	if v.story.Call != nil || v.story.Result != nil {
		v.waits = nil
	}
	for i := range job.Skips {
		if skip := &job.Skips[i]; skip.At.After(last) {
			v.Steps = append(v.Steps, whyStep{At: skip.At, Skipped: skip})
		}
	}
}

func newChoice(a *jobs.Attempt) *whyChoice {
	d := a.Decision
	// By their scores: the router has put the chosen one first.
	ranked := slices.Clone(d.Candidates)
	slices.SortStableFunc(ranked, func(a, b jobs.Considered) int { return cmp.Compare(b.Score.Total, a.Score.Total) })
	choice := &whyChoice{Goal: d.Goal, Estimator: d.Estimator, Explored: d.Explored, Propensity: a.Propensity}
	for _, c := range ranked {
		choice.Candidates = append(choice.Candidates, whyCandidate{
			Target: c.Target, Score: c.Score.Total, FromSuccess: c.Score.Success, FromLatency: c.Score.Latency, FromCost: c.Score.Cost,
			SuccessRate: c.Success, LatencyMS: c.Latency.Milliseconds(), WaitMS: c.Wait.Milliseconds(), Cost: c.Cost,
			Unpriced: c.Unpriced, Unknown: c.Unknown, Shut: c.Shut,
		})
	}
	return choice
}
