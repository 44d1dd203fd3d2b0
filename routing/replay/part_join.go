package replay

import (
	"fmt"
	"slices"
	"time"

	"tidegate/jobs"
)

// A PartSource is a Part that is read when its turn comes.
type PartSource struct {
	Head PartHead
	Load func() (*Part, error)
}

// Join makes one Log of parts, in the order of their time. Calls of one request that
// stand in several of them come together. Requests that came before since or from until
// on are left out, with their calls; zero: there is no bound.
func Join(parts []PartSource, since, until time.Time) (*Log, error) {
	j := joining{pending: map[uint64]uint32{}, since: since, until: until}
	if err := j.begin(parts); err != nil {
		return nil, err
	}
	for i := range parts {
		p, err := parts[i].Load()
		if err == nil {
			err = j.add(p)
		}
		if err != nil {
			return nil, err
		}
	}
	return j.b.Log()
}

// A joining is a Join that is under way.
type joining struct {
	b            *Builder
	pending      map[uint64]uint32 // as Part.open, of all parts so far
	since, until time.Time
}

// begin makes room for all.
func (j *joining) begin(parts []PartSource) error {
	var first, last time.Time
	requests, attempts := 0, 0
	for _, p := range parts {
		requests, attempts = requests+p.Head.Requests, attempts+p.Head.Attempts
		if p.Head.First.IsZero() {
			continue
		}
		if first.IsZero() || p.Head.First.Before(first) {
			first = p.Head.First
		}
		last = later(last, p.Head.Last)
	}
	if max(requests, attempts) >= mostRecords {
		return fmt.Errorf("a log holds %d records at most, and these are %d; ask for a shorter time", mostRecords-1, max(requests, attempts))
	}
	if last.Sub(first) > MostSpan {
		return tooFar(last, first)
	}
	j.b = newBuilder(requests, attempts)
	j.b.log.start, j.b.begun = first, true
	return nil
}

// left stands for the place of a request that is left out.
const left = noRequest - 1

func (j *joining) add(p *Part) error {
	j.b.early, j.b.capped = j.b.early+p.early, j.b.capped+p.capped
	places, err := j.requests(p)
	if err != nil {
		return err
	}
	for key, place := range p.open {
		if to := places[place]; to != left {
			j.pending[key] = to
		}
	}
	return j.attempts(p.log, places)
}

// numbers are those that names of a part have in the whole. What is left out names
// nothing there.
type numbers struct {
	of    []int // by the number in the part; below zero: nobody asked yet
	named func(i uint16) (uint16, error)
}

func newNumbers(n int, named func(i uint16) (uint16, error)) numbers {
	return numbers{slices.Repeat([]int{-1}, n), named}
}

func (n *numbers) get(i uint16) (uint16, error) {
	if n.of[i] < 0 {
		number, err := n.named(i)
		if err != nil {
			return 0, err
		}
		n.of[i] = int(number)
	}
	return uint16(n.of[i]), nil
}

// requests adds those of a part, and tells the place of each in the whole.
func (j *joining) requests(p *Part) (places []uint32, err error) {
	from, to := &p.log.requests, &j.b.log.requests
	kinds := newNumbers(len(p.log.names.kinds), func(i uint16) (uint16, error) {
		k := p.log.names.kinds[i]
		return j.b.kind(&Request{Route: k.route, Tenant: k.tenant, Goal: k.goal, Endpoint: k.endpoint})
	})
	places = make([]uint32, len(from.at))
	for _, place := range p.open {
		places[place] = noRequest // look whether it is there
	}
	earlier := map[uint32]uint32{}
	for key, place := range p.open {
		if at, is := j.pending[key]; is {
			earlier[place] = at
		}
	}
	shift := p.log.start.Sub(j.b.log.start).Milliseconds()
	for i := range places {
		if places[i] == noRequest {
			if at, is := earlier[uint32(i)]; is {
				if places[i] = at; to.usage(int(at)) == (jobs.Usage{}) {
					to.setUsage(int(at), from.usage(i), j.b)
				}
				continue
			}
		}
		tick := uint32(int64(from.at[i]) + shift)
		if !j.within(tick) {
			places[i] = left
			continue
		}
		kind, err := kinds.get(from.kind[i])
		if err != nil {
			return nil, err
		}
		n := len(to.at)
		places[i] = uint32(n)
		j.b.unsorted = j.b.unsorted || n > 0 && tick < to.at[n-1]
		to.at, to.kind = append(to.at, tick), append(to.kind, kind)
		to.deadline.set(n, from.deadline.get(i), j.b.room)
		to.most.set(n, from.most.get(i), j.b.room)
		to.body.set(n, from.body.get(i), j.b.room)
		to.setUsage(n, from.usage(i), j.b)
	}
	return places, nil
}

func (j *joining) within(tick uint32) bool {
	at := j.b.log.time(tick)
	return (j.since.IsZero() || !at.Before(j.since)) && (j.until.IsZero() || at.Before(j.until))
}

// attempts adds those of a part, but for those of requests that are left out.
func (j *joining) attempts(l *Log, places []uint32) error {
	targets := newNumbers(len(l.targets), func(i uint16) (uint16, error) { return j.b.target(l.targets[i]) })
	from, to := &l.attempts, &j.b.log.attempts
	shift := l.start.Sub(j.b.log.start).Milliseconds()
	for i, request := range from.request {
		tick := uint32(int64(from.at[i]) + shift)
		if request != noRequest {
			request = places[request]
		} else if !j.within(tick) {
			continue
		}
		if request == left {
			continue
		}
		target, err := targets.get(from.target[i])
		if err != nil {
			return err
		}
		n := len(to.at)
		j.b.called = j.b.called || n > 0 && tick < to.at[n-1]
		to.at, to.request = append(to.at, tick), append(to.request, request)
		to.latency, to.cost = append(to.latency, from.latency[i]), append(to.cost, from.cost[i])
		to.target, to.propensity = append(to.target, target), append(to.propensity, from.propensity[i])
		to.class, to.flags = append(to.class, from.class[i]), append(to.flags, from.flags[i])
		to.first.set(n, from.first.get(i), j.b.room)
		if from.flags[i]&flagOwnUsage != 0 {
			to.usages[uint32(n)] = from.usages[uint32(i)]
		}
	}
	return nil
}
