package routing

import (
	"fmt"

	"tidegate/jobs"
)

// blamedAtMost is how often targets that serve others may fail one request:
// then it is refused, for it is the request.
const blamedAtMost = 8

// blames tells whether a failure is the request's own fault: it failed at this
// target before, and since then the target's circuit stayed closed and others
// came and were answered. (Those that were on their way before tell nothing: a
// target that dies finishes what it had begun.) Such a failure says nothing of the circuit. While nobody is
// answered, or the circuit opens now and then, the same request may fail as
// often as it likes: that is an outage, or a brown-out, and costs it nothing.
func (t *try) blames(target *target, err *jobs.Error) bool {
	if !err.Class.Trips() {
		return false
	}
	for _, trace := range []jobs.Trace{t.trace, t.history} {
		for i := len(trace) - 1; i >= 0; i-- {
			if a := trace[i].Attempt; a != nil && a.Target == target.Name && a.Class.Trips() {
				return target.circuit.servedSince(a.At.Add(a.Latency))
			}
		}
	}
	return false
}

// blamed counts the failures that were the request's own fault.
func (t *try) blamed() int {
	n := 0
	for _, trace := range []jobs.Trace{t.history, t.trace} {
		for _, step := range trace {
			if step.Attempt != nil && step.Attempt.Blamed {
				n++
			}
		}
	}
	return n
}

// poison is the last error of a request that was blamed n times, and says so.
func poison(last *jobs.Error, n int) *jobs.Error {
	said := *last
	said.Message = fmt.Sprintf("it failed %d times at targets that answered others meanwhile; the last time: %s", n, last.Message)
	return &said
}
