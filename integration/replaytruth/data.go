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
	s := &set{truth: map[string]truth{}, providers: is.Targets, explore: 0.02}
	for name, of := range is.Truth {
		s.truth[strings.ToLower(name)] = of
	}
	for i := range s.providers { // as names of targets are
		s.providers[i].Name = strings.ToLower(s.providers[i].Name)
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
		c, err := callOf(lines.Text())
		if err == nil {
			err = c.add(b, of)
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

// A call is one row of a log.
type call struct {
	At, Latency   float64 // seconds
	Target        int
	Propensity    float64
	Input, Output int
	OK            bool
}

func callOf(line string) (c call, err error) {
	cells := strings.Split(line, ",")
	if len(cells) != 7 {
		return call{}, fmt.Errorf("%d columns, want 7", len(cells))
	}
	var numbers [7]float64
	for i, cell := range cells {
		if numbers[i], err = strconv.ParseFloat(cell, 64); err != nil {
			return call{}, err
		}
	}
	return call{
		At: numbers[0], Target: int(numbers[1]), Propensity: numbers[2], Input: int(numbers[3]), Output: int(numbers[4]), Latency: numbers[5], OK: numbers[6] == 1,
	}, nil
}

func (c *call) add(b *replay.Builder, of []provider) error {
	if c.Target < 0 || c.Target >= len(of) {
		return fmt.Errorf("target %d is not one of %d", c.Target, len(of))
	}
	use := jobs.Usage{Input: c.Input, Output: c.Output}
	p := of[c.Target]
	a := replay.Attempt{
		At: began.Add(seconds(c.At)), Target: p.Name, Class: jobs.OK, Latency: seconds(c.Latency), Usage: use, Propensity: c.Propensity,
		Cost: jobs.USD(float64(use.Input)*p.Input + float64(use.Output)*p.Output),
	}
	if !c.OK { // of what kind, it does not say; how long it took tells
		a.Class, a.Usage, a.Cost = jobs.Overload, jobs.Usage{}, 0
		switch {
		case c.Latency >= 30:
			a.Class = jobs.Timeout
		case c.Latency > 1:
			a.Class = jobs.Transient
		}
	}
	return b.Add(replay.Request{At: a.At, Route: theRoute, Usage: use}, a)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
