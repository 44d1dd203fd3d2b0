package app

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"tidegate/routing/replay"
)

// write shows a replay to a person.
func (v *replayedView) write(out io.Writer) error {
	v.writeHead(out)
	if len(v.Results) > 2 {
		v.writeRows(out)
	} else if err := v.writeColumns(out); err != nil {
		return err
	}
	for i := range v.Results {
		v.writeVerdict(out, &v.Results[i])
	}
	return nil
}

// writeHead says what was replayed, and how far it can be trusted.
func (v *replayedView) writeHead(out io.Writer) {
	fmt.Fprintf(out, "Replayed %s with %s of %s, from %s to %s, with the seed %d.\n", counted(v.Requests, "request"), counted(v.Attempts, "call"), oneLine(v.From),
		instant(v.Report.From), instant(v.To), v.Seed)
	if v.Sampled < 1 {
		fmt.Fprintf(out, "A sample of its times was run, with %.0f%% of the requests; --whole runs all.\n", 100*v.Sampled)
	}
	fmt.Fprintf(out, "Assumed: %s.\n", v.Assumed)
	if s := v.Self; s != nil {
		fmt.Fprintf(out, "Self-replay error: %s, replayed against its own log, takes %.3f times as long, fails %.2f times as often and %s.\n", oneLine(s.Policy), s.Latency, s.Failures, costsText(s))
	}
	for _, added := range append(slices.Clone(v.Outages), v.Limits...) {
		fmt.Fprintf(out, "Added: %s.\n", oneLine(added))
	}
	for _, warning := range v.Warnings {
		fmt.Fprintf(out, "Warning: %s\n", oneLine(warning))
	}
	fmt.Fprintln(out)
}

func costsText(s *replay.SelfReplay) string {
	if s.Cost == 0 {
		return "costs nobody knows how much of what it did"
	}
	return fmt.Sprintf("costs %.3f times as much as it did", s.Cost)
}

// estimated is a figure of a policy; the one that is not to be relied upon has a mark,
// and no range.
func estimated(r *replay.Result, m replay.Metric) string {
	if r.Confidence == replay.NoVerdict {
		return doubted(r) + metricText(m, r.Metrics[m].At)
	}
	return rangeText(m, r.Metrics[m])
}

// writeColumns shows one policy beside the other.
func (v *replayedView) writeColumns(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	head, verdicts := "\tLOGGED", "verdict\t-"
	for i := range v.Results {
		r := &v.Results[i]
		head += "\t" + oneLine(r.Policy)
		verdicts += "\t" + string(r.Confidence)
	}
	if len(v.Results) > 1 {
		head += "\tCHANGE"
	}
	fmt.Fprintln(table, head+"\n"+verdicts)
	for _, m := range shownMetrics() {
		if _, is := v.Results[0].Metrics[m]; !is {
			continue
		}
		line := metricWords[m] + "\t-"
		if x, is := v.Logged[m]; is {
			line = metricWords[m] + "\t" + metricText(m, x)
		}
		for i := range v.Results {
			line += "\t" + estimated(&v.Results[i], m)
		}
		if len(v.Results) > 1 {
			line += "\t" + changeOf(&v.Results[1], m)
		}
		fmt.Fprintln(table, line)
	}
	v.writeShares(table)
	return table.Flush()
}

// changeOf is how far a policy is from the old one in a metric.
func changeOf(r *replay.Result, m replay.Metric) string {
	c, is := r.Change[m]
	if !is {
		return "-"
	}
	if r.Confidence == replay.NoVerdict {
		return doubted(r) + changeText(m, c.At)
	}
	return fmt.Sprintf("%s (%s to %s)", changeText(m, c.At), changeText(m, c.Low), changeText(m, c.High))
}

// writeShares shows where the calls go, and how often circuits opened.
func (v *replayedView) writeShares(table io.Writer) {
	names := map[string]bool{}
	for i := range v.Results {
		for name := range v.Results[i].Shares {
			names[name] = true
		}
	}
	for name := range v.Shares {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		line := fmt.Sprintf("calls to %s\t-", visible(name))
		if v.Attempts > 0 {
			line = fmt.Sprintf("calls to %s\t%s", visible(name), percentText(v.Shares[name]))
		}
		for i := range v.Results {
			share, is := v.Results[i].Shares[name]
			if !is {
				line += "\t-"
				continue
			}
			line += "\t" + percentText(share.At)
			if n := v.Results[i].Tripped[name]; n > 0 {
				line += ", circuit opened " + counted(int(math.Round(n)), "time")
			}
		}
		fmt.Fprintln(table, line)
	}
}

// doubted is the mark of what is not to be relied upon.
func doubted(r *replay.Result) string {
	if r.Confidence == replay.NoVerdict {
		return "? "
	}
	return ""
}

// writeRows shows many policies, a line for each.
func (v *replayedView) writeRows(out io.Writer) {
	columns := []replay.Metric{replay.Success, replay.P50, replay.P95, replay.Cost}
	if _, is := v.Results[0].Metrics[replay.DeadlinesMet]; is {
		columns = append(columns, replay.DeadlinesMet)
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	line := "\tPOLICY\tVERDICT"
	for _, m := range columns {
		line += "\t" + metricWords[m]
	}
	fmt.Fprintln(table, line+"\tMOVED CALLS\tCHANGE OF COST\tOF p95")
	for i := range v.Results {
		r := &v.Results[i]
		mark := ""
		if slices.Contains(v.Frontier, r.Policy) {
			mark = "*"
		}
		line := mark + "\t" + oneLine(r.Policy) + "\t" + string(r.Confidence)
		for _, m := range columns {
			line += "\t" + doubted(r) + metricText(m, r.Metrics[m].At)
		}
		fmt.Fprintln(table, line+"\t"+percentText(r.Coverage.Moved)+"\t"+changeOf(r, replay.Cost)+"\t"+changeOf(r, replay.P95))
	}
	_ = table.Flush() // the output remembers what could not be written
	if len(v.Frontier) > 0 {
		fmt.Fprintln(out, "* no other policy is both as cheap and as fast, by the estimates of cost and mean completion")
	}
}

// frontierOf are the policies of which no other is as cheap and as fast, where there are
// several that a log can tell of.
func frontierOf(results []replay.Result) (names []string) {
	if len(results) < 3 {
		return nil
	}
	for i := range results {
		beaten := results[i].Confidence == replay.NoVerdict
		for j := range results {
			beaten = beaten || i != j && beats(&results[j], &results[i])
		}
		if !beaten {
			names = append(names, results[i].Policy)
		}
	}
	return names
}

// beats tells whether a policy is as cheap and as fast as another one, and not the same.
func beats(r, other *replay.Result) bool {
	cost, than := r.Metrics[replay.Cost].At, other.Metrics[replay.Cost].At
	takes, longer := r.Metrics[replay.Mean].At, other.Metrics[replay.Mean].At
	return r.Confidence != replay.NoVerdict && cost <= than && takes <= longer && (cost < than || takes < longer)
}

// writeVerdict says how far a policy's figures can be relied upon, and what its drains
// were.
func (v *replayedView) writeVerdict(out io.Writer, r *replay.Result) {
	fmt.Fprintf(out, "\n%s: %s\n", oneLine(r.Policy), r.Confidence)
	for _, reason := range r.Reasons {
		fmt.Fprintf(out, "  - %s\n", oneLine(reason))
	}
	for i, d := range r.Drains {
		if i == mostDrains {
			fmt.Fprintf(out, "  … and %d more drains; --json has all\n", len(r.Drains)-mostDrains)
			break
		}
		fmt.Fprintf(out, "  %s\n", drainText(&d))
	}
}

// drainText says what a drain was, and of which route.
func drainText(d *replay.Drain) string {
	held, took := betweenText(d.Held, d.HeldLow, d.HeldHigh), betweenText(d.Took, d.TookLow, d.TookHigh)
	if d.Alone {
		held, took = roughly(d.Held), roughly(d.Took)+" (that time was run once only: --whole says between what)"
	}
	return fmt.Sprintf("%s: nobody could be called for %s; then %s drained in %s", oneLine(d.Route), held, together(d.Waiting, "request", "that waited", "that waited"), took)
}

// betweenText is a time with between what it may well be.
func betweenText(at, low, high time.Duration) string {
	return fmt.Sprintf("%s (%s to %s)", roughly(at), roughly(low), roughly(high))
}

func roughly(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }

// mostDrains are as many as people are told of.
const mostDrains = 5
