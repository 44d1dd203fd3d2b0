package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"tidegate/integration/bench"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	p := plan{many: 10, rounds: 3}
	var rounds []round
	for _, n := range []int64{30, 10, 20} {
		one := speed{n, time.Second, time.Duration(n) * time.Millisecond, time.Duration(2*n) * time.Millisecond}
		rounds = append(rounds, round{map[string]speed{job: one, manyJobs: one}, 1})
	}
	f := p.median(rounds)
	if got, want := f.of[job], (figure{20, 20, 40}); got != want {
		t.Errorf("of single ones it is %+v", got)
	}
	if got, want := f.of[manyJobs], (figure{200, 20, 40}); got != want {
		t.Errorf("of many it is %+v", got)
	}
	var text strings.Builder
	if err := (&bench.Options{}).Finish(&text, f.table("here"), f.object(), f.bars()); err == nil || !strings.Contains(err.Error(), "amiss: 3") {
		t.Errorf("what is amiss is no failure: %v", err)
	}
	last := text.String()[strings.LastIndex(strings.TrimSpace(text.String()), "\n"):]
	var object map[string]float64
	if err := json.Unmarshal([]byte(last), &object); err != nil || object["jobs_per_s"] != 20 || object["jobs_batch_per_s"] != 200 || len(object) != 4+3*len(lines) {
		t.Errorf("%v: %s", err, last)
	}
}

func TestSend(t *testing.T) {
	t.Parallel()
	p := plan{seconds: 1, senders: 3}
	first := errors.New("refused")
	if _, err := p.send(t.Context(), func(context.Context, int64) error { return first }); !errors.Is(err, first) {
		t.Errorf("it ends with %v", err)
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("of nothing it is %v", got)
	}
	if got := quantile([]time.Duration{1, 2, 3, 4}, 0.99); got != 4 {
		t.Errorf("it is %v", got)
	}
}

// A body has as many bytes as it was asked for, and is JSON.
func TestBody(t *testing.T) {
	t.Parallel()
	for _, bytes := range []int{leastBytes, 2000} {
		if got := (plan{bytes: bytes}).body(1 << 40); len(got) != bytes || !json.Valid([]byte(got)) {
			t.Errorf("%d bytes: %s", len(got), got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"--senders 0", "--senders 65", "--many 10001", "--bytes 10", "--rounds 0", "--doors 1"} {
		if _, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
}
