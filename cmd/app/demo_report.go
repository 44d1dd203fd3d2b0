package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// A demoReport is what the demo ends with.
type demoReport struct {
	Documents         int     `json:"documents"`
	Answered          int     `json:"answered"`
	Lost              int     `json:"lost"`       // without a result, or without an event
	Duplicates        int     `json:"duplicates"` // events or answers beyond the first of a document
	AttemptsBurned    int     `json:"attempts_burned"`
	OutageStaged      bool    `json:"-"` // all providers died and came back before the last answer
	CallsDuringOutage int     `json:"calls_during_outage"`
	Rerouted          int     `json:"rerouted"` // answered elsewhere than at the first of the chain
	PausedS           float64 `json:"paused_s"`
	DrainedS          float64 `json:"drained_s"` // from the providers' return to the last event
	CostUSD           float64 `json:"cost_usd"`
	DearestUSD        float64 `json:"dearest_usd"` // had it all gone to the dearest
	// SelfLatency, SelfFailures and SelfCost are what a replay of this run makes of itself, as a
	// part of what was; DearFirst is what it would cost to ask the dearest first, as a part of
	// what the policy costs in the replay. 0: it was not replayed.
	SelfLatency  float64 `json:"self_replay_latency"`
	SelfFailures float64 `json:"self_replay_failures"`
	SelfCost     float64 `json:"self_replay_cost"`
	DearFirst    float64 `json:"replayed_dear_first_cost"`

	cost, dearest jobs.MicroUSD
	dearestName   string
	read          []jobs.ResultEvent // to read
	explain       jobs.Result        // one that was re-routed; zero: none was
	replayed      *demoReplay        // nil: there was nothing to replay, or no other target
}

// readers are documents that most people who try this know.
var readers = []string{"net/http", "context", "encoding/json"}

// report counts what was stored.
func (d *demo) report(ctx context.Context, ended time.Time) (*demoReport, error) {
	r := &demoReport{Documents: len(d.documents), CallsDuringOutage: d.outage.calls, PausedS: d.outage.held.Round(10 * time.Millisecond).Seconds()}
	if r.OutageStaged = !d.outage.ended.IsZero(); r.OutageStaged {
		r.DrainedS = ended.Sub(d.outage.ended).Round(10 * time.Millisecond).Seconds()
	}
	dearest := dearestOf(d.route.Chain)
	r.dearestName = dearest.Name
	stored := 0
	for event, err := range d.stack.Store.Results(ctx, store.Filter{BatchID: d.batch.ID}) {
		if err != nil {
			return nil, err
		}
		stored++
		if event.State == jobs.StateAnswered {
			r.Answered++
		}
		if event.Target != d.route.Chain[0].Name {
			r.Rerouted++
			r.single(&event.Result)
		}
		r.cost += event.Cost
		r.dearest += dearest.Price.Cost(event.Usage)
		r.choose(event)
	}
	r.Lost = r.Documents - min(stored, d.events.Distinct())
	r.Duplicates = d.events.Repeated()
	if d.simulator != nil {
		r.Duplicates += d.simulator.Seen("*").AnsweredTwice
	}
	r.CostUSD, r.DearestUSD = r.cost.Dollars(), r.dearest.Dollars()
	var err error
	if r.AttemptsBurned, err = d.stack.Store.AttemptsBurned(ctx); err != nil {
		return nil, err
	}
	if len(d.route.Chain) > 1 {
		if r.replayed, err = d.replay(ctx); err != nil { // what was answered, and paid, is there all the same
			fmt.Fprintf(d.out, "The traffic of this demo could not be replayed: %s\n", oneLine(err.Error()))
		}
	}
	r.tell()
	return r, nil
}

func dearestOf(chain []*jobs.Target) *jobs.Target {
	dearest := chain[0]
	for _, target := range chain {
		if target.Price.Output > dearest.Price.Output {
			dearest = target
		}
	}
	return dearest
}

// choose keeps three answers to read: well-known ones, else the first.
func (r *demoReport) choose(event jobs.ResultEvent) {
	if event.State != jobs.StateAnswered {
		return
	}
	for _, name := range readers {
		if event.CustomID == name {
			r.read = append([]jobs.ResultEvent{event}, r.read...)
			return
		}
	}
	if len(r.read) < len(readers) {
		r.read = append(r.read, event)
	}
}

// single keeps one that was re-routed, to be explained: if there is one, the first
// that was called, not answered, and called elsewhere.
func (r *demoReport) single(result *jobs.Result) {
	twice, had := result.Attempts == 2, r.explain.Attempts == 2
	if result.State == jobs.StateAnswered && (r.explain.RequestID == "" || twice && (!had || result.StoredAt.Before(r.explain.StoredAt))) {
		r.explain = *result
		r.explain.Body = nil
	}
}

// conclude shows the table, something to read, why one went elsewhere, and what to
// try next.
func (d *demo) conclude(ctx context.Context, r *demoReport, kept string) error {
	fmt.Fprintln(d.out)
	if err := r.write(d.out, d.simulator != nil); err != nil {
		return err
	}
	fmt.Fprintln(d.out)
	for _, event := range r.read[:min(len(readers), len(r.read))] {
		fmt.Fprintf(d.out, "%s\n%s\n\n", oneLine(event.CustomID), indent(visible(answerText(event.Body))))
	}
	if r.explain.RequestID != "" {
		why, err := explain(ctx, d.stack.Store, r.explain.RequestID, "")
		if err != nil {
			return err
		}
		fmt.Fprintf(d.out, "One of those that were re-routed, as `tidegate why REQUEST` tells it:\n\n")
		if err := why.write(d.out); err != nil {
			return err
		}
		fmt.Fprintln(d.out)
	}
	if r.replayed != nil {
		if err := r.replayed.write(d.out); err != nil {
			return err
		}
	}
	fmt.Fprintln(d.out, "Try next:")
	if kept != "" {
		fmt.Fprintf(d.out, "  %s\n", d.next(kept))
	}
	fmt.Fprint(d.out, `  tidegate dev                                     the whole thing, to stay, on this machine
  tidegate enqueue --text ./texts --prompt "…"     your own documents, in another shell beside it
  OPENAI_API_KEY=… tidegate init && tidegate demo --config tidegate.yaml --limit 5     a real provider
`)
	return nil
}

func (r *demoReport) write(w io.Writer, staged bool) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("documents", "%d", r.Documents)
	row("answered", "%d", r.Answered)
	row("lost", "%d", r.Lost)
	row("answered or announced twice", "%d", r.Duplicates)
	row("River attempts burned", "%d", r.AttemptsBurned)
	if staged && !r.OutageStaged {
		row("outage", "NOT STAGED: too few documents, all were answered before it; take %d or more", enough)
	}
	if r.OutageStaged {
		row("calls during the outage", "%d (probes and what was in flight)", r.CallsDuringOutage)
	}
	row("re-routed", "%d", r.Rerouted)
	if r.OutageStaged {
		row("paused for", "%.1f s", r.PausedS)
		row("drained in", "%.1f s", r.DrainedS)
	}
	row("cost", "%s", r.cost)
	row("all at "+r.dearestName, "%s", r.dearest)
	return table.Flush()
}

// verdict is nil if what tidegate promises was kept.
func (r *demoReport) verdict() error {
	var broken []error
	if r.Lost != 0 {
		broken = append(broken, errors.New(together(r.Lost, "document", "was lost", "were lost")))
	}
	if r.Answered != r.Documents {
		broken = append(broken, errors.New(together(r.Documents-r.Answered, "document", "was not answered", "were not answered")))
	}
	if r.Duplicates != 0 {
		broken = append(broken, fmt.Errorf("answers or events too many: %d", r.Duplicates))
	}
	if r.AttemptsBurned != 0 {
		broken = append(broken, errors.New(together(r.AttemptsBurned, "attempt", "was burned", "were burned")))
	}
	return errors.Join(broken...)
}

func indent(text string) string {
	const width = 92
	var out strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		if column > 0 && column+1+len(word) > width {
			out.WriteString("\n")
			column = 0
		}
		if column == 0 {
			out.WriteString("  ")
		} else {
			out.WriteString(" ")
		}
		out.WriteString(word)
		column += 1 + len(word)
	}
	return out.String()
}

// printCompactJSON writes one value on one line, whatever w is.
func printCompactJSON(w io.Writer, value any) error { return json.NewEncoder(w).Encode(value) }
