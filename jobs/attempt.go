package jobs

import "time"

// NoRequest stands for the request of an attempt that was made for none: a
// minimal call that probes a target, or a canary prompt.
const NoRequest = "00000000-0000-0000-0000-000000000000"

// An Attempt is one call to a target, with its outcome, latency, tokens and
// cost.
type Attempt struct {
	At         time.Time     `json:"at"` // when the call began
	Target     string        `json:"target"`
	Class      Class         `json:"class"`
	Status     int           `json:"status,omitempty"` // of HTTP; zero: no answer
	Code       string        `json:"code,omitempty"`
	Message    string        `json:"message,omitempty"` // one line, no key, no prompt
	Latency    time.Duration `json:"latency_ns"`
	FirstByte  time.Duration `json:"first_byte_ns,omitempty"` // zero: none came
	Usage      Usage         `json:"usage"`
	Cost       MicroUSD      `json:"cost_micro_usd"`
	Unpriced   bool          `json:"unpriced,omitempty"` // nobody knows what it cost: the target has no price
	Probe      bool          `json:"probe,omitempty"`    // the trial call of a half-open circuit
	Blamed     bool          `json:"blamed,omitempty"`   // the target answered others meanwhile: the request's own fault
	Propensity float32       `json:"propensity"`         // the chance with which the target was chosen
	WaitedFor  WaitedFor     `json:"waited_for,omitempty"`
	Decision   *Decision     `json:"decision,omitempty"` // why it was that one; nil: it was next in its chain, or is not known
	// Late tells that a rescue took it for LOST, and counted it, before its worker wrote it
	// down. It is known from then on, and not kept.
	Late bool `json:"-"`
}

// A PastAttempt is one of whatever request, on a route.
type PastAttempt struct {
	Attempt
	Route string
}

// A Skip is a target that was passed over, and why.
type Skip struct {
	At     time.Time `json:"at"`
	Target string    `json:"target"`
	Reason string    `json:"reason"`         // as a person reads it
	Until  time.Time `json:"until,omitzero"` // when it is worth asking again; zero: not by waiting
	// ExtraCost and Worth tell of a target that was not waited for: what the one that
	// was asked instead costs more, and what not to wait was worth.
	ExtraCost MicroUSD `json:"extra_cost_micro_usd,omitzero"`
	Worth     MicroUSD `json:"worth_micro_usd,omitzero"`
}

// A Step is one entry of a trace: an attempt, a skip or a wait.
type Step struct {
	Attempt *Attempt `json:"attempt,omitempty"`
	Skip    *Skip    `json:"skip,omitempty"`
	Wait    *Wait    `json:"wait,omitempty"`
}

// A Trace is the attempts, skips and waits of one request, in order.
type Trace []Step

// Attempts lists the calls that were made, in order.
func (t Trace) Attempts() []Attempt {
	var made []Attempt
	for _, step := range t {
		if step.Attempt != nil {
			made = append(made, *step.Attempt)
		}
	}
	return made
}

// Cost is what all attempts cost together, the failed ones too, as far as it is known.
func (t Trace) Cost() MicroUSD {
	var sum MicroUSD
	for _, step := range t {
		if step.Attempt != nil {
			sum += step.Attempt.Cost
		}
	}
	return sum
}

// Unpriced tells whether nobody knows what one of the attempts cost.
func (t Trace) Unpriced() bool {
	for _, step := range t {
		if step.Attempt != nil && step.Attempt.Unpriced {
			return true
		}
	}
	return false
}

// BadAnswers counts the answers that were not as expected.
func (t Trace) BadAnswers() (n int) {
	for _, step := range t {
		if step.Attempt != nil && step.Attempt.Class == Invalid {
			n++
		}
	}
	return n
}
