package routing

// fewPlaces is how many calls at once a target gets of which nothing is known.
const fewPlaces = 4

// places are for the calls that one worker has out at once. Requires external
// locking.
//
// Where no rate is known they are few at first, and one more for each success:
// twice as many within the time that a call takes. They are soon more than a
// worker has jobs, so they need no upper end. Whoever was never answered since it
// started has one place after the first failure: a worker that starts in an outage
// finds out by five calls, and not by as many as are waiting.
type places struct {
	most   int  // from the configuration; zero: no bound
	few    int  // while little is known; zero: no bound
	out    int  // how many are taken
	proven bool // the target answered since the worker started
}

// free tells whether another call may go out.
func (p *places) free() bool { return p.bound() == 0 || p.out < p.bound() }

// bound is how many there are; zero: no bound.
func (p *places) bound() int {
	if p.few == 0 || p.most > 0 && p.most < p.few {
		return p.most
	}
	return p.few
}

func (p *places) leave() { p.out = max(0, p.out-1) }

// succeed hears that the target answered. paced tells that a rate is known, which
// is the better bound.
func (p *places) succeed(paced bool) {
	p.proven = true
	switch {
	case paced:
		p.few = 0
	case p.few > 0:
		p.few++
	}
}

// fail hears that the target failed.
func (p *places) fail() {
	if !p.proven {
		p.few = 1
	}
}

// refuse hears of a 429: from now on a rate is known.
func (p *places) refuse() { p.proven, p.few = true, 0 }

// begin starts anew with a target that answered its probe.
func (p *places) begin(paced bool) {
	p.few = fewPlaces
	p.succeed(paced)
}
