package worker

import (
	"context"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
)

// A meadow is what a surveyor looks at, in memory.
type meadow struct {
	mu     sync.Mutex
	looks  []jobs.RouteLook
	kept   []jobs.Progress
	counts int
	saves  int
	takes  time.Duration // a count
	none   bool          // waits
	lead   jobs.Lead
	leads  bool
}

func (m *meadow) Looks(context.Context) ([]jobs.RouteLook, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	looks := append([]jobs.RouteLook(nil), m.looks...)
	for i := range looks {
		looks[i].At = time.Now()
	}
	return looks, nil
}

func (m *meadow) CountQueues(ctx context.Context, all []jobs.Progress) error {
	m.mu.Lock()
	takes, found := m.takes, []jobs.Stratum{{Jobs: 100}}
	if m.counts++; m.none {
		found = nil
	}
	m.mu.Unlock()
	if err := sleepUntil(ctx, takes); err != nil {
		return err
	}
	for i := range all {
		all[i].CountedAt, all[i].Strata = time.Now(), found
	}
	return nil
}

func (m *meadow) Progress(context.Context) ([]jobs.Progress, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]jobs.Progress(nil), m.kept...), nil
}

func (m *meadow) SaveProgress(_ context.Context, held jobs.Lead, all []jobs.Progress) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if held != m.lead {
		return jobs.ErrDeposed
	}
	m.saves++
	m.kept = append([]jobs.Progress(nil), all...)
	return nil
}

func (m *meadow) change(how func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	how()
}

func (m *meadow) leading() (jobs.Lead, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lead, m.leads
}

// one is the progress of the only route, as it was written down last.
func (m *meadow) one(t *testing.T) jobs.Progress {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) != 1 {
		t.Fatalf("%d routes are written down", len(m.kept))
	}
	return m.kept[0]
}

// surveying runs a surveyor until the returned function is called. Each second, so many
// requests end in the hands of a worker.
func (v *village) surveying(t *testing.T, m *meadow, rate *int) (stop func()) {
	t.Helper()
	m.lead, m.leads = jobs.Lead{Worker: "w", Epoch: 1}, true
	config := Config{Fleet: Fleet{Peers: v, Survey: m}, Log: zerolog.Nop(), Now: time.Now, Timing: Timing{}.withDefaults()}
	s := newSurveyor(&config, m.leading)
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { s.Run(ctx) })
	run.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				v.change(func() {
					ended := v.fleet.Peers[0].Ended["r"] + *rate // others read what was there before
					v.fleet.Peers = []jobs.Peer{{Beat: jobs.Beat{Worker: "w", Ended: map[string]int{"r": ended}}}}
				})
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); run.Wait() }
}

func grown() (*village, *meadow) {
	v := newVillage()
	v.fleet.Peers = []jobs.Peer{{Beat: jobs.Beat{Worker: "w", Ended: map[string]int{"r": 1e6}}}}
	v.fleet.Chains = map[string][]string{"r": {"a"}}
	return v, &meadow{looks: []jobs.RouteLook{{Route: "r", Waits: true, InHand: 8, Calling: 4, Served: true}}}
}

// A speed is seen while there is work: an outage, a pause and an idle time leave it, and
// another supervisor goes on with it.
func TestSurveyorSeesHowFastARouteIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, m := grown()
		rate := 20
		stop := v.surveying(t, m, &rate)
		is := func(when string, want float64) {
			t.Helper()
			p := m.one(t)
			if got, _ := p.Speed.Rate(time.Now()); math.Abs(got-want) > want/20 || p.Waiting() != 100 || !p.Served || p.InHand != 8 {
				t.Errorf("%s it is %.1f a second, want %.1f: %+v", when, got, want, p)
			}
		}
		after(5 * time.Minute)
		is("after five minutes", 20)
		v.change(func() { rate, v.fleet.Circuits = 0, []jobs.Circuit{openFor(time.Hour)} })
		after(10 * time.Minute)
		is("in an outage", 20)
		v.change(func() { rate, v.fleet.Circuits = 1, nil })
		m.change(func() { m.looks[0].Waits, m.looks[0].InHand, m.looks[0].Calling = false, 8, 8 })
		after(10 * time.Minute)
		is("while there is little to do", 20)
		m.change(func() { m.looks[0].Waits, m.looks[0].Paused = true, true })
		after(time.Minute)
		is("while somebody holds it", 20)
		m.change(func() { m.leads = false })
		after(time.Minute)
		m.change(func() { m.lead.Epoch, m.leads, m.looks[0].Paused = 2, true, false })
		v.change(func() { rate = 5 })
		after(10 * time.Minute)
		is("after ten minutes that were slower", 5)
		stop()
	})
}

// A count that takes long is made rarely; what is known without one is written down as
// often as before.
func TestSurveyorCountsForLittle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, m := grown()
		rate := 20
		m.takes = 2 * time.Second
		stop := v.surveying(t, m, &rate)
		after(time.Hour)
		m.change(func() {
			if m.counts < 8 || m.counts > 13 || m.saves < 300 { // 2 s in 300
				t.Errorf("in an hour it counted %d times, and wrote %d times", m.counts, m.saves)
			}
			m.takes = 0
		})
		after(time.Hour)
		m.change(func() {
			if m.counts < 300 {
				t.Errorf("in an hour of short counts it counted %d times", m.counts)
			}
		})
		stop()
	})
}

// Where work comes on a route of which the last count found none, it is counted soon, however
// long that count took on a busy machine; and then as rarely as before.
func TestSurveyorCountsWhatIsNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, m := grown()
		rate := 0
		m.none, m.takes, m.looks[0].Waits = true, time.Minute, false // no count for two hours and a half
		stop := v.surveying(t, m, &rate)
		counted := func() (n int) { m.change(func() { n = m.counts }); return n }
		after(5 * time.Minute)
		if p := m.one(t); counted() != 1 || p.Waiting() != 0 {
			t.Fatalf("it counted %d times: %+v", counted(), p)
		}
		m.change(func() { m.none, m.takes, m.looks[0].Waits = false, 0, true })
		after(15 * time.Second)
		if p := m.one(t); p.Waiting() != 100 {
			t.Errorf("what came is not counted: %+v", p)
		}
		after(time.Hour)
		if n := counted(); n != 2 {
			t.Errorf("it counted %d times, not once before and once since", n)
		}
		stop()
	})
}

// What a worker ended of which nobody knew counts from when it is new, and one that is
// gone is nothing.
func TestSurveyorKnowsWhoIsNew(t *testing.T) {
	t.Parallel()
	s := surveyor{}
	peers := func(all ...jobs.Peer) *jobs.Fleet { return &jobs.Fleet{Peers: all} }
	peer := func(name string, n int) jobs.Peer {
		return jobs.Peer{Beat: jobs.Beat{Worker: name, Ended: map[string]int{"r": n}}}
	}
	for i, c := range []struct {
		fleet *jobs.Fleet
		known bool
		want  int
	}{
		{peers(peer("a", 500)), false, 0},
		{peers(peer("a", 510)), true, 10},
		{peers(peer("a", 515), peer("b", 7)), true, 12},
		{peers(peer("b", 9)), true, 2},
		{peers(peer("b", 0)), true, 0},
		{peers(peer("b", 4)), false, 0},
	} {
		if got := s.since(c.fleet, c.known)["r"]; got != c.want {
			t.Errorf("look %d: %d ended, want %d", i, got, c.want)
		}
	}
}
