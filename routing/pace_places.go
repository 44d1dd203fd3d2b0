package routing

// fewPlaces is how many calls at once a target gets of which nothing is known.
const fewPlaces = 4

// places are the calls that one worker may have out at once. Requires external
// locking.
//
// Where no rate is known they are what a start is careful with: few at first, and
// one more for each success, which doubles them within the time that a call takes.
// They hold nobody back for long, so they need no upper end. Whoever was never
// answered since it started has one place after the first failure: a worker that
// starts in an outage finds out by five calls, not by as many as are waiting.
type places struct {
	most   int  // from the configuration; zero: no bound
	few    int  // while no rate is known; zero: no bound
	out    int  // how many are taken
	proven bool // there was a success since the worker started
}

// free tells whether another call may go out.
func (p *places) free() bool {
	return (p.most == 0 || p.out < p.most) && (p.few == 0 || p.out < p.few)
}

// leave frees a place.
func (p *places) leave() { p.out = max(0, p.out-1) }

// succeed hears of a call that the target answered. paced tells that a rate is
// known, which is a better bound.
func (p *places) succeed(paced bool) {
	p.proven = true
	if paced {
		p.few = 0
	} else if p.few > 0 {
		p.few++
	}
}

// fail hears of a call that the target failed.
func (p *places) fail() {
	if !p.proven {
		p.few = 1
	}
}
