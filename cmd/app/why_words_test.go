package app

import (
	"testing"
	"time"
)

// A span is rounded before it is taken apart: a deadline of a day, which is some
// microseconds short of it once the database has accepted the request, is a day.
func TestLastedIsRounded(t *testing.T) {
	t.Parallel()
	for span, want := range map[time.Duration]string{
		-time.Second:                               "0 ms",
		999 * time.Millisecond:                     "999 ms",
		12_345 * time.Millisecond:                  "12.3 s",
		2*time.Minute - time.Millisecond:           "2 min 00 s",
		time.Hour - time.Millisecond:               "1 h 00 min",
		24*time.Hour - 5*time.Microsecond:          "24 h 00 min",
		24*time.Hour - 5*time.Millisecond:          "24 h 00 min",
		3*time.Hour + 29*time.Minute + time.Second: "3 h 29 min",
		48*time.Hour - time.Second:                 "2 days",
		365*24*time.Hour - 40*time.Second:          "365 days",
	} {
		if got := lasted(span); got != want {
			t.Errorf("%v is %q, want %q", span, got, want)
		}
	}
}
