package app

import (
	"fmt"
	"io"
	"text/tabwriter"

	"tidegate/routing/replay"
)

// A heldTo is how a policy does by one limit.
type heldTo struct {
	Metric replay.Metric `json:"metric"`
	Change bool          `json:"change"` // it is of the change from the old policy
	Is     replay.Range  `json:"is"`
	Limit  float64       `json:"limit"`
	AtMost bool          `json:"at_most"` // else it is at least that
	Kept   bool          `json:"kept"`    // by the estimate
	Surely bool          `json:"surely"`  // whatever it may well be
	Known  bool          `json:"known"`   // nothing can be said of what the log has none of
}

// The outcomes of a check.
const (
	outcomeGood  = "good"
	outcomeWorse = "worse"
	outcomeNone  = string(replay.NoVerdict)
)

// A checkedView is what is shown of a check.
type checkedView struct {
	Outcome  string         `json:"outcome"`
	Findings []heldTo       `json:"findings"`
	Replay   *replayedView  `json:"replay"`
	result   *replay.Result // of the policy
	code     int
}

// judge compares a policy with the limits.
func (f *checkFlags) judge(done *replayedView) *checkedView {
	r := &done.Results[1]
	view := &checkedView{Outcome: outcomeGood, Replay: done, result: r, Findings: []heldTo{}}
	for _, b := range f.bounds() {
		found := b.of(r)
		if b.metric == replay.Cost && found.Known {
			done.doubtCost(r)
		}
		if view.Findings = append(view.Findings, found); found.Known && (!found.Kept || f.certain && !found.Surely) {
			view.Outcome, view.code = outcomeWorse, exitFailure
		}
	}
	if r.Confidence == replay.NoVerdict || done.Results[0].Confidence == replay.NoVerdict {
		view.Outcome, view.code = outcomeNone, f.noVerdictCode()
	}
	return view
}

// doubtCost has a policy get no verdict that calls targets of unknown price: what it costs
// has a limit, and would seem to be nothing.
func (v *replayedView) doubtCost(r *replay.Result) {
	for _, name := range v.unpriced {
		if r.Shares[name].At > 0 && r.Confidence != replay.NoVerdict {
			r.Confidence = replay.NoVerdict
			r.Reasons = append([]string{fmt.Sprintf("what %s costs is not known, and the cost has a limit: add price: to it, or say --max-cost-increase none", name)}, r.Reasons...)
		}
	}
}

// slop is what two figures may differ by that are the same.
const slop = 1e-9

func (b *bound) of(r *replay.Result) heldTo {
	found := heldTo{Metric: b.metric, Change: b.change, Limit: b.limit, AtMost: b.most}
	from := r.Metrics
	if b.change {
		from = r.Change
	}
	if found.Is, found.Known = from[b.metric]; !found.Known {
		return found
	}
	if b.most {
		found.Kept, found.Surely = found.Is.At <= b.limit+slop, found.Is.High <= b.limit+slop
	} else {
		found.Kept, found.Surely = found.Is.At >= b.limit-slop, found.Is.Low >= b.limit-slop
	}
	return found
}

// text is a figure as its kind is written.
func (f *heldTo) text(x float64) string {
	if f.Change {
		return changeText(f.Metric, x)
	}
	return metricText(f.Metric, x)
}

// write shows a check to a person.
func (v *checkedView) write(out io.Writer) {
	v.Replay.writeHead(out)
	fmt.Fprintf(out, "%s, beside %s: %s\n", oneLine(v.result.Policy), oneLine(v.Replay.Results[0].Policy), v.said())
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i := range v.Findings {
		fmt.Fprintln(table, v.line(&v.Findings[i]))
	}
	_ = table.Flush() // the output remembers what could not be written
	if len(v.result.Reasons) > 0 {
		fmt.Fprintf(out, "%s, since\n", v.result.Confidence)
	}
	for _, reason := range v.result.Reasons {
		fmt.Fprintf(out, "  - %s\n", oneLine(reason))
	}
}

func (v *checkedView) said() string {
	switch v.Outcome {
	case outcomeGood:
		return "it keeps all limits"
	case outcomeWorse:
		return "it is WORSE than it may be"
	default:
		return "NO VERDICT: the log cannot tell, and the figures are not to be relied upon"
	}
}

// line is what is said of one limit.
func (v *checkedView) line(f *heldTo) string {
	side := "at least"
	if f.AtMost {
		side = "at most"
	}
	mark, beside := "kept", ""
	switch {
	case !f.Known:
		return fmt.Sprintf("  -\t%s\tthe log has none of it\t%s %s", metricWords[f.Metric], side, f.text(f.Limit))
	case v.Outcome == outcomeNone:
		mark = "?"
	case !f.Kept && f.AtMost && f.Is.Low > f.Limit, !f.Kept && !f.AtMost && f.Is.High < f.Limit:
		mark, beside = "BROKEN", ", surely"
	case !f.Kept:
		mark = "BROKEN"
	case !f.Surely:
		beside = ", though it may be beyond"
	}
	return fmt.Sprintf("  %s\t%s\t%s (%s to %s)\t%s %s%s", mark, metricWords[f.Metric], f.text(f.Is.At), f.text(f.Is.Low), f.text(f.Is.High), side, f.text(f.Limit), beside)
}
