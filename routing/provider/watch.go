package provider

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptrace"
	"sync"
	"time"

	"tidegate/jobs"
)

// A phase is what a call is waiting for.
type phase int8

const (
	connecting phase = iota // to dial and shake hands
	waiting                 // for the first byte of the answer
	queued                  // for the first token of a stream, whose header is there
	reading                 // for the next piece of the body
	ended
)

// overdue is the cause with which a watch ends a call.
type overdue struct {
	phase phase
	whole bool // it was the time for the whole call that ran out
	limit time.Duration
}

func (o *overdue) Error() string {
	switch {
	case o.whole:
		return fmt.Sprintf("no whole answer within %s", o.limit)
	case o.phase == connecting:
		return fmt.Sprintf("no connection within %s", o.limit)
	case o.phase == waiting:
		return fmt.Sprintf("no first byte within %s", o.limit)
	case o.phase == queued:
		return fmt.Sprintf("no first token within %s", o.limit)
	default:
		return fmt.Sprintf("no more of the answer within %s", o.limit)
	}
}

// class: a call that never got a connection cannot have been billed.
func (o *overdue) class() jobs.Class {
	if o.phase == connecting {
		return jobs.Transient
	}
	return jobs.Timeout
}

// A watch holds a call to its timeouts with one timer: each phase sets it anew,
// never past the end of the whole call. It is safe for concurrent use.
type watch struct {
	limits jobs.Timeouts
	start  time.Time
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	timer  *time.Timer
	phase  phase
	until  time.Time // when the timer ends the call
	why    overdue   // the cause that it gives then
	sentAt time.Time // when the request was out, or began to go out; zero: there is no connection yet
}

// newWatch starts to watch a call that cancel ends. A zero Total is the default
// one, so that no call hangs for ever.
func newWatch(limits jobs.Timeouts, cancel context.CancelCauseFunc) *watch {
	if limits.Total <= 0 {
		limits.Total = jobs.DefaultTimeouts.Total
	}
	w := &watch{limits: limits, start: time.Now(), cancel: cancel}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arm(connecting, limits.Connect, w.start)
	return w
}

// arm sets the timer for a phase that began now. Requires locking.
func (w *watch) arm(next phase, limit time.Duration, now time.Time) {
	w.phase = next
	w.why = overdue{phase: next, limit: limit}
	w.until = now.Add(limit)
	if end := w.start.Add(w.limits.Total); limit <= 0 || end.Before(w.until) {
		w.why = overdue{phase: next, limit: w.limits.Total, whole: true}
		w.until = end
	}
	if w.timer == nil {
		w.timer = time.AfterFunc(w.until.Sub(now), w.expire)
		return
	}
	w.timer.Reset(w.until.Sub(now))
}

const (
	// asleep is how late a timer fires on a host that stood still, as when it was
	// suspended, and not just on a busy one.
	asleep = time.Second
	// wakes is how long such a host takes to read what came meanwhile.
	wakes = time.Second
)

// expire ends the call, unless its phase moved on while the timer fired. On a host
// that stood still the answer may be there, and wait to be read: that time does
// not count.
func (w *watch) expire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.phase == ended || now.Before(w.until) {
		return
	}
	if late := now.Sub(w.until); late >= asleep {
		w.start = w.start.Add(late + wakes)
		w.until = now.Add(wakes)
		w.timer.Reset(wakes)
		return
	}
	why := w.why
	w.cancel(&why)
}

// trace tells the watch of the phases that only net/http sees, and lets go of
// the body once it is sent: thousands of calls may wait for their answers. The
// hooks run in goroutines of net/http.
func (w *watch) trace(body *bytes.Reader) *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { w.sending() },
		WroteRequest: func(httptrace.WroteRequestInfo) {
			body.Reset(nil)
			w.sending()
		},
	}
}

// sending notes that the request begins to go out, or is out.
func (w *watch) sending() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.phase > waiting {
		return // the answer overtook the rest of the body
	}
	w.sentAt = time.Now()
	w.arm(waiting, w.limits.FirstByte, w.sentAt)
}

// accepted notes that the header of a stream is there. That is no answer yet: a
// provider sends it while the call is queued, so the time runs on.
func (w *watch) accepted() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sentAt.IsZero() {
		w.sentAt = time.Now()
		w.arm(queued, w.limits.FirstByte, w.sentAt)
		return
	}
	w.phase = queued
	if !w.why.whole {
		w.why.phase = queued
	}
}

// answered notes that the answer begins: its header is there, or the first token of
// a stream. It returns the time since the request was sent.
func (w *watch) answered() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.arm(reading, w.limits.Idle, now)
	return w.since(now)
}

// sinceSent is the time since the request was sent.
func (w *watch) sinceSent() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.since(time.Now())
}

// since is the time from sending to now. Requires locking.
func (w *watch) since(now time.Time) time.Duration {
	if w.sentAt.IsZero() {
		return now.Sub(w.start)
	}
	return now.Sub(w.sentAt)
}

// received notes that a piece of the answer's body came.
func (w *watch) received() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arm(reading, w.limits.Idle, time.Now())
}

// drain gives what is left of a stream that is over a moment to end.
func (w *watch) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arm(reading, drainTime, time.Now())
}

// end stops the watch and tells whether anything may have been sent.
func (w *watch) end() (sent bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phase = ended
	w.timer.Stop()
	return !w.sentAt.IsZero()
}
