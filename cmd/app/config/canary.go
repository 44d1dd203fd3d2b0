package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tidegate/jobs"
)

// leastCanary bounds how often a canary prompt is asked: each one is paid.
const leastCanary = 10 * time.Second

// Canary is a prompt that targets are asked now and then: see jobs.Canary.
type Canary struct {
	Name          string        `yaml:"name"`
	Targets       []string      `yaml:"targets,omitempty"` // these, …
	Route         string        `yaml:"route,omitempty"`   // … or all of this route's chain
	Every         time.Duration `yaml:"every"`
	Prompt        string        `yaml:"prompt,omitempty"` // what a user says, …
	Body          string        `yaml:"body,omitempty"`   // … or a whole body as JSON
	Expect        *Expect       `yaml:"expect,omitempty"`
	FailuresInRow int           `yaml:"failures_in_a_row"`
}

func (c *Canary) setDefaults() {
	c.Every = 10 * time.Minute
	c.FailuresInRow = jobs.DefaultCanaryFailures
}

// BuildCanaries makes the canaries of a checked configuration.
func (c *Config) BuildCanaries() []jobs.Canary {
	made := make([]jobs.Canary, len(c.Canaries))
	for i := range c.Canaries {
		given := &c.Canaries[i]
		made[i] = jobs.Canary{
			Name: given.Name, Targets: given.Targets, Route: given.Route, Every: given.Every, Body: given.body(), Expect: given.Expect.Build(), Failures: given.FailuresInRow,
		}
		for _, route := range c.Routes {
			if route.Name == given.Route {
				made[i].Targets = route.Chain
			}
		}
	}
	return made
}

func (c *Canary) body() json.RawMessage {
	if c.Prompt == "" {
		return json.RawMessage(c.Body)
	}
	said, _ := json.Marshal(c.Prompt) // a text always is JSON
	return bytes.Join([][]byte{[]byte(`{"messages":[{"role":"user","content":`), said, []byte(`}]}`)}, nil)
}

// checkCanaries notes what is wrong with the canaries.
func (r *reader) checkCanaries(c *Config) {
	names := map[string]int{}
	for i := range c.Canaries {
		canary, at := &c.Canaries[i], fmt.Sprintf("canaries[%d]", i)
		if r.required(at+".name", canary.Name, "name the canary, as in capitals") {
			r.name(at+".name", canary.Name)
			r.unique(names, canary.Name, "canaries[%d].name", i)
		}
		r.checkCanaryTargets(c, canary, at)
		switch {
		case canary.Prompt == "" && canary.Body == "":
			r.problem(at+".prompt", "is missing: write what to ask, as in prompt: \"The capital of France, in one word?\", or a whole body as JSON")
		case canary.Prompt != "" && canary.Body != "":
			r.problem(at+".body", "stands beside a prompt: leave one of them out")
		case jobs.EndpointChat.CheckBody(canary.body()) != nil:
			r.problem(at+".body", "%v", jobs.EndpointChat.CheckBody(canary.body()))
		}
		if canary.Every < leastCanary {
			r.problem(at+".every", "must be %v or more: each one is paid", leastCanary)
		}
		if canary.FailuresInRow < 1 || canary.FailuresInRow > jobs.MaxExpectTries {
			r.problem(at+".failures_in_a_row", "must be from 1 to %d", jobs.MaxExpectTries)
		}
		if canary.Expect == nil {
			r.problem(at+".expect", "is missing: say what a good answer is like, as in {regex: Paris}")
		}
		r.checkExpect(canary.Expect, at+".expect")
		r.checkCanaryExpect(canary, at)
	}
}

// checkCanaryExpect wants an expectation to say nothing that means nothing of a canary.
func (r *reader) checkCanaryExpect(canary *Canary, at string) {
	for _, field := range []string{"tries", "otherwise"} {
		if place := at + ".expect." + field; r.given(place) {
			r.problem(place, "says what becomes of a request, and a canary is none: leave it out")
		}
	}
	var body struct {
		Format json.RawMessage `json:"response_format"`
	}
	if canary.Expect != nil && canary.Expect.ResponseFormat && json.Unmarshal(canary.body(), &body) == nil && body.Format == nil {
		r.problem(at+".expect.response_format", "is about the response_format of the body, and there is none: give one in body, or write json_schema")
	}
}

// checkCanaryTargets wants targets that a worker calls: those of a chain, or those
// that are asked after a bad answer.
func (r *reader) checkCanaryTargets(c *Config, canary *Canary, at string) {
	var routes, called []string
	for _, route := range c.Routes {
		routes = append(routes, route.Name)
		for _, name := range slices.Concat(route.Chain, route.EscalateTo) {
			if !slices.Contains(called, name) {
				called = append(called, name)
			}
		}
	}
	switch {
	case canary.Route == "" && len(canary.Targets) == 0:
		r.problem(at+".targets", "is missing: name who is asked, as in targets: [a, b], or in route a route, for all of its chain; %s", jobs.DidYouMean("", called))
	case canary.Route != "" && len(canary.Targets) > 0:
		r.problem(at+".targets", "stands beside a route, which means all of its chain: leave one of them out")
	case canary.Route != "" && !slices.Contains(routes, canary.Route):
		r.problem(at+".route", "there is no route %s; %s", r.shown(at+".route", canary.Route), jobs.DidYouMean(canary.Route, routes))
	}
	for i, name := range canary.Targets {
		if field := fmt.Sprintf("%s.targets[%d]", at, i); !slices.Contains(called, name) {
			r.problem(field, "no route calls a target %s; %s", r.shown(field, name), jobs.DidYouMean(name, called))
		} else if at := slices.IndexFunc(c.Targets, func(t Target) bool { return t.Name == name }); at >= 0 && !c.Targets[at].endpoints().Has(jobs.EndpointChat) {
			r.problem(field, "%s serves no chats, and a canary is one", name)
		}
	}
}
