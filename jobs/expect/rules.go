package expect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"tidegate/jobs"
)

// A Said is what an answer says, as far as it is judged.
type Said struct {
	Text     string // of the first choice
	Calls    bool   // it calls tools
	Finish   string // why it ended
	Tokens   int    // of the answer, without the reasoning
	Model    string // that answered; empty: it does not say
	Expected string // the model that was asked; empty: nobody can tell
}

// An Unmet is a rule that an answer does not keep.
type Unmet struct {
	Rule string // the field of the Expect, as in "json_schema"
	// Why is in words, with the place in the schema; never a piece of the answer.
	Why string
}

// String writes both.
func (u *Unmet) String() string { return u.Rule + ": " + u.Why }

// Rules are an Expect that is compiled. Nil Rules are kept by every answer. Safe
// for concurrent use.
type Rules struct {
	expect jobs.Expect
	json   bool    // the text must be JSON, …
	schema *schema // … and keep this; nil: any will do
	regex  *regexp.Regexp
	size   int // of the regex
}

// Compile makes rules of an Expect, for a request of that body, or says which field
// is wrong. Without a body, as for a route, what it expects by response_format is
// left out.
func Compile(e *jobs.Expect, body []byte) (*Rules, error) {
	if err := e.Check(); err != nil {
		return nil, err
	}
	if e == nil {
		return nil, nil
	}
	r := &Rules{expect: *e}
	if err := r.takeSchema("json_schema", e.JSONSchema); err != nil {
		return nil, err
	}
	if e.ResponseFormat {
		if err := r.takeFormat(body); err != nil {
			return nil, err
		}
	}
	if e.Regex != "" {
		regex, size, err := jobs.CompilePattern(e.Regex)
		if err != nil { // Check compiled it
			return nil, fmt.Errorf("regex: %w", err)
		}
		r.regex, r.size = regex, size
	}
	return r, nil
}

func (r *Rules) takeSchema(field string, text json.RawMessage) (err error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil
	}
	r.json = true
	if string(text) == "true" {
		return nil
	}
	if r.schema, err = compile(text); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return nil
}

// takeFormat takes what the body asks its target for.
func (r *Rules) takeFormat(body []byte) error {
	format, err := formatOf(body)
	if err != nil || format.Type == "" || format.Type == "text" {
		return err
	}
	if r.json {
		return errors.New("response_format: stands beside json_schema; expect one of them")
	}
	switch format.Type {
	case "json_object":
		r.json = true
		return nil
	case "json_schema":
		if len(format.JSONSchema.Schema) == 0 {
			return errors.New("response_format: that of the body is a json_schema, and has no schema")
		}
		if len(format.JSONSchema.Schema) > jobs.MaxExpectBytes {
			return fmt.Errorf("response_format: the schema in the body has %d bytes, at most %d", len(format.JSONSchema.Schema), jobs.MaxExpectBytes)
		}
		return r.takeSchema("response_format", format.JSONSchema.Schema)
	default:
		return nil // the provider knows what it means
	}
}

type responseFormat struct {
	Type       string `json:"type"`
	JSONSchema struct {
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

func formatOf(body []byte) (responseFormat, error) {
	if !bytes.Contains(body, []byte(`"response_format"`)) {
		return formatOfText(body), nil
	}
	var read struct {
		Format responseFormat `json:"response_format"`
	}
	if err := json.Unmarshal(body, &read); err != nil {
		return responseFormat{}, errors.New("response_format: the one of the body cannot be read")
	}
	return read.Format, nil
}

// formatOfText is where a body of /v1/responses has it: text.format.
func formatOfText(body []byte) (format responseFormat) {
	if !bytes.Contains(body, []byte(`"format"`)) {
		return format
	}
	var read struct {
		Text json.RawMessage `json:"text"`
	}
	var text struct {
		Format struct {
			Type   string          `json:"type"`
			Schema json.RawMessage `json:"schema"`
		} `json:"format"`
	}
	if json.Unmarshal(body, &read) == nil && json.Unmarshal(read.Text, &text) == nil { // else it is none of that endpoint
		format.Type, format.JSONSchema.Schema = text.Format.Type, text.Format.Schema
	}
	return format
}

// Judge says which rule an answer does not keep; nil: it is as expected.
func (r *Rules) Judge(said *Said) *Unmet {
	if r == nil {
		return nil
	}
	e := &r.expect
	switch {
	case len(e.FinishReasons) > 0 && !slices.Contains(e.FinishReasons, said.Finish):
		return unmet("finish_reasons", "it ended for another reason than %s", strings.Join(e.FinishReasons, ", "))
	case e.MinTokens > said.Tokens:
		return unmet("min_tokens", "it has %d tokens, less than %d", said.Tokens, e.MinTokens)
	case e.MaxTokens > 0 && said.Tokens > e.MaxTokens:
		return unmet("max_tokens", "it has %d tokens, more than %d", said.Tokens, e.MaxTokens)
	case e.SameModelFamily && said.Model != "" && said.Expected != "" && Family(said.Model) != Family(said.Expected):
		return unmet("same_model_family", "a model of another family answered")
	case said.Calls && said.Text == "":
		return nil
	}
	return r.judgeText(strings.TrimSpace(said.Text))
}

func (r *Rules) judgeText(text string) *Unmet {
	e := &r.expect
	if e.MinCharacters > 0 || e.MaxCharacters > 0 {
		switch n := utf8.RuneCountInString(text); {
		case n < e.MinCharacters:
			return unmet("min_characters", "it has %d characters, less than %d", n, e.MinCharacters)
		case e.MaxCharacters > 0 && n > e.MaxCharacters:
			return unmet("max_characters", "it has %d characters, more than %d", n, e.MaxCharacters)
		}
	}
	switch {
	case r.regex == nil:
	case r.size*len(text) > patternWork:
		return unmet("regex", "it takes too many steps to judge by this expression")
	case !r.regex.MatchString(text):
		return unmet("regex", "it does not match")
	}
	if !r.json {
		return nil
	}
	rule := "json_schema"
	if len(e.JSONSchema) == 0 {
		rule = "response_format"
	}
	if e.Fenced {
		text = unfenced(text)
	}
	if why := r.schema.judge(text); why != "" {
		return &Unmet{Rule: rule, Why: why}
	}
	return nil
}

func unmet(rule, why string, args ...any) *Unmet {
	return &Unmet{Rule: rule, Why: fmt.Sprintf(why, args...)}
}

// unfenced is what stands in a fence, where the whole text is one.
func unfenced(text string) string {
	inner, ok := strings.CutPrefix(text, "```")
	if !ok {
		return text
	}
	if inner, ok = strings.CutSuffix(inner, "```"); !ok {
		return text
	}
	name, rest, ok := strings.Cut(inner, "\n")
	if name = strings.TrimSpace(name); !ok || name != "" && !strings.EqualFold(name, "json") {
		return text
	}
	return strings.TrimSpace(rest)
}

// Tries is how many answers are asked for after a bad one.
func (r *Rules) Tries() int {
	if r == nil || r.expect.Tries == 0 {
		return jobs.DefaultExpectTries
	}
	return r.expect.Tries
}

// Keeps tells whether the last answer is the result when none was as expected.
func (r *Rules) Keeps() bool { return r != nil && r.expect.Otherwise == jobs.OtherwiseKeep }
