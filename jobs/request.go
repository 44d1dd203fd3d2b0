package jobs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// DefaultTenant is whose request it is when nobody is named.
const DefaultTenant = "default"

// MaxBodyBytes bounds the body of one request: 8 MiB, unless a caller asks for
// less.
const MaxBodyBytes = 8 << 20

// MaxCustomID bounds a custom_id, in bytes.
const MaxCustomID = 512

const (
	maxMetadata    = 16
	maxMetadataKey = 64
	maxMetadataVal = 512
)

// A Request is one call of an LLM asked for: a completion, or vectors of texts.
type Request struct {
	// ID is a UUID version 7 in text form: it sorts by time. The queue gives
	// one to a request that has none.
	ID string
	// Tenant is whose request it is; DefaultTenant when empty. It is one token
	// of a NATS subject.
	Tenant string
	// Route names the chain, and the River queue of the same name.
	Route string
	// Endpoint is what it asks for; zero: a chat completion.
	Endpoint Endpoint
	// Goal is the strategy that the request wants; empty: its route's.
	Goal string
	// BatchID names the batch that the request was submitted with; empty: none.
	BatchID string
	// CustomID is the producer's own name for the request; empty: none.
	CustomID string
	// Deadline is when the answer stops being of use; zero: never.
	Deadline time.Time
	// MaxCost is what the answer may cost at most; zero: no limit.
	MaxCost MicroUSD
	// Expect is what its answer must be like, beside what its route expects; nil:
	// nothing.
	Expect *Expect
	// Priority orders the requests of a tenant on a route: 1 goes first, 4 last;
	// zero: DefaultPriority. With direct admission it orders those of all tenants.
	Priority int
	// Metadata is the producer's own: at most 16 pairs, keys of at most 64 and
	// values of at most 512 characters. It is carried to the event, never read.
	Metadata map[string]string
	// RetryOf is the request that it tries again; empty: none.
	RetryOf string
	// Traceparent is the span that it belongs to, as W3C's header of that name has it;
	// empty: what the context says (WithTraceparent), or none.
	Traceparent string
	// Body is what OpenAI's API takes at the endpoint, kept byte for byte, unknown
	// fields too.
	Body json.RawMessage
	// CreatedAt is when the request was accepted.
	CreatedAt time.Time
	// Budgeted tells that it is under a budget now, so that no target may be called
	// whose price nobody knows. It is a worker's word, and not stored.
	Budgeted bool
	// CallLimit is the least of the limits of these budgets: what one call costs more
	// can never begin. Zero: there is none. It is a worker's word, and not stored.
	CallLimit MicroUSD
	// Recorded is what is known of a request that is replayed, and whose body nobody
	// has; nil: the body says. It is a replay's word, and not stored.
	Recorded *Recorded
	// Awaited tells that its sender waits for the answer, so that it waits for no price.
	// It is a worker's word, and not stored.
	Awaited bool
}

// A Recorded request is one of the past, of whose body its length is known, and of
// whose prompt how many tokens it had.
type Recorded struct {
	Body  int // bytes
	Input int // tokens of the prompt; zero: not known
	// Output is how many tokens the answer will have, where the router is to know that
	// beforehand, as no router can; zero: it is not.
	Output int
}

// BodyBytes is how long the body is, or was.
func (r *Request) BodyBytes() int {
	if r.Recorded != nil {
		return r.Recorded.Body
	}
	return len(r.Body)
}

// Names as River, NATS and Postgres all take them: River queue names know no
// dot, NATS tokens know no space, dot, star or greater-than sign.
var nameForm = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$`)

// CheckName says what is wrong with the name of a route, a target or a tenant,
// or nil. A name is 1 to 64 lower-case letters, digits, hyphens and
// underscores, and begins and ends with a letter or a digit.
func CheckName(name string) error {
	if nameForm.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%q is not a name: use 1 to 64 lower-case letters, digits, '-' and '_', beginning and ending with a letter or digit", name)
}

// Validate says which field is wrong and what would be right, or nil. It looks
// at the request alone: whether its route exists is for the caller, who knows
// the routes.
func (r *Request) Validate() error {
	if err := r.checkFields(); err != nil {
		return err
	}
	return r.Endpoint.CheckBody(r.Body)
}

// checkFields is Validate but for the body.
func (r *Request) checkFields() error {
	if err := r.checkRoute(); err != nil {
		return err
	}
	if r.Tenant != "" {
		if err := CheckName(r.Tenant); err != nil {
			return fmt.Errorf("tenant: %w", err)
		}
	}
	if len(r.CustomID) > MaxCustomID {
		return fmt.Errorf("custom_id: %d characters, at most %d", len(r.CustomID), MaxCustomID)
	}
	if strings.ContainsRune(r.CustomID, 0) {
		return fmt.Errorf("custom_id: holds a NUL character, which Postgres cannot keep")
	}
	if r.Traceparent != "" && !ValidTraceparent(r.Traceparent) {
		return fmt.Errorf("traceparent: %.80q is none: it must look like 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", r.Traceparent)
	}
	if r.MaxCost < 0 {
		return fmt.Errorf("max_cost: %s is below zero", r.MaxCost)
	}
	if r.Expect != nil && !r.Endpoint.Speaks() {
		return fmt.Errorf("expect: an answer of %s has no text that could be judged; leave it out", r.Endpoint)
	}
	if err := cmp.Or(r.Expect.checkSaid(), r.Expect.Check()); err != nil {
		return ExpectError(err)
	}
	if r.Priority != 0 {
		if err := checkPriority(r.Priority); err != nil {
			return err
		}
	}
	return CheckMetadata(r.Metadata)
}

func checkPriority(priority int) error {
	if priority < FirstPriority || priority > LastPriority {
		return fmt.Errorf("priority: %d is not from %d (first) to %d (last); leave it out for %d", priority, FirstPriority, LastPriority, DefaultPriority)
	}
	return nil
}

// Rank is the request's priority, also where it says none.
func (r *Request) Rank() int { return cmp.Or(r.Priority, DefaultPriority) }

// CheckMetadata says what is wrong with the metadata of a request, or nil.
func CheckMetadata(pairs map[string]string) error {
	if len(pairs) > maxMetadata {
		return fmt.Errorf("metadata: %d pairs, at most %d", len(pairs), maxMetadata)
	}
	for key, value := range pairs {
		switch {
		case key == "" || len(key) > maxMetadataKey:
			return fmt.Errorf("metadata: key %.80q must have 1 to %d characters", key, maxMetadataKey)
		case len(value) > maxMetadataVal:
			return fmt.Errorf("metadata: the value of %q has %d characters, at most %d", key, len(value), maxMetadataVal)
		case strings.ContainsRune(key, 0) || strings.ContainsRune(value, 0):
			return fmt.Errorf("metadata: %q holds a NUL character, which Postgres cannot keep", key)
		}
	}
	return nil
}
