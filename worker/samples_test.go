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
	thinned int
	err     error
}

func (d *diary) TakeSample(context.Context, jobs.Lead) error {
	d.taken = append(d.taken, time.Now())
	return d.err
}

func (d *diary) ThinSamples(context.Context, jobs.Lead) error { d.thinned++; return nil }

// A sample is taken every ten seconds, and where that fails no sooner: others go before.
func TestSamplesAreTakenNowAndThen(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]error{"well": nil, "too slow": errors.New("too slow")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := &diary{err: fails}
				s := newSupervisor(&Config{Name: "A", Fleet: Fleet{History: d}, Timing: Timing{}.withDefaults(), Log: zerolog.Nop(), Now: time.Now}, nil, func() {})
				for began := time.Now(); time.Since(began) < 10*time.Minute; pass(time.Second) {
					if err := s.sample(t.Context(), nil); err != nil && !errors.Is(err, fails) {
						t.Fatal(err)
					}
				}
				if len(d.taken) != 60 {
					t.Errorf("%d samples in ten minutes", len(d.taken))
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
