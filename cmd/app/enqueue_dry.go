package app

import (
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/routing"
)

// An estimate is what a batch would be, were it enqueued.
type estimate struct {
	Requests     int            `json:"requests"`
	Skipped      int            `json:"skipped"`
	InputTokens  int            `json:"input_tokens"`
	OutputTokens int            `json:"output_tokens_at_most"`
	Targets      []targetCost   `json:"targets"`
	Routes       map[string]int `json:"routes"`
}

// A targetCost is what all would cost at one target.
type targetCost struct {
	Target       string        `json:"target"`
	CostMicroUSD jobs.MicroUSD `json:"cost_micro_usd"` // at most; meaningless when not Known
	Known        bool          `json:"price_known"`
}

// dryRun reads everything and enqueues nothing.
func (o *options) dryRun(cmd *cobra.Command, args []string, f *enqueueFlags) error {
	conf, err := o.loadKeyless()
	if err != nil {
		return err
	}
	if len(conf.Routes) == 0 { // what dev runs with then
		conf = config.DefaultSimulated("")
	}
	_, routes := conf.Build()
	source, err := f.open(cmd, args, routes)
	if err != nil {
		return err
	}
	defer source.close()
	e, err := estimateOf(source.requests, routes)
	if err != nil {
		return fmt.Errorf("%s: %w", source.name, err)
	}
	if e.Requests == 0 {
		return source.empty()
	}
	e.Skipped = source.skipped
	if e.Requests == 0 {
		return fmt.Errorf("%s: there is no request in it", source.name)
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), e)
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s, about %d tokens in and at most about %d out. Nothing was enqueued.\n", counted(e.Requests, "request"), e.InputTokens, e.OutputTokens)
	for _, t := range e.Targets {
		if t.Known {
			fmt.Fprintf(out, "  all at %s: at most about %s\n", t.Target, t.CostMicroUSD)
		} else {
			fmt.Fprintf(out, "  all at %s: its price is not known\n", t.Target)
		}
	}
	return nil
}

func estimateOf(requests iter.Seq2[jobs.Request, error], routes []jobs.Route) (estimate, error) {
	e := estimate{Routes: map[string]int{}}
	type ask struct {
		route string
		of    jobs.Endpoint
	}
	used := map[ask]jobs.Usage{}
	var guess routing.Estimator
	for r, err := range requests {
		if err != nil {
			return e, err
		}
		usage := guess.Expected(&r)
		e.Requests++
		e.Routes[r.Route]++
		e.InputTokens += usage.Input
		e.OutputTokens += usage.Output
		used[ask{r.Route, r.Endpoint}] = used[ask{r.Route, r.Endpoint}].Add(usage)
	}
	costs := map[string]int{} // index in e.Targets
	for _, route := range routes {
		for _, t := range route.Chain {
			var there jobs.Usage
			for _, of := range t.Endpoints.List() {
				there = there.Add(used[ask{route.Name, of}])
			}
			if there == (jobs.Usage{}) {
				continue
			}
			at, seen := costs[t.Name]
			if !seen {
				at = len(e.Targets)
				costs[t.Name] = at
				e.Targets = append(e.Targets, targetCost{Target: t.Name, Known: t.Price.Known()})
			}
			e.Targets[at].CostMicroUSD += t.Price.Cost(there)
		}
	}
	return e, nil
}
