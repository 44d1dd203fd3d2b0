package provider

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
	"tidegate/routing/simulator"
)

// A drillGround is a simulated provider, a real client, and drills between them.
type drillGround struct {
	*Drills
	t      *testing.T
	sim    *simulator.Server
	target *jobs.Target
}

func newDrillGround(t *testing.T) *drillGround {
	t.Helper()
	sim, err := simulator.New(simulator.Config{Providers: []simulator.Provider{{Name: "cheap"}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	g := &drillGround{t: t, sim: sim, target: at(server.URL + sim.BaseURL("cheap"))}
	g.Drills = NewDrills(newClient(t, Config{}), rand.New(rand.NewPCG(1, 2)), nil)
	return g
}

func (g *drillGround) drill(mode jobs.DrillMode, rate float64, lasts time.Duration) {
	g.Set([]jobs.Drill{{Target: g.target.Name, Mode: mode, Rate: rate, Until: time.Now().Add(lasts)}, {Target: "another", Mode: mode, Rate: 1}})
}

func (g *drillGround) complete(ctx context.Context, target *jobs.Target) (*jobs.Answer, *jobs.Error) {
	g.t.Helper()
	answer, failed := g.Complete(ctx, target, jobs.EndpointChat, []byte(prompt))
	if (answer == nil) == (failed == nil) {
		g.t.Fatalf("Complete gave %v and %v; exactly one must be nil", answer, failed)
	}
	return answer, failed
}

// In every mode the call fails and none leaves; when the drill is taken away the
// same call is answered.
func TestDrillFailsCallsThatDoNotLeave(t *testing.T) {
	t.Parallel()
	g := newDrillGround(t)
	hurried := *g.target
	hurried.Timeouts.Total = quick
	for _, mode := range jobs.DrillModes() {
		g.drill(mode, 1, time.Hour)
		if _, failed := g.complete(t.Context(), &hurried); failed == nil || failed.Code != DrillCode {
			t.Errorf("%s: it failed with %+v", mode, failed)
		}
		other := *g.target
		other.Name = "mini-2"
		if _, failed := g.complete(t.Context(), &other); failed != nil {
			t.Errorf("%s: another target of the account fails with %v", mode, failed)
		}
	}
	if seen, want := g.sim.Calls("cheap").Total, len(jobs.DrillModes()); seen != want {
		t.Errorf("%d calls arrived, want the %d to another target", seen, want)
	}
	g.drill("of tomorrow", 1, time.Hour)
	if _, failed := g.complete(t.Context(), g.target); failed != nil {
		t.Errorf("a mode that is not known: %v", failed)
	}
	g.Set(nil)
	if _, failed := g.complete(t.Context(), g.target); failed != nil {
		t.Errorf("after the drills: %v", failed)
	}
}

// A failure of a drill is classified as a provider's own would be.
func TestDrillClasses(t *testing.T) {
	t.Parallel()
	g := newDrillGround(t)
	for mode, want := range map[jobs.DrillMode]jobs.Error{
		jobs.Drill503:     {Class: jobs.Overload, Status: 503, Said: true},
		jobs.Drill500:     {Class: jobs.Transient, Status: 500, Said: true},
		jobs.Drill429:     {Class: jobs.Rate, Status: 429, Said: true},
		jobs.DrillQuota:   {Class: jobs.Quota, Status: 402, Said: true},
		jobs.DrillRefused: {Class: jobs.Transient},
	} {
		g.drill(mode, 1, time.Hour)
		_, failed := g.complete(t.Context(), g.target)
		if got := (jobs.Error{Class: failed.Class, Status: failed.Status, Said: failed.Said}); cmp.Diff(want, got) != "" {
			t.Errorf("%s is %+v", mode, got)
		}
		for name, dialect := range dialects {
			if class := dialect.classify(refusal{status: failed.Status, code: failed.Code}); failed.Status != 0 && class != failed.Class {
				t.Errorf("%s is %s, and to %s %s", mode, failed.Class, name, class)
			}
		}
	}
}

// A call that hangs ends as one at a provider that never answers does, by the
// same of the target's timeouts.
func TestDrillHangs(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for name, c := range map[string]struct {
		limits jobs.Timeouts
		want   time.Duration
	}{
		"the whole call":      {jobs.Timeouts{Total: 7 * second}, 7 * second},
		"the first byte":      {jobs.Timeouts{FirstByte: 3 * second, Total: 7 * second}, 3 * second},
		"the whole is sooner": {jobs.Timeouts{FirstByte: 9 * second, Total: 7 * second}, 7 * second},
		"nothing is said":     {jobs.Timeouts{}, jobs.DefaultTimeouts.Total},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				drills := NewDrills(nil, nil, nil)
				drills.Set([]jobs.Drill{{Target: "mini", Mode: jobs.DrillHang, Rate: 1, Until: time.Now().Add(time.Minute)}})
				began := time.Now()
				_, failed := drills.Complete(t.Context(), &jobs.Target{Name: "mini", Timeouts: c.limits}, jobs.EndpointChat, nil)
				if took := time.Since(began); took != c.want || failed.Class != jobs.Timeout || !failed.Said || failed.Status != 0 {
					t.Errorf("after %s: %+v", took, failed)
				}
			})
		})
	}
}

func TestDrillWhoseCallerStops(t *testing.T) {
	t.Parallel()
	for _, mode := range jobs.DrillModes() {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("the worker stops"))
				defer cancel()
				if mode != jobs.DrillHang {
					cancel()
				}
				drills := NewDrills(nil, nil, nil)
				drills.Set([]jobs.Drill{{Target: "mini", Mode: mode, Rate: 1, Until: time.Now().Add(time.Hour)}})
				began := time.Now()
				_, failed := drills.Complete(ctx, &jobs.Target{Name: "mini"}, jobs.EndpointChat, nil)
				if failed.Class != jobs.Lost || time.Since(began) > time.Second {
					t.Errorf("after %s: %+v", time.Since(began), failed)
				}
			})
		})
	}
}

// always answers.
type always struct{ calls int }

func (a *always) Check(*jobs.Target, jobs.Endpoint, []byte) error { return nil }

func (a *always) Complete(context.Context, *jobs.Target, jobs.Endpoint, []byte) (*jobs.Answer, *jobs.Error) {
	a.calls++
	return &jobs.Answer{}, nil
}

// A drill ends when it said that it would, also if nobody says so again.
func TestDrillEndsByItself(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	next := &always{}
	drills := NewDrills(next, nil, nil)
	drills.now = func() time.Time { return now }
	drills.Set([]jobs.Drill{{Target: "mini", Mode: jobs.Drill503, Rate: 1, Until: now.Add(time.Minute)}})
	var answered []bool
	for range 3 {
		answer, _ := drills.Complete(t.Context(), &jobs.Target{Name: "mini"}, jobs.EndpointChat, nil)
		answered = append(answered, answer != nil)
		now = now.Add(30 * time.Second)
	}
	if !slices.Equal(answered, []bool{false, false, true}) || next.calls != 1 {
		t.Errorf("answered: %v", answered)
	}
}

// A brown-out fails its share, the same one for the same seed.
func TestDrillFailsAShare(t *testing.T) {
	t.Parallel()
	fails := func(seed uint64) (list []bool) {
		drills := NewDrills(&always{}, rand.New(rand.NewPCG(seed, 1)), nil)
		drills.Set([]jobs.Drill{{Target: "mini", Mode: jobs.Drill500, Rate: 0.25, Until: time.Now().Add(time.Hour)}})
		for range 4000 {
			_, failed := drills.Complete(t.Context(), &jobs.Target{Name: "mini"}, jobs.EndpointChat, nil)
			list = append(list, failed != nil)
		}
		return list
	}
	first, again, other := fails(1), fails(1), fails(2)
	n := 0
	for _, failed := range first {
		if failed {
			n++
		}
	}
	if n < 900 || n > 1100 {
		t.Errorf("%d of 4000 failed, want about 1000", n)
	}
	if !slices.Equal(first, again) || slices.Equal(first, other) {
		t.Error("the seed does not decide which")
	}
}

func TestDrillsAtOnce(t *testing.T) {
	t.Parallel()
	g := newDrillGround(t)
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			for range 50 {
				if i == 0 {
					g.drill(jobs.Drill503, 0.5, time.Hour)
				}
				if answer, failed := g.Complete(t.Context(), g.target, jobs.EndpointChat, []byte(prompt)); (answer == nil) == (failed == nil) {
					t.Errorf("got %v and %v", answer, failed)
				}
			}
		})
	}
	callers.Wait()
}
