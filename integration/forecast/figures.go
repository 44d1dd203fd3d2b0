package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// places are how far along the way a forecast is looked at.
var places = [3]float64{0.1, 0.5, 0.9}

// figures are what was measured.
type figures struct {
	Inside   float64        `json:"inside"`             // of all forecasts at the places: how often the truth was in the range
	Foreseen float64        `json:"inside_foreseeable"` // the same, of forecasts after whose time nothing new happened
	Scenes   []sceneFigures `json:"scenes"`
}

type sceneFigures struct {
	Name    string  `json:"scene"`
	Minutes float64 `json:"minutes"` // that the drain took, in the median
	Inside  float64 `json:"inside"`  // of all forecasts, every five seconds
	Begin   off     `json:"begin"`   // of the first forecast
	At      [3]off  `json:"at"`      // by how much the estimate was off, of what was left, at the places
	Wide    float64 `json:"wide"`    // the range at half of the way, beside what was left
	Unknown float64 `json:"unknown"` // the share of forecasts that said that nobody knows
}

// off is by how much an estimate was off at a place: the median, and how often the truth
// was in the range.
type off struct {
	Median float64 `json:"median"`
	Inside float64 `json:"inside"`
	n      int
}

func (o off) String() string {
	if o.n == 0 {
		return "-"
	}
	return fmt.Sprintf("%+.0f%% (%.0f%%)", 100*o.Median, 100*o.Inside)
}

// A look is a forecast beside what was true.
type look struct {
	share  float64 // of the way
	known  bool
	inside bool
	off    float64 // of what was left; above zero: it was later than thought
	wide   float64
	calm   bool // nothing happened behind it
}

func measure(all []scene, runs int) *figures {
	var f figures
	var inside, foreseen tally
	for i := range all {
		of, looks := all[i].measure(runs)
		for _, l := range atPlaces(looks) {
			inside.add(l.inside)
			if l.calm {
				foreseen.add(l.inside)
			}
		}
		f.Scenes = append(f.Scenes, of)
	}
	f.Inside, f.Foreseen = inside.share(), foreseen.share()
	return &f
}

// measure lives through a scene some times.
func (s *scene) measure(runs int) (sceneFigures, []look) {
	var looks []look
	var took []float64
	usual := usualTime(s)
	for seed := range runs {
		w := newWorld(s, usual, uint64(seed)+1)
		ran := w.run()
		for q := range w.queues {
			took = append(took, w.queues[q].doneAt.Sub(w.began).Minutes())
			looks = append(looks, w.looks(ran, q)...)
		}
	}
	return sumUp(s.name, took, looks), looks
}

// usualTime is what a drain takes if nothing happens.
func usualTime(s *scene) time.Duration {
	w := newWorld(s, 0, 99)
	w.run()
	longest := time.Duration(0)
	for _, q := range w.queues {
		longest = max(longest, q.doneAt.Sub(w.began))
	}
	return longest
}

type tally struct{ n, yes int }

func (t *tally) add(yes bool) {
	if t.n++; yes {
		t.yes++
	}
}

func (t *tally) share() float64 { return float64(t.yes) / float64(max(t.n, 1)) }

// looks compares the forecasts of a queue with what was true.
func (w *world) looks(all []made, queue int) []look {
	var looks []look
	done := w.queues[queue].doneAt
	for _, m := range all {
		if m.queue != queue {
			continue
		}
		left := done.Sub(m.at)
		l := look{share: float64(m.at.Sub(w.began)) / float64(done.Sub(w.began)), known: m.said.Known(), calm: w.calm(m.at)}
		if l.known {
			l.inside = !done.Before(m.said.Early) && !done.After(m.said.Late)
			l.off = float64(done.Sub(m.said.At)) / float64(max(left, time.Second))
			l.wide = float64(m.said.Late.Sub(m.said.Early)) / float64(max(left, time.Second))
		}
		looks = append(looks, l)
	}
	return looks
}

// calm tells whether nothing happens any more that is not going on.
func (w *world) calm(at time.Time) bool {
	for _, p := range w.scene.targets {
		for _, phase := range p.phases {
			share := float64(at.Sub(w.began)) / float64(w.usual)
			if share < phase.from+0.05 || share < phase.to+0.05 && phase.to < 1.5 {
				return false
			}
		}
	}
	return true
}

// atPlaces are those at the places, as near as there is one that is known.
func atPlaces(looks []look) (chosen []look) {
	for _, place := range places {
		for _, l := range looks {
			if l.known && math.Abs(l.share-place) < 0.02 {
				chosen = append(chosen, l)
			}
		}
	}
	return chosen
}

func sumUp(name string, took []float64, looks []look) sceneFigures {
	f := sceneFigures{Name: name, Minutes: median(took)}
	var inside, unknown tally
	var wide []float64
	for _, l := range looks {
		unknown.add(!l.known)
		if l.known {
			inside.add(l.inside)
		}
		if l.known && math.Abs(l.share-0.5) < 0.02 {
			wide = append(wide, l.wide)
		}
	}
	f.Inside, f.Unknown, f.Wide = inside.share(), unknown.share(), median(wide)
	f.Begin = offAt(looks, 0)
	for i, place := range places {
		f.At[i] = offAt(looks, place)
	}
	return f
}

func offAt(looks []look, place float64) (o off) {
	var offs []float64
	var inside tally
	for _, l := range looks {
		if l.known && math.Abs(l.share-place) < 0.02 {
			offs = append(offs, l.off)
			inside.add(l.inside)
		}
	}
	return off{median(offs), inside.share(), len(offs)}
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// bars are what must hold.
func (f *figures) bars() error {
	if f.Foreseen < leastInside {
		return fmt.Errorf("where nothing new happened, %.0f%% of the ranges had the truth, and not %.0f%%", 100*f.Foreseen, 100*leastInside)
	}
	for _, s := range f.Scenes {
		if last := s.At[2]; math.Abs(last.Median) > mostOff || last.Inside < leastInside/2 {
			return fmt.Errorf("%s: at 90%% of the way the estimate was off by %s of what was left, more than %.0f%%", s.Name, last, 100*mostOff)
		}
	}
	return nil
}

const (
	leastInside = 0.8  // of the ranges behind which nothing new happened
	mostOff     = 0.25 // of what is left, when a tenth is
)
