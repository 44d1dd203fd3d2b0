package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tidegate/integration/bench"
)

func held() figures {
	down := time.Unix(1000, 0)
	return figures{
		WAL: bench.Number(1.5), Calls: 36, FirstAnswer: bench.Number(6.2),
		down: down, began: down.Add(12 * time.Second), ended: down.Add(144 * time.Second), recovery: down.Add(156 * time.Second),
	}
}

func TestObject(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(held())
	if want := `{"rows_rewritten":0,"wal_mb":1.5,"calls":36,"resume_to_first_answer_s":6.2}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestBars(t *testing.T) {
	t.Parallel()
	if err := (plan{}).bars(held()).Err(); err != nil {
		t.Error(err)
	}
	f := held()
	f.Rewritten, f.Calls, f.others, f.FirstAnswer = 3, 120, 2, bench.Number(20)
	err := (plan{}).bars(f).Err()
	for _, want := range []string{"rows_rewritten: 3, to reach: 0", "calls: 120", "no probes: 2", "resume_to_first_answer_s: 20, to reach: 11.58"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	p, err := parse([]string{"--jobs", "20000", "--hold", "20s"})
	if err != nil || p.jobs != 20_000 || p.hold != 20*time.Second {
		t.Errorf("got %+v, %v", p, err)
	}
	for _, bad := range [][]string{{"--jobs", "0"}, {"--hold", "0s"}, {"--concurrency", "0"}} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}
