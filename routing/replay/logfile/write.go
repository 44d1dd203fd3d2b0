package logfile

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"tidegate/jobs"
)

// A Writer writes attempts into a file, one after the other, and keeps no more of them
// than a few. It is for one goroutine.
type Writer struct {
	to     *bufio.Writer
	zipped *gzip.Writer // nil: it is not
	one    func(*jobs.Logged) error
	end    func() error
	text   []byte
	value  []byte
}

// NewWriter returns a Writer of one of the formats that are written. Close it in the end;
// to stays open.
func NewWriter(to io.Writer, format string, zipped bool) (*Writer, error) {
	w := &Writer{end: func() error { return nil }}
	if zipped {
		w.zipped, _ = gzip.NewWriterLevel(to, gzip.BestSpeed) // the level is one
		to = w.zipped
	}
	w.to = bufio.NewWriterSize(to, 1<<16)
	switch format {
	case CSV:
		w.one = w.csvLine
		return w, w.csvHeader()
	case JSONL:
		w.one = w.jsonLine
		return w, nil
	case Parquet:
		rows := newParquetWriter(w.to)
		w.one, w.end = rows.write, rows.close
		return w, nil
	default:
		return nil, fmt.Errorf("%q is no format that is written; there are %s", format, strings.Join(Written(), ", "))
	}
}

// Write writes one.
func (w *Writer) Write(l *jobs.Logged) error { return w.one(l) }

// Close writes what is left.
func (w *Writer) Close() error {
	err := w.end()
	if flushed := w.to.Flush(); err == nil {
		err = flushed
	}
	if w.zipped != nil {
		if closed := w.zipped.Close(); err == nil {
			err = closed
		}
	}
	return err
}

func (w *Writer) csvHeader() error {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].Name
	}
	_, err := w.to.WriteString(strings.Join(names, ",") + "\n")
	return err
}

func (w *Writer) csvLine(l *jobs.Logged) error {
	w.text = w.text[:0]
	for i := range columns {
		if i > 0 {
			w.text = append(w.text, ',')
		}
		w.value = columns[i].put(w.value[:0], l)
		w.text = appendCSV(w.text, w.value)
	}
	_, err := w.to.Write(append(w.text, '\n'))
	return err
}

// appendCSV appends a field of CSV, in quotes where it needs them.
func appendCSV(to, field []byte) []byte {
	plain := true
	for _, c := range field {
		if c == ',' || c == '"' || c == '\n' || c == '\r' {
			plain = false
			break
		}
	}
	if plain && (len(field) == 0 || field[0] != ' ') {
		return append(to, field...)
	}
	to = append(to, '"')
	for _, c := range field {
		if c == '"' {
			to = append(to, '"')
		}
		to = append(to, c)
	}
	return append(to, '"')
}

func (w *Writer) jsonLine(l *jobs.Logged) error {
	w.text = AppendJSON(w.text[:0], l)
	_, err := w.to.Write(append(w.text, '\n'))
	return err
}

// AppendJSON appends an attempt as an object with the columns of a file.
func AppendJSON(to []byte, l *jobs.Logged) []byte {
	to = append(to, '{')
	begin := len(to)
	var value []byte
	for i := range columns {
		c := &columns[i]
		if value = c.put(value[:0], l); len(value) == 0 {
			continue
		}
		if len(to) > begin {
			to = append(to, ',')
		}
		to = append(append(append(to, '"'), c.Name...), '"', ':')
		if c.kind == quoted {
			to = appendText(to, value)
		} else {
			to = append(to, value...)
		}
	}
	return append(to, '}')
}

// appendText appends a string of JSON.
func appendText(to, text []byte) []byte {
	for _, c := range text {
		if c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			made, _ := json.Marshal(string(text)) // a string has no error
			return append(to, made...)
		}
	}
	return append(append(append(to, '"'), text...), '"')
}
