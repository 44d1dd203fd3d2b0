package routing

// floorShare is the part of an even share that a worker without work keeps, so
// that it can begin.
const floorShare = 0.25

// sharesOf divides a limit among workers by their demand: how many requests each
// has in hand. Nobody gets less than about a quarter of an even share; all shares
// together are 1.
func sharesOf(demand map[string]int) map[string]float64 {
	total := 0
	for _, waiting := range demand {
		total += max(0, waiting)
	}
	shares, sum := make(map[string]float64, len(demand)), 0.0
	for worker, waiting := range demand {
		share := floorShare / float64(len(demand))
		if total > 0 {
			share = max(share, float64(max(0, waiting))/float64(total))
		}
		shares[worker] = share
		sum += share
	}
	for worker := range shares {
		shares[worker] /= sum
	}
	return shares
}

// A shareOf is one worker's. It shrinks at once and grows when it was told to
// twice in a row: so the others have shrunk before it takes what they had.
type shareOf struct {
	now  float64 // in (0, 1]; zero: it was not told yet
	next float64 // larger, and told of once; zero: there is none
}

// follow takes what was told, and returns by how much the share changed: 1 is not
// at all.
func (s *shareOf) follow(told float64) (factor float64) {
	before := s.now
	switch {
	case before == 0:
		s.now, before = told, 1
	case told <= before:
		s.now, s.next = told, 0
	case s.next == 0:
		s.next = told
	default:
		s.now, s.next = min(s.next, told), 0
		if told > s.now {
			s.next = told
		}
	}
	return s.now / before
}
