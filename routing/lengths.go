package routing

import (
	"sync"

	"tidegate/jobs"
)

const (
	lengthFirst = 50 // answers are averaged; of later ones, each counts one in so many
)

// lengths are what the requests of a route are like: how long their answers are, and
// how many tokens the bytes of their bodies make. Answers of one target must not be
// compared with those of another by how long each of them was: so it is the route's
// length by which they are. Safe for concurrent use.
type lengths struct {
	mu       sync.Mutex
	answers  int
	output   float64 // tokens of an answer
	prompts  int
	perBytes float64 // tokens of a prompt, per byte of a body
}

// learn hears what a request used.
func (l *lengths) learn(body int, used jobs.Usage) {
	if used == (jobs.Usage{}) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if used.Output >= 0 {
		l.answers = min(l.answers+1, lengthFirst)
		l.output += (min(float64(used.Output), mostUse) - l.output) / float64(l.answers)
	}
	if body > 0 && used.Input > 0 {
		l.prompts = min(l.prompts+1, lengthFirst)
		l.perBytes += (min(float64(used.Input), mostUse)/float64(body) - l.perBytes) / float64(l.prompts)
	}
}

// expected is what a request with a body of so many bytes is expected to use.
func (l *lengths) expected(body int) (input, output float64) {
	input, output = float64(body)/bytesPerToken, expectedOutput
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answers > 0 {
		output = l.output
	}
	if l.prompts > 0 {
		input = float64(body) * l.perBytes
	}
	return input, output
}
