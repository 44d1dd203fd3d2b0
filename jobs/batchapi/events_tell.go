package batchapi

import (
	"bytes"
	"fmt"
	"net/http"
)

// A teller writes events as server-sent events:
//
//	retry: 2000          once, at the beginning
//	id: 1203             the place to go on behind; with the first, before any event
//
//	id: 1204
//	event: result
//	data: {…}
//
//	: still here         when nothing came for a while
type teller struct {
	w       http.ResponseWriter
	control *http.ResponseController
	line    bytes.Buffer
}

func newTeller(w http.ResponseWriter) *teller {
	return &teller{w: w, control: http.NewResponseController(w)}
}

// begin writes what comes first. A reader that is cut off before the first event knows
// by it where to go on. Where something is lost, an event says so.
func (t *teller) begin(place uint64, lost bool) error {
	header := t.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // proxies are to pass it on as it comes
	t.w.WriteHeader(http.StatusOK)
	t.line.Reset()
	fmt.Fprintf(&t.line, "retry: %d\nid: %d\n\n", resumeAfter, place)
	if lost {
		fmt.Fprintf(&t.line, "event: lost\ndata: {\"after\":%d}\n\n", place)
	}
	return t.send()
}

// tell writes an event.
func (t *teller) tell(e *Event) error {
	t.line.Reset()
	fmt.Fprintf(&t.line, "id: %d\nevent: %s\n", e.Place, e.Kind)
	for line := range bytes.Lines(e.Data) {
		t.line.WriteString("data: ")
		t.line.Write(bytes.TrimRight(line, "\r\n"))
		t.line.WriteByte('\n')
	}
	t.line.WriteByte('\n')
	return t.send()
}

// beat says that the stream lives: else proxies would close it, and nobody would
// notice that the reader has gone.
func (t *teller) beat() error {
	t.line.Reset()
	t.line.WriteString(": still here\n\n")
	return t.send()
}

func (t *teller) send() error {
	if _, err := t.w.Write(t.line.Bytes()); err != nil {
		return err
	}
	return t.control.Flush()
}
