package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
)

// A diary is the part of a database that samples need, on a fake clock.
type diary struct {
	taken   []time.Time
	counted []time.Time
	thinned int
	slow    time.Duration // that a count takes
	err     error         // of one that is to count
}

func (d *diary) TakeSample(_ context.Context, _ jobs.Lead, count bool) (time.Duration, error) {
	d.taken = append(d.taken, time.Now())
	if !count {
		return 0, nil
	}
	d.counted = append(d.counted, time.Now())
	return d.slow, d.err
}

func (d *diary) ThinSamples(context.Context, jobs.Lead) error { d.thinned++; return nil }

// keepDiary samples for so long, once a second.
func keepDiary(t *testing.T, d *diary, lasts time.Duration) {
	t.Helper()
	s := newSupervisor(&Config{Name: "A", Fleet: Fleet{History: d}, Timing: Timing{}.withDefaults(), Log: zerolog.Nop(), Now: time.Now}, nil, func() {})
	for began := time.Now(); time.Since(began) < lasts; pass(time.Second) {
		if err := s.sample(t.Context(), nil); err != nil && d.err == nil {
			t.Fatal(err)
		}
	}
}

// A sample is taken every ten seconds; counting takes a hundredth of the time at most.
func TestSamplesAreTakenForLittle(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		slow   time.Duration
		err    error
		counts int // in ten minutes
	}{
		"few wait":             {0, nil, 60},
		"very many wait":       {time.Second / 2, nil, 12},
		"too many are counted": {0, errors.New("too slow"), 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := &diary{slow: test.slow, err: test.err}
				keepDiary(t, d, 10*time.Minute)
				if len(d.taken) != 60 || len(d.counted) != test.counts {
					t.Errorf("%d samples, of which %d counted", len(d.taken), len(d.counted))
				}
			})
		})
	}
}

func TestNobodyKeepsADiary(t *testing.T) {
	t.Parallel()
	s := newSupervisor(&Config{Name: "A", Timing: Timing{}.withDefaults(), Log: zerolog.Nop(), Now: time.Now}, nil, func() {})
	if err := errors.Join(s.sample(t.Context(), nil), s.thin(t.Context())); err != nil {
		t.Error(err)
	}
}
