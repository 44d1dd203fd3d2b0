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

// meaning is what a class says about the target, the request and the next step.
type meaning struct {
	trips bool  // counts as a failure of the target's circuit
	cools bool  // sets a cooldown, though the circuit stays as it is
	opens bool  // opens the circuits of its scope at once
	final bool  // no other target would do better: the request ends refused
	scope Scope // how far it reaches
}

var meanings = map[Class]meaning{
	OK:         {scope: OnTarget},
	Rate:       {scope: OnTarget, cools: true},
	Quota:      {scope: OnAccount, opens: true},
	DailyQuota: {scope: OnAccount, opens: true},
	Overload:   {scope: OnTarget, trips: true},
	Transient:  {scope: OnTarget, trips: true},
	Timeout:    {scope: OnTarget, trips: true},
	Auth:       {scope: OnKey, opens: true},
	Context:    {scope: OnRequest},
	Content:    {scope: OnRequest, final: true},
	BadRequest: {scope: OnRequest, final: true},
	Garbled:    {scope: OnTarget, trips: true},
	Lost:       {scope: OnTarget},
}

// Classes lists every class, answers first, in the order of this file.
func Classes() []Class {
	return []Class{OK, Rate, Quota, DailyQuota, Overload, Transient, Timeout, Auth, Context, Content, BadRequest, Garbled, Lost}
}

// Trips tells whether the class counts as a failure of the target's circuit.
// Rate never does: a breaker that trips on 429s never drains a backlog.
func (c Class) Trips() bool { return meanings[c].trips }

// Cools tells whether the class sets a cooldown and leaves the circuit alone.
func (c Class) Cools() bool { return meanings[c].cools }

// Opens tells whether the class opens every circuit of its scope at once.
func (c Class) Opens() bool { return meanings[c].opens }

// Final tells whether the request is refused for good, whoever would be asked.
func (c Class) Final() bool { return meanings[c].final }

// Scope tells how far the class reaches.
func (c Class) Scope() Scope { return meanings[c].scope }

// Answered tells whether the target did its part: an answer, or a refusal that
// is the request's own fault. Either is a success for the circuit.
func (c Class) Answered() bool {
	return c == OK || meanings[c].scope == OnRequest
}

// Valid tells whether the class is one of Classes.
func (c Class) Valid() bool { _, ok := meanings[c]; return ok }
