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
	"time"
)

// A plan is what is measured.
type plan struct {
	jobs, workers, rounds int
	budgets               int
	latency               time.Duration
	inflight              int
	inflightLatency       time.Duration
}

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
	var p plan
	flag.IntVar(&p.jobs, "jobs", 10_000, "jobs in each round")
	flag.IntVar(&p.workers, "workers", 50, "calls at once")
	flag.DurationVar(&p.latency, "latency", 5*time.Millisecond, "of the provider")
	flag.IntVar(&p.rounds, "rounds", 3, "of each kind, in turns; the median counts")
	flag.IntVar(&p.inflight, "inflight", 10_000, "calls at once in the second part; 0 leaves it out")
	flag.DurationVar(&p.inflightLatency, "inflight-latency", 10*time.Second, "of the provider in the second part")
	flag.IntVar(&p.budgets, "budgets", 0, "that requests are under: 1, of their route; 2, of their tenant, too")
	flag.Parse()
	if p.jobs < 1 || p.workers < 1 || p.rounds < 1 || p.inflight < 0 {
		return errors.New("-jobs, -workers and -rounds must be above zero, -inflight not below")
	}
	return p.measure(ctx)
}

// measure runs both parts and prints a table and, last, one JSON object.
func (p plan) measure(ctx context.Context) error {
	ground, err := setUp(ctx)
	if err != nil {
		return err
	}
	defer ground.tearDown()
	ground.budgets = p.budgets
	rounds := map[string][]measured{}
	fmt.Printf("%-10s %10s %12s %14s %12s %12s\n", "", "jobs/s", "cpu ms/job", "of the worker", "WAL kB/job", "worker MB")
	for range p.rounds {
		for _, kind := range []string{"tidegate", "river"} {
			m, err := ground.round(ctx, kind, p.jobs, p.workers, p.latency)
			if err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
			m.print(kind)
			rounds[kind] = append(rounds[kind], m)
		}
	}
	tide, river := median(rounds["tidegate"]), median(rounds["river"])
	summary := map[string]any{
		"jobs_per_s": round1(tide.perSecond), "river_jobs_per_s": round1(river.perSecond), "ratio_to_river": round2(tide.perSecond / river.perSecond),
		"cpu_ms_per_job": round2(tide.cpuMS), "river_cpu_ms_per_job": round2(river.cpuMS),
		"wal_kb_per_job": round2(tide.walKB), "river_wal_kb_per_job": round2(river.walKB),
	}
	if p.inflight > 0 {
		fmt.Printf("\n%d calls in flight, provider %s\n", p.inflight, p.inflightLatency)
		for _, kind := range []string{"tidegate", "river"} {
			m, err := ground.round(ctx, kind, p.inflight, p.inflight, p.inflightLatency)
			if err != nil {
				return fmt.Errorf("%s in flight: %w", kind, err)
			}
			m.print(kind)
			rounds[kind+" in flight"] = []measured{m}
		}
		summary["inflight_10k_rss_mb"] = round1(rounds["tidegate in flight"][0].rssMB)
		summary["river_inflight_10k_rss_mb"] = round1(rounds["river in flight"][0].rssMB)
	}
	return json.NewEncoder(os.Stdout).Encode(summary)
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
	fmt.Printf("%-10s %10.0f %12.2f %14.2f %12.2f %12.0f\n", kind, m.perSecond, m.cpuMS, m.workerMS, m.walKB, m.rssMB)
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
