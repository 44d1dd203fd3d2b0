package main

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"fmt"
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
	mostTargets  = 4
	dearerBy     = 1.02 // of the one before it: what is as dear is no choice
	readingsLeft = 80   // of a day, at least
	daysOfOne    = 2    // of the days that are taken for their trouble, at most so many of one model
)

// An offer is an endpoint as the data lists it.
type offer struct {
	model, provider string
	price           jobs.Price
}

// readings are those of one endpoint on one day; those below zero are missing.
type readings struct {
	offer int
	day   int
	up    [slotsOfADay]float64
	n     int
}

// readDays reads the days of a folder in the form of the benchmarks' data: so many in
// which the cheapest target of a model had the most trouble, and so many drawn from the
// others.
func readDays(folder string, troubled, drawn int, seed uint64) ([]day, error) {
	offers, err := readOffers(filepath.Join(folder, "openrouter", "endpoints.csv"))
	if err != nil {
		return nil, err
	}
	all, err := readUptimes(filepath.Join(folder, "openrouter", "uptime_readings.csv.gz"), offers)
	if err != nil {
		return nil, err
	}
	days := daysOf(offers, all)
	if len(days) < troubled+drawn {
		return nil, fmt.Errorf("reading %s: %d days of models that several providers have, and %d are wanted", folder, len(days), troubled+drawn)
	}
	slices.SortStableFunc(days, func(a, b day) int {
		brownA, _ := a.trouble()
		brownB, _ := b.trouble()
		return brownB - brownA
	})
	return pickDays(days, troubled, drawn, seed), nil
}

func pickDays(days []day, troubled, drawn int, seed uint64) []day {
	var picked, others []day
	taken := map[string]int{}
	for _, d := range days {
		model, _, _ := strings.Cut(d.name, " ")
		if len(picked) < troubled && taken[model] < daysOfOne {
			taken[model]++
			picked = append(picked, d)
			continue
		}
		others = append(others, d)
	}
	random := rand.New(rand.NewPCG(seed, 1))
	for _, i := range random.Perm(len(others))[:drawn] {
		picked = append(picked, others[i])
	}
	return picked
}

func readOffers(path string) (map[int]offer, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	rows, err := csv.NewReader(bufio.NewReader(file)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	at := map[string]int{}
	for i, name := range rows[0] {
		at[name] = i
	}
	offers := map[int]offer{}
	for _, row := range rows[1:] {
		id, _ := strconv.Atoi(row[at["ep"]])
		input, errIn := strconv.ParseFloat(row[at["price_prompt"]], 64)
		output, errOut := strconv.ParseFloat(row[at["price_completion"]], 64)
		if errIn != nil || errOut != nil || input <= 0 || output <= 0 {
			continue // free ones save nothing
		}
		offers[id] = offer{row[at["model"]], row[at["tag"]], jobs.Price{Input: jobs.USD(1e6 * input), Output: jobs.USD(1e6 * output)}}
	}
	return offers, nil
}

// readUptimes reads the readings of all days that have one every quarter of an hour.
func readUptimes(path string, offers map[int]offer) (map[[2]int]*readings, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	unzipped, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	all := map[[2]int]*readings{}
	lines := bufio.NewScanner(unzipped)
	lines.Scan() // ts_unix,ep,status,up5m,up30m,up1d
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ",")
		if len(fields) < 4 || fields[3] == "" {
			continue
		}
		ts, errT := strconv.ParseInt(fields[0], 10, 64)
		ep, errE := strconv.Atoi(fields[1])
		up, errU := strconv.ParseFloat(fields[3], 64)
		if errT != nil || errE != nil || errU != nil {
			return nil, fmt.Errorf("reading %s: %q is no reading", path, lines.Text())
		}
		if _, priced := offers[ep]; !priced {
			continue
		}
		at := time.Unix(ts, 0).UTC()
		key := [2]int{ep, int(at.Unix() / 86400)}
		r := all[key]
		if r == nil {
			r = &readings{offer: ep, day: key[1]}
			for i := range r.up {
				r.up[i] = -1
			}
			all[key] = r
		}
		if i := int(at.Sub(at.Truncate(24*time.Hour)) / slot); r.up[i] < 0 {
			r.up[i] = up / 100
			r.n++
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return all, nil
}

// daysOf puts together the targets of each model and day.
func daysOf(offers map[int]offer, all map[[2]int]*readings) []day {
	byDay := map[string][]*readings{}
	for _, r := range all {
		if r.n >= readingsLeft {
			name := fmt.Sprintf("%s %s", offers[r.offer].model, time.Unix(int64(r.day)*86400, 0).UTC().Format("2006-01-02"))
			byDay[name] = append(byDay[name], r)
		}
	}
	var days []day
	for name, them := range byDay {
		cost := func(r *readings) jobs.MicroUSD {
			p := offers[r.offer].price
			return p.Cost(jobs.Usage{Input: 1000 * usage.Input, Output: 1000 * usage.Output})
		}
		slices.SortFunc(them, func(a, b *readings) int {
			if cost(a) != cost(b) {
				return int(cost(a) - cost(b))
			}
			return a.offer - b.offer
		})
		d := day{name: name}
		last := 0.0
		for _, r := range them {
			if c := float64(cost(r)); c >= last*dearerBy && len(d.targets) < mostTargets {
				last = c
				o := offers[r.offer]
				d.targets = append(d.targets, endpoint{name: o.provider, price: o.price, up: filled(r.up)})
			}
		}
		if len(d.targets) >= 2 {
			days = append(days, d)
		}
	}
	slices.SortFunc(days, func(a, b day) int { return strings.Compare(a.name, b.name) })
	return days
}

// filled takes what is missing for as what was read before it.
func filled(up [slotsOfADay]float64) [slotsOfADay]float64 {
	last := 1.0
	for i := range up {
		if up[i] < 0 {
			up[i] = last
		}
		last = up[i]
	}
	return up
}
