package logfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"tidegate/jobs"
)

// parquetMark is what a file of Parquet begins with.
var parquetMark = []byte("PAR1")

// A parquetRows reads a file of Parquet with the ledger's columns, whatever the types are
// that somebody's tool gave them.
type parquetRows struct {
	groups  []parquet.RowGroup
	columns []parquetColumn // by the file's own order
	open    parquet.Rows
	buffer  []parquet.Row
	rows    []parquet.Row // of the buffer, that are not read yet
	line    int
	text    []byte
}

// A parquetColumn is one of the file that the ledger has.
type parquetColumn struct {
	*Column
	unit time.Duration // of a time that is a number; zero: it is none
}

// parquet needs its file whole, since what is where in it stands at its end: what comes
// through a pipe is kept in a file meanwhile.
func (r *Reader) parquet(plain *bufio.Reader, from io.Reader) (source, error) {
	if r.format != "" && r.format != Parquet {
		return nil, fmt.Errorf("it holds Parquet, and is no %s; leave --format out, for its beginning tells what it is", r.format)
	}
	r.format = Parquet
	file, isFile := from.(*os.File)
	begin, err := plain.Peek(len(parquetMark))
	size := int64(0)
	if info, statErr := file.Stat(); isFile && err == nil && statErr == nil && info.Mode().IsRegular() {
		var mark [4]byte
		if _, err := file.ReadAt(mark[:], 0); err == nil && string(mark[:]) == string(begin) { // it is not compressed
			size = info.Size()
		}
	}
	if size == 0 {
		if file, size, err = r.spool(plain); err != nil {
			return nil, err
		}
	}
	return openParquet(&countedAt{file, r}, size)
}

// spool keeps what is read in a file that goes with the Reader.
func (r *Reader) spool(from io.Reader) (*os.File, int64, error) {
	file, err := os.CreateTemp("", "tidegate-*.parquet")
	if err != nil {
		return nil, 0, fmt.Errorf("keeping what is read, since Parquet is read from its end: %w", err)
	}
	_ = os.Remove(file.Name()) // it is there until it is closed
	r.close = append(r.close, file.Close)
	size, err := io.Copy(file, from)
	return file, size, err
}

// A countedAt counts what is read.
type countedAt struct {
	file *os.File
	r    *Reader
}

func (c *countedAt) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.file.ReadAt(p, at)
	c.r.read.Add(int64(n))
	return n, err
}

func openParquet(from io.ReaderAt, size int64) (rows *parquetRows, err error) {
	defer recovered(&err)
	file, err := parquet.OpenFile(from, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("it is no whole file of Parquet (%w): it was cut off, or not copied to its end; do that again", err)
	}
	rows = &parquetRows{groups: file.RowGroups(), buffer: make([]parquet.Row, rowsAtOnce/8)}
	var names []string
	known := map[string]bool{}
	for _, field := range file.Schema().Fields() {
		names = append(names, field.Name())
		one := parquetColumn{Column: byName[field.Name()]}
		if !field.Leaf() || field.Repeated() {
			if one.Column != nil {
				return nil, of(field.Name(), errors.New("it is a list or a structure; a ledger has one value in each column"))
			}
			return nil, of(field.Name(), errors.New("it is a list or a structure, which no ledger has; leave the column out"))
		}
		if kind := field.Type().LogicalType(); kind != nil {
			if instant, ok := kind.Value.(*format.TimestampType); ok && instant.Unit.Value != nil {
				one.unit = instant.Unit.Value.Duration()
			}
		}
		known[field.Name()] = one.Column != nil
		rows.columns = append(rows.columns, one)
	}
	for _, name := range tables[0].known {
		if !known[name] {
			return nil, fmt.Errorf("there is no column %s; there are: %s", name, listed(names))
		}
	}
	return rows, nil
}

// recovered makes an error of a panic: what a broken file has the library do is not ours
// to foresee.
func recovered(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("it is broken (%v); write or copy it again", cause)
	}
}

func (p *parquetRows) next(into *jobs.Logged) (line int, err error) {
	line = p.line + 1
	defer recovered(&err)
	for len(p.rows) == 0 {
		if err := p.fill(); err != nil {
			return line, err
		}
	}
	row := p.rows[0]
	p.rows = p.rows[1:]
	p.line++
	for _, value := range row {
		if c := p.columns[value.Column()]; c.Column != nil && !value.IsNull() {
			if err := c.take(p, value, into); err != nil {
				return p.line, of(c.Name, err)
			}
		}
	}
	return p.line, nil
}

// fill reads some more rows.
func (p *parquetRows) fill() error {
	if p.open == nil {
		if len(p.groups) == 0 {
			return io.EOF
		}
		p.open, p.groups = p.groups[0].Rows(), p.groups[1:]
	}
	n, err := p.open.ReadRows(p.buffer)
	p.rows = p.buffer[:n]
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		err = p.open.Close()
		p.open = nil
	}
	if err != nil {
		return fmt.Errorf("it is broken (%w); write or copy it again", err)
	}
	return nil
}

func (c *parquetColumn) take(p *parquetRows, value parquet.Value, into *jobs.Logged) error {
	switch kind := value.Kind(); {
	case c.unit != 0 && kind == parquet.Int64:
		p.text = timeOf(value.Int64(), c.unit).AppendFormat(p.text[:0], time.RFC3339Nano)
	case kind == parquet.Boolean:
		p.text = strconv.AppendBool(p.text[:0], value.Boolean())
	case kind == parquet.Int32:
		p.text = strconv.AppendInt(p.text[:0], int64(value.Int32()), 10)
	case kind == parquet.Int64:
		p.text = strconv.AppendInt(p.text[:0], value.Int64(), 10)
	case kind == parquet.Float:
		p.text = strconv.AppendFloat(p.text[:0], float64(value.Float()), 'g', -1, 32)
	case kind == parquet.Double:
		p.text = strconv.AppendFloat(p.text[:0], value.Double(), 'g', -1, 64)
	default:
		p.text = append(p.text[:0], value.ByteArray()...)
	}
	if len(p.text) == 0 {
		return nil
	}
	return c.set(into, string(p.text))
}

func timeOf(n int64, unit time.Duration) time.Time {
	switch unit {
	case time.Millisecond:
		return time.UnixMilli(n).UTC()
	case time.Microsecond:
		return time.UnixMicro(n).UTC()
	default:
		return time.Unix(0, n).UTC()
	}
}
