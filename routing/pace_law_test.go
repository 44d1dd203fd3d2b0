package routing

import (
	"math"
	"testing"
	"time"

	"tidegate/jobs"
)

func TestPaceRamps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits   jobs.Limits
		lastGood float64
		want     []float64
		again    []float64
	}{
		"a history":             {jobs.Limits{}, 100, []float64{50, 75, 100, 125, 156.25}, []float64{75, 112.5, 150, 187.5}},
		"a history and a limit": {perMinute(150), 100, []float64{50, 75, 112.5, 150, 150}, []float64{75, 112.5, 150, 150}},
		"a limit":               {perMinute(150), 0, []float64{75, 112.5, 150}, []float64{75, 112.5, 150}},
		"a limit below":         {perMinute(80), 100, []float64{40, 60, 80, 80}, []float64{40, 60, 80}},
		"a low limit":           {perMinute(1), 100, []float64{1, 1}, []float64{1}},
	} {
		p := newPaced(t, c.limits)
		p.follow(alone(c.lastGood))
		for range 2 {
			p.tripped()
			p.recovered()
			for _, want := range c.want {
				if got := p.snapshot().Rate; math.Abs(got-want) > 1e-9 {
					t.Errorf("%s: the rate is %v, want %v of %v", name, got, want, c.want)
				}
				p.works(time.Second)
			}
			p.clock.pass(time.Minute)
			p.follow(alone(max(c.lastGood, 150))) // what it did itself is known by now
			c.want = c.again
		}
	}
}

func TestPaceRecoversWithoutHistory(t *testing.T) {
	t.Parallel()
	p := newPaced(t, jobs.Limits{})
	p.tripped()
	p.recovered()
	if got := p.snapshot(); got.Places != fewPlaces+1 || !math.IsInf(got.Rate, 1) {
		t.Errorf("%+v", got)
	}
}

func TestPaceStartsWithAHistory(t *testing.T) {
	t.Parallel()
	p := newPaced(t, jobs.Limits{})
	p.follow(alone(100))
	p.rates(50)
	p.follow(alone(200))
	p.rates(100)
	p.ends(p.takes(1), jobs.OK)
	p.follow(alone(400))
	p.rates(100) // it is on its way
}

func TestPaceGrowsOnlyWithDemand(t *testing.T) {
	t.Parallel()
	p := newPaced(t, perMinute(500))
	p.follow(alone(100))
	p.tripped()
	p.recovered()
	p.clock.pass(100 * time.Second)
	p.rates(50)
	for range 100 {
		p.clock.pass(time.Second)
		p.ends(p.takes(20), jobs.OK)
	}
	p.rates(50)
	if accepted, _ := p.report(); accepted > 0.001 {
		t.Errorf("20 calls a second, which are all that there were, are reported as %v", accepted)
	}
	for range 200 {
		for ok := true; ok; {
			if ok, _, _ = p.take(0); ok {
				p.done(paceEnd{class: jobs.OK})
			}
		}
		p.clock.pass(time.Second / 10)
	}
	if accepted, _ := p.report(); accepted < 40 {
		t.Errorf("all that may be called is reported as %v", accepted)
	}
	p.clock.pass(10 * time.Minute)
	if accepted, _ := p.report(); accepted > 0.001 {
		t.Errorf("no call for long is reported as %v", accepted)
	}
}

// What a worker did while its first calls were out says nothing of the target:
// there were no more places.
func TestPaceOfFirstCallsIsNoHistory(t *testing.T) {
	t.Parallel()
	p := newPaced(t, perMinute(1000))
	for range 10 {
		p.follow(alone(0))
		p.clock.pass(time.Second)
		p.takes(1)
	}
	p.rates(500)
}

func TestPaceCutsByA429(t *testing.T) {
	t.Parallel()
	p := newPaced(t, jobs.Limits{})
	p.follow(alone(200))
	p.tripped()
	p.recovered()
	p.works(4 * time.Second) // 100, 150, 200, 250
	p.refusesOnce(0)
	good := p.law.good
	if s := p.snapshot(); s.Rate != min(0.95*312.5, 0.98*good) || s.Ceiling != good {
		t.Errorf("cut to %v below a ceiling of %v, with %v accepted", s.Rate, s.Ceiling, good)
	}
	cut := p.snapshot().Rate
	p.refusesOnce(0) // within the same second
	p.rates(cut)

	p.clock.pass(time.Second)
	p.works(4 * time.Second)
	if s := p.snapshot(); s.Rate <= cut || s.Rate > 1.01*s.Ceiling {
		t.Errorf("after 5 s it is %v, below a ceiling of %v", s.Rate, s.Ceiling)
	}
	p.works(40 * time.Second)
	if s := p.snapshot(); s.Rate < 1.5*s.Ceiling {
		t.Errorf("nobody objects, and after 45 s it is %v, above a ceiling of %v", s.Rate, s.Ceiling)
	}
	p.tripped()
	if p.snapshot().Ceiling != 0 {
		t.Error("the ceiling outlives the circuit's opening")
	}
}

func TestPaceMeasuresWhatIsAccepted(t *testing.T) {
	t.Parallel()
	p := newPaced(t, jobs.Limits{})
	p.follow(alone(200))
	p.ends(p.takes(1), jobs.OK)
	p.works(5 * time.Second)
	p.refusesOnce(0)
	cut := p.snapshot().Rate
	p.works(500 * time.Millisecond)
	p.refusesOnce(0)
	for p.law.refused > 0 {
		p.rates(cut)
		p.works(10 * time.Millisecond)
	}
	good := p.law.good
	p.clock.pass(time.Hour)
	p.ends(p.takes(1), jobs.OK)
	p.clock.pass(time.Second)
	p.refusesOnce(0)
	if got := p.snapshot().Ceiling; got != min(good, cut) {
		t.Errorf("after an idle hour the ceiling is %v, with %v accepted before", got, good)
	}
}

func TestPaceTakesATenthForGranted(t *testing.T) {
	t.Parallel()
	p := newPaced(t, jobs.Limits{})
	p.follow(alone(1000))
	p.ends(p.takes(1), jobs.OK)
	p.clock.pass(time.Second)
	p.refusesOnce(0)
	p.rates(98)
}

func TestPaceIsCutByNothingElse(t *testing.T) {
	t.Parallel()
	for _, class := range jobs.Classes() {
		p := newPaced(t, perMinute(100))
		p.ends(p.takes(1), jobs.OK)
		p.works(5 * time.Second)
		p.takes(1)
		p.done(paceEnd{class: class, retryAfter: time.Second})
		if class != jobs.Rate {
			p.rates(100)
		} else if p.snapshot().Rate >= 99 {
			t.Error("a 429 does not cut")
		}
		if paused := !p.snapshot().PausedUntil.IsZero(); paused != (class == jobs.Rate) {
			t.Errorf("%s: paused %v", class, paused)
		}
	}
}

func TestPaceHasAFloor(t *testing.T) {
	t.Parallel()
	p := newPaced(t, perMinute(1000))
	p.follow(alone(200))
	p.ends(p.takes(1), jobs.OK)
	for range 300 {
		p.refusesOnce(0)
		p.clock.pass(time.Second)
	}
	p.rates(10)
	p.works(90 * time.Second)
	if got := p.snapshot().Rate; got < 200 {
		t.Errorf("90 s after it was over, the rate is %v", got)
	}
}

func TestPaceSurvivesAFirst429(t *testing.T) {
	t.Parallel()
	p := newPaced(t, jobs.Limits{})
	p.takes(1)
	p.done(paceEnd{class: jobs.Rate})
	if got := p.works(30 * time.Second); got < 30 {
		t.Errorf("%d calls in 30 s", got)
	}
}

func TestPaceAfterAProbeWithA429(t *testing.T) {
	t.Parallel()
	refused := paceEnd{class: jobs.Rate, retryAfter: time.Second}
	for name, hears := range map[string]func(*pace){
		"the call first":    func(p *pace) { p.heard(refused); p.recovered() },
		"the circuit first": func(p *pace) { p.recovered(); p.heard(refused) },
	} {
		p := newPaced(t, perMinute(500))
		p.follow(alone(200))
		p.tripped()
		hears(p.pace)
		if got := p.snapshot(); got.Rate != 10 || got.InFlight != 0 {
			t.Errorf("%s: %+v", name, got)
		}
		if p.works(10 * time.Second); p.snapshot().Rate < 100 {
			t.Errorf("%s: it does not ramp: %+v", name, p.snapshot())
		}
		p.tripped()
		p.clock.pass(time.Minute)
		p.recovered()
		if got := p.snapshot().Rate; got < 50 {
			t.Errorf("%s: the next ramp begins at %v", name, got)
		}
	}
}

func TestPaceRampsLowerAfterAQuickTrip(t *testing.T) {
	t.Parallel()
	p := newPaced(t, perMinute(500))
	p.follow(alone(200))
	p.tripped()
	for _, want := range []float64{100, 50, 25, 12.5, 10, 10} {
		p.recovered()
		p.rates(want)
		p.clock.pass(2 * time.Second)
		p.tripped()
		p.tripped() // as the failed probe tells
		p.clock.pass(time.Minute)
	}
	p.recovered()
	p.clock.pass(11 * time.Second)
	p.tripped()
	p.recovered()
	p.rates(100)
}

// What went out before the outage, or before the latest cut, does not cut.
func TestPaceIsNotCutByWhatIsOver(t *testing.T) {
	t.Parallel()
	late := paceEnd{class: jobs.Rate, latency: 30 * time.Second}
	p := newPaced(t, jobs.Limits{})
	p.takes(2)
	p.tripped()
	p.recovered()
	p.done(late)
	if got := p.snapshot(); got.Places == 0 || !math.IsInf(got.Rate, 1) {
		t.Errorf("by one from before the outage: %+v", got)
	}
	p.follow(alone(100))
	p.clock.pass(time.Minute)
	p.tripped()
	p.recovered()
	p.done(late)
	p.rates(50)
	p.clock.pass(time.Minute)
	p.refusesOnce(0)
	cut := p.snapshot().Rate
	p.clock.pass(10 * time.Second)
	p.takes(1)
	p.done(late)
	p.rates(cut)
	p.takes(1)
	p.done(paceEnd{class: jobs.Rate})
	if got := p.snapshot().Rate; got >= cut {
		t.Errorf("a new one does not cut: %v", got)
	}
}
