package jobs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// byteOrderMark is what some editors begin a UTF-8 file with. It is dropped from
// every line, since files are often put together from several.
var byteOrderMark = []byte("\xef\xbb\xbf")

// otherFormats are the first bytes of what is often taken for JSONL.
var otherFormats = []struct{ magic, remedy string }{
	{"\xff\xfe", "the input is UTF-16: save it as UTF-8"},
	{"\xfe\xff", "the input is UTF-16: save it as UTF-8"},
	{"\x1f\x8b", "the input is gzip: unpack it first, as `gzip -dc` does"},
	{"\x28\xb5\x2f\xfd", "the input is zstd: unpack it first, as `zstd -dc` does"},
	{"PK\x03\x04", "the input is a zip archive: unpack it first"},
}

// unreadable is an error after which there is no next line.
type unreadable struct{ err error }

func (u *unreadable) Error() string { return u.err.Error() }

// A lineSplitter cuts a stream into lines and holds one of them at a time.
type lineSplitter struct {
	in    *bufio.Reader
	limit int    // of a line without its end, in bytes
	line  []byte // the last one, reused
	place *Place // behind the last one
	begun bool
}

func newLineSplitter(r io.Reader, limit int) *lineSplitter {
	return &lineSplitter{in: bufio.NewReaderSize(r, 64<<10), limit: limit, place: new(Place)}
}

// next gives a line without its end and the space around it, valid until the
// following call. A line over the limit is read to its end and thrown away,
// so that the one behind it can be read. The end of the input is io.EOF.
func (s *lineSplitter) next() ([]byte, error) {
	if s.place.Bytes == 0 && !s.begun {
		s.begun = true
		if err := s.refuseOtherFormats(); err != nil {
			s.place.Lines = 1
			return nil, err
		}
	}
	s.line = s.line[:0]
	s.place.Lines++
	size := 0
	for {
		piece, err := s.in.ReadSlice('\n')
		size += len(piece)
		s.place.Bytes += int64(len(piece))
		if size <= s.limit+len("\r\n") {
			s.line = append(s.line, piece...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && size == 0:
			return nil, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return nil, &unreadable{fmt.Errorf("reading the input: %w", err)}
		}
		return s.whole(size)
	}
}

// whole trims the line that was read, or refuses it for its size.
func (s *lineSplitter) whole(size int) ([]byte, error) {
	if size > s.limit+len("\r\n") {
		return nil, fmt.Errorf("%d bytes, at most %d: split the document into smaller requests", size, s.limit)
	}
	return bytes.Trim(bytes.TrimPrefix(s.line, byteOrderMark), " \t\r\n"), nil
}

// refuseOtherFormats looks at the first bytes, so that a compressed file gets
// one error with a remedy and not one for each of its lines.
func (s *lineSplitter) refuseOtherFormats() error {
	start, _ := s.in.Peek(4) // an error comes back with the first read
	for _, other := range otherFormats {
		if bytes.HasPrefix(start, []byte(other.magic)) {
			return &unreadable{errors.New(other.remedy)}
		}
	}
	return nil
}
