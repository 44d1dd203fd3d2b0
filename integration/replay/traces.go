package main

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tidegate/jobs"
)

// Traces are what a week is made of.
type traces struct {
	rates     []float64 // requests that came in each ten minutes of a week, in any unit
	lengths   []length
	providers []provider
	calls     []call // in the order of their time
}

// A length is of one request: tokens of its prompt and its answer.
type length struct{ input, output int }

// A provider is a target, with its price in US dollars a token.
type provider struct {
	Name   string  `json:"name"`
	Input  float64 `json:"price_in"`
	Output float64 `json:"price_out"`
}

func (p *provider) price() jobs.Price {
	return jobs.Price{Input: jobs.USD(p.Input * 1e6), Output: jobs.USD(p.Output * 1e6)}
}

// A call is what one met at a provider.
type call struct {
	at       float64 // seconds into the week
	provider int
	perToken float64 // seconds that it took, for each token of its answer
	took     float64 // seconds; of a call that failed
	ok       bool
}

const (
	slotsOfAWeek  = 7 * 24 * 6 // ten minutes each
	mostProviders = 4          // those that were called most
)

// readTraces reads a folder in the form of the benchmarks' data.
func readTraces(dir string) (*traces, error) {
	t := &traces{rates: make([]float64, slotsOfAWeek)}
	err := rows(filepath.Join(dir, "servegen", "arrivals.csv.gz"), func(cells []string) error { // pool,client,t_s,rate,…
		n, err := numbers(cells[2:4])
		if slot := int(n[0] / 600); err == nil && slot < slotsOfAWeek {
			t.rates[slot] += n[1]
		}
		return err
	})
	for _, name := range []string{"conv", "code"} {
		if err != nil {
			break
		}
		err = rows(filepath.Join(dir, "azure2023", "AzureLLMInferenceTrace_"+name+".csv.gz"), func(cells []string) error { // time, prompt, answer
			n, err := numbers(cells[1:3])
			t.lengths = append(t.lengths, length{int(n[0]), max(1, int(n[1]))})
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return t, t.readCalls(filepath.Join(dir, "synthetic"))
}

// readCalls reads the calls of the providers that were called most.
func (t *traces) readCalls(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "llama70b_week_truth.json"))
	if err != nil {
		return err
	}
	var is struct{ Targets []provider }
	if err := json.Unmarshal(text, &is); err != nil {
		return err
	}
	of := make([][]call, len(is.Targets))
	err = rows(filepath.Join(dir, "llama70b_week_eps02.csv.gz"), func(cells []string) error { // t_s,target,propensity,in,out,latency_s,ok
		n, err := numbers(cells[:7])
		if target := int(n[1]); err == nil && target >= 0 && target < len(of) {
			of[target] = append(of[target], call{at: n[0], perToken: n[5] / max(n[4], 1), took: n[5], ok: n[6] == 1})
		}
		return err
	})
	order := make([]int, len(of))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(len(of[b]), len(of[a])) })
	for _, target := range order[:min(mostProviders, len(order))] {
		p := is.Targets[target]
		p.Name = strings.ToLower(p.Name)
		for _, c := range of[target] {
			c.provider = len(t.providers)
			t.calls = append(t.calls, c)
		}
		t.providers = append(t.providers, p)
	}
	slices.SortFunc(t.calls, func(a, b call) int { return cmp.Compare(a.at, b.at) })
	return err
}

// rows hands over the cells of each line of a compressed CSV file but the first. None of
// these files quotes anything.
func rows(path string, take func(cells []string) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	plain, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	lines := bufio.NewReader(plain)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		if line = strings.TrimSpace(line); line != "" && n > 1 {
			if err := take(strings.Split(line, ",")); err != nil {
				return fmt.Errorf("%s:%d: %w", path, n, err)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
}

func numbers(cells []string) (n [8]float64, err error) {
	for i, cell := range cells {
		if n[i], err = strconv.ParseFloat(cell, 64); err != nil {
			break
		}
	}
	return n, err
}
