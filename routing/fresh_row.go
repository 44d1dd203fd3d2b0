package routing

// A freshRow is failures in a row in the order in which calls began. A provider
// that dies while calls are out goes on answering those that it had begun, and
// each such answer breaks the row of failures in the order in which calls end:
// with answers of a minute it would take that long to see what every new call
// meets. Requires external locking.
//
//	began   1 2 3 4 5 6 7 8 9      1 to 4 are answered in the end, 5 to 9 are
//	ended   5 1 6 7 2 8 3 9 4      refused at once: five, and nobody who began
//	                               after the first of them was answered
//
// So that failures that are quick and rare among answers that are slow are not
// taken for this, half of the calls that began since must have failed.
type freshRow struct {
	begun  int // calls of the epoch
	from   int // the number of the call that began first, of those that failed
	failed int
}

func (r *freshRow) next() int {
	r.begun++
	return r.begun
}

// succeed hears of an answer: it ends the row if its call began after it.
func (r *freshRow) succeed(number int) {
	if number > r.from {
		r.failed = 0
	}
}

func (r *freshRow) fail(number int) {
	if r.failed == 0 || number < r.from {
		r.from = number
	}
	r.failed++
}

// dead tells whether there are so many failures, and little else since.
func (r *freshRow) dead(most int) bool {
	return r.failed >= most && 2*r.failed >= r.begun-r.from+1
}
