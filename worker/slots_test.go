package worker

import "testing"

func TestSlotsAreTakenAgain(t *testing.T) {
	t.Parallel()
	var s slots
	for want := range 3 {
		if got := s.Take(); got != want {
			t.Errorf("it gave the place %d, not %d", got, want)
		}
	}
	s.Give([]int{1})
	if got := s.Take(); got != 1 {
		t.Errorf("it gave the place %d, not the one that was free", got)
	}
	if got := s.Take(); got != 3 {
		t.Errorf("it gave the place %d, and all before 3 are taken", got)
	}
}
