package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// roles are what this program is when it starts itself again.
var roles = map[string]func(context.Context, []string) error{
	"simulator": runSimulator,
	"nats":      runNATS,
	"tidegate":  runTidegate,
	"river":     runRiver,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "throughput:", err)
		os.Exit(1) //nolint:gocritic // nothing to stop any more
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		if role, ok := roles[args[0]]; ok {
			return role(ctx, args[1:])
		}
	}
	p, err := readPlan(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.measure(ctx)
}

// measure runs both parts and prints a table and, last, one JSON object.
func (p *plan) measure(ctx context.Context) error {
	ground, err := setUp(ctx, p)
	if err != nil {
		return err
	}
	defer ground.tearDown()
	rounds := map[string][]measured{}
	fmt.Printf("%-10s %10s %12s %14s %12s %12s\n", "", "jobs/s", "cpu ms/job", "of the worker", "WAL kB/job", "worker MB")
	for i := range p.rounds {
		for _, kind := range p.turn(i) {
			m, err := ground.round(ctx, kind, p.jobs, p.workers, p.latency)
			if err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
			m.print(kind)
			rounds[kind] = append(rounds[kind], m)
		}
	}
	summary := summarise(rounds)
	if p.inflight > 0 {
		fmt.Printf("\n%d calls in flight, provider %s\n", p.inflight, p.inflightLatency)
		for _, kind := range p.kinds {
			m, err := ground.round(ctx, kind, p.inflight, p.inflight, p.inflightLatency)
			if err != nil {
				return fmt.Errorf("%s in flight: %w", kind, err)
			}
			m.print(kind)
			summary[prefix(kind)+"inflight_10k_rss_mb"] = round1(m.rssMB)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(summary)
}

// turn is the order of a round: each kind is first once, so that none has the
// quiet or the busy machine to itself.
func (p *plan) turn(i int) []string {
	from := i % len(p.kinds)
	return slices.Concat(p.kinds[from:], p.kinds[:from])
}

// summarise prints and names the medians of each kind; those of tidegate have no
// prefix.
func summarise(rounds map[string][]measured) map[string]any {
	summary := map[string]any{}
	fmt.Println("\nmedians")
	for _, kind := range kinds {
		if len(rounds[kind.name]) == 0 {
			continue
		}
		m := median(rounds[kind.name])
		m.print(kind.name)
		summary[prefix(kind.name)+"jobs_per_s"] = round1(m.perSecond)
		summary[prefix(kind.name)+"cpu_ms_per_job"] = round3(m.cpuMS)
		summary[prefix(kind.name)+"worker_cpu_ms_per_job"] = round3(m.workerMS)
		summary[prefix(kind.name)+"wal_kb_per_job"] = round2(m.walKB)
	}
	if tide, river := rounds["tidegate"], rounds["river"]; len(tide) > 0 && len(river) > 0 {
		summary["ratio_to_river"] = round2(median(tide).perSecond / median(river).perSecond)
	}
	return summary
}

func prefix(kind string) string {
	if kind == "tidegate" {
		return ""
	}
	return kind + "_"
}

// A measured round.
type measured struct {
	perSecond float64 // jobs, from the start of the worker to the last one done
	cpuMS     float64 // of the worker and of Postgres, for each job
	workerMS  float64 // of the worker alone
	walKB     float64 // for each job
	rssMB     float64 // the most that the worker had
}

func (m measured) print(kind string) {
	fmt.Printf("%-10s %10.0f %12.3f %14.3f %12.2f %12.0f\n", kind, m.perSecond, m.cpuMS, m.workerMS, m.walKB, m.rssMB)
}

// median takes the median of each figure.
func median(all []measured) measured {
	of := func(figure func(measured) float64) float64 {
		var values []float64
		for _, m := range all {
			values = append(values, figure(m))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return measured{
		perSecond: of(func(m measured) float64 { return m.perSecond }), cpuMS: of(func(m measured) float64 { return m.cpuMS }),
		workerMS: of(func(m measured) float64 { return m.workerMS }), walKB: of(func(m measured) float64 { return m.walKB }), rssMB: of(func(m measured) float64 { return m.rssMB }),
	}
}

func round1(f float64) float64 { return float64(int(f*10+0.5)) / 10 }
func round2(f float64) float64 { return float64(int(f*100+0.5)) / 100 }
func round3(f float64) float64 { return float64(int(f*1000+0.5)) / 1000 }
