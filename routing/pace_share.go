package routing

// floorShare is the part of an even share that a worker without work keeps, so
// that it can begin.
const floorShare = 0.25

// sharesOf divides the limits of an account among workers by their demand: how
// many requests each has in hand. Nobody gets less than a quarter of an even share,
// but for what it takes to make all of them 1 together.
func sharesOf(demand map[string]int) map[string]float64 {
	total := 0
	for _, inHand := range demand {
		total += max(0, inHand)
	}
	shares, sum := make(map[string]float64, len(demand)), 0.0
	for worker, inHand := range demand {
		share := floorShare / float64(len(demand))
		if total > 0 {
			share = max(share, float64(inHand)/float64(total))
		}
		shares[worker] = share
		sum += share
	}
	for worker := range shares {
		shares[worker] /= sum
	}
	return shares
}

// A shareOf is one worker's. It shrinks at once, and grows when it was told to
// twice in a row: by then the others have shrunk.
type shareOf struct {
	now  float64 // in (0, 1]; zero: it was not told yet
	next float64 // what it may grow to if it is told once more; zero: nothing
}

// get is the share; the whole until something else is told.
func (s *shareOf) get() float64 {
	if s.now == 0 {
		return 1
	}
	return s.now
}

// follow takes what was told, and returns what that multiplies the share by.
func (s *shareOf) follow(told float64) (factor float64) {
	before := s.get()
	switch {
	case s.now == 0 || told <= s.now:
		s.now, s.next = told, 0
	case s.next == 0:
		s.next = told
	default:
		s.now, s.next = min(s.next, told), told
	}
	return s.now / before
}
