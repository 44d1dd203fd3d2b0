package replay

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
)

// A log of one route has its requests and their calls, and the probes of all.
func TestOnlyOneRoute(t *testing.T) {
	t.Parallel()
	b := NewBuilder(0)
	for i := range 10 {
		at := day.Add(time.Duration(9-i) * time.Minute) // out of order
		call := Attempt{At: at.Add(time.Second), Target: string(rune('a' + i%2)), Class: jobs.OK, Latency: time.Duration(i+1) * time.Second, Usage: jobs.Usage{Input: i, Output: 1}}
		if err := b.Add(Request{At: at, Route: []string{"one", "two"}[i%2], Deadline: at.Add(time.Hour)}, call); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.AddProbe(Attempt{At: day, Target: "c", Class: jobs.OK, Latency: time.Second}); err != nil {
		t.Fatal(err)
	}
	all, err := b.Log()
	if err != nil {
		t.Fatal(err)
	}
	one, err := all.Only("two")
	if err != nil {
		t.Fatal(err)
	}
	if one.Requests() != 5 || one.Attempts() != 6 || !cmp.Equal(one.Routes(), []string{"two"}) || !strings.Contains(strings.Join(one.Warnings(), ""), "out of order") {
		t.Fatalf("%d requests, %d calls, %v, %v", one.Requests(), one.Attempts(), one.Routes(), one.Warnings())
	}
	for i := range one.Attempts() {
		call, request := one.Attempt(i)
		if request < 0 {
			continue
		}
		if of := one.Request(request); call.At.Sub(of.At) != time.Second || of.Deadline.Sub(of.At) != time.Hour || call.Latency%(2*time.Second) != 0 {
			t.Errorf("call %+v of %+v", call, of)
		}
	}
	if _, err := all.Only("three"); !errors.Is(err, ErrEmpty) {
		t.Errorf("of a route that is not there: %v", err)
	}
}
