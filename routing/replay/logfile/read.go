package logfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"tidegate/jobs"
)

// DefaultRoute is the route of what names none.
const DefaultRoute = "trace"

// Options are how files are read. The zero value lets them tell.
type Options struct {
	Format string // empty: what it is, its beginning tells
	Route  string // of records that name none; empty: DefaultRoute
	// Requests is about how many are made up, at most, from a trace that tells only how
	// many came, and Seed what they depend on; zero: DefaultRequests.
	Requests int
	Seed     uint64
}

// A Reader reads the records of one file, one after the other. It is for one goroutine,
// but for Read.
type Reader struct {
	name     string
	format   string
	route    string
	from     source
	line     int
	read     atomic.Int64
	warnings []string
	close    []func() error
}

// A source reads one record after the other into a zero value, and says on which line it
// stands; at the end io.EOF.
type source interface {
	next(into *jobs.Logged) (line int, err error)
}

// Open opens a file, or a folder of ServeGen.
func Open(path string, o Options) (*Reader, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("no such file: %s; `tidegate attempts export -o FILE` writes one", path)
	case err != nil:
		return nil, err
	case info.IsDir():
		return openFolder(path, o)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := NewReader(path, file, o)
	if err != nil {
		_ = file.Close() // it was only read
		return nil, err
	}
	r.close = append(r.close, file.Close)
	return r, nil
}

// openFolder opens the arrivals of ServeGen: lengths are in a file beside them.
func openFolder(path string, o Options) (*Reader, error) {
	for _, name := range []string{"arrivals.csv.gz", "arrivals.csv"} {
		if _, err := os.Stat(filepath.Join(path, name)); err == nil {
			return Open(filepath.Join(path, name), o)
		}
	}
	return nil, fmt.Errorf("%s is a folder: name the files in it that are to be read", path)
}

// NewReader reads what is no file, such as the standard input, under a name for it.
func NewReader(name string, from io.Reader, o Options) (*Reader, error) {
	if o.Format != "" && !slices.Contains(Formats(), o.Format) {
		return nil, fmt.Errorf("%q is not a format; there are %s", o.Format, strings.Join(Formats(), ", "))
	}
	r := &Reader{name: name, format: o.Format, route: o.Route}
	if r.route == "" {
		r.route = DefaultRoute
	}
	plain, err := unzipped(&counted{from, &r.read})
	if err == nil {
		r.from, err = r.recognise(plain, from, o)
	}
	if err != nil {
		return nil, fault(name, 0, err)
	}
	return r, nil
}

// A counted reader counts what is read.
type counted struct {
	from io.Reader
	n    *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// peeked is how much of a file is looked at to find out what it is.
const peeked = 1 << 16

var errEmpty = errors.New("the file is empty; `tidegate attempts export -o FILE` writes one")

// unzipped reads what is compressed as what it was.
func unzipped(from io.Reader) (*bufio.Reader, error) {
	buffered := bufio.NewReaderSize(from, peeked)
	mark, err := buffered.Peek(2)
	switch {
	case len(mark) == 0 && errors.Is(err, io.EOF):
		return nil, errEmpty
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case !bytes.Equal(mark, []byte{0x1f, 0x8b}):
		return buffered, nil
	}
	plain, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(plain, peeked), nil
}

// recognise finds out what a file is, and makes what reads it.
func (r *Reader) recognise(plain *bufio.Reader, from io.Reader, o Options) (source, error) {
	begin, err := plain.Peek(peeked)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, err
	}
	begin = bytes.TrimLeft(begin, " \t\r\n")
	switch {
	case len(begin) == 0:
		return nil, errEmpty
	case bytes.HasPrefix(begin, parquetMark):
		return r.parquet(plain, from)
	case begin[0] == '{':
		return r.jsonLines(plain, begin)
	case bytes.IndexByte(begin[:min(len(begin), 512)], 0) >= 0:
		return nil, fmt.Errorf("it is no text; formats are %s, compressed with gzip or not", strings.Join(Formats(), ", "))
	}
	lines := csv.NewReader(&bounded{from: plain})
	names, err := header(lines)
	if err != nil {
		return nil, err
	}
	return r.table(lines, names, o)
}

func (r *Reader) jsonLines(plain *bufio.Reader, begin []byte) (source, error) {
	first, _, _ := bytes.Cut(begin, []byte("\n"))
	if r.format == "" {
		r.format = JSONL
		if bytes.Contains(first, []byte(`"input_length"`)) && bytes.Contains(first, []byte(`"timestamp"`)) {
			r.format = Mooncake
		}
	}
	lines := &jsonLines{from: bufio.NewReaderSize(&bounded{from: plain}, peeked), take: ledgerLine}
	switch r.format {
	case JSONL:
	case Mooncake:
		lines.take = mooncakeLine
	default:
		return nil, fmt.Errorf("it holds JSON, and is no %s; leave --format out, for its beginning tells what it is", r.format)
	}
	return lines, nil
}

// tables are those that are recognised by their columns.
var tables = []struct {
	format string
	known  []string // the columns that tell it
	take   func(names []string) (func([]string, *jobs.Logged) error, error)
}{
	{CSV, []string{"at", "target", "class"}, ledgerTable},
	{Azure, []string{"TIMESTAMP", "ContextTokens"}, azureTable},
	{Mooncake, []string{"timestamp_ms", "input_length"}, mooncakeTable},
	{Synthetic, []string{"t_s", "target", "latency_s"}, syntheticTable},
}

func (r *Reader) table(from *csv.Reader, names []string, o Options) (source, error) {
	if r.format == ServeGen || r.format == "" && slices.Contains(names, "rate") && slices.Contains(names, "cv") {
		r.format = ServeGen
		return r.serveGen(from, names, o)
	}
	for _, t := range tables {
		_, missing := places(names, t.known...)
		switch {
		case r.format == t.format && missing != nil:
			return nil, missing
		case r.format != t.format && (r.format != "" || missing != nil):
			continue
		}
		r.format = t.format
		take, err := t.take(names)
		return &table{from: from, names: names, take: take, line: 1}, err
	}
	if r.format != "" {
		return nil, fmt.Errorf("it holds lines of text, and is no %s; leave --format out, for its beginning tells what it is", r.format)
	}
	if slices.Contains(names, "bucket_lo") {
		return nil, errors.New("it holds the lengths of ServeGen alone; name the file of its arrivals, which lies beside it")
	}
	if _, missing := places(names, tables[0].known...); slices.ContainsFunc(names, func(name string) bool { return byName[name] != nil }) {
		return nil, fmt.Errorf("%w; a ledger has at, route, target, class and latency_us at least", missing)
	}
	return nil, fmt.Errorf("its first line names none of the columns that are known; a ledger has at, route, target, class and latency_us at least, and this one: %s", listed(names))
}

// Format is what the file was found to be.
func (r *Reader) Format() string { return r.format }

// Read is how many bytes of the file were read so far. Safe for concurrent use.
func (r *Reader) Read() int64 { return r.read.Load() }

// Line is that of the last record.
func (r *Reader) Line() int { return r.line }

// Warnings are what is to be known of the records, as a person reads it.
func (r *Reader) Warnings() []string { return r.warnings }

// Next reads the next record into a value, all of which it sets. At the end it returns
// io.EOF; any other error is an *Error.
func (r *Reader) Next(into *jobs.Logged) (err error) {
	*into = jobs.Logged{}
	r.line, err = r.from.next(into)
	switch {
	case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return io.EOF
	case err != nil:
		return r.Fault(err)
	}
	if into.Route == "" {
		into.Route = r.route
	}
	return nil
}

// Fault places an error where the last record stands.
func (r *Reader) Fault(err error) error { return fault(r.name, r.line, err) }

// Close closes the file.
func (r *Reader) Close() error {
	var first error
	for _, f := range r.close {
		if err := f(); first == nil {
			first = err
		}
	}
	return first
}
