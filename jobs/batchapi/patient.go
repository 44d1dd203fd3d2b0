package batchapi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	// leastRate is what a sender must send a second on average, in bytes, once it had
	// its grace: who sends a byte now and then holds a place for nothing.
	leastRate = 1 << 10
)

// A patience is how long a sender may send nothing at all, after what time it is looked
// how fast it is, and how long a receiver may take for a piece of what it is sent.
type patience struct{ silence, grace, taking time.Duration }

var usualPatience = patience{silence: 30 * time.Second, grace: time.Minute, taking: time.Minute}

// errTooSlow says that the body of a request comes too slowly.
var errTooSlow = errors.New("the body comes too slowly")

// errCut says that the body of a request ended before its end. What goes wrong in the
// database may end so, too, and is no fault of a sender.
var errCut = errors.New("the body ended before its end")

// A patient body is read as long as it comes at all.
type patient struct {
	io.ReadCloser
	patience
	control *http.ResponseController
	began   time.Time
	read    int64
}

func newPatient(w http.ResponseWriter, body io.ReadCloser, p patience) *patient {
	return &patient{ReadCloser: body, patience: p, control: http.NewResponseController(w), began: time.Now()}
}

// Read reads on, and gives up a sender that has stopped, or nearly so.
func (p *patient) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(p.silence)) // a connection without deadlines has none to miss
	n, err := p.ReadCloser.Read(b)
	p.read += int64(n)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errTooSlow
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, errCut
	case err != nil: // who is waited for now are we: net/http goes on reading, to see whether the sender has gone
		_ = p.control.SetReadDeadline(time.Time{})
	}
	if took := time.Since(p.began) - p.grace; err == nil && took > 0 && float64(p.read) < leastRate*took.Seconds() {
		return n, errTooSlow
	}
	return n, err
}
