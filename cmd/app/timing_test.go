package app

import (
	"testing"
	"time"

	"tidegate/worker"
)

func TestTimingFlag(t *testing.T) {
	t.Parallel()
	var f timingFlag
	if err := f.Set("beat=100ms,dead=2s"); err != nil {
		t.Fatal(err)
	}
	if want := (worker.Timing{Beat: 100 * time.Millisecond, Dead: 2 * time.Second}); f.Timing != want || f.String() != "beat=100ms,dead=2s" {
		t.Errorf("it is %+v, said as %s", f.Timing, &f)
	}
	for _, wrong := range []string{"", "beat", "beat=", "beat=0s", "beat=-1s", "heart=1s", "beat=1s,"} {
		if f.Set(wrong) == nil {
			t.Errorf("it takes %q", wrong)
		}
	}
}
