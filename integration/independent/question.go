package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"tidegate/jobs"
)

// dialects are those of the mocks, and of the targets that are named like them, in
// the order of the chain.
var dialects = []string{"openai", "anthropic", "gemini"}

// chainRoute is the route that has all of them; each has a route of its own name.
const chainRoute = "chain"

var routes = append(slices.Clone(dialects), chainRoute)

// The shapes of a question.
const (
	plain      = "plain"
	system     = "system"      // with a prompt of the system
	turns      = "turns"       // that there were before
	toolCall   = "tool call"   // is what it is answered with
	toolResult = "tool result" // is what it brings
	schema     = "schema"      // that its answer follows
	image      = "image"       // in a data URL
)

var shapes = []string{plain, system, turns, toolCall, toolResult, schema, image}

// A question is a request whose answer is known.
type question struct {
	number int
	round  string
	route  string
	shape  string
	script *refusal // that the first target meets it with, once; nil: none
}

// first is the dialect of the target that is to be asked first.
func (q question) first() string {
	if q.route == chainRoute {
		return dialects[0]
	}
	return q.route
}

func (q question) customID() string { return strconv.Itoa(q.number) }

func (q question) text() string {
	return fmt.Sprintf("Report No. %05d. How high is the tide?", q.number)
}

var numberForm = regexp.MustCompile(`Report No\. (\d{5})\.`)

// numberIn finds the number of the question in what a mock was asked; -1: it is
// none.
func numberIn(body []byte) int {
	found := numberForm.FindSubmatch(body)
	if found == nil {
		return -1
	}
	n, _ := strconv.Atoi(string(found[1])) // it is five digits
	return n
}

// pixel is a small image.
const pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

type object map[string]any

func (q question) gauge() string { return fmt.Sprintf("You read gauge %05d.", q.number) }

func (q question) toolID() string { return fmt.Sprintf("call_%05d", q.number) }

var parameters = object{"type": "object", "properties": object{"report": object{"type": "integer"}, "by": object{"type": "string"}}}

// request is the question as it is enqueued.
func (q question) request() (jobs.Request, error) {
	user := object{"role": "user", "content": q.text()}
	tools := []object{{"type": "function", "function": object{"name": "tide", "description": "Reads the tide.", "parameters": parameters}}}
	body := object{"model": "any", "messages": []object{user}, "max_tokens": 200, "temperature": 0.5}
	switch q.shape {
	case system:
		body["messages"] = []object{{"role": "system", "content": q.gauge()}, user}
	case turns:
		body["messages"] = []object{{"role": "user", "content": "Good morning."}, {"role": "assistant", "content": "Good morning."}, user}
	case toolCall:
		body["tools"], body["tool_choice"] = tools, "required"
	case toolResult:
		body["tools"] = tools
		body["messages"] = []object{
			user,
			{"role": "assistant", "content": nil, "tool_calls": []object{{"id": q.toolID(), "type": "function", "function": object{"name": "tide", "arguments": "{}"}}}},
			{"role": "tool", "tool_call_id": q.toolID(), "content": q.gauge()},
		}
	case schema:
		body["response_format"] = object{"type": "json_schema", "json_schema": object{"name": "tide", "schema": parameters}}
	case image:
		user["content"] = []object{{"type": "text", "text": q.text()}, {"type": "image_url", "image_url": object{"url": pixel}}}
	}
	text, err := json.Marshal(body)
	return jobs.Request{Route: q.route, CustomID: q.customID(), Body: text}, err
}

// An answer is what a question is to be answered with.
type answer struct {
	text      string
	arguments string // of the call of the tool; empty: there is none
	finish    string
	usage     jobs.Usage
}

// answer is what the mock of a dialect says; no other says the same.
func (q question) answer(dialect string) answer {
	a := answer{finish: "stop", usage: jobs.Usage{Input: 20 + q.number%97, Output: 5 + q.number%53}}
	data := fmt.Sprintf(`{"report":%d,"by":%q}`, q.number, dialect)
	switch q.shape {
	case toolCall:
		a.arguments, a.finish = data, "tool_calls"
	case schema:
		a.text = data
	default:
		a.text = fmt.Sprintf("Report %05d, a %s: the tide is %d cm high, says %s.", q.number, q.shape, q.number%1000, dialect)
	}
	return a
}

// A fixture is one as the mock reads it: what to wait for, and what to say.
type fixture struct {
	Match    match  `json:"match"`
	Response object `json:"response"`
}

type match struct {
	UserMessage        string `json:"userMessage,omitempty"`
	SystemMessage      string `json:"systemMessage,omitempty"`
	ToolName           string `json:"toolName,omitempty"`
	ToolResultContains string `json:"toolResultContains,omitempty"`
	ResponseFormat     string `json:"responseFormat,omitempty"`
	TurnIndex          *int   `json:"turnIndex,omitempty"`     // assistants' messages before
	SequenceIndex      *int   `json:"sequenceIndex,omitempty"` // times that it has matched
}

// match is what the question looks like at the mock when all of it has arrived. Of
// an image, and of a schema in two dialects, the mock does not tell.
func (q question) match(dialect string) match {
	m := match{UserMessage: q.text()}
	switch q.shape {
	case system:
		m.SystemMessage = q.gauge()
	case turns:
		m.TurnIndex = new(int)
		*m.TurnIndex = 1
	case toolCall:
		m.ToolName = "tide"
	case toolResult:
		m.ToolResultContains = q.gauge()
	case schema:
		if dialect == "openai" {
			m.ResponseFormat = "json_schema"
		}
	}
	return m
}

// fixtures are what the mock of a dialect knows of the question.
func (q question) fixtures(dialect string) []fixture {
	var all []fixture
	if q.script != nil && dialect == q.first() {
		once := q.match(dialect)
		once.SequenceIndex = new(int)
		all = append(all, fixture{once, q.script.response()})
	}
	a := q.answer(dialect)
	said := object{"usage": object{"prompt_tokens": a.usage.Input, "completion_tokens": a.usage.Output, "total_tokens": a.usage.Input + a.usage.Output}}
	if a.arguments != "" {
		said["toolCalls"] = []object{{"id": q.toolID(), "name": "tide", "arguments": a.arguments}}
	} else {
		said["content"] = a.text
	}
	return append(all, fixture{q.match(dialect), said})
}
