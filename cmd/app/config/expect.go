package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"tidegate/jobs"
	"tidegate/jobs/expect"
)

// Expect is what answers must be like: see jobs.Expect.
type Expect struct {
	JSONSchema      schemaText `yaml:"json_schema,omitempty"`
	ResponseFormat  bool       `yaml:"response_format,omitempty"`
	Fenced          bool       `yaml:"fenced,omitempty"`
	Regex           string     `yaml:"regex,omitempty"`
	MinCharacters   int        `yaml:"min_characters,omitempty"`
	MaxCharacters   int        `yaml:"max_characters,omitempty"`
	MinTokens       int        `yaml:"min_tokens,omitempty"`
	MaxTokens       int        `yaml:"max_tokens,omitempty"`
	FinishReasons   []string   `yaml:"finish_reasons,omitempty"`
	SameModelFamily bool       `yaml:"same_model_family,omitempty"`
	Tries           int        `yaml:"tries,omitempty"`     // zero: 2
	Otherwise       string     `yaml:"otherwise,omitempty"` // refuse or keep; empty: refuse
}

// Build makes it into what judges answers; nil for nil.
func (e *Expect) Build() *jobs.Expect {
	if e == nil {
		return nil
	}
	return &jobs.Expect{
		JSONSchema: json.RawMessage(strings.TrimSpace(string(e.JSONSchema))), ResponseFormat: e.ResponseFormat, Fenced: e.Fenced, Regex: e.Regex,
		MinCharacters: e.MinCharacters, MaxCharacters: e.MaxCharacters, MinTokens: e.MinTokens, MaxTokens: e.MaxTokens,
		FinishReasons: e.FinishReasons, SameModelFamily: e.SameModelFamily, Tries: e.Tries, Otherwise: e.Otherwise,
	}
}

// checkExpect notes what is wrong with an expectation.
func (r *reader) checkExpect(e *Expect, at string) {
	if e == nil {
		return
	}
	if r.given(at+".tries") && e.Tries == 0 { // left out, it is 2
		r.problem(at+".tries", "must be from 1 to %d; leave it out for %d", jobs.MaxExpectTries, jobs.DefaultExpectTries)
	}
	left, fields := *e, yamlFieldsOf[Expect]()
	for range fields { // an error names one of them
		_, err := expect.Compile(left.Build(), nil)
		if err == nil {
			r.checkJudges(&left, at)
			return
		}
		field, text, found := strings.Cut(err.Error(), ": ")
		if !found || !slices.Contains(fields, field) {
			r.problem(at, "%s", err)
			return
		}
		r.problem(at+"."+field, "%s", text)
		left.leaveOut(field)
	}
}

// checkJudges wants an expectation to look at answers, where nothing else is wrong
// with it.
func (r *reader) checkJudges(e *Expect, at string) {
	for field := range r.broken {
		if strings.HasPrefix(field, at+".") {
			return
		}
	}
	if !e.Build().Judges() {
		r.problem(at, "expects nothing of an answer: write what it must be like, as in {finish_reasons: [stop]}, or leave it out")
	}
}

// leaveOut takes away what is wrong in a field, so that the others are looked at: what
// they say of JSON is no mistake for a schema that is one.
func (e *Expect) leaveOut(field string) {
	if field == "json_schema" {
		e.JSONSchema = "true"
		return
	}
	reflect.ValueOf(e).Elem().Field(FieldsOf(reflect.TypeFor[Expect]()).Index[field]).SetZero()
}

// checkEscalation notes what is wrong with the targets that are asked after a bad
// answer.
func (r *reader) checkEscalation(names []string, route *Route, at string, used map[string]bool) {
	seen := map[string]bool{}
	for i, name := range route.EscalateTo {
		field := fmt.Sprintf("%s.escalate_to[%d]", at, i)
		switch {
		case !slices.Contains(names, name):
			r.problem(field, "there is no target %s; %s", r.shown(field, name), jobs.DidYouMean(name, names))
		case slices.Contains(route.Chain, name):
			r.problem(field, "%s is in the chain already, and asked after a bad answer as it is", r.shown(field, name))
		case seen[name]:
			r.problem(field, "%s is here already; a target stands here once", r.shown(field, name))
		}
		seen[name], used[name] = true, true
	}
}
