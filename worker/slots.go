package worker

import "sync"

// slots are the places in which a worker writes down the calls that it begins. A
// call keeps its place until what came of it is written down: the next one in the
// same place would be all that is known of both, should the worker die in between.
// Safe for concurrent use.
type slots struct {
	mu   sync.Mutex
	free []int
	used int // that have ever been used
}

// Take gives a place, the lowest that was never used if none is free.
func (s *slots) Take() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.free) - 1; last >= 0 {
		slot := s.free[last]
		s.free = s.free[:last]
		return slot
	}
	s.used++
	return s.used - 1
}

// Give takes places back.
func (s *slots) Give(slots []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, slots...)
}
