package jobs

import (
	"cmp"
	"time"
)

// A Target is one model at one provider: the unit that has a circuit, prices,
// limits and statistics. It is built from the configuration and not changed
// afterwards.
type Target struct {
	Name     string // unique; what circuits, prices and statistics hang on
	Provider string // the account at a vendor: keys and quota hang on it
	Region   string // empty: the provider has one
	Dialect  string // the wire format, as in "openai", "azure", "anthropic" or "gemini"
	BaseURL  string // as in "https://api.example.com/v1", no slash at the end
	Key      Secret // empty: none is sent
	Model    string // what the provider calls it
	// Endpoints are what it serves; zero: chat completions alone.
	Endpoints EndpointSet
	// Policy names by whose rules it refuses content; empty: by its provider's.
	Policy string
	// Variant is how it is called otherwise than its dialect says.
	Variant Variant
	// Stream asks for answers in pieces, which are put together before anybody sees
	// them. It tells a provider that is slow from one that is dead.
	Stream bool
	// ContextTokens is the context window; zero: not known, so never a reason
	// to skip the target.
	ContextTokens int
	Price         Price
	Limits        Limits
	Timeouts      Timeouts
	Circuit       Thresholds
}

// A Variant is how a target is called otherwise than its dialect says; what is empty
// is as the dialect has it.
type Variant struct {
	// Path stands in place of what the dialect adds to the base URL, for a target that
	// serves one endpoint; {model} in it is the target's model.
	Path string
	// Query is added to the URL, encoded, as in "api-version=2024-10-21". It holds no
	// secret: URLs are written down by everything that they pass.
	Query string
	// KeyHeader carries the key, as in "api-key"; KeyScheme is the word before it, as
	// in "Bearer". An "Authorization" without a scheme has that one.
	KeyHeader, KeyScheme string
	// Headers are sent too, a line each, as in "OpenAI-Organization: org-1".
	Headers Secret
}

// Limits are what a target may be asked at most. A zero is no limit.
type Limits struct {
	// RequestsPerMinute and TokensPerMinute are the account's, for the whole
	// fleet: each worker has a share of them. Tokens are those of the prompt and of
	// the answer.
	RequestsPerMinute int
	TokensPerMinute   int
	Concurrency       int // calls at once from one worker
}

// An Allowance is what a provider announces beside an answer, in its headers: the
// limits of the account, whoever uses it. A zero says nothing.
type Allowance struct {
	RequestsPerMinute int
	TokensPerMinute   int
}

// Timeouts bound one call to a target. A zero leaves that part to Total.
type Timeouts struct {
	Connect   time.Duration // to dial and shake hands
	FirstByte time.Duration // from sending the request to the first byte of the answer's header, or to the first token of a stream
	Idle      time.Duration // between two pieces of the body, or two events of a stream
	Total     time.Duration // the whole call
}

// DefaultTimeouts suit a chat completion that is not streamed: a provider
// sends nothing at all until the answer is whole.
var DefaultTimeouts = Timeouts{Connect: 5 * time.Second, FirstByte: 2 * time.Minute, Idle: 30 * time.Second, Total: 3 * time.Minute}

// Thresholds say when a circuit opens. Both are by count, so that a replay can
// run the same circuit on another clock.
type Thresholds struct {
	FailuresInARow int           // this many with no success in between
	FailureRate    float64       // or this share, in (0, 1], …
	Window         int           // … of the last Window calls
	Cooldown       time.Duration // the first wait before a probe, when the provider asked for none
}

// DefaultThresholds see a dead provider after 5 calls, and a brown-out before it
// has cost much, but not the failures that every provider has. Of calls that fail
// each by itself with the same chance, the circuit of one worker opens
//
//	at 50% after 18 calls on average, 98% of the time within 30
//	at 25% after 41 calls on average, 84% of the time within 50, 96% within 75
//	at 10% once in about 600 calls
//	at  5% once in about 50,000 calls
//	at  2% not once in 30,000,000
//
// where it opens for a second, and then asks. Half of the last 20, as many
// breakers have it, would let 350 calls go into a brown-out of 25%; a quarter of
// the last 20 would see it after 23, and open once in 2,200 calls at 5%.
var DefaultThresholds = Thresholds{FailuresInARow: 5, FailureRate: 0.2, Window: 50, Cooldown: time.Second}

// A Route is a named chain with a strategy and one River queue of the same
// name.
type Route struct {
	Name  string
	Chain []*Target // in order of preference
	Goal  string    // the strategy of requests that name none
	Goals []string  // those of one's own that requests may name, beside those that are always there
	// Choosing is how the goals and the guesses are configured, as text; empty: as they
	// always are. What waits is looked at again when it changes.
	Choosing string
	Deadline time.Duration // given to requests without one; zero: none
	WhenOpen WhenOpen      // what they do while the target that they prefer may not be called; empty: reroute
	// OtherPolicies sends a request whose content was refused on to a target with
	// another policy. Otherwise it is refused at once.
	OtherPolicies bool
	// Expect is what answers of the route must be like, beside what their requests
	// expect; nil: nothing.
	Expect *Expect
	// EscalateTo are targets that are asked after an answer that was not as expected,
	// before the rest of the chain, and never otherwise.
	EscalateTo []*Target
	// Admission is when its jobs become available: AdmissionFair or AdmissionDirect;
	// empty: direct.
	Admission string
	Models    []string // which `model` of an incoming line means this route
	// Endpoints are what some target of its chain serves, where the chain is not known:
	// see Serves.
	Endpoints EndpointSet
}

// ContentPolicy names by whose rules the target refuses content.
func (t *Target) ContentPolicy() string { return cmp.Or(t.Policy, t.Provider, t.Name) }
