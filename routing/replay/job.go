package replay

import (
	"time"

	"tidegate/jobs"
	"tidegate/routing"
)

// A job is a request on its way.
type job struct {
	request  jobs.Request
	recorded jobs.Recorded
	usage    jobs.Usage
	place    int // of the log
	came     int64
	counted  bool
	room     *room
	walk     *routing.Walk
	history  jobs.Trace
	answer   jobs.Answer
	site     *site // that is called, or was last
	fate     fate
	calls    int
	begunAt  int64         // its last call
	on       time.Duration // it was called, altogether
	mark     uint32        // of its rest; grows
	rests    bool
	parked   bool
	patient  bool // it waits for a price
}

// arrive has the next request of the log come.
func (r *run) arrive() {
	j := r.newJob()
	j.place, j.came = r.arrived, r.at
	r.arrived++
	l, q := r.log, &r.log.requests
	k := &l.names.kinds[q.kind[j.place]]
	j.usage = q.usage(j.place)
	j.recorded = jobs.Recorded{Body: int(q.body.get(j.place)), Input: j.usage.Input}
	if j.recorded.Body == 0 {
		j.recorded.Body = usualBytes * j.usage.Input
	}
	if r.policy.Foresees {
		j.recorded.Output = j.usage.Output
	}
	j.request = jobs.Request{
		Tenant: k.tenant, Route: k.route, Goal: k.goal, Endpoint: k.endpoint, CreatedAt: r.is,
		MaxCost: jobs.MicroUSD(q.most.get(j.place)), Recorded: &j.recorded,
	}
	if after := q.deadline.get(j.place); after > 0 {
		j.request.Deadline = r.is.Add(time.Duration(after) * time.Millisecond)
	}
	j.room = r.rooms[k.route]
	if j.counted = j.place >= r.counted && j.place < r.to; j.counted {
		r.counts++
	}
	j.room.inHand++
	r.beat(j.room)
	if r.beside.pickup == 0 {
		r.wait(j)
		return
	}
	r.future.add(event{at: r.at + int64(r.beside.pickup), kind: eventCome, of: j})
}

// turns keeps a place for as long as the fleet takes until its next call.
func (r *run) turns(room *room) {
	if turn := r.beside.turn; turn > 0 && r.policy.Slots > 0 {
		room.turning++
		r.future.add(event{at: r.at + int64(turn), kind: eventFree, room: room})
	}
}

// usualBytes are those of a token, where a log knows no length of a body.
const usualBytes = 4

func (r *run) newJob() *job {
	n := len(r.idle)
	if n == 0 {
		return &job{}
	}
	j := r.idle[n-1]
	r.idle = r.idle[:n-1]
	*j = job{history: j.history[:0], mark: j.mark + 1}
	return j
}

// beat tells the router what a worker tells it now and then.
func (r *run) beat(room *room) {
	if r.at-r.beatAt >= int64(beatEvery) {
		r.beatAt = r.at
		inHand := make(map[string]int, len(r.rooms))
		for name, room := range r.rooms {
			inHand[name] = room.inHand
		}
		r.router.Beat(inHand)
	}
	if room.route.WhenOpen.Waits() && r.at-room.toldAt >= int64(backlogEvery) {
		room.toldAt = r.at
		r.router.Backlog(room.route.Name, len(room.queue)+len(room.parked), room.last)
	}
}

// settle books what became of a try.
func (r *run) settle(j *job, outcome *jobs.Outcome) {
	switch outcome.Verdict {
	case jobs.Answered:
		r.over(j, answered)
	case jobs.Refused:
		r.over(j, refused)
	default:
		r.remember(j, outcome.Trace)
		if outcome.Held {
			r.hold(j.room, outcome)
			r.enter(j)
			return
		}
		r.rest(j, outcome.Until)
	}
}

// remember keeps the calls of a try that was not the last.
func (r *run) remember(j *job, trace jobs.Trace) {
	j.patient = false
	for _, step := range trace {
		switch {
		case step.Attempt != nil:
			j.patient = false
			if len(j.history) < mostHistory || !step.Attempt.Class.Trips() {
				j.history = append(j.history, jobs.Step{Attempt: step.Attempt})
			}
		case step.Wait != nil:
			j.patient = true
		}
	}
}

// mostHistory is how many calls of a request are kept that say something of their target
// alone. One that is the probe again and again, for days, has met it for good.
const mostHistory = 8

// over ends a request.
func (r *run) over(j *job, as ending) {
	j.room.inHand--
	if as == answered && j.room.heldAt > 0 && j.begunAt >= j.room.heldAt { // what was under way before says nothing of the gate
		if d, over := j.room.answers(r.at); over && r.counting() {
			r.tally.drains = append(r.tally.drains, d)
		}
	}
	if j.counted {
		r.counts--
		r.tally.end(r, j, as)
	}
	r.idle = append(r.idle, j)
}

// An ending is how a request ends.
type ending uint8

// The endings.
const (
	answered ending = iota
	refused
	expired // its deadline passed before
)

// expire ends a request whose deadline has passed, and tells whether it has.
func (r *run) expire(j *job) bool {
	if j.request.Deadline.IsZero() || r.is.Before(j.request.Deadline) {
		return false
	}
	r.over(j, expired)
	return true
}

// step makes the next call of a request that has a place.
func (r *run) step(j *job) {
	for {
		ready, no := j.walk.Begin()
		switch {
		case no != nil:
			r.settle(j, no)
			return
		case ready:
			r.call(j)
			return
		}
	}
}

// call begins one: what it will come to is known to nobody but us.
func (r *run) call(j *job) {
	s := r.sites[j.walk.Target().Name]
	if j.counted {
		r.tally.call(r, s, j)
	}
	r.tally.load(r, s)
	j.site = s
	j.fate = r.fateOf(s, uint64(j.place), j.calls, j.usage)
	if fault, is := r.faults[uint32(j.place)]; is && j.fate.class == jobs.OK {
		j.fate.class, j.fate.takes, j.fate.usage = fault, usualFault, jobs.Usage{}
	}
	j.calls++
	j.begunAt = r.at
	j.room.out++
	r.future.add(event{at: r.at + int64(j.fate.takes), kind: eventEnd, of: j})
}

// usualFault is how long a call takes that is refused for what the request is.
const usualFault = 300 * time.Millisecond

// fateOf is what a call to a target comes to that begins now.
func (r *run) fateOf(s *site, record uint64, n int, use jobs.Usage) fate {
	if !s.meter.takes(r.at, use.Input+use.Output) {
		return fate{class: jobs.Rate, takes: s.refuses}
	}
	f := strange(use)
	if m := r.draw(s, record, n); m != nil {
		f = m.fate(&r.pools[s.number], s.target, use)
	}
	for i, o := range s.outages {
		o.meets(&f, s.target, r.is, float64(mix(r.seed, record, uint64(i+1)<<48|uint64(n))>>11)/(1<<53))
	}
	f.metered = true
	return f
}

const (
	strangeStart = time.Second
	strangeToken = 20 * time.Millisecond
)

// strange is what a call comes to of whose target nothing is known: an answer, so that
// no circuit opens and all calls are seen that would go there. There is no verdict on
// them.
func strange(use jobs.Usage) fate {
	return fate{class: jobs.OK, takes: strangeStart + time.Duration(use.Output)*strangeToken, usage: use}
}

func (r *run) draw(s *site, record uint64, n int) (m *met) {
	if s.number >= 0 {
		m = r.luck.draw(r.tick(), record, n, s.number)
	}
	if r.counting() {
		r.tally.drew(s, m, r.tick(), r.weight)
	}
	return m
}

// ended is the end of a request's call.
func (r *run) ended(j *job) {
	s, f := j.site, &j.fate
	if f.metered {
		s.meter.ended()
	}
	j.room.out--
	j.on += f.takes
	if j.counted {
		r.tally.cost(j, s.target.Price.Cost(f.usage))
	}
	answer, err := j.end()
	no := j.walk.End(answer, err)
	switch {
	case no == nil && r.policy.Once:
		j.walk.Release()
		r.over(j, refused)
	case no == nil:
		r.step(j)
	case r.policy.Once && no.Verdict == jobs.Blocked:
		r.over(j, refused)
	default:
		r.turns(j.room)
		r.settle(j, no)
	}
	for _, room := range r.waitingRooms() {
		r.look(room)
	}
}

// end is what a router hears of a call.
func (j *job) end() (*jobs.Answer, *jobs.Error) {
	if j.fate.class == jobs.OK {
		j.answer = jobs.Answer{Usage: j.fate.usage, FinishReason: "stop", FirstByte: j.fate.firstByte}
		return &j.answer, nil
	}
	return nil, j.fate.error()
}

// error is how a provider would say it.
func (f *fate) error() *jobs.Error {
	return &jobs.Error{Class: f.class, Status: statuses[f.class], Said: true, Usage: f.usage}
}

// statuses are those of HTTP that usually say a class.
var statuses = map[jobs.Class]int{
	jobs.Rate: 429, jobs.Quota: 402, jobs.DailyQuota: 429, jobs.Overload: 503, jobs.Transient: 500, jobs.Auth: 401, jobs.Context: 400,
	jobs.Content: 400, jobs.BadRequest: 400, jobs.Garbled: 200, jobs.Invalid: 200,
}
