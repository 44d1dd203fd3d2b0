package logfile

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"tidegate/jobs"
)

// DefaultRequests is about how many requests are made up, at most, from a trace that tells only
// how many came.
const DefaultRequests = 1_000_000

// window is how long a rate of ServeGen holds, in seconds.
const window = 600

// A serveGen makes requests of the rates at which clients sent them: gaps between
// them have the spread that was measured, lengths come from the client's histogram.
// There are billions of them in such a trace, so rates are scaled down, all by the same.
type serveGen struct {
	random  *rand.Rand
	windows []rateWindow // in the order of time, then of clients
	lengths map[string]*lengths
	scale   float64

	at   int                // of windows
	left map[string]float64 // of a client's gap, behind the window
	made []made
}

// A rateWindow is at which rate a client sent requests for ten minutes.
type rateWindow struct {
	client string  // with its pool
	from   float64 // seconds since the start
	rate   float64 // requests a second
	shape  float64 // of the gaps between them
	gamma  bool    // gaps are Gamma, else Weibull
}

type made struct {
	at            float64
	input, output int
}

// lengths are histograms of tokens.
type lengths struct{ input, output histogram }

type histogram struct {
	low []int     // where a bucket begins
	sum []float64 // the chance to be in it or in one before it
}

func (r *Reader) serveGen(from *csv.Reader, names []string, o Options) (source, error) {
	windows, err := readRates(from, names)
	if err != nil {
		return nil, err
	}
	of, err := readLengths(r.name)
	if err != nil {
		return nil, err
	}
	g := &serveGen{random: rand.New(rand.NewPCG(o.Seed, window)), windows: windows, lengths: of, scale: 1, left: map[string]float64{}}
	total, most := 0.0, o.Requests
	for i := range windows {
		total += windows[i].rate * window
	}
	if most <= 0 {
		most = DefaultRequests
	}
	if total > float64(most) {
		g.scale = float64(most) / total
		r.warnings = append(r.warnings, fmt.Sprintf("%s: of about %.0f requests %d are made up, by rates that are all scaled down by the same; their gaps and lengths are drawn", r.name, total, most))
	}
	return g, nil
}

func readRates(from *csv.Reader, names []string) ([]rateWindow, error) {
	at, err := places(names, "pool", "client", "t_s", "rate", "pattern", "p1")
	if err != nil {
		return nil, err
	}
	var all []rateWindow
	for line := 2; ; line++ {
		fields, err := from.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && len(fields) != len(names) {
			err = fmt.Errorf("it has %d fields, and the first line names %d", len(fields), len(names))
		}
		w := rateWindow{}
		if err == nil {
			w, err = rateOf(fields, at)
		}
		if err != nil {
			return nil, fault("", line, err)
		}
		if w.rate > 0 {
			all = append(all, w)
		}
	}
	if len(all) == 0 {
		return nil, errEmpty
	}
	slices.SortStableFunc(all, func(a, b rateWindow) int {
		return cmp.Or(cmp.Compare(a.from, b.from), strings.Compare(a.client, b.client))
	})
	return all, nil
}

func rateOf(fields []string, at []int) (w rateWindow, err error) {
	w.client, w.gamma = fields[at[0]]+"/"+fields[at[1]], fields[at[4]] == "Gamma"
	for _, number := range []struct {
		name, text string
		into       *float64
		most       float64
	}{{"t_s", fields[at[2]], &w.from, mostSeconds}, {"rate", fields[at[3]], &w.rate, 1e6}, {"p1", fields[at[5]], &w.shape, 1e6}} {
		x, err := strconv.ParseFloat(number.text, 64)
		if err != nil || !(x >= 0 && x <= number.most) {
			return w, of(number.name, fmt.Errorf("%.40q is no number from 0 to %g", number.text, number.most))
		}
		*number.into = x
	}
	return w, nil
}

// readLengths reads the histograms that lie beside the arrivals. Pools without one have
// lengths of the others.
func readLengths(arrivals string) (map[string]*lengths, error) {
	for _, name := range []string{"token_hist.csv.gz", "token_hist.csv"} {
		path := filepath.Join(filepath.Dir(arrivals), name)
		file, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		of, err := lengthsOf(file)
		_ = file.Close() // it was only read
		if err != nil {
			return nil, fmt.Errorf("%s beside it: %w", name, err)
		}
		return of, nil
	}
	return nil, errors.New("the lengths of ServeGen are missing: put token_hist.csv.gz beside this file")
}

func lengthsOf(file io.Reader) (map[string]*lengths, error) {
	plain, err := unzipped(file)
	if err != nil {
		return nil, err
	}
	from := csv.NewReader(&bounded{from: plain})
	names, err := header(from)
	if err != nil {
		return nil, err
	}
	at, err := places(names, "pool", "client", "kind", "bucket_lo", "prob")
	if err != nil {
		return nil, err
	}
	all := map[string]*lengths{}
	for line := 2; ; line++ {
		fields, err := from.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil || len(fields) != len(names) {
			return nil, fmt.Errorf("line %d is broken", line)
		}
		client := fields[at[0]] + "/" + fields[at[1]]
		if all[client] == nil {
			all[client] = &lengths{}
		}
		low, err := small(fields[at[3]])
		chance, no := strconv.ParseFloat(fields[at[4]], 64)
		if err != nil || no != nil || !(chance >= 0 && chance <= 1) {
			return nil, fmt.Errorf("line %d: bucket_lo and prob are %q and %q, not tokens and a chance", line, fields[at[3]], fields[at[4]])
		}
		switch fields[at[2]] {
		case "input_tokens":
			all[client].input.add(low, chance)
		case "output_tokens":
			all[client].output.add(low, chance)
		}
	}
}

func (h *histogram) add(low int, chance float64) {
	before := 0.0
	if n := len(h.sum); n > 0 {
		before = h.sum[n-1]
	}
	h.low, h.sum = append(h.low, low), append(h.sum, before+chance)
}

// draw is a number of tokens, anywhere in its bucket.
func (h *histogram) draw(random *rand.Rand) int {
	n := len(h.sum)
	if n == 0 {
		return 0
	}
	i := min(sort.SearchFloat64s(h.sum, random.Float64()*h.sum[n-1]), n-1)
	high := h.low[i] + h.low[i]/5 // as wide as the others
	if i+1 < n {
		high = h.low[i+1]
	}
	return max(1, h.low[i]+random.IntN(max(1, high-h.low[i])))
}

// next makes the requests of all clients ten minutes at a time, in order.
func (g *serveGen) next(into *jobs.Logged) (int, error) {
	for len(g.made) == 0 {
		if g.at == len(g.windows) {
			return 0, io.EOF
		}
		from := g.windows[g.at].from
		for ; g.at < len(g.windows) && g.windows[g.at].from == from; g.at++ {
			g.fill(&g.windows[g.at])
		}
		slices.SortStableFunc(g.made, func(a, b made) int { return cmp.Compare(a.at, b.at) })
	}
	one := g.made[0]
	g.made = g.made[1:]
	into.Arrived = epoch.Add(time.Duration(one.at * float64(time.Second)))
	into.Expected = jobs.Usage{Input: one.input, Output: one.output}
	return 0, nil
}

// fill makes the requests of one client in one window. A gap may be longer than that: it
// goes on in the next one, as fast as the rate is there.
func (g *serveGen) fill(w *rateWindow) {
	of := g.lengths[w.client]
	if of == nil {
		of = &lengths{}
	}
	gap, begun := g.left[w.client]
	if !begun {
		gap = g.random.Float64() * w.gap(g.random)
	}
	room, at := w.rate*g.scale*window, 0.0 // in means of a gap
	for ; at+gap < room; gap = w.gap(g.random) {
		at += gap
		g.made = append(g.made, made{w.from + at/room*window, of.input.draw(g.random), of.output.draw(g.random)})
	}
	g.left[w.client] = gap - (room - at)
}

// gap is one between two requests, in means of it.
func (w *rateWindow) gap(random *rand.Rand) float64 {
	shape := max(w.shape, 0.05) // below, one gap in a thousand is all there is
	if w.gamma {
		return gamma(random, shape) / shape
	}
	return math.Pow(random.ExpFloat64(), 1/shape) / math.Gamma(1+1/shape)
}

// gamma draws from the Gamma distribution of a shape and scale one, by the way of
// Marsaglia and Tsang.
func gamma(random *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(random, shape+1) * math.Pow(1-random.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	for c := 1 / math.Sqrt(9*d); ; {
		x := random.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if u := 1 - random.Float64(); math.Log(u) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
