package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tidegate/deploy/embedded"
	"tidegate/integration/bench"
)

// take generates the week and replays it.
func (o *order) take(ctx context.Context, t *traces) (f figures, err error) {
	if o.Program, err = filepath.Abs(o.Program); err != nil {
		return f, err
	}
	dir, err := os.MkdirTemp("", "tidegate-bench-*")
	if err != nil {
		return f, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bench.Say("writing a week of %d requests into a Postgres of its own", o.requests)
	postgres, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{
		Dir: filepath.Join(dir, "postgres"), Ephemeral: true, // what is measured reads
		Settings: map[string]string{"max_wal_size": "8GB"}, Announce: func(line string) { bench.Say("%s", line) },
	})
	if err != nil {
		return f, err
	}
	defer func() { _ = postgres.Stop() }()
	if f.Records, err = o.fill(ctx, postgres.URL(), t); err != nil {
		return f, err
	}
	command := o.command(dir, postgres.URL(), t)
	if command == nil {
		return f, fmt.Errorf("writing the policies into %s", dir)
	}
	first, err := run(ctx, o.Program, command)
	if err != nil {
		return f, err
	}
	f.FirstTimeWall, f.PeakMB = bench.Seconds(first.wall), first.peakMB
	bench.Say("the first time, from Postgres: %s, %.0f MB", first.wall.Round(10*time.Millisecond), first.peakMB)
	var walls []time.Duration
	for range o.rounds {
		again, err := run(ctx, o.Program, command)
		if err != nil {
			return f, err
		}
		if !bytes.Equal(again.said, first.said) {
			return f, fmt.Errorf("the same week, policies and seed gave another report:\n%s\nbefore:\n%s", again.said, first.said)
		}
		walls, f.PeakMB = append(walls, again.wall), max(f.PeakMB, again.peakMB)
		bench.Say("from what was kept: %s, %.0f MB", again.wall.Round(10*time.Millisecond), again.peakMB)
	}
	slices.Sort(walls)
	median := walls[len(walls)/2]
	f.Wall, f.PerSecond = bench.Seconds(median), float64(int(float64(f.Records)/median.Seconds()))
	f.report = string(first.said)
	return f, nil
}

// command writes the policies, and returns the words of the command.
func (o *order) command(dir, url string, t *traces) []string {
	paths := []string{filepath.Join(dir, "old.yaml"), filepath.Join(dir, "new.yaml")}
	for i, goal := range []string{theGoal, "cost"} {
		if os.WriteFile(paths[i], []byte(policy(t, goal)), 0o600) != nil {
			return nil
		}
	}
	return []string{"replay", "--database-url", url, "--policy", paths[1], "--against", paths[0], "--since", "8d", "--cache", filepath.Join(dir, "cache")}
}

// policy is a configuration of the week's providers.
func policy(t *traces, goal string) string {
	var text, chain strings.Builder
	text.WriteString("targets:\n")
	for i := range t.providers {
		p := &t.providers[i]
		fmt.Fprintf(&text, "  - name: %s\n    provider: %[1]s\n    base_url: http://127.0.0.1:9\n    model: m\n    price: {input: %g, output: %g}\n", p.Name, p.Input*1e6, p.Output*1e6)
		fmt.Fprintf(&chain, "%s, ", p.Name)
	}
	fmt.Fprintf(&text, "routes:\n  - name: %s\n    chain: [%s]\n    optimization_goal: %s\n", theRoute, strings.TrimSuffix(chain.String(), ", "), goal)
	return text.String()
}

// A ran is a command that has ended.
type ran struct {
	wall   time.Duration
	peakMB float64
	said   []byte
}

func run(ctx context.Context, program string, args []string) (ran, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return ran{}, fmt.Errorf("%s: %w; it says:\n%s%s", args[0], err, out.Bytes(), failed.Bytes())
	}
	r := ran{wall: time.Since(began), said: out.Bytes()}
	if usage, is := cmd.ProcessState.SysUsage().(*syscall.Rusage); is {
		r.peakMB = float64(usage.Maxrss) / 1024 // kilobytes, on Linux
	}
	return r, nil
}

// figures are the last line.
type figures struct {
	Records       int64    `json:"records"`
	PerSecond     float64  `json:"records_per_s"`
	Wall          *float64 `json:"wall_s"`
	FirstTimeWall *float64 `json:"first_time_wall_s"`
	PeakMB        float64  `json:"peak_rss_mb"`

	report string
}

func (f figures) bars() *bench.Bars {
	b := &bench.Bars{}
	b.AtMost("wall_s", f.Wall, 10)
	b.AtMost("first_time_wall_s", f.FirstTimeWall, 60)
	b.AtMost("peak_rss_mb", bench.Number(f.PeakMB), 600)
	return b
}

// text is for people.
func (o *order) text(f figures) string {
	source := "a made-up set: DATA names no folder of real traces"
	if o.data != "" {
		source = "real traces of " + o.data
	}
	return fmt.Sprintf("%d attempts of %d requests, a week, generated from %s\n\n%s", f.Records, o.requests, source, f.report)
}
