package replay

import (
	"cmp"
	"slices"
	"time"

	"tidegate/jobs"
)

// A room is where the requests of one route wait in a worker, in the order in which
// they came.
type room struct {
	route  *jobs.Route
	queue  []*job    // by the place in the log
	parked []resting // those who wait on their own account, for long; some are back
	away   int       // of these, who are not
	out    int       // calls
	// turning are places whose call has ended and the next one not begun.
	turning int
	inHand  int
	last    time.Time // the deadline of who came last
	lookAt  int64     // a look is planned for then; zero: none is
	toldAt  int64
	gives   bool // back who is parked

	heldAt  int64 // since when nobody could be called; zero: somebody can
	flowsAt int64 // when the first one was answered after that; zero: none was
	held    int   // how many waited then
}

// A resting job is one that waits on its own account, as long as it has the mark.
type resting struct {
	*job
	mark uint32
}

func (r resting) still() bool { return r.rests && r.job.mark == r.mark }

// waitingRooms are those in which somebody waits.
func (r *run) waitingRooms() (some []*room) {
	for i := range r.policy.Routes {
		if in := r.rooms[r.policy.Routes[i].Name]; len(in.queue) > 0 {
			some = append(some, in)
		}
	}
	return some
}

// wait has a request wait for its turn, which may have come already.
func (r *run) wait(j *job) {
	if len(j.room.queue) > 0 || r.full(j.room) || !r.let(j) {
		r.enter(j)
	}
}

func (r *run) full(room *room) bool {
	return r.policy.Slots > 0 && room.out+room.turning >= r.policy.Slots
}

// let has the router say what becomes of a request that is the first to be asked, and
// tells whether it need not wait at the gate.
func (r *run) let(j *job) (gone bool) {
	if r.expire(j) {
		return true
	}
	walk, outcome := r.router.Walk(&j.request, j.history)
	switch {
	case walk != nil:
		j.walk = walk
		r.step(j)
	case outcome.Verdict == jobs.Blocked && outcome.Held:
		r.hold(j.room, &outcome)
		return false
	default:
		r.settle(j, &outcome)
	}
	return true
}

// enter puts a request into the queue, at its place.
func (r *run) enter(j *job) {
	q := &j.room.queue
	at := len(*q)
	if at > 0 && (*q)[at-1].place > j.place {
		at, _ = slices.BinarySearchFunc(*q, j.place, func(other *job, place int) int { return cmp.Compare(other.place, place) })
	}
	*q = slices.Insert(*q, at, j)
}

// look lets those of a route go who may, the first that came first.
func (r *run) look(room *room) {
	for len(room.queue) > 0 && !r.full(room) {
		j := room.queue[0]
		room.queue = room.queue[1:] // by what becomes of it, others may come before it
		if !r.let(j) {
			room.queue = slices.Insert(room.queue, 0, j)
			return
		}
	}
}

const (
	// recheck bounds how long nobody looks who waits, and breath how soon somebody does.
	recheck = time.Second
	breath  = time.Millisecond
	// parkAfter is how long a request waits in a worker on its own account: what is longer
	// is parked in the queue.
	parkAfter = 30 * time.Second
	// giveFirst is how many parked requests come back when a circuit closes, and twice as
	// many in each second after.
	giveFirst = 1000
)

// hold notes that nobody of a route may be called, or not faster, and has somebody look
// again.
func (r *run) hold(room *room, outcome *jobs.Outcome) {
	if !outcome.Paced && room.heldAt == 0 {
		room.heldAt = r.at
	}
	wait := recheck
	if until := outcome.Until; !until.IsZero() {
		wait = min(max(until.Sub(r.is), breath), recheck)
	}
	if at := r.at + int64(wait); at < room.lookAt || room.lookAt <= r.at {
		room.lookAt = at
		r.future.add(event{at: at, kind: eventLook, room: room})
	}
}

// rest has a request wait on its own account.
func (r *run) rest(j *job, until time.Time) {
	if deadline := j.request.Deadline; !deadline.IsZero() && deadline.Before(until) {
		until = deadline
	}
	j.mark++
	j.rests = true
	wait := max(until.Sub(r.is), breath)
	r.future.add(event{at: r.at + int64(wait), kind: eventRest, of: j, mark: j.mark})
	switch {
	case wait > parkAfter:
		if j.room.away == 0 {
			j.room.parked = j.room.parked[:0]
		}
		j.room.away++
		j.parked = true
		j.room.parked = append(j.room.parked, resting{j, j.mark})
	case j.patient:
		r.patient = append(r.patient, resting{j, j.mark})
	}
}

// back ends the rest of a request.
func (r *run) back(j *job) {
	if j.parked {
		j.parked = false
		j.room.away--
	}
	j.mark++
	j.rests = false
	r.enter(j)
}

// ring wakes those who wait for a price, and begins to give back who is parked.
func (r *run) ring() {
	woken := r.patient
	r.patient = nil
	for _, one := range woken {
		if one.still() {
			r.back(one.job)
		}
	}
	for i := range r.policy.Routes {
		if in := r.rooms[r.policy.Routes[i].Name]; in.away > 0 && !in.gives {
			in.gives = true
			r.future.add(event{at: r.at, kind: eventGive, room: in, mark: giveFirst})
		}
	}
}

// give gives some of those back who are parked, and twice as many in a second.
func (r *run) give(room *room, some int) {
	given := 0
	for given < some && len(room.parked) > 0 {
		one := room.parked[0]
		room.parked = room.parked[1:]
		if one.still() {
			r.back(one.job)
			given++
		}
	}
	if room.gives = room.away > 0; room.gives {
		r.future.add(event{at: r.at + int64(time.Second), kind: eventGive, room: room, mark: uint32(2 * some)})
	}
	r.look(room)
}

// A drain is how the requests of a route that nobody could be called for came to be
// done.
type drain struct {
	route      string
	alone      bool          // no other side was run at that time
	from, to   int64         // from when on nobody could be called, and when nobody waited any more
	held, took time.Duration // nobody could be called; until nobody waited any more, from the first answer on
	waiting    int           // at that answer
}

// drainLeast is how long a gate must have held for what comes after to be a drain.
const drainLeast = 5 * time.Second

// answers hears of an answer to a request of the route, and of how many still wait.
// It returns the drain that is over by it.
func (room *room) answers(at int64) (d drain, over bool) {
	waiting := len(room.queue) + room.away
	if room.flowsAt == 0 {
		room.flowsAt, room.held = at, waiting
	}
	if waiting > 0 {
		return drain{}, false
	}
	d = drain{route: room.route.Name, from: room.heldAt, to: at, held: time.Duration(room.flowsAt - room.heldAt), took: time.Duration(at - room.flowsAt), waiting: room.held}
	room.heldAt, room.flowsAt = 0, 0
	return d, d.held >= drainLeast
}

// drainRanges are the drains of the first side, with between what the others have on that
// route at that time; one that another does not have took no time there.
func drainRanges(sides []*tally) (made []Drain) {
	for _, d := range sides[0].drains {
		is := Drain{Route: d.route, Held: d.held, Waiting: d.waiting, Took: d.took, HeldLow: d.held, HeldHigh: d.held, TookLow: d.took, TookHigh: d.took, Alone: d.alone}
		held, took := []float64{float64(d.held)}, []float64{float64(d.took)}
		for _, side := range sides[1:] {
			if d.alone {
				break
			}
			other := drain{}
			for _, o := range side.drains {
				if o.route == d.route && o.from < d.to && d.from < o.to {
					other.held, other.took = other.held+o.held, other.took+o.took
				}
			}
			is.HeldLow, is.HeldHigh = min(is.HeldLow, other.held), max(is.HeldHigh, other.held)
			is.TookLow, is.TookHigh = min(is.TookLow, other.took), max(is.TookHigh, other.took)
			held, took = append(held, float64(other.held)), append(took, float64(other.took))
		}
		by := time.Duration(deviationOf(held)) // see fewBlocks: one drain is drawn six times
		is.HeldLow, is.HeldHigh = max(0, is.HeldLow-by), is.HeldHigh+by
		by = time.Duration(deviationOf(took))
		is.TookLow, is.TookHigh = max(0, is.TookLow-by), is.TookHigh+by
		made = append(made, is)
	}
	return made
}
