package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestBars(t *testing.T) {
	t.Parallel()
	f := figures{Viewers: []crowd{{Viewers: 1, Each: 0.01, MostAge: 2.2}, {Viewers: 20, Each: 0.001, MostAge: 2.5}}}
	if err := f.bars().Err(); err != nil {
		t.Error(err)
	}
	f.Viewers[0].Each, f.Viewers[1].MostAge, f.River = 0.03, 6, 0.2
	err := f.bars().Err()
	for _, want := range []string{"per viewer, of 1: 0.03", "to 20: 6", "River's page: 0.2"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	p, err := parse([]string{"--jobs", "500", "--lasts", "2s", "--rounds", "1"})
	if err != nil || p.jobs != 500 || p.lasts != 2*time.Second || p.rounds != 1 {
		t.Errorf("got %+v, %v", p, err)
	}
	for _, bad := range [][]string{{"--jobs", "0"}, {"--lasts", "0s"}, {"--rounds", "0"}} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestAudience(t *testing.T) {
	t.Parallel()
	a := &audience{measuring: true}
	shown := a.take(`event: tick`, 0)
	shown = a.take(fmt.Sprintf(`data: {"now":1,"read":%d,"away":false}`, time.Now().Add(-3*time.Second).UnixMilli()), shown)
	a.take(fmt.Sprintf(`data: {"now":1,"read":%d,"away":false}`, time.Now().UnixMilli()), shown)
	if len(a.ages) != 1 || a.most < 3 || a.most > 60 {
		t.Errorf("ages %v", a.ages)
	}
	for said, want := range map[string]float64{"counted 4.5 s ago": 4.5, "counted 250 ms ago": 0.25, "counted 1 min 12 s ago": 72} {
		b := &audience{measuring: true}
		b.take(fmt.Sprintf(`data: {"html":"<span>%s</span>","id":"now"}`, said), 0)
		if b.counted != want {
			t.Errorf("%q is %g s", said, b.counted)
		}
	}
}
