package jobs

// A Class is what kind of refusal or failure an attempt met. An adapter
// classifies; what a class means is said here and nowhere else; the router
// alone acts.
type Class string

// The classes. OK is an answer.
const (
	OK         Class = "OK"          // an answer
	Rate       Class = "RATE"        // too many requests or tokens just now: 429
	Quota      Class = "QUOTA"       // the account is out of money or over its spending limit
	DailyQuota Class = "DAILY_QUOTA" // the day's allowance is used up: wait for the reset
	Overload   Class = "OVERLOAD"    // the provider says that it is overloaded: 503, 529
	Transient  Class = "TRANSIENT"   // another 5xx, or the network
	Timeout    Class = "TIMEOUT"     // no answer in time; it may have been billed
	Auth       Class = "AUTH"        // the key is wrong or may not do this
	Context    Class = "CONTEXT"     // the prompt does not fit the model's window
	Content    Class = "CONTENT"     // the provider will not answer this, by its policy
	BadRequest Class = "BAD_REQUEST" // the request itself is wrong
	Garbled    Class = "GARBLED"     // a 200 that is empty, cut off or not decodable
	Invalid    Class = "INVALID"     // a 200 whose answer is not what the request expects, or not what the target was known for
	Lost       Class = "LOST"        // we stopped listening, killed or cancelled; it may have been billed
)

// A Scope is how far a class reaches.
type Scope string

// The scopes.
const (
	OnTarget  Scope = "target"  // this model at this provider
	OnKey     Scope = "key"     // every target that uses the same key
	OnAccount Scope = "account" // every target of the same provider
	OnRequest Scope = "request" // this request, wherever it is sent
)

// A Rest is what a refusal does to those whom it reaches: whether they are left
// alone, and until when.
type Rest string

// The rests.
const (
	// NoRest leaves everybody as they are.
	NoRest Rest = "none"
	// UntilHint leaves the circuit as it is: what the provider asks for is a
	// matter of the pace below a few seconds, and a cooldown from there on.
	UntilHint Rest = "until the hint"
	// UntilProbed counts as a failure of the circuit, which opens by its thresholds;
	// then the probes find out. A hint of the provider is a cooldown, too.
	UntilProbed Rest = "until a probe succeeds"
	// UntilReset opens every circuit of its scope at once: until the hint, else for a
	// minute, doubling up to an hour, and no longer than to the reset where that is
	// known. A person has to know.
	UntilReset Rest = "until the reset"
)

// A Neighbour is which other target of the chain may be tried after a class.
type Neighbour string

// The neighbours.
const (
	AnyNeighbour Neighbour = "any"
	// LargerWindow: those with a larger context window, or one that nobody knows.
	LargerWindow Neighbour = "larger window"
	// OtherPolicy: those that judge content by another policy, if the route says so;
	// else nobody.
	OtherPolicy Neighbour = "other policy"
	Nobody      Neighbour = "nobody" // it would be refused everywhere
)

// meaning is what a class says about the target, the request and the next step.
type meaning struct {
	scope Scope // how far it reaches
	rest  Rest
	next  Neighbour
}

var meanings = map[Class]meaning{
	OK:         {OnTarget, NoRest, Nobody},
	Rate:       {OnTarget, UntilHint, AnyNeighbour},
	Quota:      {OnAccount, UntilReset, AnyNeighbour},
	DailyQuota: {OnAccount, UntilReset, AnyNeighbour},
	Overload:   {OnTarget, UntilProbed, AnyNeighbour},
	Transient:  {OnTarget, UntilProbed, AnyNeighbour},
	Timeout:    {OnTarget, UntilProbed, AnyNeighbour},
	Auth:       {OnKey, UntilReset, AnyNeighbour},
	Context:    {OnRequest, NoRest, LargerWindow},
	Content:    {OnRequest, NoRest, OtherPolicy},
	BadRequest: {OnRequest, NoRest, Nobody},
	Garbled:    {OnTarget, UntilProbed, AnyNeighbour},
	Invalid:    {OnTarget, NoRest, AnyNeighbour},
	Lost:       {OnTarget, NoRest, AnyNeighbour},
}

// Classes lists every class, answers first, in the order of this file.
func Classes() []Class {
	return []Class{OK, Rate, Quota, DailyQuota, Overload, Transient, Timeout, Auth, Context, Content, BadRequest, Garbled, Invalid, Lost}
}

// Scope tells how far the class reaches.
func (c Class) Scope() Scope { return meanings[c].scope }

// Rest tells what it does to those whom it reaches.
func (c Class) Rest() Rest { return meanings[c].rest }

// Next tells who may be tried after it.
func (c Class) Next() Neighbour { return meanings[c].next }

// Trips tells whether the class counts as a failure of the target's circuit.
// Rate never does: a breaker that trips on 429s never drains a backlog.
func (c Class) Trips() bool { return meanings[c].rest == UntilProbed }

// Cools tells whether the class sets a cooldown and leaves the circuit alone.
func (c Class) Cools() bool { return meanings[c].rest == UntilHint }

// Opens tells whether the class opens every circuit of its scope at once.
func (c Class) Opens() bool { return meanings[c].rest == UntilReset }

// Final tells whether the request is refused for good, whoever would be asked. A
// content filter is final where the route does not ask for another policy.
func (c Class) Final() bool {
	return c != OK && (meanings[c].next == Nobody || meanings[c].next == OtherPolicy)
}

// Answered tells whether the target did its part: an answer, whatever it is worth,
// or a refusal that is the request's own fault. Either is a success for the
// circuit.
func (c Class) Answered() bool {
	return c == OK || c == Invalid || meanings[c].scope == OnRequest
}

// Valid tells whether the class is one of Classes.
func (c Class) Valid() bool { _, ok := meanings[c]; return ok }
