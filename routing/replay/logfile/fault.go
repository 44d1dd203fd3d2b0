package logfile

import (
	"compress/flate"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
)

// An Error says what is wrong with a file, and where.
type Error struct {
	File  string
	Line  int    // from 1, or the row of a Parquet file; zero: of the file as a whole
	Field string // empty: of the line as a whole
	Err   error  // what is wrong, and what to do
}

// Error says all of it on one line.
func (e *Error) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", where, e.Line)
	}
	if e.Field != "" {
		return fmt.Sprintf("%s: %s: %v", where, e.Field, e.Err)
	}
	return fmt.Sprintf("%s: %v", where, e.Err)
}

// Unwrap gives what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// fault places an error of a line. One that says its place stays as it is.
func fault(file string, line int, err error) error {
	var placed *Error
	var quoted *csv.ParseError
	switch {
	case errors.As(err, &placed):
		placed.File = file
		if placed.Line == 0 {
			placed.Line = line
		}
		return placed
	case errors.As(err, &quoted):
		return &Error{File: file, Line: quoted.Line, Err: fmt.Errorf("%w; a field with a quote in it is written as \"a \"\"quoted\"\" word\"", quoted.Err)}
	case isCut(err):
		return &Error{File: file, Line: line, Err: errors.New("the file is cut off behind this line: it was not written or copied to its end; do that again")}
	default:
		return &Error{File: file, Line: line, Err: err}
	}
}

// isCut tells whether a file that is compressed ends too early, or was changed.
func isCut(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt)
}

// of says which field an error is of.
func of(field string, err error) error { return &Error{Field: field, Err: err} }
