package app

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"tidegate/jobs"
)

// write tells the story to a person: in short, then step by step.
func (v *whyView) write(w io.Writer) error {
	var b strings.Builder
	v.writeHead(&b)
	b.WriteString("\nIn short\n")
	for _, said := range v.InShort {
		fmt.Fprintf(&b, "  %s\n", visible(said))
	}
	b.WriteString("\nStep by step\n")
	fmt.Fprintf(&b, "  %8s  accepted\n", v.clock(v.Accepted))
	call, last := 0, v.Accepted
	for i := range v.Steps {
		step := &v.Steps[i]
		if gap := step.At.Sub(last); gap >= longAgo {
			fmt.Fprintf(&b, "  %8s  … waited %s %s\n", v.clock(last), lasted(gap), v.held(i))
		}
		last = step.end()
		if step.Call != nil {
			call++
		}
		v.writeStep(&b, step, call)
	}
	if v.story.Result != nil {
		fmt.Fprintf(&b, "  %8s  %s\n", v.clock(v.Ended), v.State)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// held says for what it was held back before a step.
func (v *whyView) held(before int) string {
	if before > 0 && v.Steps[before-1].Waited != nil {
		return "for " + v.Steps[before-1].Waited.Target + ", or for its turn"
	}
	for _, step := range v.Steps[before:] {
		if step.Call != nil && step.Call.WaitedFor != "" {
			return heldFor(step.Call.WaitedFor)
		} else if step.Call != nil {
			break
		}
	}
	return "in its queue, or in a worker: for a target that may be called, or for its turn"
}

// end is when a step was over, as far as it is known by itself.
func (s *whyStep) end() time.Time {
	if s.Call != nil {
		return s.At.Add(s.Call.Latency)
	}
	return s.At
}

func (v *whyView) writeHead(b *strings.Builder) {
	fmt.Fprintf(b, "Request %s", v.RequestID)
	if v.CustomID != "" {
		fmt.Fprintf(b, " (%s)", shorten(v.CustomID, 80))
	}
	fmt.Fprintf(b, ", %s\n", strings.ReplaceAll(v.State, "_", " "))
	fmt.Fprintf(b, "  of tenant %s, on route %s: %s\n", v.Tenant, v.Route, cmp.Or(strings.Join(v.Chain, ", "), "it has no chain any more"))
	facts := []string{"accepted " + v.Accepted.UTC().Format("2006-01-02 15:04:05Z")}
	if v.BatchID != "" {
		facts = append(facts, "in "+v.BatchID)
	}
	if v.RetryOf != "" {
		facts = append(facts, "a retry of "+v.RetryOf)
	}
	if v.Goal != "" {
		facts = append(facts, "goal "+v.Goal)
	}
	if !v.Deadline.IsZero() {
		facts = append(facts, "deadline after "+lasted(v.Deadline.Sub(v.Accepted)))
	}
	if v.MaxCost > 0 {
		facts = append(facts, "at most "+v.MaxCost.String())
	}
	if v.TraceID != "" {
		facts = append(facts, "trace "+v.TraceID)
	}
	fmt.Fprintf(b, "  %s\n", strings.Join(facts, ", "))
}

// clock is a time of the story, counted from its beginning.
func (v *whyView) clock(at time.Time) string {
	since := at.Sub(v.Accepted)
	if since < 0 { // another machine's clock
		return fmt.Sprintf("%.2f s", since.Seconds())
	}
	if since < time.Minute {
		return fmt.Sprintf("+%.2f s", since.Seconds())
	}
	return "+" + lasted(since)
}

func (v *whyView) writeStep(b *strings.Builder, step *whyStep, call int) {
	at := v.clock(step.At)
	switch {
	case step.Waited != nil:
		fmt.Fprintf(b, "  %8s  %s\n", at, visible(oneLine(step.Waited.Reason)))
	case step.Skipped != nil:
		fmt.Fprintf(b, "  %8s  passed over %s: %s\n", at, step.Skipped.Target, visible(oneLine(step.Skipped.Reason)))
	case step.Open != nil:
		fmt.Fprintf(b, "  %8s  calling %s, not answered yet\n", at, step.Open.Target)
	case step.Call != nil:
		if step.Choice != nil {
			fmt.Fprintf(b, "  %8s  chose %s\n", at, step.Choice.words(step.Call))
			step.Choice.table(b, step.Call)
		}
		fmt.Fprintf(b, "  %8s  call %d, %s\n", at, call, callText(step.Call))
	}
}

// callText is one call on a line.
func callText(a *jobs.Attempt) string {
	said := a.Target
	if a.Probe {
		said += " (a probe)"
	}
	if a.Class == jobs.OK {
		said += fmt.Sprintf(": answered after %s; %d tokens in, %d out", lasted(a.Latency), a.Usage.Input, a.Usage.Output)
	} else {
		said += fmt.Sprintf(": %s, after %s", refusalText(a), lasted(a.Latency))
	}
	if a.Blamed {
		said += "; held against the request, since the target answered others"
	}
	if a.Usage == (jobs.Usage{}) && a.Cost == 0 {
		return visible(said)
	}
	return visible(said + "; " + jobs.CostText(a.Cost, a.Unpriced))
}

// words says by what the target was chosen.
func (c *whyChoice) words(a *jobs.Attempt) string {
	said := fmt.Sprintf("%s, by %s", a.Target, cmp.Or(c.Goal, "the order of the chain"))
	if c.Estimator != "" {
		said += " and what " + c.Estimator + " expects"
	}
	if c.Explored {
		said += "; it explored"
	}
	if a.Propensity > 0 && a.Propensity < 1 {
		said += fmt.Sprintf("; the chance was %.3g%%", 100*a.Propensity)
	}
	return said
}

// table shows the candidates as they were ranked.
func (c *whyChoice) table(b *strings.Builder, made *jobs.Attempt) {
	const margin = "            "
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s  TARGET\tSCORE\t= SUCCESS\t+ LATENCY\t+ COST\tANSWERS\tEXPECTED\tWAIT\tCOST\t\n", margin)
	for _, k := range c.Candidates {
		mark, note, rate, latency := " ", "", fmt.Sprintf("%.1f%%", 100*k.SuccessRate), lasted(time.Duration(k.LatencyMS)*time.Millisecond)
		if k.Unknown {
			rate, latency = "?", "?"
		}
		switch {
		case k.Target == made.Target:
			mark = ">"
		case k.Shut:
			note = "could not be called"
		}
		wait := "-"
		if k.WaitMS > 0 {
			wait = lasted(time.Duration(k.WaitMS) * time.Millisecond)
		}
		fmt.Fprintf(table, "%s%s %s\t%.3f\t%.3f\t%.3f\t%.3f\t%s\t%s\t%s\t%s\t%s\n", margin, mark, k.Target, k.Score, k.FromSuccess, k.FromLatency, k.FromCost,
			rate, latency, wait, jobs.CostText(k.Cost, k.Unpriced), note)
	}
	_ = table.Flush() // a strings.Builder does not fail
}
