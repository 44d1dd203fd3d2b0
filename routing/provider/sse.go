package provider

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// An event is one server-sent event. Both of its parts are good until the next one
// is read.
type event struct {
	name string // empty: it has none
	data []byte // its lines, joined by line breaks
}

// events reads server-sent events. It knows what providers send of that format:
// lines end in LF or CRLF, and of the fields event and data alone mean something.
type events struct {
	lines *bufio.Reader
	limit int // bytes of one event; a longer one is errTooLong
	line  []byte
	data  []byte
}

// lineBuffer is for a piece of an answer, which is mostly a few hundred bytes.
const lineBuffer = 4 << 10

func newEvents(from io.Reader, limit int) *events {
	return &events{lines: bufio.NewReaderSize(from, lineBuffer), limit: limit}
}

// plain looks at the beginning and tells whether this is no stream at all, but a
// JSON text or a page. It steps over blank lines and comments, as a provider sends
// them while a call is queued.
func (e *events) plain() (bool, error) {
	for {
		next, err := e.lines.Peek(1)
		if err != nil {
			return false, err
		}
		switch next[0] {
		case '{', '[', '<':
			return true, nil
		case ' ', '\t', '\r', '\n':
			_, _ = e.lines.Discard(1) // which is there
		case ':':
			if err := e.readLine(); err != nil {
				return false, err
			}
		case 0xef: // a byte order mark
			if mark, err := e.lines.Peek(3); err != nil || string(mark) != "\ufeff" {
				return false, err
			}
			_, _ = e.lines.Discard(3) // which are there
		default:
			return false, nil
		}
	}
}

// next reads an event that has data. What stands at the end without a blank line
// after it counts, too: some providers forget that. The error is io.EOF at the end.
func (e *events) next() (event, error) {
	var got event
	e.data = e.data[:0]
	found := false
	for {
		err := e.readLine()
		if err != nil && !errors.Is(err, io.EOF) {
			return event{}, err
		}
		if len(e.line) == 0 {
			switch {
			case found:
				got.data = e.data
				return got, nil
			case err != nil:
				return event{}, err
			}
			got = event{}
			continue
		}
		field, value, _ := bytes.Cut(e.line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			got.name = string(value)
		case "data":
			if found {
				e.data = append(e.data, '\n')
			}
			e.data = append(e.data, value...)
			found = true
		}
		if len(e.data) > e.limit {
			return event{}, errTooLong
		}
	}
}

// readLine reads a line without its end. At the end of all, what is left is a line;
// after it comes an empty one with io.EOF.
func (e *events) readLine() error {
	e.line = e.line[:0]
	for {
		part, err := e.lines.ReadSlice('\n')
		e.line = append(e.line, part...)
		switch {
		case len(e.line) > e.limit+lineBuffer:
			return errTooLong
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(e.line) > 0:
			err = nil
		}
		e.line = bytes.TrimSuffix(bytes.TrimSuffix(e.line, []byte("\n")), []byte("\r"))
		return err
	}
}
