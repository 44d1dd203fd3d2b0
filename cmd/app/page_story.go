package app

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"tidegate/cmd/app/dashboard"
	"tidegate/jobs"
)

// page is the story as the page tells it: what write says, step by step.
func (v *whyView) page() *dashboard.Story {
	s := &dashboard.Story{
		ID: v.RequestID, CustomID: v.CustomID, Batch: v.BatchID, RetryOf: v.RetryOf, State: strings.ReplaceAll(v.State, "_", " "), Accepted: v.Accepted,
		Facts: v.facts(),
	}
	for _, said := range v.InShort {
		s.InShort = append(s.InShort, visible(said))
	}
	s.Steps = append(s.Steps, dashboard.Step{At: v.clock(v.Accepted), Kind: "accepted", Text: "accepted"})
	call, last := 0, v.Accepted
	for i := range v.Steps {
		step := &v.Steps[i]
		if gap := step.At.Sub(last); gap >= longAgo {
			s.Steps = append(s.Steps, dashboard.Step{At: v.clock(last), Kind: "wait", Text: "… waited " + lasted(gap) + " " + v.held(i)})
		}
		last = step.end()
		if step.Call != nil {
			call++
		}
		s.Steps = append(s.Steps, v.pageStep(step, call)...)
	}
	if v.story.Result != nil {
		s.Steps = append(s.Steps, dashboard.Step{At: v.clock(v.Ended), Kind: "end", Text: v.State})
	}
	return s
}

// facts are what is known of a request beside what became of it.
func (v *whyView) facts() []string {
	facts := []string{
		"tenant " + v.Tenant + ", route " + v.Route + ": " + cmp.Or(strings.Join(v.Chain, ", "), "it has no chain any more"),
		"accepted " + v.Accepted.UTC().Format("2006-01-02 15:04:05 UTC"),
	}
	add := func(known bool, text string) {
		if known {
			facts = append(facts, visible(oneLine(text)))
		}
	}
	add(v.CustomID != "", "custom_id "+v.CustomID)
	add(v.Goal != "", "goal "+v.Goal)
	add(!v.Deadline.IsZero(), "deadline after "+lasted(v.Deadline.Sub(v.Accepted)))
	add(v.MaxCost > 0, "at most "+v.MaxCost.String())
	add(v.TraceID != "", "trace "+v.TraceID)
	return facts
}

func (v *whyView) pageStep(step *whyStep, call int) (made []dashboard.Step) {
	add := func(kind, format string, args ...any) *dashboard.Step {
		made = append(made, dashboard.Step{At: v.clock(step.At), Kind: kind, Text: visible(fmt.Sprintf(format, args...))})
		return &made[len(made)-1]
	}
	switch {
	case step.Waited != nil:
		add("wait", "%s", oneLine(step.Waited.Reason))
	case step.Skipped != nil:
		add("skip", "passed over %s: %s", step.Skipped.Target, oneLine(step.Skipped.Reason))
	case step.Open != nil:
		add("call", "calling %s, not answered yet", step.Open.Target)
	case step.Call != nil:
		if step.Choice != nil {
			chosen := add("choice", "chose %s", step.Choice.words(step.Call))
			for _, k := range step.Choice.Candidates {
				chosen.Candidates = append(chosen.Candidates, pageCandidate(&k, step.Call))
			}
		}
		kind := "answered"
		if step.Call.Class != jobs.OK {
			kind = "refused"
		}
		add(kind, "call %d, %s", call, callText(step.Call))
	}
	return made
}

func pageCandidate(k *whyCandidate, made *jobs.Attempt) dashboard.Candidate {
	c := dashboard.Candidate{
		Target: k.Target, Score: fmt.Sprintf("%.3f", k.Score), Success: fmt.Sprintf("%.3f", k.FromSuccess), Latency: fmt.Sprintf("%.3f", k.FromLatency),
		Cost: fmt.Sprintf("%.3f", k.FromCost), Answers: fmt.Sprintf("%.1f%%", 100*k.SuccessRate), Expected: lasted(time.Duration(k.LatencyMS) * time.Millisecond),
		Wait: "–", ExpectedCost: jobs.CostText(k.Cost, k.Unpriced), Chosen: k.Target == made.Target,
	}
	if k.Unknown {
		c.Answers, c.Expected = "?", "?"
	}
	if k.WaitMS > 0 {
		c.Wait = lasted(time.Duration(k.WaitMS) * time.Millisecond)
	}
	if k.Shut {
		c.Comment = "could not be called"
	}
	return c
}
