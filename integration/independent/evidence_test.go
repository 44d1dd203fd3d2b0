package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"tidegate/jobs"
	"tidegate/worker/publish"
)

var began = time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC)

// limitedAt is when the last round began.
var limitedAt = began.Add(time.Hour)

// staged is evidence of a run in which all went well.
type staged struct {
	evidence
	questions []question
	at        time.Time // of the next call
}

func good(t *testing.T) *staged {
	t.Helper()
	s := &staged{questions: plan{perRoute: 60}.questions(), at: began}
	s.river = map[int]int{1: len(s.questions)}
	s.opened = map[string]int{"openai": 2, "anthropic": 1}
	s.events, s.served = map[string][]event{}, map[string][]served{}
	for _, q := range s.questions {
		s.answer(t, q)
	}
	return s
}

// answer notes that a question was answered, after its script and, in the storm,
// after one failure.
func (s *staged) answer(t *testing.T, q question) {
	t.Helper()
	target := q.first()
	switch {
	case q.script != nil:
		s.call(q, target, q.script.class, q.script.status)
		if class := q.script.class; class == jobs.Context || class == jobs.Content {
			target = dialects[1]
		}
	case q.round == chaosRound:
		failures := []call{
			{Class: jobs.Transient, Status: 500},
			{Class: jobs.Garbled, Status: 200},
			{Class: jobs.Timeout},
			{Class: jobs.Transient},
		}
		failed := failures[q.number/len(routes)%len(failures)]
		s.call(q, target, failed.Class, failed.Status)
		if q.route == chainRoute {
			target = dialects[2]
		}
	case q.round == limitedRound && s.at.Before(limitedAt):
		s.at = limitedAt
		s.call(q, target, jobs.Rate, 429)
		s.at = s.at.Add(told)
	}
	s.call(q, target, jobs.OK, 200)
	a := q.answer(target)
	row := stored{
		CustomID: q.customID(), Route: q.route, EventID: "event-" + q.customID(), State: jobs.StateAnswered, Target: target,
		Finish: a.finish, Input: a.usage.Input, Output: a.usage.Output, Body: bodyOf(t, a),
	}
	s.stored = append(s.stored, row)
	heard := event{id: row.EventID, body: publish.ResultBody{
		RequestID: "request-" + q.customID(), CustomID: q.customID(), Route: q.route, State: row.State, Target: target, Response: row.Body,
	}}
	heard.subject = publish.ResultSubject(jobs.DefaultTenant, q.route, "", heard.body.RequestID)
	s.events[q.customID()] = []event{heard}
}

// call notes one on both sides, a second after the last one.
func (s *staged) call(q question, target string, class jobs.Class, status int) {
	s.at = s.at.Add(time.Second)
	s.calls = append(s.calls, call{At: s.at, CustomID: q.customID(), Target: target, Class: class, Status: status, Probe: class == jobs.Garbled})
	if class != jobs.Timeout || status != 0 {
		s.served[target] = append(s.served[target], served{number: q.number, at: s.at, status: status, whole: class == jobs.OK})
	}
}

// bodyOf is an answer as a chat completion.
func bodyOf(t *testing.T, a answer) []byte {
	t.Helper()
	message := object{"role": "assistant", "content": a.text}
	if a.arguments != "" {
		message = object{"role": "assistant", "content": nil, "tool_calls": []object{
			{"id": "call_1", "type": "function", "function": object{"name": "tide", "arguments": a.arguments}},
		}}
	}
	body, err := json.Marshal(object{
		"id": "1", "object": "chat.completion", "created": 1, "model": "m",
		"choices": []object{{"index": 0, "message": message, "finish_reason": a.finish}},
		"usage":   object{"prompt_tokens": a.usage.Input, "completion_tokens": a.usage.Output, "total_tokens": a.usage.Input + a.usage.Output},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// find is the place of the first row of a round, of a route, in a shape.
func (s *staged) find(t *testing.T, round, route, shape string) int {
	t.Helper()
	for i, q := range s.questions {
		if q.round == round && q.route == route && q.shape == shape && q.script == nil {
			return i
		}
	}
	t.Fatal(fmt.Errorf("no %s of route %s in round %s", shape, route, round))
	return 0
}
