package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidegate/jobs"
)

// longAgo is a wait that is worth a word.
const longAgo = time.Second

// inShort is the story in a few sentences.
func (v *whyView) inShort() []string {
	said := v.beforeCalls()
	said = append(said, v.otherTargets()...)
	if v.story.Result == nil {
		return append(said, v.now()...)
	}
	return append(said, v.end()...)
}

// beforeCalls says how long it was until the first call.
func (v *whyView) beforeCalls() []string {
	made := v.story.Attempts
	if len(made) == 0 {
		return nil
	}
	if before := made[0].At.Sub(v.Accepted); before >= longAgo {
		return []string{fmt.Sprintf("It was first called %s after it was accepted: until then it waited %s.", lasted(before), heldFor(made[0].WaitedFor))}
	}
	return nil
}

// otherTargets says what became of those that it was not answered by: the last word of
// each.
func (v *whyView) otherTargets() []string {
	var said []string
	told := map[string]bool{}
	if r := v.story.Result; r != nil && r.State == jobs.StateAnswered {
		told[r.Target] = true
	}
	for i := range v.Steps {
		step := &v.Steps[i]
		switch {
		case step.Waited != nil && step.Waited == v.waits:
			said = append(said, sentence("It "+step.Waited.Reason))
		case step.Waited != nil:
			said = append(said, sentence(step.Waited.Reason))
		case step.Skipped != nil && !told[step.Skipped.Target]:
			told[step.Skipped.Target] = true
			said = append(said, sentence(v.place(step.Skipped.Target)+" was passed over: "+step.Skipped.Reason))
		case step.Call != nil && step.Call.Class != jobs.OK && !told[step.Call.Target]:
			told[step.Call.Target] = true
			said = append(said, v.failed(step.Call))
		}
	}
	return said
}

// place names a target by where it stands in the chain.
func (v *whyView) place(target string) string {
	if len(v.Chain) > 1 && v.Chain[0] == target {
		return target + ", the first of the chain,"
	}
	return target
}

// failed says how the calls of a target ended that did not answer, or not as expected.
func (v *whyView) failed(last *jobs.Attempt) string {
	n := 0
	for i := range v.story.Attempts {
		if v.story.Attempts[i].Target == last.Target {
			n++
		}
	}
	did := "was called"
	if n > 1 {
		did = fmt.Sprintf("was called %d times", n)
	}
	if last.Class == jobs.Invalid {
		return sentence(v.place(last.Target) + " " + did + ", and the answer was not as expected: " + unmetText(last))
	}
	return sentence(v.place(last.Target) + " " + did + " and did not answer: " + refusalText(last))
}

// unmetText is what an answer was not.
func unmetText(a *jobs.Attempt) string {
	return strings.TrimPrefix(jobs.CleanCode(a.Code)+": "+shorten(a.Message, 200), ": ")
}

// end says how it ended.
func (v *whyView) end() []string {
	r := v.story.Result
	after := lasted(r.StoredAt.Sub(v.Accepted))
	switch r.State {
	case jobs.StateAnswered:
		return []string{v.answered(), fmt.Sprintf("That was %s after it was accepted; %s in all cost %s.", after, counted(v.Calls, "call"), jobs.CostText(v.Cost, v.Unpriced))}
	case jobs.StateRefused:
		return []string{sentence(fmt.Sprintf("It was refused for good after %s: %s", after, words(string(r.Class), r.Code, r.Message)))}
	case jobs.StateExpired:
		if why, money := strings.CutPrefix(r.Message, jobs.ExpiredForMoney); money {
			return []string{sentence(fmt.Sprintf("Its deadline passed %s after it was accepted, while it waited for money: %s", after, why))}
		}
		return []string{fmt.Sprintf("Its deadline passed %s after it was accepted, before a target had answered.", after)}
	case jobs.StateCancelled:
		return []string{fmt.Sprintf("It was cancelled %s after it was accepted.", after)}
	default:
		return []string{sentence(fmt.Sprintf("It ended as %s after %s: %s", r.State, after, r.Message))}
	}
}

// answered says who answered, and why it was that one.
func (v *whyView) answered() string {
	target := v.story.Result.Target
	var call *jobs.Attempt
	goal := "" // by which the targets were ranked, then or for a call before
	for i := range v.story.Attempts {
		a := &v.story.Attempts[i]
		if a.Decision != nil && len(a.Decision.Candidates) > 0 {
			goal = a.Decision.Goal
		}
		if a.Target == target && a.Class == jobs.OK {
			call = a
			break
		}
	}
	if call == nil {
		return v.kept(target)
	}
	took := lasted(call.Latency)
	d := call.Decision
	switch {
	case call.Probe:
		return fmt.Sprintf("%s answered after %s: it was the trial call that found out whether it is back.", target, took)
	case v.escalated(target):
		return fmt.Sprintf("%s, which is asked after an answer that is not as expected, answered after %s.", target, took)
	case (d == nil || len(d.Candidates) == 0) && goal != "":
		return fmt.Sprintf("%s, the next by %s that could be called, answered after %s.", target, goal, took)
	case d == nil || len(d.Candidates) == 0:
		return fmt.Sprintf("%s, the first of the chain that could be called, answered after %s.", target, took)
	case d.Explored:
		return fmt.Sprintf("%s answered after %s: it was tried to learn how it does, whatever its score.", target, took)
	}
	switch best := bestOf(d.Candidates); {
	case best.Target == target:
		return fmt.Sprintf("%s, the best by %s, answered after %s.", target, d.Goal, took)
	case best.Shut || v.passedBy(best.Target):
		return fmt.Sprintf("%s, the best by %s that could be called, answered after %s.", target, d.Goal, took)
	default:
		return fmt.Sprintf("%s, by %s about as good as %s, the best, answered after %s.", target, d.Goal, best.Target, took)
	}
}

// kept says whose answer it has, if it is not as expected, or its call is not known.
func (v *whyView) kept(target string) string {
	if unmet := v.story.Result.Unmet(); unmet != "" {
		return sentence(fmt.Sprintf("The answer of %s was kept, though it was not as expected: %s", target, unmet))
	}
	return target + " answered."
}

// escalated tells whether a target was asked because an answer before was not as
// expected.
func (v *whyView) escalated(target string) bool {
	bad := slices.ContainsFunc(v.story.Attempts, func(a jobs.Attempt) bool { return a.Class == jobs.Invalid && a.Target != target })
	return bad && len(v.Chain) > 0 && !slices.Contains(v.Chain, target)
}

// passedBy tells whether a target was passed over, or failed.
func (v *whyView) passedBy(target string) bool {
	return slices.ContainsFunc(v.Steps, func(s whyStep) bool {
		return s.Skipped != nil && s.Skipped.Target == target || s.Call != nil && s.Call.Target == target && s.Call.Class != jobs.OK
	})
}

// bestOf is the candidate with the best score.
func bestOf(candidates []jobs.Considered) jobs.Considered {
	return slices.MaxFunc(candidates, func(a, b jobs.Considered) int { return cmp.Compare(a.Score.Total, b.Score.Total) })
}

// heldFor says what a request waited for.
func heldFor(why jobs.WaitedFor) string {
	switch why {
	case jobs.WaitedForGate:
		return "for a target of its chain that could be called"
	case jobs.WaitedForTarget:
		return "for a target that could be called, and fitted it"
	case jobs.WaitedForPrice:
		return "for a target that costs less"
	case jobs.WaitedForBudget:
		return "for money"
	case jobs.WaitedForPace:
		return "for its turn, for targets were called as fast as they may be"
	default:
		return "in its queue, or in a worker for its turn"
	}
}

// now says where a request is that has not ended.
func (v *whyView) now() []string {
	s := v.story
	var said []string
	switch {
	case s.Call != nil:
		return []string{fmt.Sprintf("It is being called: %s, since %s, by %s.", s.Call.Target, age(s.At, s.Call.Since), s.Call.Worker)}
	case s.Job == nil:
		said = append(said, "It has no result, and River has no job of it: its route may be being repaired; see `tidegate doctor`.")
	case s.Job.State == "running":
		said = append(said, fmt.Sprintf("%s has it in hand: it waits there for a target that may be called, or for its turn. What kept it from each is written down with its next call, or when it is parked.", s.Job.Worker))
	case s.Job.Why != "":
		said = append(said, sentence("It waits, and holds no place: "+s.Job.Why))
	case s.Job.State == "scheduled" || s.Job.ScheduledAt.After(s.At):
		said = append(said, fmt.Sprintf("It is parked in its queue for another %s, unless what it waits for comes before.", lasted(s.Job.ScheduledAt.Sub(s.At))))
	case s.Job.State == "pending":
		said = append(said, "It waits to be admitted to its queue: for the turn of its tenant, or for a target that its route prefers.")
	default:
		said = append(said, "It waits in its queue for a worker.")
	}
	if s.Job != nil && s.Job.Queue == jobs.QuarantineQueue {
		said = append(said, fmt.Sprintf("It runs alone, in quarantine: %s died while it was being called.", counted(s.Crashes, "worker")))
	}
	for _, p := range s.Pauses {
		said = append(said, sentence(fmt.Sprintf("The queue %s is paused by its %s since %s: %s", p.Route, p.Owner, age(s.At, p.Since), p.Reason)))
	}
	for i := range s.Circuits {
		if c := &s.Circuits[i]; c.State != jobs.CircuitClosed || c.CooldownUntil.After(s.At) {
			said = append(said, sentence(fmt.Sprintf("%s may not be called: its circuit is %s since %s: %s", c.Target, c.State, age(s.At, c.Since), c.Reason)))
		}
	}
	if s.Retired {
		said = append(said, fmt.Sprintf("The route %s is retired.", v.Route))
	}
	return said
}

// refusalText is what a call met.
func refusalText(a *jobs.Attempt) string {
	status := ""
	if a.Status > 0 {
		status = fmt.Sprintf("HTTP %d", a.Status)
	}
	return words(strings.TrimSpace(string(a.Class)+" "+status), a.Code, a.Message)
}

// words joins a class, a code and what was said, as far as there are any.
func words(class, code, message string) string {
	said := class
	if code = jobs.CleanCode(code); code != "" {
		said += " (" + code + ")"
	}
	if message = strings.TrimRight(shorten(message, 200), ". "); message != "" {
		said += ", “" + message + "”"
	}
	return said
}

// sentence begins with what it is given, and ends with a full stop.
func sentence(text string) string {
	text = oneLine(text)
	if text == "" {
		return text
	}
	if !strings.ContainsAny(text[len(text)-1:], ".!?") {
		text += "."
	}
	if strings.HasPrefix(text, "waits ") {
		text = "It waited" + strings.TrimPrefix(text, "waits")
	}
	return text
}

// lasted is a span of time as a person says it, to three digits or so.
func lasted(d time.Duration) string {
	switch d = max(d, 0).Round(time.Millisecond); {
	case d >= time.Hour: // a deadline of 24 hours is a few microseconds short of them
		d = d.Round(time.Minute)
	case d >= time.Minute:
		d = d.Round(time.Second)
	}
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	}
}
