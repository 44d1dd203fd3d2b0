package provider

import (
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
	// classify names the class of a refusal.
	classify func(refusal) jobs.Class
	// allowance reads what the provider announces in its headers, beside an
	// answer or a refusal; zero where it says nothing.
	allowance func(http.Header) jobs.Allowance
}

// dialects is the registry. The conformance tests range over it, so a new row
// is tested before its author writes a test.
var dialects = map[string]dialect{
	"anthropic": anthropic,
	"gemini":    gemini,
	"openai":    openAI,
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
