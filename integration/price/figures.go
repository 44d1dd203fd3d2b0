package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"time"

	"tidegate/jobs"
)

// figures are the last line. A cost is the mean over all rows of what a row costs
// beside its oracle, so that a dear model counts no more than a cheap one.
type figures struct {
	PriceOverOracle   float64 `json:"price_over_oracle_cost"`
	WaitOverOracle    float64 `json:"wait_over_oracle_cost"`
	RerouteOverOracle float64 `json:"reroute_over_oracle_cost"`
	PriceMet          float64 `json:"price_deadlines_met"`
	WaitMet           float64 `json:"wait_deadlines_met"`
	RerouteMet        float64 `json:"reroute_deadlines_met"`
}

func sumUp(rows []row) figures {
	over := func(mode jobs.WhenOpen) float64 {
		sum := 0.0
		for _, r := range rows {
			sum += r.over(mode)
		}
		return rounded(sum / float64(len(rows)))
	}
	met := func(mode jobs.WhenOpen) float64 {
		n, of := 0, 0
		for _, r := range rows {
			n, of = n+r.of[mode].Met, of+r.requests
		}
		return rounded(float64(n) / float64(of))
	}
	return figures{
		over(jobs.WhenOpenPrice), over(jobs.WhenOpenWait), over(jobs.WhenOpenReroute),
		met(jobs.WhenOpenPrice), met(jobs.WhenOpenWait), met(jobs.WhenOpenReroute),
	}
}

// over is what the row cost for each answer in time, beside what it cost the oracle for
// each of its.
func (r *row) over(mode jobs.WhenOpen) float64 {
	if r.of[mode].Met == 0 || r.oracleMet == 0 || r.oracle == 0 {
		return math.Inf(1)
	}
	return float64(r.of[mode].Cost) / float64(r.of[mode].Met) / (float64(r.oracle) / float64(r.oracleMet))
}

func rounded(x float64) float64 { return math.Round(1e5*x) / 1e5 }

const mostOverOracle = 1.10

// bars says what was not reached.
func (f figures) bars() error {
	var missed []error
	if f.PriceMet < f.RerouteMet {
		missed = append(missed, fmt.Errorf("price met %.5f of the deadlines, reroute %.5f", f.PriceMet, f.RerouteMet))
	}
	if f.PriceOverOracle > mostOverOracle {
		missed = append(missed, fmt.Errorf("price costs %.3f of the oracle, at most %.2f", f.PriceOverOracle, mostOverOracle))
	}
	return errors.Join(missed...)
}

// table prints a row of each day and load.
func (p *plan) table(to io.Writer, days []day, rows []row, took time.Duration) {
	from := "real uptime and prices of " + p.data
	if p.data == "" {
		from = "days that are made up (no DATA=DIR)"
	}
	fmt.Fprintf(to, "%d days of %s; %d requests a batch, deadline %s, goal %s, %d seeds; %d processors, %s\n\n",
		len(days), from, p.requests, p.within, p.goal, p.seeds, runtime.GOMAXPROCS(0), took.Round(time.Second))
	fmt.Fprintf(to, "%-48s %-6s %5s %4s | %-23s | %-32s | %s\n", "", "", "<95%", "<50%", "cost over the oracle's", "deadlines met %", "parked")
	fmt.Fprintf(to, "%-48s %-6s %5s %4s | %7s %7s %7s | %7s %7s %7s %8s | %7s %7s\n", "model and day", "load", "", "",
		"price", "wait", "reroute", "price", "wait", "reroute", "oracle", "price", "wait")
	for _, r := range rows {
		fmt.Fprintf(to, "%-48.48s %-6s %5d %4d |", r.is.name, r.load.name, r.brown, r.out)
		for _, mode := range modes {
			fmt.Fprintf(to, " %7.3f", r.over(mode))
		}
		fmt.Fprint(to, " |")
		for _, mode := range modes {
			fmt.Fprintf(to, " %7.2f", 100*float64(r.of[mode].Met)/float64(r.requests))
		}
		fmt.Fprintf(to, " %8.2f | %7d %7d\n", 100*float64(r.oracleMet)/float64(r.requests), r.of[jobs.WhenOpenPrice].Parked, r.of[jobs.WhenOpenWait].Parked)
	}
	fmt.Fprintln(to)
}

// MarshalJSON writes -1 where nothing was answered.
func (f figures) MarshalJSON() ([]byte, error) {
	type plain figures
	for _, x := range []*float64{&f.PriceOverOracle, &f.WaitOverOracle, &f.RerouteOverOracle} {
		if math.IsInf(*x, 0) {
			*x = -1
		}
	}
	return json.Marshal(plain(f))
}
