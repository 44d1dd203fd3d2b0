package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

func TestGoodEvidencePasses(t *testing.T) {
	t.Parallel()
	s := good(t)
	if err := s.check(s.questions, limitedAt).err(); err != nil {
		t.Error(err)
	}
}

// TestEveryCheckFails: each thing that may go wrong is found, by its name.
func TestEveryCheckFails(t *testing.T) {
	t.Parallel()
	row := func(s *staged, round, route, shape string) *stored { return &s.stored[s.find(t, round, route, shape)] }
	replace := func(row *stored, from, to string) {
		row.Body = bytes.Replace(row.Body, []byte(from), []byte(to), 1)
	}
	for want, spoil := range map[string]func(*staged){
		"requests: 616 questions were asked, and 615": func(s *staged) { s.stored = s.stored[1:] },
		"requests: question 7 is stored 2 times":      func(s *staged) { s.stored = append(s.stored, s.stored[7]) },
		`has no answer: it is ""`:                     func(s *staged) { row(s, chaosRound, "gemini", plain).State = "" },
		`has no answer: it is "refused"`:              func(s *staged) { row(s, calmRound, "openai", plain).State = jobs.StateRefused },
		"was answered on gemini by openai":            func(s *staged) { row(s, calmRound, "gemini", plain).Target = "openai" },
		"usage: question":                             func(s *staged) { row(s, calmRound, "gemini", image).Output++ },
		"it does not say":                             func(s *staged) { replace(row(s, calmRound, "gemini", image), "cm high", "cm low") },
		"a member of a chat completion is missing":    func(s *staged) { replace(row(s, calmRound, "anthropic", system), `"created":1,`, "") },
		"it is no chat completion":                    func(s *staged) { replace(row(s, calmRound, "anthropic", system), "{", "") },
		"its choice is not that of an assistant":      func(s *staged) { replace(row(s, calmRound, "anthropic", turns), `"stop"`, `"length"`) },
		"its usage is not the fixture's": func(s *staged) {
			replace(row(s, calmRound, "anthropic", schema), `"total_tokens":`, `"total_tokens":9`)
		},
		"it does not call tide with":                   func(s *staged) { replace(row(s, calmRound, "gemini", toolCall), `"tide"`, `"ebb"`) },
		"the subscriber heard of question 3 0 times":   func(s *staged) { delete(s.events, "3") },
		"the subscriber heard of question 3 2 times":   func(s *staged) { s.events["3"] = append(s.events["3"], s.events["4"]...) },
		"tells something else than the result event-3": func(s *staged) { s.events["3"][0].body.Response = []byte(`{}`) },
		"that of question 3 came on elsewhere":         func(s *staged) { s.events["3"][0].subject = "elsewhere" },
		"calm: a call of question":                     func(s *staged) { s.call(s.questions[0], "openai", jobs.Rate, 429) },
		"which was not in its script":                  func(s *staged) { s.call(s.ofScript(t, false), "openai", jobs.Overload, 503) },
		"was to be refused once, and took 1 calls":     func(s *staged) { s.forget(s.ofScript(t, true)) },
		"was answered 2 times":                         func(s *staged) { s.call(s.questions[0], "openai", jobs.OK, 200) },
		"question 0 in whole 2 times, and 0 of":        func(s *staged) { s.served["openai"] = append(s.served["openai"], s.served["openai"][0]) },
		"jobs by attempts are map[1:615 2:1]":          func(s *staged) { s.river = map[int]int{1: len(s.questions) - 1, 2: 1} },
		"is LOST: nobody ended it":                     func(s *staged) { s.calls[0].Class = jobs.Lost },
		"openai answered 371, for good or ill": func(s *staged) {
			s.served["openai"] = append(s.served["openai"], slices.Repeat([]served{{number: -1, status: 500}}, 40)...)
		},
		"the mock of openai closed 0":                 func(s *staged) { s.dropClosed("openai") },
		"gemini answered 0, and its own route has":    func(s *staged) { s.rename("gemini") },
		"openai never opened in the fleet":            func(s *staged) { s.opened["openai"] = 0 },
		"the circuit of anthropic never opened":       func(s *staged) { s.unprobe("anthropic") },
		"calls without chaos ended without an answer": func(s *staged) { s.freeze() },
		"anthropic met no GARBLED":                    func(s *staged) { s.reclass("anthropic", jobs.Garbled) },
		"gemini met no TIMEOUT":                       func(s *staged) { s.reclass("gemini", jobs.Timeout) },
		"no request of the chain was re-routed":       func(s *staged) { s.stayFirst() },
		"the mock of openai announced none":           func(s *staged) { s.hush() },
		"openai announced 60 calls a minute, and got": func(s *staged) { s.hurry() },
		"keys: the key of gemini is in worker0.log":   func(s *staged) { s.leaks = []string{"the key of gemini is in worker0.log"} },
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			s := good(t)
			spoil(s)
			if err := s.check(s.questions, limitedAt).err(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("it says %v", err)
			}
		})
	}
}

// ofScript is a question of its round with a script of a route of its own, or the
// first one without.
func (s *staged) ofScript(t *testing.T, has bool) question {
	t.Helper()
	for _, q := range s.questions {
		if q.round == refusedRound && q.route == "openai" && (q.script != nil) == has {
			return q
		}
	}
	t.Fatal("there is none")
	return question{}
}

// forget takes the first call of a question away on both sides.
func (s *staged) forget(q question) {
	s.calls = slices.Delete(s.calls, s.firstCall(q), s.firstCall(q)+1)
	own := s.served[q.route]
	at := slices.IndexFunc(own, func(one served) bool { return one.number == q.number })
	s.served[q.route] = slices.Delete(own, at, at+1)
}

func (s *staged) firstCall(q question) int {
	return slices.IndexFunc(s.calls, func(one call) bool { return one.CustomID == q.customID() })
}

// dropClosed lets a mock forget the connections that it closed.
func (s *staged) dropClosed(dialect string) {
	s.served[dialect] = slices.DeleteFunc(s.served[dialect], func(one served) bool { return one.status == 0 })
}

// rename lets a target answer nothing.
func (s *staged) rename(dialect string) {
	for i := range s.calls {
		if s.calls[i].Target == dialect && s.calls[i].Class == jobs.OK {
			s.calls[i].Class = jobs.Content
		}
	}
}

// reclass lets a target meet another class.
func (s *staged) reclass(dialect string, class jobs.Class) {
	for i := range s.calls {
		if s.calls[i].Target == dialect && s.calls[i].Class == class {
			s.calls[i].Class = jobs.Overload
		}
	}
}

func (s *staged) unprobe(dialect string) {
	for i := range s.calls {
		s.calls[i].Probe = s.calls[i].Probe && s.calls[i].Target != dialect
	}
}

// freeze lets many calls of a round without chaos time out.
func (s *staged) freeze() {
	for _, q := range s.questions[:20] {
		s.call(q, q.first(), jobs.Timeout, 0)
	}
}

func (s *staged) stayFirst() {
	for i := range s.stored {
		if s.stored[i].Route == chainRoute {
			s.stored[i].Target = dialects[0]
		}
	}
}

// hush takes the 429s out of the journal.
func (s *staged) hush() {
	for i := range s.served["openai"] {
		if s.served["openai"][i].status == 429 {
			s.served["openai"][i].status = 503
		}
	}
}

// hurry lets all calls after the limit was known come at once.
func (s *staged) hurry() {
	for i := range s.served["openai"] {
		if one := &s.served["openai"][i]; one.at.After(limitedAt.Add(told)) {
			one.at = limitedAt.Add(told + 2*time.Second)
		}
	}
}

// TestAnswerThatCameLate: a call that timed out may have been answered, and then
// its question was bought twice. That is no mistake.
func TestAnswerThatCameLate(t *testing.T) {
	t.Parallel()
	s := good(t)
	q := s.questions[s.find(t, chaosRound, "openai", plain)]
	late := call{At: s.at, CustomID: q.customID(), Target: "openai", Class: jobs.Timeout}
	s.calls = append([]call{late}, s.calls...)
	s.served["openai"] = append(s.served["openai"], served{number: q.number, at: limitedAt.Add(-time.Second), status: 200, whole: true})
	if err := s.check(s.questions, limitedAt).err(); err != nil {
		t.Error(err)
	}
}

// TestFindingsOfAKindAreCounted: the first tell what it is.
func TestFindingsOfAKindAreCounted(t *testing.T) {
	t.Parallel()
	c := &checks{}
	if c.that(true, "none", "of it"); c.err() != nil {
		t.Error(c.err())
	}
	for i := range 10 {
		c.that(false, "lost", "question %d", i)
	}
	if text := c.err().Error(); !strings.Contains(text, "lost: question 2") || strings.Contains(text, "question 3") || !strings.Contains(text, "lost: 7 more") {
		t.Error(text)
	}
}
