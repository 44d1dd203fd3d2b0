package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tidegate/jobs"
	"tidegate/routing/replay"
)

// A truth is what a policy would have done.
type truth struct {
	Latency   float64  `json:"lat"`
	LatencyOf *float64 `json:"lat_sd"` // how far ten runs are apart; nil: not known
	Success   float64  `json:"success"`
	SuccessOf *float64 `json:"success_sd"`
	Cost      float64  `json:"cost"`
	CostOf    *float64 `json:"cost_sd"`
}

// A set is a week: who there was, what each policy would have done, and two logs.
type set struct {
	providers []provider
	truth     map[string]truth
	explored  *replay.Log // with exploration
	plain     *replay.Log
	explore   float64
}

var began = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)

// load reads the set in a folder.
func load(dir string) (*set, error) {
	dir = filepath.Join(dir, "synthetic")
	text, err := os.ReadFile(filepath.Join(dir, "llama70b_week_truth.json"))
	if err != nil {
		return nil, err
	}
	var is struct {
		Targets []provider       `json:"targets"`
		Truth   map[string]truth `json:"truth_mean_latency_s__success__cost_usd_per_1k"`
	}
	if err := json.Unmarshal(text, &is); err != nil {
		return nil, err
	}
	s := &set{truth: is.Truth, explore: 0.02}
	for _, p := range is.Targets {
		p.Name = strings.ToLower(p.Name)
		s.providers = append(s.providers, p)
	}
	if s.explored, err = read(filepath.Join(dir, "llama70b_week_eps02.csv.gz"), s.providers); err != nil {
		return nil, err
	}
	s.plain, err = read(filepath.Join(dir, "llama70b_week_eps00.csv.gz"), s.providers)
	return s, err
}

// read reads a log: t_s, target, propensity, in_tokens, out_tokens, latency_s, ok.
func read(path string, of []provider) (*replay.Log, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b := replay.NewBuilder(300_000)
	lines := bufio.NewScanner(text)
	for n := 1; lines.Scan(); n++ {
		if n == 1 {
			continue
		}
		row, err := rowOf(lines.Text())
		if err == nil {
			err = row.add(b, of)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b.Log()
}

// A row is one call.
type row struct {
	at, latency   float64 // seconds
	target        int
	propensity    float64
	input, output int
	ok            bool
}

func rowOf(line string) (r row, err error) {
	cells := strings.Split(line, ",")
	if len(cells) != 7 {
		return row{}, fmt.Errorf("%d columns, want 7", len(cells))
	}
	var numbers [7]float64
	for i, cell := range cells {
		if numbers[i], err = strconv.ParseFloat(cell, 64); err != nil {
			return row{}, err
		}
	}
	return row{numbers[0], numbers[5], int(numbers[1]), numbers[2], int(numbers[3]), int(numbers[4]), numbers[6] == 1}, nil
}

func (r *row) add(b *replay.Builder, of []provider) error {
	if r.target < 0 || r.target >= len(of) {
		return fmt.Errorf("target %d is not one of %d", r.target, len(of))
	}
	use := jobs.Usage{Input: r.input, Output: r.output}
	p := of[r.target]
	a := replay.Attempt{
		At: began.Add(seconds(r.at)), Target: p.Name, Class: jobs.OK, Latency: seconds(r.latency), Usage: use, Propensity: r.propensity,
		Cost: jobs.USD(float64(use.Input)*p.Input + float64(use.Output)*p.Output),
	}
	if !r.ok { // of what kind, it does not say; how long it took tells
		a.Class, a.Usage, a.Cost = jobs.Overload, jobs.Usage{}, 0
		switch {
		case r.latency >= 30:
			a.Class = jobs.Timeout
		case r.latency > 1:
			a.Class = jobs.Transient
		}
	}
	return b.Add(replay.Request{At: a.At, Route: theRoute, Usage: use}, a)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
