package worker

import (
	"slices"
	"testing"
	"time"
)

// A worker is dead when its beats stood still for 10 s of rounds; while the
// supervisor does none, nobody dies.
func TestDeathsCountRoundsAlone(t *testing.T) {
	t.Parallel()
	const period, dead = time.Second, 10 * time.Second
	now := time.Now()
	var d deaths
	round := func(after time.Duration, beats map[string]int64) []string {
		now = now.Add(after)
		gone := d.see(now, period, dead, beats)
		slices.Sort(gone)
		return gone
	}
	still := map[string]int64{"a": 7, "b": 3}
	round(0, still)
	for range 9 {
		if gone := round(period, still); gone != nil {
			t.Fatalf("dead within 9 s: %v", gone)
		}
	}
	if gone := round(0, map[string]int64{"a": 7, "b": 4}); gone != nil { // b beats
		t.Errorf("dead in no time: %v", gone)
	}
	if gone := round(period, map[string]int64{"a": 7, "b": 4}); !slices.Equal(gone, []string{"a"}) {
		t.Errorf("dead after 10 s: %v", gone)
	}
	if gone := round(time.Hour, map[string]int64{"b": 4}); gone != nil {
		t.Errorf("an hour without a round kills %v", gone)
	}
	for i := range 7 { // 1 s before that hour, at most 2 s for it
		if gone := round(period, map[string]int64{"b": 4}); gone != nil && i < 6 {
			t.Errorf("dead after %d rounds: %v", i, gone)
		}
	}
	if gone := round(0, map[string]int64{"b": 5}); gone != nil {
		t.Errorf("one that beats again is dead: %v", gone)
	}
	if gone := round(20*period, map[string]int64{"new": 1}); gone != nil {
		t.Errorf("one that has just come is dead: %v", gone)
	}
}

// A supervisor that begins counts from its own first round, however long nobody
// supervised.
func TestDeathsBeginWithNobody(t *testing.T) {
	t.Parallel()
	var d deaths
	if gone := d.see(time.Now(), time.Second, time.Second, map[string]int64{"a": 1, "b": orphanBeats}); gone != nil {
		t.Errorf("the first round kills %v", gone)
	}
}
