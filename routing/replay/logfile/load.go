package logfile

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"time"

	"tidegate/jobs"
	"tidegate/routing/replay"
)

// A Load reads files into one Log.
type Load struct {
	Options
	Narrow
	Stdin io.Reader // what the path - stands for; nil: there is none
	// Told is told now and then how many bytes of the files were read. Nil: nobody is.
	Told func(bytes int64)
}

// A Narrow says which requests are taken. The zero value is all of them.
type Narrow struct {
	Since, Until time.Time // when they came; zero: no bound. Until is none of it.
	Only         string    // their route; empty: any
}

// Files makes a Log of files, whatever their formats. What is to be known of them beside
// the log's own warnings comes with it. It ends soon after ctx.
func (l Load) Files(ctx context.Context, paths ...string) (*replay.Log, []string, error) {
	g := NewGatherer(0)
	g.Narrow = l.Narrow
	var warnings []string
	var before int64
	for _, path := range paths {
		r, err := l.open(path)
		if err != nil {
			return nil, nil, err
		}
		err = l.gather(ctx, g, r, before)
		before += r.Read()
		warnings = append(warnings, r.Warnings()...)
		if closed := r.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return nil, nil, err
		}
	}
	log, err := g.Log()
	return log, warnings, err
}

func (l Load) open(path string) (*Reader, error) {
	if path == "-" && l.Stdin != nil {
		return NewReader("the standard input", l.Stdin, l.Options)
	}
	return Open(path, l.Options)
}

// tellEvery is how many records are read until somebody is told.
const tellEvery = 1 << 13

func (l Load) gather(ctx context.Context, g *Gatherer, r *Reader, before int64) error {
	var record jobs.Logged
	for n := 1; ; n++ {
		err := r.Next(&record)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := g.Add(&record); err != nil {
			return r.Fault(err)
		}
		if n%tellEvery == 0 {
			if l.Told != nil {
				l.Told(before + r.Read())
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
}

// A Gatherer makes a Log of attempts that may come in any order: it brings those of a
// request together. It is for one goroutine.
type Gatherer struct {
	Narrow
	builder *replay.Builder
	places  map[uint64]int // of requests, by the keys of their ids
	n       int
	outside int // records of requests that came at other times
	others  int // … of other routes
}

// NewGatherer returns an empty one, for about so many records; zero: nobody knows.
func NewGatherer(room int) *Gatherer {
	return &Gatherer{builder: replay.NewBuilder(room), places: make(map[uint64]int, room)}
}

// Log is what was gathered. The Gatherer is used up.
func (g *Gatherer) Log() (*replay.Log, error) {
	log, err := g.builder.Log()
	switch empty := errors.Is(err, replay.ErrEmpty); {
	case empty && g.outside > 0:
		return nil, fmt.Errorf("all of the %d records are of requests that came at other times than were asked for: %w", g.outside, err)
	case empty && g.others > 0:
		return nil, fmt.Errorf("all of the %d records are of other routes than %s: %w", g.others, g.Only, err)
	}
	return log, err
}

// Part is what was gathered, as the part of a longer log that begins at a time. The
// Gatherer is used up.
func (g *Gatherer) Part(begins time.Time) *replay.Part { return g.builder.Part(g.places, begins) }

// Add adds one. An error says which field of it is wrong.
func (g *Gatherer) Add(l *jobs.Logged) error {
	if !l.Asker() {
		if !g.within(l.At) {
			return nil
		}
		return g.builder.AddProbe(callOf(l))
	}
	arrived := arrivalOf(l)
	if !g.within(arrived) {
		g.outside++
		return nil
	}
	if g.Only != "" && l.Route != g.Only {
		g.others++
		return nil
	}
	key, named := keyOf(l.RequestID)
	if place, known := g.places[key]; named && known {
		if !l.Called() {
			return nil // it was called all the same, late
		}
		if err := g.builder.Came(place, arrived); err != nil {
			return err
		}
		return g.builder.AddCall(place, callOf(l))
	}
	var err error
	if l.Called() {
		err = g.builder.Add(requestOf(l, arrived), callOf(l))
	} else {
		err = g.builder.Add(requestOf(l, arrived))
	}
	if err == nil && named {
		g.places[key] = g.n
	}
	if err == nil {
		g.n++
	}
	return err
}

// keyOf is the key of a request's id: the same in all files, of 64 bits, for there are
// millions.
func keyOf(id string) (key uint64, named bool) {
	h := fnv.New64a()
	_, _ = io.WriteString(h, id)
	return h.Sum64(), id != ""
}

func (g *Gatherer) within(at time.Time) bool {
	return (g.Since.IsZero() || !at.Before(g.Since)) && (g.Until.IsZero() || at.Before(g.Until))
}

// arrivalOf is when a request came. Of one that an older program wrote down its id tells,
// or else its call.
func arrivalOf(l *jobs.Logged) time.Time {
	if !l.Arrived.IsZero() {
		return l.Arrived
	}
	if id := strings.ReplaceAll(l.RequestID, "-", ""); len(id) == 32 && id[12] == '7' { // a UUID of this version begins with the time
		ms, err := strconv.ParseInt(id[:12], 16, 64)
		if at := time.UnixMilli(ms).UTC(); err == nil && at.Before(l.At) && l.At.Sub(at) < longestWait {
			return at
		}
	}
	return l.At
}

// longestWait is how long a request may have waited whose id tells when it came.
const longestWait = 30 * 24 * time.Hour

func requestOf(l *jobs.Logged, arrived time.Time) replay.Request {
	return replay.Request{
		At: arrived, Route: l.Route, Tenant: l.Tenant, Goal: l.Goal, Endpoint: l.Endpoint, Deadline: l.Deadline, MaxCost: l.MaxCost, Body: l.BodyBytes,
		Usage: l.Expected,
	}
}

func callOf(l *jobs.Logged) replay.Attempt {
	return replay.Attempt{
		At: l.At, Target: l.Target, Class: l.Class, Latency: l.Latency, FirstByte: l.FirstByte, Cost: l.Cost, Usage: l.Usage,
		Propensity: float64(l.Propensity), Probe: l.Probe, Blamed: l.Blamed, Explored: l.Decision != nil && l.Decision.Explored,
	}
}
