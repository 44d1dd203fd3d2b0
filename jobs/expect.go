package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// MaxExpectBytes bounds an expectation as JSON, with its schema: 48 KiB.
	MaxExpectBytes = 48 << 10
	// MaxExpectTries bounds Expect.Tries.
	MaxExpectTries = 10
	// DefaultExpectTries is how many answers are asked for after a bad one, where
	// nobody says.
	DefaultExpectTries = 2

	maxPattern       = 1000 // bytes of a regular expression
	maxFinishReasons = 16
)

// What is done with the last answer when none was as expected.
const (
	OtherwiseRefuse = "refuse" // the request ends refused: the default
	OtherwiseKeep   = "keep"   // the answer is the result, and says what it is not
)

// An Expect says what an answer must be like. One that is not is a bad answer: it
// is paid, and another target is asked. What is left out is not looked at. Texts
// are those of the first choice; an answer that calls tools, and says nothing, has
// no text to look at. It is not changed once it is in use.
type Expect struct {
	// JSONSchema is a JSON schema that the text, which must be JSON then, has to
	// keep; true is any JSON. References lead into the schema itself, or to the
	// drafts of JSON Schema; nothing is loaded.
	JSONSchema json.RawMessage `json:"json_schema,omitempty"`
	// ResponseFormat takes the schema from the body's own response_format, or of
	// /v1/responses from its text.format; a body
	// without one expects nothing by it.
	ResponseFormat bool `json:"response_format,omitempty"`
	// Fenced lets JSON stand in a fence of Markdown (```json … ```). Otherwise that
	// is no JSON.
	Fenced bool `json:"fenced,omitempty"`
	// Regex must be found in the text; anchor it with ^ and $ to mean all of it. It
	// is of RE2, as in Go.
	Regex string `json:"regex,omitempty"`
	// Characters are counted without the blanks around the text. A zero is no bound.
	MinCharacters int `json:"min_characters,omitempty"`
	MaxCharacters int `json:"max_characters,omitempty"`
	// Tokens are those of the answer that usage counts, without the reasoning. A zero
	// is no bound.
	MinTokens int `json:"min_tokens,omitempty"`
	MaxTokens int `json:"max_tokens,omitempty"`
	// FinishReasons are those that are right, as in "stop".
	FinishReasons []string `json:"finish_reasons,omitempty"`
	// SameModelFamily wants the model that answered to be of the family of the one
	// that was asked: gpt-4o-2024-08-06 is of that of gpt-4o, gpt-4o-mini is not.
	SameModelFamily bool `json:"same_model_family,omitempty"`
	// Tries is how many answers are asked for after a bad one, from 1 to 10; zero is
	// 2.
	Tries int `json:"tries,omitempty"`
	// Otherwise is what is done with the last answer when none was as expected:
	// "refuse", which is also what the empty one means, or "keep".
	Otherwise string `json:"otherwise,omitempty"`
}

// expectFields are the names that an Expect has in JSON.
var expectFields = []string{
	"json_schema", "response_format", "fenced", "regex", "min_characters", "max_characters", "min_tokens", "max_tokens",
	"finish_reasons", "same_model_family", "tries", "otherwise",
}

// ParseExpect reads an Expect from JSON that is valid. Errors begin with the
// field. Whether its schema is one is for package expect to say.
func ParseExpect(raw []byte) (*Expect, error) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '{' {
		return nil, errors.New(`must be an object, as in {"json_schema": true}`)
	}
	if len(raw) > MaxExpectBytes {
		return nil, fmt.Errorf("has %d bytes, at most %d", len(raw), MaxExpectBytes)
	}
	seen := map[string]bool{}
	for name, value := range members(raw) {
		switch known := string(name); {
		case seen[known]:
			return nil, fmt.Errorf("%s: stands twice; leave one of them out", known)
		case known == "tries" && string(value) == "0":
			return nil, errTries
		case slices.Contains(expectFields, known):
			seen[known] = true
		case Nearest(known, expectFields) != "":
			return nil, fmt.Errorf("%.80q is not known; did you mean %q?", known, Nearest(known, expectFields))
		default:
			return nil, fmt.Errorf("%.80q is not known; there are %s", known, strings.Join(expectFields, ", "))
		}
	}
	var e Expect
	err := json.Unmarshal(raw, &e)
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return nil, fmt.Errorf("%s: must not be a %s", kind.Field, kind.Value)
	}
	if err != nil {
		return nil, err
	}
	if err := e.checkSaid(); err != nil {
		return nil, err
	}
	return &e, e.Check()
}

// errTries is of a number that is out of bounds. Zero is left out in Go; where somebody
// wrote it, it would be taken for two.
var errTries = fmt.Errorf("tries: must be from 1 to %d; leave it out for %d", MaxExpectTries, DefaultExpectTries)

// errNothing is of an expectation that says nothing at all.
var errNothing = errors.New(`says nothing: write what the answer must be like, as in {"finish_reasons": ["stop"]}, or leave it out`)

// checkSaid wants an Expect to say something. It is for those who take one: one that was
// taken earlier is as it is.
func (e *Expect) checkSaid() error {
	if e != nil && !e.Judges() && !e.Fenced && e.Tries == 0 && e.Otherwise == "" {
		return errNothing
	}
	return nil
}

// Judges tells whether answers are looked at by an Expect. One with tries or otherwise
// alone says only what becomes of those that others find bad: its route's rules, where
// a request has it.
func (e *Expect) Judges() bool {
	return len(bytes.TrimSpace(e.JSONSchema)) > 0 || e.ResponseFormat || e.Regex != "" || e.MinCharacters != 0 || e.MaxCharacters != 0 ||
		e.MinTokens != 0 || e.MaxTokens != 0 || len(e.FinishReasons) > 0 || e.SameModelFamily
}

// Check says which field of an Expect is wrong and what would be right, or nil.
// Whether its schema is one is for package expect to say. A nil Expect is right.
func (e *Expect) Check() error {
	if e == nil {
		return nil
	}
	for _, check := range []func() error{e.checkSchema, e.checkRegex, e.checkBounds, e.checkRest} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (e *Expect) checkSchema() error {
	schema := bytes.TrimSpace(e.JSONSchema)
	switch {
	case len(schema) == 0:
		if e.Fenced && !e.ResponseFormat {
			return errors.New("fenced: is about JSON, and none is expected; add json_schema or leave it out")
		}
		return nil
	case len(schema) > MaxExpectBytes:
		return fmt.Errorf("json_schema: has %d bytes, at most %d", len(schema), MaxExpectBytes)
	case !json.Valid(schema):
		return errors.New("json_schema: is not JSON")
	case schema[0] != '{' && string(schema) != "true":
		return errors.New("json_schema: must be an object, or true for any JSON")
	}
	return nil
}

func (e *Expect) checkRegex() error {
	if len(e.Regex) > maxPattern {
		return fmt.Errorf("regex: has %d bytes, at most %d", len(e.Regex), maxPattern)
	}
	if strings.ContainsRune(e.Regex, 0) {
		return errors.New("regex: holds a NUL character")
	}
	if _, _, err := CompilePattern(e.Regex); err != nil {
		return fmt.Errorf("regex: %w", err)
	}
	return nil
}

func (e *Expect) checkBounds() error {
	for _, bound := range []struct {
		name     string
		min, max int
	}{{"characters", e.MinCharacters, e.MaxCharacters}, {"tokens", e.MinTokens, e.MaxTokens}} {
		switch {
		case bound.min < 0:
			return fmt.Errorf("min_%s: must not be below zero; leave it out for no bound", bound.name)
		case bound.max < 0:
			return fmt.Errorf("max_%s: must not be below zero; leave it out for no bound", bound.name)
		case bound.max > 0 && bound.min > bound.max:
			return fmt.Errorf("min_%s: %d is more than max_%s, %d, so that no answer would do", bound.name, bound.min, bound.name, bound.max)
		}
	}
	return nil
}

func (e *Expect) checkRest() error {
	if len(e.FinishReasons) > maxFinishReasons {
		return fmt.Errorf("finish_reasons: has %d, at most %d", len(e.FinishReasons), maxFinishReasons)
	}
	for _, reason := range e.FinishReasons {
		if reason == "" || len(reason) > 64 || strings.Trim(reason, fieldLetters) != "" {
			return fmt.Errorf(`finish_reasons: %.80q is none, as in "stop" or "length"`, reason)
		}
	}
	if e.Tries < 0 || e.Tries > MaxExpectTries {
		return errTries
	}
	if e.Otherwise != "" && e.Otherwise != OtherwiseRefuse && e.Otherwise != OtherwiseKeep {
		return fmt.Errorf("otherwise: %.80q is neither %s nor %s", e.Otherwise, OtherwiseRefuse, OtherwiseKeep)
	}
	return nil
}

// ExpectError names the expectation as the field of a request that an error is
// about: "regex: …" becomes "expect.regex: …". Nil stays nil.
func ExpectError(err error) error {
	switch {
	case err == nil:
		return nil
	case knownField(err.Error()):
		return fmt.Errorf("expect.%w", err)
	default:
		return fmt.Errorf("expect: %w", err)
	}
}

// knownField tells whether an error begins with a field of an Expect.
func knownField(text string) bool {
	name, _, found := strings.Cut(text, ": ")
	return found && slices.Contains(expectFields, name)
}
