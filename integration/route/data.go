package main

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidegate/jobs"
)

const (
	mostProviders  = 8   // of a model
	leastProviders = 5   // for a model to be worth choosing in
	leastReadings  = 0.8 // of the slots of the time that is taken
	usualUp        = 0.995
)

// An endpoint is a model at a provider, as the data has it.
type endpoint struct {
	id            int
	model         string
	input, output float64     // US dollars a token
	up            [][]float64 // by window and slot: the share that was answered; below zero: no reading
	readings      []int       // by window
}

// load reads the endpoints of the data, and how they did in some windows of time.
func load(dir string, windows []time.Time, lasts time.Duration) (map[string][]*endpoint, error) {
	all, err := readEndpoints(filepath.Join(dir, "openrouter", "endpoints.csv"), len(windows), int(lasts/slot)+1)
	if err != nil {
		return nil, err
	}
	if err := reprice(filepath.Join(dir, "openrouter", "price_changes.csv"), all, windows[0]); err != nil {
		return nil, err
	}
	if err := readUptime(filepath.Join(dir, "openrouter", "uptime_readings.csv.gz"), all, windows, lasts); err != nil {
		return nil, err
	}
	models := map[string][]*endpoint{}
	for _, e := range slices.SortedFunc(maps.Values(all), func(a, b *endpoint) int { return cmp.Compare(a.id, b.id) }) {
		least := slices.Min(e.readings)
		if float64(least) >= leastReadings*float64(len(e.up[0])) && e.output > 0 && len(models[e.model]) < mostProviders {
			models[e.model] = append(models[e.model], e)
		}
	}
	maps.DeleteFunc(models, func(_ string, of []*endpoint) bool { return len(of) < leastProviders })
	return models, nil
}

func readRows(path string, take func(row []string, column func(string) int) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	rows, err := csv.NewReader(bufio.NewReader(file)).ReadAll()
	if err != nil || len(rows) == 0 {
		return fmt.Errorf("%s: %d rows: %w", path, len(rows), err)
	}
	column := func(name string) int { return slices.Index(rows[0], name) }
	for i, row := range rows[1:] {
		if err := take(row, column); err != nil {
			return fmt.Errorf("%s:%d: %w", path, i+2, err)
		}
	}
	return nil
}

func readEndpoints(path string, windows, slots int) (map[int]*endpoint, error) {
	all := map[int]*endpoint{}
	err := readRows(path, func(row []string, column func(string) int) error {
		id, err := strconv.Atoi(row[column("ep")])
		if err != nil {
			return err
		}
		e := &endpoint{id: id, model: row[column("model")], readings: make([]int, windows)}
		e.input, _ = strconv.ParseFloat(row[column("price_prompt")], 64)
		e.output, _ = strconv.ParseFloat(row[column("price_completion")], 64)
		for range windows {
			e.up = append(e.up, slices.Repeat([]float64{-1}, slots))
		}
		all[id] = e
		return nil
	})
	return all, err
}

// reprice takes the prices that held at a time.
func reprice(path string, all map[int]*endpoint, at time.Time) error {
	return readRows(path, func(row []string, column func(string) int) error {
		since, err := strconv.ParseInt(row[column("ts_unix")], 10, 64)
		if err != nil {
			return err
		}
		id, err := strconv.Atoi(row[column("ep")])
		if err != nil {
			return err
		}
		if e := all[id]; e != nil && since <= at.Unix() { // the rows are in the order of their times
			e.input, _ = strconv.ParseFloat(row[column("price_prompt")], 64)
			e.output, _ = strconv.ParseFloat(row[column("price_completion")], 64)
		}
		return nil
	})
}

// readUptime reads the share of the last five minutes, or else of the last thirty.
func readUptime(path string, all map[int]*endpoint, windows []time.Time, lasts time.Duration) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		cells := strings.Split(lines.Text(), ",")
		if len(cells) < 5 || cells[0] == "ts_unix" {
			continue
		}
		at, err := strconv.ParseInt(cells[0], 10, 64)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		up, err := strconv.ParseFloat(cmp.Or(cells[3], cells[4]), 64)
		if err != nil {
			continue // nobody called
		}
		id, err := strconv.Atoi(cells[1])
		if err != nil || all[id] == nil {
			continue
		}
		for i, from := range windows {
			if into := at - from.Unix(); into >= 0 && into < int64(lasts.Seconds()) {
				all[id].up[i][into/int64(slot.Seconds())] = up / 100
				all[id].readings[i]++
			}
		}
	}
	return lines.Err()
}

// world makes a chain of the endpoints of a model, in one window.
func worldOf(model string, of []*endpoint, window int, lasts time.Duration, rate float64, luck *rand.Rand) *world {
	w := &world{name: model, lasts: lasts, rate: rate}
	for _, e := range of {
		up := slices.Clone(e.up[window])
		last := usualUp
		for i := range up {
			if up[i] < 0 {
				up[i] = last
			}
			last = up[i]
		}
		target := &jobs.Target{
			Name: fmt.Sprintf("ep-%d", e.id), Provider: fmt.Sprintf("account-%d", e.id),
			Price: jobs.Price{Input: jobs.USD(e.input * 1e6), Output: jobs.USD(e.output * 1e6)},
		}
		w.providers = append(w.providers, newProvider(target, up, lasts, luck))
	}
	return w
}

// synthetic makes a chain of n providers up: brown-outs come as often as in the data.
func synthetic(n int, lasts time.Duration, rate float64, luck *rand.Rand) *world {
	w := &world{name: fmt.Sprintf("synthetic-%d", n), lasts: lasts, rate: rate}
	for i := range n {
		up := slices.Repeat([]float64{usualUp}, int(lasts/slot)+1)
		for i := range up {
			switch x := luck.Float64(); {
			case x < 0.005:
				up[i] = 0.5 * luck.Float64()
			case x < 0.04:
				up[i] = 0.8 + 0.15*luck.Float64()
			}
		}
		target := &jobs.Target{
			Name: fmt.Sprintf("t%d", i), Provider: fmt.Sprintf("account-%d", i),
			Price: jobs.Price{Input: jobs.USD(between(0.1, 0.4, luck)), Output: jobs.USD(between(0.3, 1.2, luck))},
		}
		w.providers = append(w.providers, newProvider(target, up, lasts, luck))
	}
	return w
}

// relapsing makes a chain whose best provider is slow for a quarter of an hour, again
// and again, so that there is much to see of what comes after.
func relapsing(lasts time.Duration, rate float64, luck *rand.Rand) *world {
	w := equal(4, lasts, rate)
	w.name = "relapsing"
	for i, p := range w.providers {
		p.speed, p.first = 60+30*luck.Float64(), 0.4+0.4*luck.Float64()
		if i > 0 {
			continue
		}
		p.speed, p.first = 140, 0.3
		for from := 20 * time.Minute; from < lasts; from += 40 * time.Minute {
			p.slow = append(p.slow, slowTime{from, from + slowLeast + 5*time.Minute, slowFrom + (slowTo-slowFrom)*luck.Float64()})
		}
	}
	return w
}

// equal makes a chain of n providers that are all the same, and in order.
func equal(n int, lasts time.Duration, rate float64) *world {
	w := &world{name: "equal", lasts: lasts, rate: rate}
	for i := range n {
		w.providers = append(w.providers, &provider{
			target: &jobs.Target{Name: fmt.Sprintf("t%d", i), Provider: fmt.Sprintf("account-%d", i), Price: jobs.Price{Input: 1, Output: 1}},
			first:  0.6, speed: 60, up: slices.Repeat([]float64{usualUp}, int(lasts/slot)+1),
		})
	}
	return w
}
