package provider

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"tidegate/jobs"
)

// A dialect is the wire format of a target. Its funcs keep no state, take any
// bytes without a panic, and do nothing of what the client does for all: HTTP,
// timeouts, Retry-After, cleaning, the fields of the error that are common.
type dialect struct {
	// path is what is added to the base URL.
	path func(*jobs.Target) string
	// headers carries the key and what else the dialect wants on every call.
	// It is asked once per target.
	headers func(*jobs.Target) http.Header
	// requestID names the header in which the provider says what it calls the
	// call.
	requestID string
	// encode makes the body that goes out from an OpenAI chat-completions
	// object. An error means that this body can be sent to nobody.
	encode func(*jobs.Target, []byte) ([]byte, error)
	// translates tells that encode says the body in other words, and may find that
	// there are none: then its error is a fieldError.
	translates bool
	// decode reads a 2xx: an answer, or a refusal when there is none in it. It
	// fills Body, Model, ProviderID, FinishReason and Usage.
	decode func(response) (*jobs.Answer, *refusal)
	// explain reads any other status.
	explain func(response) refusal
	// rules is the table that names the class of a refusal. It has a row for every
	// status that is no 2xx: end it with openAIRules.
	rules []rule
	// allowance reads what the provider announces in its headers, beside an
	// answer or a refusal; zero where it says nothing.
	allowance func(http.Header) jobs.Allowance
	// stream is for targets whose answers come in pieces; nil: there are none.
	stream *streaming
	// also are the endpoints that it serves beside chat completions, of which all of
	// the above is.
	also map[jobs.Endpoint]operation
	// whole tells that this is the dialect at an endpoint that knows no streams, whatever
	// its target asks for.
	whole bool
}

// An operation is what differs at another endpoint. Its body goes out as it is, but
// for the model, and its answers come whole.
type operation struct {
	// path is what is added to the base URL; empty: it is not served there.
	path func(*jobs.Target) string
	// decode reads a 2xx, as that of the dialect does.
	decode func(response) (*jobs.Answer, *refusal)
}

// at is the dialect as it is spoken at an endpoint; not ok: it is not.
func (d dialect) at(e jobs.Endpoint) (spoken dialect, ok bool) {
	if e == jobs.EndpointChat {
		return d, true
	}
	is, ok := d.also[e]
	d.path, d.decode, d.encode, d.translates, d.stream, d.whole = is.path, is.decode, sendAsIs, false, nil, true
	return d, ok
}

// sendAsIs is how a body goes out that is in OpenAI's words.
func sendAsIs(target *jobs.Target, body []byte) ([]byte, error) { return splice(body, target.Model) }

// Serves tells what a target can serve, by its dialect and base URL.
func Serves(target *jobs.Target) jobs.EndpointSet {
	served := jobs.EndpointSetOf()
	for _, e := range jobs.Endpoints() {
		if spoken, ok := dialects[target.Dialect].at(e); ok && spoken.path != nil && (target.Variant.Path != "" || spoken.path(target) != "") {
			served = served.With(jobs.EndpointSetOf(e))
		}
	}
	return served
}

// dialects is the registry. It is filled while the package is initialised, by the
// files of the dialects themselves, and only read afterwards. The conformance
// tests range over it, so a new file is tested before its author writes a test.
var dialects = map[string]dialect{}

// register puts a dialect into the registry. The file of a dialect calls it once,
// for a variable of the package, as in `var _ = register("acme", dialect{…})`. A
// name that is taken, or that nobody can write into a configuration, panics.
func register(name string, d dialect) dialect {
	if _, taken := dialects[name]; taken || jobs.CheckName(name) != nil {
		panic(fmt.Sprintf("dialect %q: its name is taken already, or cannot be one", name))
	}
	dialects[name] = d
	return d
}

// classify names the class of a refusal. What meets no row at all is TRANSIENT,
// the class that harms nobody for good.
func (d dialect) classify(why refusal) jobs.Class {
	if why.class != "" {
		return why.class
	}
	if class, decided := decide(d.rules, why); decided {
		return class
	}
	return jobs.Transient
}

// Dialects lists the names of all dialects, sorted.
func Dialects() []string { return slices.Sorted(maps.Keys(dialects)) }

// A refusal is what a provider said instead of an answer, in its own words.
type refusal struct {
	status int    // of HTTP; for an error inside a 2xx the one that it implies, or else the 2xx
	kind   string // the error's type, as in "invalid_request_error"
	code   string // as in "context_length_exceeded"; more exact than kind
	text   string // for people; cleaned by the client
	page   bool   // a web page, so not the words of an API
	asked  []byte // the request that it is said of; set by the client
	// class is set where the dialect knows better than any table.
	class jobs.Class
	// wait is a hint inside the body, where the dialect has such a field; it
	// goes before the headers.
	wait time.Duration
	// resetsIn is when what is used up is whole again, where that follows from the
	// provider's rules: see untilReset.
	resetsIn time.Duration
	usage    jobs.Usage // billed all the same
}
