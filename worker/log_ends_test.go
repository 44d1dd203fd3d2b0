package worker

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
)

// ends writes so many ends of each kind, all in a second and some in the next, and returns
// the lines.
func ends(t *testing.T, which LogEnds) (lines []map[string]any) {
	t.Helper()
	var out bytes.Buffer
	now := time.Unix(1_000_000, 0)
	l := newEndLog(&Config{LogEnds: which, Log: zerolog.New(&out), Now: func() time.Time { return now }})
	r := &run{request: jobs.Request{ID: "r", Route: "summaries", Body: []byte("secret")}, began: now.Add(-time.Second)}
	write := func(n int) {
		for range n {
			l.Write(r, &jobs.Result{RequestID: "r", State: jobs.StateAnswered, Target: "cheap", Attempts: 2, Cost: 7, Usage: jobs.Usage{Input: 3, Output: 4}, Body: []byte("secret")}, true)
			l.Write(r, &jobs.Result{RequestID: "r", State: jobs.StateRefused, Class: jobs.Content, Code: "filtered", Message: "secret"}, true)
		}
	}
	write(25)
	now = now.Add(time.Second)
	write(1)
	if strings.Contains(out.String(), "secret") {
		t.Errorf("a line says what nobody may read: %s", out.String())
	}
	for line := range strings.Lines(out.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fields)
	}
	return lines
}

func TestLinesForRequestsThatEnd(t *testing.T) {
	t.Parallel()
	for which, want := range map[LogEnds]int{"": 22, LogSome: 22, LogAll: 52, LogFailed: 26, LogNone: 0} {
		lines := ends(t, which)
		if len(lines) != want {
			t.Errorf("%q: %d lines of 52, not %d", which, len(lines), want)
		}
		for i, l := range lines {
			if left, said := l["left_out"]; said != (want == 22 && i >= 20) || said && left != 15.0 {
				t.Errorf("%q: line %d: %v", which, i, l)
			}
			if which == LogAll && i == 0 && (l["level"] != "info" || l["request"] != "r" || l["route"] != "summaries" || l["target"] != "cheap" || l["state"] != "answered" ||
				l["attempts"] != 2.0 || l["input_tokens"] != 3.0 || l["output_tokens"] != 4.0 || l["cost_micro_usd"] != 7.0 || l["took_ms"] != 1000.0) {
				t.Errorf("%v", l)
			}
			if which == LogFailed && (l["level"] != "warn" || l["class"] != "CONTENT" || l["code"] != "filtered") {
				t.Errorf("%v", l)
			}
		}
	}
}

func TestWhatPeopleDoIsNoted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &supervisor{log: zerolog.New(&out)}
	paused := jobs.Fleet{Pauses: []jobs.Pause{{Route: "summaries", Owner: jobs.OwnerPerson, Reason: "maintenance"}, {Route: "labels", Owner: jobs.OwnerCircuit}}}
	drilled := jobs.Fleet{Drills: []jobs.Drill{{Target: "cheap", Mode: jobs.Drill503, Rate: 1}}}
	for _, step := range []struct {
		fleet jobs.Fleet
		says  []string
	}{
		{jobs.Fleet{}, nil},
		{paused, []string{"route paused by a person", "maintenance"}},
		{paused, nil},
		{drilled, []string{"route resumed by a person", "a drill begins", `"mode":"503"`}},
		{jobs.Fleet{}, []string{"a drill ended", "cheap"}},
	} {
		out.Reset()
		if err := s.note(t.Context(), &step.fleet); err != nil {
			t.Fatal(err)
		}
		if (len(step.says) == 0) != (out.Len() == 0) {
			t.Errorf("it says %q", out.String())
		}
		for _, says := range step.says {
			if !strings.Contains(out.String(), says) {
				t.Errorf("%q is not in %q", says, out.String())
			}
		}
	}
	s.noted = noted{} // another one supervises, and tells nothing of what is so
	out.Reset()
	if _ = s.note(t.Context(), &paused); out.Len() > 0 {
		t.Errorf("it says %q", out.String())
	}
}
