package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"tidegate/jobs"
)

// A plan is what is measured.
type plan struct {
	data     string
	requests int
	troubled int
	drawn    int
	seeds    int
	goal     string
	within   time.Duration
	asJSON   bool
	noBars   bool
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "price:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	p, err := parse(args)
	if err != nil {
		return err
	}
	began := time.Now()
	days := syntheticDays(p.troubled+p.drawn, 1)
	if p.data != "" {
		if days, err = readDays(p.data, p.troubled, p.drawn, 1); err != nil {
			return err
		}
	}
	rows := p.take(days)
	f := sumUp(rows)
	if !p.asJSON {
		p.table(os.Stdout, days, rows, time.Since(began))
	}
	line, err := json.Marshal(f)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	if p.noBars {
		return nil
	}
	return f.bars()
}

func parse(args []string) (plan, error) {
	var p plan
	flags := flag.NewFlagSet("price", flag.ContinueOnError)
	flags.StringVar(&p.data, "data", "", "the folder with the data; empty: days that are made up")
	flags.IntVar(&p.requests, "requests", 2000, "of one batch")
	flags.IntVar(&p.troubled, "troubled", 6, "days in which the cheapest target of a model had the most trouble")
	flags.IntVar(&p.drawn, "drawn", 3, "days drawn from the others")
	flags.IntVar(&p.seeds, "seeds", 3, "runs of each day, with other luck")
	flags.StringVar(&p.goal, "goal", "ordered", "optimization_goal of the route; its chain is the cheapest first")
	flags.DurationVar(&p.within, "deadline", 24*time.Hour, "of the batch")
	flags.BoolVar(&p.asJSON, "json", false, "no table")
	flags.BoolVar(&p.noBars, "no-bars", false, "do not fail where a figure is missed")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	if p.requests < 1 || p.troubled+p.drawn < 1 || p.seeds < 1 || p.within < time.Hour || p.within > 24*time.Hour {
		return p, errors.New("--requests, --troubled and --drawn together, and --seeds must be at least 1, --deadline 1h to 24h")
	}
	return p, nil
}

// loads are how much is to be done, and when. In the last two, dearer targets are
// needed, or there is little time, and that is when the cheapest one is worst.
func (p *plan) loads(d *day) []load {
	return []load{
		{name: "ample", requests: p.requests, share: 0.4, within: p.within},
		{name: "tight", requests: p.requests, share: 0.9, within: p.within},
		{name: "over", requests: p.requests, share: 1.3, within: p.within},
		{name: "hurry", requests: p.requests / 4, share: 0.5, from: d.worst(hurried), within: hurried},
	}
}

// hurried is how much time there is at the worst time of the day.
const hurried = 3 * time.Hour

// modes are what is compared.
var modes = []jobs.WhenOpen{jobs.WhenOpenPrice, jobs.WhenOpenWait, jobs.WhenOpenReroute}

// A row is one day with one load, over all seeds.
type row struct {
	is         *day
	load       load
	brown, out int // readings of the cheapest target under 95%, and under 50%
	requests   int
	oracle     jobs.MicroUSD
	oracleMet  int
	of         map[jobs.WhenOpen]*became // sums over the seeds
}

// take lives through all days, two at a time.
func (p *plan) take(days []day) []row {
	var rows []row
	for i := range days {
		brown, out := days[i].trouble()
		for _, l := range p.loads(&days[i]) {
			r := row{is: &days[i], load: l, brown: brown, out: out, requests: p.seeds * l.requests, of: map[jobs.WhenOpen]*became{}}
			cost, met := oracle(&days[i], l)
			r.oracle, r.oracleMet = jobs.MicroUSD(p.seeds)*cost, p.seeds*met
			for _, mode := range modes {
				r.of[mode] = &became{}
			}
			rows = append(rows, r)
		}
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	places := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range rows {
		d, l := rows[i].is, rows[i].load
		for _, mode := range modes {
			for seed := range p.seeds {
				places <- struct{}{}
				all.Go(func() {
					defer func() { <-places }()
					got := newWorld(d, l, mode, p.goal, uint64(seed)+1).run()
					mu.Lock()
					defer mu.Unlock()
					rows[i].of[mode].add(got)
				})
			}
		}
	}
	all.Wait()
	return rows
}

func (b *became) add(o became) {
	b.Cost += o.Cost
	b.Met += o.Met
	b.Calls += o.Calls
	b.Failed += o.Failed
	b.Parked += o.Parked
	b.Refused += o.Refused
}
