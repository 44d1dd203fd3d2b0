package main

import (
	"context"
	"reflect"
	"testing"
	"time"
)

// A small one of these worlds, made up, with more room in the bars: what is decayed
// keeps them, and the average of the textbooks does not.
func TestDecayedChoosesWell(t *testing.T) {
	t.Parallel()
	p := plan{seeds: 1, lasts: time.Hour, rate: 5, ample: 6, tight: 3.5}
	scenes, err := p.scenes()
	if err != nil {
		t.Fatal(err)
	}
	var few []*scene
	for _, s := range scenes {
		if s.room == "tight" && s.way != "decayed" {
			continue // nobody is compared with it
		}
		if s.way != "round robin" && s.way != "peak p2c" && s.way != "ewma alone" && (s.world == "synthetic-6" || s.world == "relapsing") || s.world == "equal" {
			few = append(few, s)
		}
	}
	if err := p.play(context.Background(), few); err != nil {
		t.Fatal(err)
	}
	f := summarise(few)
	t.Logf("\n%s\n%+v", p.table(few, f), f)
	if f.OverEWMA > 0.9 {
		t.Errorf("it takes %.3f of what ewma takes", f.OverEWMA)
	}
	if f.OverOracle > 1.25 {
		t.Errorf("it takes %.3f of what an oracle takes", f.OverOracle)
	}
	if over := ratio(few, "ample", "ewma", "oracle", false); over <= 1.25 {
		t.Errorf("ewma takes %.3f of what an oracle takes: this would prove nothing", over)
	}
	if f.recoveries == 0 || f.Recovery > 120 {
		t.Errorf("a target was used again after %.0f s, of %d", f.Recovery, f.recoveries)
	}
	if f.Failed > 0 {
		t.Errorf("%.4f of the requests were lost", f.Failed)
	}
	if f.OverEqual > 1.1 {
		t.Errorf("where all are equal it takes %.3f of what round robin takes", f.OverEqual)
	}
}

// What is played at once comes to what it comes to alone: no scene hears of another.
func TestScenesAreApart(t *testing.T) {
	t.Parallel()
	played := func(play func(p *plan, scenes []*scene) error) (all []figures) {
		p := plan{seeds: 1, lasts: 10 * time.Minute, rate: 5, ample: 6, tight: 3.5, only: "relapsing"}
		scenes, err := p.scenes()
		if err != nil {
			t.Fatal(err)
		}
		if err := play(&p, scenes); err != nil {
			t.Fatal(err)
		}
		for _, s := range scenes {
			if s.figures.calls == 0 {
				t.Errorf("%s: nobody was called", s.way)
			}
			all = append(all, *s.figures)
		}
		return all
	}
	together := played(func(p *plan, scenes []*scene) error { return p.play(context.Background(), scenes) })
	alone := played(func(_ *plan, scenes []*scene) error {
		for _, s := range scenes {
			s.play()
		}
		return nil
	})
	if !reflect.DeepEqual(together, alone) {
		t.Errorf("together it is %+v, alone %+v", together, alone)
	}
}

func TestParseRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--models", "0"}, {"--lasts", "1m"}, {"--rate", "0"}, {"--tight", "9"}, {"--nonsense"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
