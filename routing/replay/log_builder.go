package replay

import (
	"fmt"
	"math"
	"slices"
	"time"

	"tidegate/jobs"
)

const (
	mostKinds   = 60_000 // of requests
	mostTargets = 60_000
	mostRecords = math.MaxUint32
	mostCalls   = 1 << 20 // of a request
)

// A Builder makes a Log of records, which may come in any order. It is for one
// goroutine.
type Builder struct {
	room    int // records that are thought to come
	log     *Log
	numbers map[string]uint16
	classes map[jobs.Class]uint8

	wrong
	mixed                   int // requests that stood neither by their own times nor by those of their calls
	begun, unsorted, called bool
	last                    int64 // when the last request came, in milliseconds since the log's start
	lastAttempt             int64
}

// wrong counts what was wrong with records, and was put right.
type wrong struct {
	early, capped int // calls from before their requests, numbers that were too large
	instant       int // answers that took no time
}

// NewBuilder returns an empty one. It takes less memory if it is told about how many
// requests will come; zero: nobody knows.
func NewBuilder(room int) *Builder {
	room = min(max(room, 0), mostRecords)
	return newBuilder(room, room)
}

func newBuilder(requests, attempts int) *Builder {
	b := &Builder{room: requests, log: &Log{}, numbers: map[string]uint16{}, classes: map[jobs.Class]uint8{}}
	b.log.names.known = map[kind]uint16{}
	for i, class := range classes {
		b.classes[class] = uint8(i)
	}
	r, a := &b.log.requests, &b.log.attempts
	r.at, r.kind = make([]uint32, 0, requests), make([]uint16, 0, requests)
	for _, of := range []*[]uint32{&a.at, &a.request, &a.latency, &a.cost} {
		*of = make([]uint32, 0, attempts)
	}
	a.target, a.propensity = make([]uint16, 0, attempts), make([]uint16, 0, attempts)
	a.class, a.flags = make([]uint8, 0, attempts), make([]uint8, 0, attempts)
	a.usages = map[uint32]jobs.Usage{}
	return b
}

// Add adds a request and the calls that were made for it, in any order. An error says
// which field of which of them is wrong; then nothing was added.
func (b *Builder) Add(r Request, calls ...Attempt) error {
	if err := r.check(); err != nil {
		return err
	}
	if len(calls) > mostCalls {
		return fmt.Errorf("it has %d attempts, at most %d", len(calls), mostCalls)
	}
	for i := range calls {
		if err := calls[i].check(); err != nil {
			return fmt.Errorf("attempt %d: %w", i+1, err)
		}
	}
	kind, err := b.kind(&r)
	if err != nil {
		return err
	}
	first, last := r.At, r.At
	for i := range calls {
		first, last = earlier(first, calls[i].At), later(last, calls[i].At)
	}
	if err := b.reach(first, last); err != nil {
		return err
	}
	for i := range calls {
		if _, err := b.target(calls[i].Target); err != nil {
			return err
		}
		if r.Usage == (jobs.Usage{}) && calls[i].Class == jobs.OK {
			r.Usage = calls[i].Usage
		}
	}
	of := r.At // where it stands
	for i := range calls {
		if i == 0 || calls[i].At.Before(of) {
			of = calls[i].At
		}
	}
	at := b.request(&r, kind, of)
	for i := range calls {
		b.call(&calls[i], at, &r)
	}
	return nil
}

// AddCall adds a call that was made for a request that is there: the one that was added
// so many before. It serves records that name their request and stand in no order.
func (b *Builder) AddCall(request int, call Attempt) error {
	if request < 0 || request >= len(b.log.requests.at) {
		return fmt.Errorf("request %d of %d is not there", request, len(b.log.requests.at))
	}
	if err := call.check(); err != nil {
		return err
	}
	if err := b.reach(call.At, call.At); err != nil {
		return err
	}
	if _, err := b.target(call.Target); err != nil {
		return err
	}
	of := &b.log.requests
	r := Request{At: b.log.time(of.at[request]), Usage: of.usage(request)}
	if r.Usage == (jobs.Usage{}) && call.Class == jobs.OK {
		r.Usage = call.Usage
		of.setUsage(request, r.Usage, b)
	}
	b.call(&call, uint32(request), &r)
	return nil
}

// Came says that a request that is there came at a time, if that is earlier than what was
// said of it: a call may be all that tells when it came, and not be the first one.
func (b *Builder) Came(request int, at time.Time) error {
	if request < 0 || request >= len(b.log.requests.at) {
		return fmt.Errorf("request %d of %d is not there", request, len(b.log.requests.at))
	}
	of := &b.log.requests
	if !at.Before(b.log.time(of.at[request])) {
		return nil
	}
	if err := b.reach(at, at); err != nil {
		return err
	}
	tick := uint32(b.tick(at))
	if after := of.deadline.get(request); after > 0 {
		of.deadline.set(request, b.most(int64(after)+int64(of.at[request]-tick)), b.room)
	}
	of.at[request], b.unsorted = tick, true
	return nil
}

// AddProbe adds a call that was made for no request, to find out whether its target
// is well.
func (b *Builder) AddProbe(call Attempt) error {
	call.Probe = true
	if err := call.check(); err != nil {
		return err
	}
	if _, err := b.target(call.Target); err != nil {
		return err
	}
	if err := b.reach(call.At, call.At); err != nil {
		return err
	}
	b.call(&call, noRequest, &Request{})
	return nil
}

func (r *Request) check() error {
	switch {
	case r.At.IsZero():
		return fmt.Errorf("at: it has no time")
	case r.Route == "":
		return fmt.Errorf("route: it has none")
	case r.Body < 0:
		return fmt.Errorf("body: %d bytes are below zero", r.Body)
	case r.MaxCost < 0:
		return fmt.Errorf("max_cost: %d is below zero", r.MaxCost)
	}
	return checkUsage(r.Usage)
}

func checkUsage(u jobs.Usage) error {
	switch {
	case u.Input < 0:
		return fmt.Errorf("input_tokens: %d is below zero", u.Input)
	case u.CachedInput < 0:
		return fmt.Errorf("cached_input_tokens: %d is below zero", u.CachedInput)
	case u.Output < 0:
		return fmt.Errorf("output_tokens: %d is below zero", u.Output)
	case u.Reasoning < 0:
		return fmt.Errorf("reasoning_tokens: %d is below zero", u.Reasoning)
	}
	return nil
}

func (a *Attempt) check() error {
	switch {
	case a.At.IsZero():
		return fmt.Errorf("at: it has no time")
	case a.Target == "":
		return fmt.Errorf("target: it has none")
	case !a.Class.Valid():
		return fmt.Errorf("class: %q is none; there are %v", a.Class, jobs.Classes())
	case a.Latency < 0:
		return fmt.Errorf("latency: %s is below zero", a.Latency)
	case a.FirstByte < 0:
		return fmt.Errorf("first_byte: %s is below zero", a.FirstByte)
	case a.Cost < 0:
		return fmt.Errorf("cost: %d is below zero", a.Cost)
	case !(a.Propensity >= 0 && a.Propensity <= 1):
		return fmt.Errorf("propensity: %v is not a chance: it is above 0, and 1 at most", a.Propensity)
	}
	return checkUsage(a.Usage)
}

// reach makes two times ones that the log can tell, or says that they are too far from the
// others.
func (b *Builder) reach(first, last time.Time) error {
	if max(len(b.log.requests.at), len(b.log.attempts.at)) >= mostRecords-mostCalls {
		return fmt.Errorf("a log holds %d records at most", mostRecords-mostCalls)
	}
	if !b.begun {
		b.begun, b.log.start = true, first.Truncate(time.Millisecond)
	}
	if first.Before(b.log.start) {
		if err := b.moveStart(first); err != nil {
			return err
		}
	}
	if last.Sub(b.log.start) > MostSpan {
		return tooFar(last, b.log.start)
	}
	return nil
}

func tooFar(at, from time.Time) error {
	return fmt.Errorf("at: %s is more than %d days from %s: a log is of no longer time", at.UTC().Format(time.RFC3339), int(MostSpan.Hours()/24), from.UTC().Format(time.RFC3339))
}

// moveStart has the log begin earlier, with time to spare, for others may come earlier still.
func (b *Builder) moveStart(to time.Time) error {
	spare := max(24*time.Hour, b.log.start.Sub(to))
	latest := b.log.start
	for _, of := range [][]uint32{b.log.requests.at, b.log.attempts.at} {
		if len(of) > 0 {
			latest = later(latest, b.log.time(slices.Max(of)))
		}
	}
	if latest.Sub(to) > MostSpan {
		return tooFar(latest, to)
	}
	spare = min(spare, MostSpan-latest.Sub(to)).Truncate(time.Millisecond)
	b.shift(b.log.start.Sub(to.Add(-spare).Truncate(time.Millisecond)))
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// shift moves the start of the log back, or forward by less than zero.
func (b *Builder) shift(by time.Duration) {
	ticks := by.Milliseconds()
	for _, of := range [][]uint32{b.log.requests.at, b.log.attempts.at} {
		for i := range of {
			of[i] = uint32(int64(of[i]) + ticks)
		}
	}
	b.log.start = b.log.start.Add(-time.Duration(ticks) * time.Millisecond)
	b.last, b.lastAttempt = b.last+ticks, b.lastAttempt+ticks
}

func (b *Builder) kind(r *Request) (uint16, error) {
	k := kind{r.Route, r.Tenant, r.Goal, r.Endpoint}
	number, known := b.log.names.known[k]
	if known {
		return number, nil
	}
	if len(b.log.names.kinds) >= mostKinds {
		return 0, fmt.Errorf("route, tenant, goal: there are more than %d kinds of requests", mostKinds)
	}
	number = uint16(len(b.log.names.kinds))
	b.log.names.kinds = append(b.log.names.kinds, k)
	b.log.names.known[k] = number
	return number, nil
}

func (b *Builder) target(name string) (uint16, error) {
	number, known := b.numbers[name]
	if known {
		return number, nil
	}
	if len(b.log.targets) >= mostTargets {
		return 0, fmt.Errorf("target: there are more than %d", mostTargets)
	}
	number = uint16(len(b.log.targets))
	b.log.targets = append(b.log.targets, name)
	b.numbers[name] = number
	return number, nil
}

func (b *Builder) tick(at time.Time) int64 { return int64(at.Sub(b.log.start) / time.Millisecond) }

// request adds one that is in order, and stands where things of a time do. It returns its
// place.
func (b *Builder) request(r *Request, kind uint16, of time.Time) uint32 {
	to, tick := &b.log.requests, b.tick(r.At)
	i := len(to.at)
	if i > 0 && tick < b.last {
		b.unsorted = true
		if len(b.log.attempts.at) == 0 || b.tick(of) < b.lastAttempt {
			b.mixed++
		}
	}
	b.last = tick
	to.at, to.kind = append(to.at, uint32(tick)), append(to.kind, kind)
	if !r.Deadline.IsZero() {
		to.deadline.set(i, b.most(max(1, r.Deadline.Sub(r.At).Milliseconds())), b.room) // zero is none
	}
	to.most.set(i, b.most(int64(r.MaxCost)), b.room)
	to.body.set(i, b.most(int64(r.Body)), b.room)
	to.setUsage(i, r.Usage, b)
	return uint32(i)
}

// call adds one that is in order.
func (b *Builder) call(a *Attempt, request uint32, r *Request) {
	to, tick := &b.log.attempts, b.tick(a.At)
	i := len(to.at)
	b.called = b.called || i > 0 && tick < b.lastAttempt // of calls that is usual: those of one request come together
	b.lastAttempt = tick
	if request != noRequest && r.At.Sub(a.At) > earlyCall {
		b.early++
	}
	if a.Class == jobs.OK && a.Latency == 0 {
		b.instant++
	}
	to.at, to.request = append(to.at, uint32(tick)), append(to.request, request)
	to.latency = append(to.latency, b.most(a.Latency.Microseconds()))
	to.cost = append(to.cost, b.most(int64(a.Cost)))
	to.target = append(to.target, b.numbers[a.Target])
	to.class = append(to.class, b.classes[a.Class])
	to.first.set(i, b.most(a.FirstByte.Microseconds()), b.room)
	propensity := uint16(math.Round(a.Propensity * mostPropensity))
	if a.Propensity > 0 {
		propensity = max(propensity, 1)
	}
	to.propensity = append(to.propensity, propensity)
	to.flags = append(to.flags, b.flags(a, uint32(i), r))
}

// earlyCall is by how much a call may begin before its request came: two clocks tell
// the two.
const earlyCall = time.Second

func (b *Builder) flags(a *Attempt, i uint32, r *Request) (flags uint8) {
	for flag, is := range [...]bool{a.Probe, a.Blamed, a.Explored} { // in the order of their bits
		if is {
			flags |= 1 << flag
		}
	}
	switch a.Usage {
	case jobs.Usage{}:
	case r.Usage:
		flags |= flagUsage
	default:
		flags |= flagOwnUsage
		b.log.attempts.usages[i] = a.Usage
	}
	return flags
}

// most is a number as far as it can be told.
func (b *Builder) most(n int64) uint32 {
	if n > math.MaxUint32 {
		b.capped++
		return math.MaxUint32
	}
	return uint32(max(n, 0))
}
