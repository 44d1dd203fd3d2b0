package jobs

import (
	"encoding/json"
	"time"
)

// CanaryQueue is the River queue of canary prompts. It is nobody's route.
const CanaryQueue = "tidegate-canary"

// DefaultCanaryFailures is how many answers in a row must not be as expected, where
// nobody says.
const DefaultCanaryFailures = 2

// A Canary is a prompt that targets are asked now and then, whose answer is known
// well enough to tell when another model answers in the place of the one that was
// asked for.
type Canary struct {
	Name     string
	Targets  []string // by name
	Route    string   // whose budget pays; empty: nobody's
	Every    time.Duration
	Body     json.RawMessage // an OpenAI chat-completions body
	Expect   *Expect         // its Tries and Otherwise do not matter
	Failures int             // answers in a row that are not as expected, and degrade the target; zero: 2
}

// CanaryArgs are the arguments of a River job that asks one target.
type CanaryArgs struct {
	Canary string `json:"canary"`
	Target string `json:"target"`
}

// Kind names the job to River.
func (CanaryArgs) Kind() string { return "canary" }
