package jobs

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSleeps(t *testing.T) {
	time.Sleep(time.Second)
}

func TestMovesTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { time.Sleep(time.Hour) })
}

func TestSkips(t *testing.T) {
	if t.Skipped() || testing.Short() {
		t.Skip("not today")
	}
}
