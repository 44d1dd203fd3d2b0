package replay

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tidegate/jobs"
)

// ofDays makes a log of records in one, and of parts of a day each, written to files and
// read again.
func ofDays(t *rapid.T, records []record, since, until time.Time) (whole, joined *Log) {
	b := NewBuilder(0)
	days := map[int]*Builder{}
	keys, places := map[int]map[uint64]int{}, map[int]int{}
	last := 0
	for key, r := range records {
		var within []Attempt
		if !r.Request.At.Before(since) && r.Request.At.Before(until) {
			within = r.Attempts
			if err := b.Add(r.Request, within...); err != nil {
				t.Fatal(err)
			}
		}
		of := map[int][]Attempt{}
		for _, a := range r.Attempts {
			d := int(a.At.Sub(day).Hours()) / 24
			of[d] = append(of[d], a)
			last = max(last, d)
		}
		for d, calls := range of {
			if days[d] == nil {
				days[d], keys[d] = NewBuilder(0), map[uint64]int{}
			}
			request := r.Request
			if err := days[d].Add(request, calls...); err != nil {
				t.Fatal(err)
			}
			keys[d][uint64(key)] = places[d]
			places[d]++
		}
	}
	var parts []PartSource
	for d := range last + 1 {
		if days[d] == nil {
			days[d] = NewBuilder(0)
		}
		p := days[d].Part(keys[d], day.AddDate(0, 0, d))
		var file bytes.Buffer
		if err := p.Write(&file, "the test"); err != nil {
			t.Fatal(err)
		}
		head, err := ReadPartHead(bytes.NewReader(file.Bytes()))
		if err != nil || head.Of != "the test" {
			t.Fatalf("head %+v, %v", head, err)
		}
		parts = append(parts, PartSource{Head: head, Load: func() (*Part, error) { return ReadPart(bytes.NewReader(file.Bytes()), int64(file.Len())) }})
	}
	whole, err := b.Log()
	joined, joinedErr := Join(parts, since, until)
	if !errors.Is(joinedErr, err) {
		t.Fatalf("the whole: %v, the parts: %v", err, joinedErr)
	}
	return whole, joined
}

// A log of parts that were written and read again is the log of all records at once,
// whatever the days on which the calls of a request were made.
func TestPartsAreTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var records []record
		for i := range rapid.IntRange(1, 40).Draw(t, "requests") {
			// No two at once: of these each log has an order of its own.
			came := day.Add(time.Duration(rapid.IntRange(0, 4*24*60).Draw(t, "came"))*time.Minute + time.Duration(i)*time.Second)
			r := record{Request: Request{
				At: came, Route: rapid.SampledFrom([]string{"r", "s"}).Draw(t, "route"), Tenant: rapid.SampledFrom([]string{"", "acme"}).Draw(t, "tenant"),
				Deadline: came.Add(time.Hour), Body: i, MaxCost: jobs.MicroUSD(i % 3),
			}}
			at := came
			for n := range rapid.IntRange(1, 4).Draw(t, "calls") {
				at = at.Add(time.Duration(rapid.IntRange(0, 30*60).Draw(t, "later"))*time.Minute + time.Duration(n+1)*time.Millisecond)
				r.Attempts = append(r.Attempts, Attempt{At: at, Target: fmt.Sprint("t", rapid.IntRange(0, 3).Draw(t, "target")), Class: jobs.Overload, Latency: time.Second, Propensity: 0.5})
			}
			if rapid.Bool().Draw(t, "answered") {
				final := &r.Attempts[len(r.Attempts)-1]
				final.Class, final.Cost, final.Usage, final.FirstByte = jobs.OK, 12, jobs.Usage{Input: 7 + i, Output: 100}, time.Millisecond
			}
			if first := &r.Attempts[0]; rapid.Bool().Draw(t, "charged") && first.Class != jobs.OK {
				first.Class, first.Usage = jobs.Invalid, jobs.Usage{Input: 3, Output: 1}
			}
			records = append(records, r)
		}
		since := day.Add(time.Duration(rapid.IntRange(0, 2*24).Draw(t, "since")) * time.Hour)
		until := since.Add(time.Duration(rapid.IntRange(24, 4*24).Draw(t, "until")) * time.Hour)
		whole, joined := ofDays(t, records, since, until)
		if whole == nil {
			return
		}
		if diff := cmp.Diff(told(whole), told(joined)); diff != "" {
			t.Fatalf("(-whole +parts):\n%s", diff)
		}
	})
}

// told is all that a log tells.
func told(l *Log) any {
	requests, attempts, of := read(l)
	return []any{requests, attempts, of, l.Start(), l.End(), l.Targets(), l.Routes()}
}

func TestDamagedPartsAreRefused(t *testing.T) {
	t.Parallel()
	b := NewBuilder(0)
	for i := range 50 {
		at := day.Add(time.Duration(i) * time.Second)
		if err := b.Add(Request{At: at, Route: "r", Body: i}, Attempt{At: at, Target: "a", Class: jobs.Invalid, Usage: jobs.Usage{Input: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	if err := b.Part(map[uint64]int{1: 0, 2: 49}, day).Write(&file, ""); err != nil {
		t.Fatal(err)
	}
	whole := file.Bytes()
	if _, err := ReadPart(bytes.NewReader(whole), int64(len(whole))); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := ReadPart(bytes.NewReader(whole[:n]), int64(n)); !errors.Is(err, ErrPart) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
		broken := bytes.Clone(whole)
		broken[n] ^= 0x20
		if _, err := ReadPart(bytes.NewReader(broken), int64(len(broken))); !errors.Is(err, ErrPart) {
			t.Fatalf("with byte %d changed: %v", n, err)
		}
	}
	if _, err := ReadPart(bytes.NewReader(append(bytes.Clone(whole), 0)), int64(len(whole))+1); !errors.Is(err, ErrPart) {
		t.Errorf("with a byte more: %v", err)
	}
}

func TestPlacesAreInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		by := rapid.SliceOfN(rapid.Uint32Range(0, 50), 0, 700).Draw(t, "by")
		order := places(by)
		seen := map[uint32]bool{}
		for i, at := range order {
			seen[at] = true
			if i > 0 && (by[order[i-1]] > by[at] || by[order[i-1]] == by[at] && order[i-1] > at) {
				t.Fatalf("%v of %v", order, by)
			}
		}
		if len(seen) != len(by) {
			t.Fatalf("%v of %v", order, by)
		}
	})
}
