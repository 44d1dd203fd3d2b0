package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"tidegate/integration/bench"
	"tidegate/routing/simulator"
)

// A plan is what is measured.
type plan struct {
	bench.Options
	lines, rounds int
	bytes         int64
	answer        bool
	storages      []string // how Postgres is made to keep bodies, in turns
}

const (
	// name is the benchmark's, and its provider's.
	name = "batch"
	// latency is how long an answer takes, and concurrency how many calls are made at
	// once.
	latency, concurrency = 20 * time.Millisecond, 50
	// asMigrated leaves the table as it is made.
	asMigrated = "as-migrated"
)

// storages are the ways to keep bodies that may be compared.
var storages = map[string]string{
	asMigrated: "",
	"pglz":     "SET STORAGE EXTENDED, ALTER COLUMN body SET COMPRESSION pglz",
	"lz4":      "SET STORAGE EXTENDED, ALTER COLUMN body SET COMPRESSION lz4",
	"external": "SET STORAGE EXTERNAL",
}

func main() { bench.Main(name, run) }

func run(ctx context.Context, args []string) error {
	p, err := parse(args)
	if err != nil {
		return err
	}
	ground, err := bench.Open(ctx, p.Program, simulator.Config{Plain: true, Providers: []simulator.Provider{
		{Name: name, Latency: simulator.Latency{Median: latency}},
	}})
	if err != nil {
		return err
	}
	defer ground.Close()
	input, err := writeInput(p.lines, p.bytes)
	if err != nil {
		return err
	}
	defer os.Remove(input) //nolint:errcheck // it is in the folder of temporary files
	rows := map[string][]row{}
	for round := range p.rounds {
		for _, storage := range p.storages {
			bench.Say("round %d of %d, bodies are kept %s", round+1, p.rounds, storage)
			r, err := p.take(ctx, ground, input, storage, round)
			if err != nil {
				return err
			}
			bench.Say("%s", r)
			rows[storage] = append(rows[storage], r)
		}
	}
	f := figures{}
	for _, storage := range p.storages {
		f = append(f, figure{storage, median(rows[storage])})
	}
	return p.Finish(os.Stdout, p.table(ground.Machine(), f), f.object(), f.bars())
}

func parse(args []string) (plan, error) {
	p := plan{}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	p.Register(flags)
	flags.IntVar(&p.lines, "lines", 50_000, "lines of the batch")
	flags.Int64Var(&p.bytes, "bytes", 200<<20, "bytes of its file")
	flags.IntVar(&p.rounds, "rounds", 3, "the median counts")
	flags.BoolVar(&p.answer, "answer", false, "have all lines answered, too, and the batch end")
	among := flags.String("storage", asMigrated, "how bodies are kept: several with commas take turns; there are as-migrated, pglz, lz4 and external")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	p.storages = strings.Split(*among, ",")
	for i, storage := range p.storages {
		if _, known := storages[storage]; !known || slices.Contains(p.storages[:i], storage) {
			return p, fmt.Errorf("--storage: there are as-migrated, pglz, lz4 and external, each once, and no %q", storage)
		}
	}
	if p.lines < 1 || p.rounds < 1 || p.bytes/int64(p.lines) < leastLine {
		return p, fmt.Errorf("--lines and --rounds must be at least 1, and --bytes %d for each line", leastLine)
	}
	if p.bytes > 100<<30 {
		return p, errors.New("--bytes must be at most 100 GiB")
	}
	return p, nil
}
