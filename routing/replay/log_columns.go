package replay

import (
	"tidegate/jobs"
)

// requests are the records of a Log, a column for each thing, so that what a log does
// not know takes nothing. Times are milliseconds since the log's start.
type requests struct {
	at        []uint32
	kind      []uint16
	deadline  column[uint32] // milliseconds after it came
	most      column[uint32] // micro-USD
	body      column[uint32] // bytes
	input     column[uint32]
	output    column[uint32]
	cached    column[uint32]
	reasoning column[uint32]
}

func (r *requests) usage(i int) jobs.Usage {
	return jobs.Usage{Input: int(r.input.get(i)), Output: int(r.output.get(i)), CachedInput: int(r.cached.get(i)), Reasoning: int(r.reasoning.get(i))}
}

func (r *requests) setUsage(i int, u jobs.Usage, b *Builder) {
	r.input.set(i, b.most(int64(u.Input)), b.room)
	r.output.set(i, b.most(int64(u.Output)), b.room)
	r.cached.set(i, b.most(int64(u.CachedInput)), b.room)
	r.reasoning.set(i, b.most(int64(u.Reasoning)), b.room)
}

// attempts likewise.
type attempts struct {
	at         []uint32
	request    []uint32
	latency    []uint32 // microseconds
	cost       []uint32 // micro-USD
	target     []uint16
	propensity []uint16 // times mostPropensity; zero: not known
	class      []uint8
	flags      []uint8
	first      column[uint32] // microseconds
	usages     map[uint32]jobs.Usage
}

// A column holds a number for each record, most of them zero, maybe all. Beyond its
// end they are.
type column[T uint16 | uint32] struct{ of []T }

func (c *column[T]) get(i int) T {
	if i < len(c.of) {
		return c.of[i]
	}
	return 0
}

// set says the number of a record. Records come in order.
func (c *column[T]) set(i int, to T, room int) {
	if to == 0 && len(c.of) <= i {
		return
	}
	if c.of == nil {
		c.of = make([]T, 0, max(room, i+1))
	}
	for len(c.of) <= i {
		c.of = append(c.of, 0)
	}
	c.of[i] = to
}

// names are the texts that many requests have in common.
type names struct {
	kinds []kind
	known map[kind]uint16
}

// A kind is what many requests have in common.
type kind struct {
	route, tenant, goal string
	endpoint            jobs.Endpoint
}
