package jobs

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"strings"
	"time"
)

// MaxLineBytes bounds one line of input: the largest body, and 64 KiB for what
// stands around it.
const MaxLineBytes = MaxBodyBytes + 64<<10

// LineOptions say what a line may leave out and what it may name. The zero
// value takes lines that name their own route, of any name.
type LineOptions struct {
	// DefaultRoute is the route of a line that names none and whose model
	// none claims; empty: such a line is an error.
	DefaultRoute string
	// Routes finds the route that claims the body's model; nil: none does.
	Routes func(model string) (route string, ok bool)
	// KnownRoute tells whether there is such a route; nil: there is.
	KnownRoute func(route string) bool
	// KnownGoal tells whether there is such an optimization goal; nil: there is.
	KnownGoal func(goal string) bool
	// CheckExpect says what is wrong with what a line expects of its answer, beside
	// what ParseExpect finds, as that its schema is none; nil: nothing is.
	CheckExpect func(e *Expect, body []byte) error
	// Deadline is how long a route's requests have that say nothing of it;
	// nil or zero: for ever.
	Deadline func(route string) time.Duration
	// Tenant owns every request; a line that names another is an error. Empty:
	// a line may name its own.
	Tenant string
	// Reached is told the line of each request before the request is given;
	// nil: nobody is.
	Reached func(line int)
	// Whole tells that each line is one of a batch file as the OpenAI API has it: with
	// a custom_id, a method and a url, which is that of Endpoint.
	Whole    bool
	Endpoint Endpoint
	// Served says what the targets of a route serve; nil: nobody looks.
	Served func(route string) EndpointSet
	// Checked tells that the same input was read before, to its end and without an
	// error: uses of custom_ids are not counted again.
	Checked bool
	// Place is where r stands in the input, and is moved behind each line before it is
	// given; nil: at its beginning, and nobody wants to know.
	Place *Place
	// Now is the clock that durations count from; nil: time.Now.
	Now func() time.Time
}

// A Place is how much of an input was read.
type Place struct {
	Lines int // blank ones too
	Bytes int64
}

// What a LineError may be about, where that can be told by a word.
const (
	CodeNotJSON     = "invalid_json_line"
	CodeDuplicateID = "duplicate_custom_id"
	CodeBadURL      = "invalid_url"
	CodeMissing     = "missing_required_parameter"
	CodeBadLine     = "invalid_request"
)

// coded is an error that is of such a kind.
type coded struct {
	code string
	err  error
}

func (c *coded) Error() string { return c.err.Error() }
func (c *coded) Unwrap() error { return c.err }

// A LineError says what is wrong with one line of the input, and what would be
// right.
type LineError struct {
	Line  int    // counted from 1, blank lines too; zero: what was read is no line of many
	Field string // as in "body.messages"; empty: the line as a whole
	Code  string // one of the Code constants
	Err   error
	// Fatal tells that nothing after this line could be read. Other lines may
	// be skipped without losing any.
	Fatal bool
}

// Error writes the line, the field and the remedy.
func (e *LineError) Error() string {
	said := e.Err.Error()
	if e.Field != "" {
		said = e.Field + ": " + said
	}
	if e.Line == 0 {
		return said
	}
	return fmt.Sprintf("line %d: %s", e.Line, said)
}

// Unwrap gives the reason.
func (e *LineError) Unwrap() error { return e.Err }

// ReadLines reads requests from JSONL, one for each line that is not blank. A
// line is an OpenAI batch line,
//
//	{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {…}}
//
// where url may be any of EndpointPaths, method and url may be left out, and the fields route, optimization_goal
// (or goal), deadline (RFC 3339 or a duration), max_cost_usd, priority, metadata,
// expect (an Expect) and tenant may stand beside them, and no other; or it is a chat-completions body
// by itself, known by its "messages". Bodies are kept byte for byte, with all
// that they hold.
//
// Every line gives a request or a *LineError, never neither, and reading goes
// on behind a bad line. One line at most is held in memory, and beyond it about
// 30 bytes for each custom_id: a hash and the line that it was seen on, so that
// a second use is an error that names both. (Two names share a hash of 64 bits
// in about one of 400,000 inputs of ten million lines; the hash is salted, so
// the next run takes the line.)
func ReadLines(r io.Reader, opts LineOptions) iter.Seq2[Request, error] {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	lines := newLineSplitter(r, MaxLineBytes)
	if opts.Place == nil {
		opts.Place = new(Place)
	}
	lines.place = opts.Place
	return readLines(lines, opts)
}

func readLines(lines *lineSplitter, opts LineOptions) iter.Seq2[Request, error] {
	return func(yield func(Request, error) bool) {
		seen := customIDs{seed: maphash.MakeSeed(), lines: map[uint64]int{}, off: opts.Checked}
		for {
			line, err := lines.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil && len(line) == 0 {
				continue
			}
			var request Request
			if err == nil {
				request, err = readLine(line, &opts, seen, lines.place.Lines)
			}
			if err != nil {
				bad := lineError(lines.place.Lines, err)
				if !yield(Request{}, bad) || bad.Fatal {
					return
				}
				continue
			}
			if opts.Reached != nil {
				opts.Reached(lines.place.Lines)
			}
			if !yield(request, nil) {
				return
			}
		}
	}
}

// readLine is one line's way to a request.
func readLine(line []byte, opts *LineOptions, seen customIDs, number int) (Request, error) {
	request, err := parseLine(line, opts)
	if err != nil {
		return Request{}, err
	}
	for _, check := range []error{request.checkFields(), checkSize(request.Body), request.Endpoint.checkMembers(request.Body)} {
		if check != nil {
			return Request{}, check
		}
	}
	return request, seen.add(request.CustomID, number)
}

// fieldLetters are what the name of a field is made of where errors name one.
const fieldLetters = "abcdefghijklmnopqrstuvwxyz_."

// lineError places err on its line. Errors that begin with a field, as those of
// Validate do, give it up to Field.
func lineError(number int, err error) *LineError {
	var unread *unreadable
	if errors.As(err, &unread) {
		return &LineError{Line: number, Code: CodeNotJSON, Err: unread.err, Fatal: true}
	}
	code := CodeBadLine
	var kind *coded
	if errors.As(err, &kind) {
		code = kind.code
	}
	field, rest, found := strings.Cut(err.Error(), ": ")
	if !found || strings.Trim(field, fieldLetters) != "" {
		return &LineError{Line: number, Code: code, Err: err}
	}
	return &LineError{Line: number, Field: field, Code: code, Err: errors.New(rest)}
}

// customIDs remembers which names one input has used, and where.
type customIDs struct {
	seed  maphash.Seed
	lines map[uint64]int // by the hash of a custom_id
	off   bool           // nobody asks
}

func (c customIDs) add(id string, line int) error {
	if id == "" || c.off {
		return nil
	}
	hash := maphash.String(c.seed, id)
	if first, used := c.lines[hash]; used {
		return &coded{CodeDuplicateID, fmt.Errorf("custom_id: %.80q was used on line %d already; give every line its own", id, first)}
	}
	c.lines[hash] = line
	return nil
}
