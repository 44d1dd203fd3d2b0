package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"tidegate/jobs"
	"tidegate/worker/publish"
)

// Checks are what was found to be wrong. The zero value is ready to use.
type checks struct {
	failed []string
	again  map[string]int // how often, by kind
}

// mostOfAKind is how many findings of one kind are told: the first show what it is.
const mostOfAKind = 3

// that notes a finding of a kind unless the fact holds.
func (c *checks) that(holds bool, kind, format string, args ...any) {
	if holds {
		return
	}
	if c.again == nil {
		c.again = map[string]int{}
	}
	if c.again[kind]++; c.again[kind] <= mostOfAKind {
		c.failed = append(c.failed, kind+": "+fmt.Sprintf(format, args...))
	}
}

// err names the findings; nil: there is none.
func (c *checks) err() error {
	if len(c.failed) == 0 {
		return nil
	}
	var text strings.Builder
	for _, line := range c.failed {
		fmt.Fprintf(&text, "\n  %s", line)
	}
	for kind, n := range c.again {
		if n > mostOfAKind {
			fmt.Fprintf(&text, "\n  %s: %d more", kind, n-mostOfAKind)
		}
	}
	return fmt.Errorf("checks failed:%s", text.String())
}

// check holds the evidence against what was asked.
func (e *evidence) check(questions []question, limitedFrom time.Time) *checks {
	c := &checks{}
	rows, calls, whole := map[string][]stored{}, map[string][]call{}, map[int]int{}
	for _, row := range e.stored {
		rows[row.CustomID] = append(rows[row.CustomID], row)
	}
	for _, one := range e.calls {
		calls[one.CustomID] = append(calls[one.CustomID], one)
	}
	for _, dialect := range dialects {
		for _, one := range e.served[dialect] {
			if one.whole && one.number >= 0 {
				whole[one.number]++
			}
		}
	}
	c.that(len(e.stored) == len(questions), "requests", "%d questions were asked, and %d requests are stored", len(questions), len(e.stored))
	for _, q := range questions {
		own := rows[q.customID()]
		if len(own) != 1 {
			c.that(false, "requests", "question %d is stored %d times", q.number, len(own))
			continue
		}
		c.result(q, own[0])
		c.events(q, own[0], e.events[q.customID()])
		c.calls(q, own[0], calls[q.customID()], whole[q.number])
	}
	e.checkSides(c, questions)
	e.checkStorm(c, questions)
	e.checkLimit(c, limitedFrom)
	for _, leak := range e.leaks {
		c.that(false, "keys", "%s", leak)
	}
	return c
}

// result holds a result against the fixture.
func (c *checks) result(q question, got stored) {
	if got.State != jobs.StateAnswered {
		c.that(false, "lost", "question %d of route %s has no answer: it is %q", q.number, q.route, got.State)
		return
	}
	c.that(got.Route == q.route && (got.Target == q.route || q.route == chainRoute), "routes", "question %d of route %s was answered on %s by %s", q.number, q.route, got.Route, got.Target)
	want := q.answer(got.Target)
	c.that(got.Finish == want.finish && got.Input == want.usage.Input && got.Output == want.usage.Output, "usage",
		"question %d: %s, %d and %d tokens; the fixture of %s says %s, %d and %d", q.number, got.Finish, got.Input, got.Output, got.Target, want.finish, want.usage.Input, want.usage.Output)
	if wrong := want.differs(got.Body); wrong != "" {
		c.that(false, "answers", "question %d, a %s, of %s: %s: %.300s", q.number, q.shape, got.Target, wrong, got.Body)
	}
}

// A completion is what has to be in a chat completion. Pointers tell what is not
// there.
type completion struct {
	ID      *string `json:"id"`
	Object  string  `json:"object"`
	Created *int64  `json:"created"`
	Model   *string `json:"model"`
	Choices []struct {
		Index   *int   `json:"index"`
		Finish  string `json:"finish_reason"`
		Message struct {
			Role    string  `json:"role"`
			Content *string `json:"content"`
			Calls   []struct {
				ID       string `json:"id"`
				Type     string `json:"type"`
				Function struct {
					Name      string `json:"name"`
					Arguments string `json:"arguments"`
				} `json:"function"`
			} `json:"tool_calls"`
		} `json:"message"`
	} `json:"choices"`
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Total      int `json:"total_tokens"`
	} `json:"usage"`
}

// differs says what in a body is not this answer in the shape of a chat completion;
// empty: nothing.
func (a answer) differs(body []byte) string {
	var got completion
	if err := json.Unmarshal(body, &got); err != nil {
		return "it is no chat completion: " + err.Error()
	}
	if got.Object != "chat.completion" || got.ID == nil || got.Created == nil || got.Model == nil || len(got.Choices) != 1 || got.Usage == nil {
		return "a member of a chat completion is missing"
	}
	first, usage := got.Choices[0], *got.Usage
	text, calls := "", first.Message.Calls
	if first.Message.Content != nil {
		text = *first.Message.Content
	}
	switch {
	case first.Index == nil || *first.Index != 0 || first.Message.Role != "assistant" || first.Finish != a.finish:
		return "its choice is not that of an assistant that ended with " + a.finish
	case usage.Prompt != a.usage.Input || usage.Completion != a.usage.Output || usage.Total != a.usage.Input+a.usage.Output:
		return "its usage is not the fixture's"
	case text != a.text:
		return fmt.Sprintf("it does not say %q", a.text)
	case a.arguments == "" && len(calls) == 0:
		return ""
	case len(calls) != 1 || calls[0].ID == "" || calls[0].Type != "function" || calls[0].Function.Name != "tide" || !sameJSON([]byte(calls[0].Function.Arguments), []byte(a.arguments)):
		return "it does not call tide with " + a.arguments
	}
	return ""
}

func sameJSON(a, b []byte) bool {
	var one, other bytes.Buffer
	return json.Compact(&one, a) == nil && json.Compact(&other, b) == nil && bytes.Equal(one.Bytes(), other.Bytes())
}

// events holds what the subscriber heard of a question against what is stored.
func (c *checks) events(q question, row stored, heard []event) {
	if len(heard) != 1 {
		c.that(false, "events", "the subscriber heard of question %d %d times", q.number, len(heard))
		return
	}
	got := heard[0]
	c.that(got.id == row.EventID && got.body.State == row.State && got.body.Target == row.Target && sameJSON(got.body.Response, row.Body), "events",
		"of question %d the event %s tells something else than the result %s", q.number, got.id, row.EventID)
	subject := publish.ResultSubject(jobs.DefaultTenant, q.route, got.body.BatchID, got.body.RequestID)
	c.that(got.subject == subject, "events", "that of question %d came on %s, not on %s", q.number, got.subject, subject)
}
