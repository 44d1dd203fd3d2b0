package worker

import (
	"testing"
	"time"

	"tidegate/jobs"
)

// A virtualFlow is workers that are given jobs each second of which no end waits.
type virtualFlow struct {
	flow
	now         time.Time
	ready, idle int // ready for them; rounds in which they could have done more
}

// round is a second, in which so many are done, if there are as many.
func (v *virtualFlow) round(done int) {
	if v.now.IsZero() {
		v.now = time.Unix(1e9, 0)
	}
	room := v.room(v.now, jobs.Backlog{Available: v.ready}, floorEach)
	v.given, v.dry = max(room, 0), true
	v.ready += max(room, 0)
	if v.ready < done {
		v.idle++
	}
	v.ready -= min(done, v.ready)
	v.now = v.now.Add(time.Second)
}

// Where workers take all that they are given, they are given more each time; where
// they do not, as much as they do in a while, and no less than a few.
func TestFlowFollowsWorkers(t *testing.T) {
	t.Parallel()
	const perSecond = 300
	v := &virtualFlow{}
	for range 60 {
		v.round(perSecond)
	}
	if v.ready < 3*perSecond || v.ready > 5*perSecond || v.idle > 6 {
		t.Errorf("%d are ready after a minute of %d a second, and workers had too few in %d rounds", v.ready, perSecond, v.idle)
	}
	for range 1000 { // what is ready stays so
		v.round(2)
	}
	if v.ready > 2*floorEach {
		t.Errorf("%d are ready where 2 are done in a second", v.ready)
	}
	v.idle = 0
	for range 60 {
		v.round(perSecond)
	}
	if v.idle > 10 {
		t.Errorf("workers that are fast again had too few in %d rounds of 60", v.idle)
	}
}

// Workers whose calls take long get their hands full all the same: what they take at
// once is doubled, whatever was done.
func TestFlowFillsWorkersWithLongCalls(t *testing.T) {
	t.Parallel()
	const hands = 400
	var f flow
	now, calling, looks := time.Unix(1e9, 0), 0, 0
	for ; calling < hands && looks < 100; looks++ {
		room := f.room(now, jobs.Backlog{Running: calling, Calling: calling}, floorEach)
		f.given, f.dry = max(room, 0), true
		calling += max(room, 0)
		now = now.Add(admitAgain)
	}
	if looks > 6 {
		t.Errorf("it took %d looks to give them %d", looks, calling)
	}
	room := f.room(now, jobs.Backlog{Available: hands, Running: hands, Calling: hands}, floorEach)
	if room > 0 {
		t.Errorf("they take no more, and %d are to be given", room)
	}
}
