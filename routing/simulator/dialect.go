package simulator

import (
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
	"time"

	"tidegate/jobs"
)

// defaultDialect is what a provider speaks that does not say.
const defaultDialect = "openai"

// dialects is the registry: one row and one file per wire format.
var dialects = map[string]dialect{
	"anthropic": anthropic,
	"gemini":    gemini,
	"openai":    openai,
}

// Dialects lists the wire formats that a simulated provider can speak, sorted.
func Dialects() []string { return slices.Sorted(maps.Keys(dialects)) }

// A dialect is a wire format: how questions are read and how answers and
// refusals look. What is answered, when, and whether at all, is not its
// business.
type dialect struct {
	// base ends the base URL of a target, as in "/v1".
	base string
	// operation tells what a path below the provider's name asks for, or how
	// the vendor refuses it.
	operation func(method, path string) (operation, *refusal)
	// key finds the key in a request; empty: there is none.
	key func(http.Header) string
	// read understands a body, or says how the vendor refuses it. What it
	// returns must not share memory with body.
	read func(path string, body []byte) (question, *refusal)
	// refuse says how the vendor refuses a call for this reason.
	refuse func(reason) refusal
	// body is the error body of a refusal.
	body func(refusal) []byte
	// broken is a refusal as it comes in the middle of a stream; nil: an event like
	// those before it.
	broken func(body []byte) []byte
	// header sets what the vendor sends with every answer and refusal.
	header func(http.Header, envelope)
	// answer writes a completion.
	answer func(answer) page
	// models lists the names, or tells of the one that the path asks for; no
	// names stand for any.
	models func(path string, names []string) ([]byte, *refusal)
}

// An operation is what a path asks for.
type operation int

const (
	complete operation = iota
	listModels
	unknown
)

// A question is a request as the simulator understands it. It is kept while the
// call waits, so the document is let go as soon as there is a summary.
type question struct {
	model        string
	request      uint64 // the hash of its messages: the same for the same question
	instruction  string // what a system message said
	document     string
	promptTokens int
	maxTokens    int // zero: no limit
	stream       bool
	streamUsage  bool

	of         jobs.Endpoint
	inputs     texts // of embeddings, and of completions
	longest    int   // tokens of the longest of them, which the window is of
	dimensions int   // of a vector
	packed     bool  // vectors are wanted in base64
}

// window is how much of a context window it takes.
func (q *question) window() int {
	if q.inputs.len() > 0 {
		return q.longest + q.maxTokens
	}
	return q.promptTokens + q.maxTokens
}

// A reason is why a call is refused, and what the vendor mentions of it.
type reason struct {
	mode   Mode
	model  string
	keyed  bool   // some key was sent
	excess excess // of RateLimit, unless a fault brought it about
	wait   time.Duration
	tokens int // of Context: of the prompt
	window int
}

// A refusal is an error body with its status.
type refusal struct {
	mode    Mode
	status  int
	kind    string
	code    string // empty: null
	param   string // empty: null
	message string
	wait    time.Duration // to stay away, where the body says so; zero: it does not
}

// An envelope is what the headers tell.
type envelope struct {
	call     string // the vendor's id of the call
	now      time.Time
	took     time.Duration
	requests allowed
	tokens   allowed
	wait     time.Duration // how long to stay away; zero: not said
	form     RetryForm     // of wait; empty: both
}

// An answer is a completion before it has a wire format.
type answer struct {
	id          string
	created     time.Time
	model       string
	text        string
	finish      Mode // OK, Filtered, or Cut at the token limit
	usage       usage
	stream      bool
	streamUsage bool

	of      jobs.Endpoint
	more    []string    // texts of further prompts
	vectors [][]float32 // of embeddings
	packed  bool        // they are wanted in base64
}

// A usage counts tokens; cached are part of prompt, reasoning of completion.
type usage struct{ prompt, cached, completion, reasoning int }

// A page is a body in the pieces in which a patient vendor would send it.
type page struct {
	contentType string
	pieces      [][]byte
}

func (p page) size() int {
	size := 0
	for _, piece := range p.pieces {
		size += len(piece)
	}
	return size
}

// tokens estimates how many tokens a text has: a quarter of its bytes, rounded
// up. It is right within about a fifth for English, and costs nothing.
func tokens(text string) int { return (len(text) + 3) / 4 }

// hashOf is the same in every process, unlike hash/maphash.
func hashOf(texts ...string) uint64 {
	hash := fnv.New64a()
	var buffer [512]byte
	for _, text := range texts {
		for len(text) > 0 {
			n := copy(buffer[:], text)
			_, _ = hash.Write(buffer[:n]) // never fails
			text = text[n:]
		}
		_, _ = hash.Write([]byte{0})
	}
	return hash.Sum64()
}
