package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"tidegate/integration/bench"
)

const (
	// settles is how long the queue may take to be paused.
	settles = time.Minute
	// warms is how long viewers look before it is measured.
	warms = 5 * time.Second
)

// take takes the figures.
func (p plan) take(ctx context.Context, ground *bench.Ground) (figures, error) {
	f := figures{Jobs: p.jobs}
	provider := ground.Provider(name)
	stage, err := ground.Stage(ctx, bench.StageConfig{Name: name, Provider: provider, Concurrency: 25})
	if err != nil {
		return f, err
	}
	defer stage.Close()
	if err := fill(ctx, stage, p.jobs); err != nil {
		return f, err
	}
	if _, err := provider.Down(ctx, 0); err != nil {
		return f, err
	}
	if err := stage.StartWorkers(1); err != nil {
		return f, err
	}
	_, address, err := stage.StartServer(ctx)
	if err != nil {
		return f, err
	}
	err = stage.Await(ctx, settles, "the queue is paused", func() (bool, error) {
		paused, err := stage.Count(ctx, "SELECT count(*) FROM tidegate.pauses")
		return paused > 0, err
	})
	if err != nil {
		return f, err
	}
	return f, p.rounded(ctx, stage, address, &f)
}

// fill enqueues all requests, and lets Postgres write now what it would write later.
func fill(ctx context.Context, stage *bench.Stage, n int) error {
	began := time.Now()
	if err := stage.Enqueue(ctx, 0, n); err != nil {
		return err
	}
	for _, statement := range []string{"VACUUM (ANALYZE, FREEZE)", "CHECKPOINT"} {
		if _, err := stage.Pool.Exec(ctx, statement); err != nil {
			return err
		}
	}
	bench.Say("%d requests wait, after %s", n, time.Since(began).Round(time.Second))
	return nil
}

// rounded has nobody look, then some, and more, a few times.
func (p plan) rounded(ctx context.Context, stage *bench.Stage, address string, f *figures) error {
	var nobody, river float64
	shares := make([]float64, len(crowds))
	audiences := make([]audience, len(crowds))
	for round := range p.rounds {
		share, err := p.measure(ctx, stage)
		if err != nil {
			return err
		}
		nobody += share
		bench.Say("round %d: nobody looks: %.2f%% of a core", round+1, 100*share)
		for i, n := range crowds {
			share, err := audiences[i].look(ctx, audiences[i].follow, address, n, func(ctx context.Context) (float64, error) { return p.measure(ctx, stage) })
			if err != nil {
				return err
			}
			shares[i] += share
			bench.Say("round %d: %d look: %.2f%% of a core", round+1, n, 100*share)
		}
		share, err = (&audience{}).look(ctx, pollRiver, address, 1, func(ctx context.Context) (float64, error) { return p.measure(ctx, stage) })
		if err != nil {
			return err
		}
		river += share
		bench.Say("round %d: 1 looks at River's page: %.2f%% of a core", round+1, 100*share)
	}
	rounds := float64(p.rounds)
	f.Nobody, f.River = *bench.Round(nobody/rounds, 1e5), *bench.Round(max(0, (river-nobody)/rounds), 1e5)
	for i, n := range crowds {
		more := max(0, (shares[i]-nobody)/rounds)
		a := &audiences[i]
		f.Viewers = append(f.Viewers, crowd{
			Viewers: n, Each: *bench.Round(more/float64(n), 1e5), All: *bench.Round(more, 1e5), Age: *bench.Round(a.middle(), 10), MostAge: *bench.Round(a.most, 10),
			KBps: *bench.Round(float64(a.bytes)/1024/float64(n)/a.lasted.Seconds(), 10),
		})
		f.Counted = max(f.Counted, a.counted)
	}
	return nil
}

// measure is what part of a core Postgres works for a while.
func (p plan) measure(ctx context.Context, stage *bench.Stage) (float64, error) {
	before, began := stage.PostgresCPU(), time.Now()
	if err := bench.Sleep(ctx, began.Add(p.lasts)); err != nil {
		return 0, err
	}
	return float64(stage.PostgresCPU()-before) / float64(time.Since(began)), nil
}

// An audience is some who look, and what they saw. Safe for concurrent use.
type audience struct {
	mu        sync.Mutex
	measuring bool
	ages      []float64
	most      float64
	counted   float64
	bytes     int
	lasted    time.Duration
}

func (a *audience) middle() (sum float64) {
	for _, age := range a.ages {
		sum += age
	}
	return sum / float64(max(1, len(a.ages)))
}

// look has n look while something is measured.
func (a *audience) look(ctx context.Context, follow func(ctx context.Context, address string) error, address string, n int, measure func(context.Context) (float64, error)) (float64, error) {
	looking, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	failed := make(chan error, n)
	for range n {
		all.Go(func() {
			if err := follow(looking, address); err != nil && looking.Err() == nil {
				failed <- err
			}
		})
	}
	defer all.Wait()
	defer stop()
	if err := bench.Sleep(ctx, time.Now().Add(warms)); err != nil {
		return 0, err
	}
	a.measures(true)
	began := time.Now()
	share, err := measure(ctx)
	a.measures(false)
	a.lasted += time.Since(began)
	select {
	case err := <-failed:
		return 0, fmt.Errorf("a viewer: %w", err)
	default:
		return share, err
	}
}

func (a *audience) measures(yes bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.measuring = yes
}

var (
	ticks   = regexp.MustCompile(`"read":(\d+)`)
	counted = regexp.MustCompile(`counted (?:([\d.]+) min )?([\d.]+) (ms|s) ago`)
)

// follow takes what the page sends.
func (a *audience) follow(ctx context.Context, address string) error {
	body, err := get(ctx, address+"/page/live?window=15m")
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 4<<20)
	var shown int64 // when what is shown was read
	for lines.Scan() {
		shown = a.take(lines.Text(), shown)
	}
	return lines.Err()
}

// take takes a line, and returns when what is shown then was read.
func (a *audience) take(text string, shown int64) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.measuring {
		a.bytes += len(text) + 1
	}
	if strings.Contains(text, `"id":"now"`) && a.measuring {
		var section struct{ HTML string }
		_ = json.Unmarshal([]byte(strings.TrimPrefix(text, "data: ")), &section)
		if found := counted.FindStringSubmatch(section.HTML); found != nil {
			a.counted = max(a.counted, ago(found))
		}
	}
	found := ticks.FindStringSubmatch(text)
	if found == nil {
		return shown
	}
	if shown > 0 && a.measuring { // it was shown until now
		age := time.Since(time.UnixMilli(shown)).Seconds()
		a.ages, a.most = append(a.ages, age), max(a.most, age)
	}
	read, _ := strconv.ParseInt(found[1], 10, 64)
	return read
}

// ago is a time as the page says it, in seconds.
func ago(found []string) float64 {
	minutes, _ := strconv.ParseFloat(found[1], 64) // of none it is zero
	small, _ := strconv.ParseFloat(found[2], 64)
	if found[3] == "ms" {
		small /= 1000
	}
	return 60*minutes + small
}

// riverEvery is how often River's page asks, and riverAsks what, with its queues and the
// jobs of a state open.
const riverEvery = 2 * time.Second

var riverAsks = []string{"/river/api/states", "/river/api/queues?limit=100", "/river/api/jobs?limit=20&state=available"}

// pollRiver asks as River's page does.
func pollRiver(ctx context.Context, address string) error {
	for {
		for _, path := range riverAsks {
			if err := ask(ctx, address+path); err != nil {
				return err
			}
		}
		if err := bench.Sleep(ctx, time.Now().Add(riverEvery)); err != nil {
			return err
		}
	}
}

func ask(ctx context.Context, url string) error {
	body, err := get(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	_, err = io.Copy(io.Discard, body)
	return err
}

// get asks for a page, and returns its body, to be closed.
func get(ctx context.Context, url string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		_ = answer.Body.Close()
		return nil, fmt.Errorf("%s answers %s", url, answer.Status)
	}
	return answer.Body, nil
}
