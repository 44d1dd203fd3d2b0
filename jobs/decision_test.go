package jobs

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func aDecision(candidates int) *Decision {
	d := &Decision{Goal: "balanced", Estimator: "decayed", Explored: true}
	for i := range candidates {
		d.Candidates = append(d.Candidates, Considered{
			Target: "target-" + string(rune('a'+i)), Success: 0.9875, Latency: 1234 * time.Millisecond, Wait: 20 * time.Millisecond, Cost: 318,
			Unpriced: i == 1, Unknown: i == 2, Shut: i == 3, Score: Score{0.8125, 0.3875, 0.2, 0.225},
		})
	}
	return d
}

func TestDecisionIsReadBack(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	whole := aDecision(4)
	whole.ExtraCost, whole.Worth, whole.Waited, whole.Reason = 12, 34, 5*time.Second, "it waited for \"a\"\n\x01"
	whole.Skipped = []Skip{{At: at, Target: "b", Reason: "circuit open: 503", Until: at.Add(time.Second)}}
	for name, d := range map[string]*Decision{"whole": whole, "scores": aDecision(2), "nothing": {}, "skips": {Skipped: whole.Skipped}} {
		data, err := json.Marshal(d)
		if err != nil || !json.Valid(data) {
			t.Fatalf("%s: %v: %s", name, err, data)
		}
		var got Decision
		if err := json.Unmarshal(data, &got); err != nil || !reflect.DeepEqual(&got, d) {
			t.Errorf("%s: %v: %s\n%+v\n%+v", name, err, data, got, *d)
		}
		if d.Empty() != (name == "nothing") {
			t.Errorf("%s: empty: %t", name, d.Empty())
		}
	}
}

// Rows from before there were scores hold the skips alone.
func TestDecisionReadsOldRows(t *testing.T) {
	t.Parallel()
	var d Decision
	old := `{"skipped": [{"at": "2026-03-01T12:00:00Z", "target": "a", "reason": "its circuit is open"}]}`
	if err := json.Unmarshal([]byte(old), &d); err != nil || len(d.Skipped) != 1 || d.Skipped[0].Target != "a" || d.Skipped[0].Reason != "its circuit is open" {
		t.Errorf("%v: %+v", err, d)
	}
}

func TestDecisionIsJSONWhateverTheNumbers(t *testing.T) {
	t.Parallel()
	d := aDecision(1)
	d.Candidates[0].Success, d.Candidates[0].Score = math.NaN(), Score{math.Inf(1), math.Inf(-1), -0.00001, math.MaxFloat64}
	data, err := d.AppendJSON(nil)
	if err != nil || !json.Valid(data) || strings.Contains(string(data), "Inf") {
		t.Errorf("%v: %s", err, data)
	}
}

func TestDecisionIsShort(t *testing.T) {
	t.Parallel()
	data, _ := aDecision(3).AppendJSON(nil)
	if len(data) > 3*128+64 {
		t.Errorf("%d bytes: %s", len(data), data)
	}
}

func BenchmarkDecision(b *testing.B) {
	d, to := aDecision(3), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		to, _ = d.AppendJSON(to[:0])
	}
	b.ReportMetric(float64(len(to)), "bytes")
}
