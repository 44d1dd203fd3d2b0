package store_test

import (
	"testing"
	"time"

	"tidegate/jobs"
	"tidegate/store"
)

// Two machines whose clocks are half a minute apart tell each other of the same
// moments: what one says comes to the other in its own time.
func TestClocksOfMachinesAreApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const skew = 30 * time.Second
	fast := func() time.Time { return time.Now().Add(skew) }
	there := w.OnClock(fast)
	down := open(2, "down", 0)
	down.Since, down.DownSince, down.CooldownUntil = fast().Add(-time.Minute), fast().Add(-2*time.Minute), fast().Add(time.Hour)
	if err := there.ShareCircuits(t.Context(), "fast", []jobs.Circuit{down}); err != nil {
		t.Fatal(err)
	}
	if err := there.StartDrill(t.Context(), jobs.Drill{Target: "b", Mode: jobs.Drill503, Rate: 1, Until: fast().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	w.exec("INSERT INTO tidegate.pauses (route, owner, reason, since) VALUES ('summaries', 'person', 'lunch', now() - interval '1 hour')")
	for name, at := range map[string]struct {
		skew time.Duration
		read func() (jobs.Fleet, []jobs.Pause)
	}{
		"here":  {0, func() (jobs.Fleet, []jobs.Pause) { return read(t, w.OnClock(nil)) }},
		"there": {skew, func() (jobs.Fleet, []jobs.Pause) { return read(t, there) }},
	} {
		fleet, pauses := at.read()
		near(t, name+": the database's clock", time.Now().Add(fleet.Ahead), -at.skew)
		near(t, name+": since", fleet.Circuits[0].Since, -time.Minute+at.skew)
		near(t, name+": down since", fleet.Circuits[0].DownSince, -2*time.Minute+at.skew)
		near(t, name+": cooldown", fleet.Circuits[0].CooldownUntil, time.Hour+at.skew)
		near(t, name+": the drill", fleet.Drills[0].Until, time.Hour+at.skew)
		near(t, name+": the pause", fleet.Pauses[0].Since, -time.Hour+at.skew)
		near(t, name+": the pause alone", pauses[0].Since, -time.Hour+at.skew)
	}
}

// read is what a machine reads of the fleet.
func read(t *testing.T, s *store.Store) (jobs.Fleet, []jobs.Pause) {
	t.Helper()
	fleet, err := s.Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pauses, err := s.Pauses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return fleet, pauses
}
