package main

import (
	"encoding/binary"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/google/uuid"

	"tidegate/jobs"
)

const (
	week    = 7 * 24 * time.Hour
	theGoal = "balanced"
	near    = 20 // calls before and after, of which one says how another one goes
	// triesMost is how often a request is called at most. A call that failed is followed by
	// one elsewhere.
	triesMost = 3
)

// A maker makes the attempts of a week, in the order in which requests come.
type maker struct {
	*traces
	random *rand.Rand
	start  time.Time
	all    int
	until  []float64 // of all that come, the share that has come by the end of a slot
}

func newMaker(t *traces, start time.Time, requests int, seed uint64) *maker {
	m := &maker{traces: t, random: rand.New(rand.NewPCG(seed, 2)), start: start, all: requests}
	sum := 0.0
	for _, rate := range t.rates {
		sum += rate
		m.until = append(m.until, sum)
	}
	for i := range m.until {
		m.until[i] /= sum
	}
	return m
}

// came is when the i-th request came, in seconds: as many in each slot as its rate says.
func (m *maker) came(i int) float64 {
	share := (float64(i) + m.random.Float64()) / float64(m.all)
	slot := min(sort.SearchFloat64s(m.until, share), len(m.until)-1)
	before := 0.0
	if slot > 0 {
		before = m.until[slot-1]
	}
	return 600 * (float64(slot) + (share-before)/(m.until[slot]-before))
}

// request is the i-th one: its attempts, as a ledger has them.
func (m *maker) request(i int, take func(*jobs.Logged) error) error {
	came := m.came(i)
	size := m.lengths[m.random.IntN(len(m.lengths))]
	arrived := m.start.Add(time.Duration(came * float64(time.Second))).Truncate(time.Microsecond)
	at, id := arrived, m.id(arrived)
	for try := range triesMost {
		c := m.near(came)
		p := &m.providers[c.provider]
		l := jobs.Logged{
			RequestID: id, Route: theRoute,
			Attempt: jobs.Attempt{At: at, Target: p.Name, Class: jobs.OK, Status: 200, Propensity: 0.94, Decision: m.decision(c.provider)},
			Asked:   jobs.Asked{Arrived: arrived, Deadline: arrived.Add(24 * time.Hour), BodyBytes: 4*size.input + 200, Tenant: jobs.DefaultTenant},
		}
		took := c.perToken * float64(size.output)
		if !c.ok {
			l.Class, l.Status, took = jobs.Overload, 503, c.took
		}
		l.Latency = time.Duration(took * float64(time.Second)).Truncate(time.Microsecond)
		l.FirstByte = l.Latency / 10
		if c.ok {
			l.Usage = jobs.Usage{Input: size.input, Output: size.output}
			l.Cost = p.price().Cost(l.Usage)
		}
		if err := take(&l); err != nil || c.ok || try == triesMost-1 {
			return err
		}
		at = at.Add(l.Latency + time.Millisecond)
	}
	return nil
}

// near is one of the calls that were made at about a time of the week.
func (m *maker) near(at float64) *call {
	i := sort.Search(len(m.calls), func(i int) bool { return m.calls[i].at >= at })
	return &m.calls[min(max(i+m.random.IntN(2*near)-near, 0), len(m.calls)-1)]
}

// decision is one as a route with a score writes it down.
func (m *maker) decision(chosen int) *jobs.Decision {
	d := &jobs.Decision{Goal: theGoal, Estimator: "decayed", Explored: m.random.Float64() < 0.02}
	for i := range m.providers {
		p := &m.providers[(chosen+i)%len(m.providers)]
		d.Candidates = append(d.Candidates, jobs.Considered{
			Target: p.Name, Success: 1 - 0.02*m.random.Float64(), Latency: time.Duration(m.random.Int64N(5e9)), Cost: jobs.MicroUSD(100 + m.random.IntN(400)),
			Score: jobs.Score{Total: 0.9 - 0.1*float64(i), Success: 0.4, Latency: 0.3 - 0.1*float64(i), Cost: 0.2},
		})
	}
	return d
}

// id is a UUID of version 7, which begins with a time.
func (m *maker) id(at time.Time) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(at.UnixMilli())<<16)
	binary.BigEndian.PutUint64(id[8:], m.random.Uint64())
	binary.BigEndian.PutUint16(id[6:], 0x7000|uint16(m.random.IntN(1<<12)))
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}
