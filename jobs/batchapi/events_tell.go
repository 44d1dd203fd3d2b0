package batchapi

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
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

// eventsPath is where streams of events are followed.
const eventsPath = "/v1/events"

// giveUp answers with an error. A browser's EventSource comes again when a stream ends,
// and never again after a status that is none of a stream: where it is worth coming
// again it gets a stream, which says when and why, and ends.
func giveUp(w http.ResponseWriter, r *http.Request, e *apiError) {
	after, err := strconv.Atoi(e.header.Get("Retry-After"))
	if err != nil || r.Method != http.MethodGet || r.URL.Path != eventsPath || !acceptsStream(r) {
		writeError(w, e)
		return
	}
	beginStream(w)
	_, _ = fmt.Fprintf(w, "retry: %d\n: %s\n\n", after*1000, shownLong(e.message)) // the reader may be gone
}

func acceptsStream(r *http.Request) bool {
	for _, accepted := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		if kind, _, err := mime.ParseMediaType(accepted); err == nil && kind == "text/event-stream" {
			return true
		}
	}
	return false
}

func beginStream(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // proxies are to pass it on as it comes
	w.WriteHeader(http.StatusOK)
}

func newTeller(w http.ResponseWriter) *teller {
	return &teller{w: w, control: http.NewResponseController(w)}
}

// begin writes what comes first. A reader that is cut off before the first event knows
// by it where to go on. Where something is lost, an event says so.
func (t *teller) begin(place uint64, lost bool) error {
	beginStream(t.w)
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
