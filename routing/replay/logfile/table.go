package logfile

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tidegate/jobs"
)

// A table is a file of CSV: of the ledger, or of a trace.
type table struct {
	from  *csv.Reader
	names []string
	line  int
	take  func(fields []string, into *jobs.Logged) error
}

func (t *table) next(into *jobs.Logged) (int, error) {
	for {
		fields, err := t.from.Read()
		if err != nil {
			return t.line + 1, err
		}
		t.line, _ = t.from.FieldPos(0)
		if len(fields) == 1 && fields[0] == "" {
			continue
		}
		if len(fields) != len(t.names) {
			return t.line, fmt.Errorf("it has %d fields, and the first line names %d: the line is cut off, or a comma is not in quotes; export the file again, or remove the line", len(fields), len(t.names))
		}
		return t.line, t.take(fields, into)
	}
}

// header reads the names of the columns.
func header(from *csv.Reader) ([]string, error) {
	from.ReuseRecord, from.FieldsPerRecord = true, -1
	names, err := from.Read()
	if err != nil {
		return nil, err
	}
	names = slices.Clone(names)
	for i := range names {
		names[i] = strings.TrimSpace(strings.TrimPrefix(names[i], "\uFEFF"))
	}
	return names, nil
}

// ledgerTable reads lines with the ledger's columns, in any order. Columns that the
// ledger does not have are left alone.
func ledgerTable(names []string) (func(fields []string, into *jobs.Logged) error, error) {
	known := make([]*Column, len(names))
	for i, name := range names {
		if slices.Contains(names[:i], name) && byName[name] != nil {
			return nil, of(name, errors.New("the column stands twice in the first line; remove one"))
		}
		known[i] = byName[name]
	}
	return func(fields []string, into *jobs.Logged) error {
		for i, c := range known {
			if c == nil || fields[i] == "" {
				continue
			}
			if err := c.set(into, fields[i]); err != nil {
				return of(c.Name, err)
			}
		}
		return nil
	}, nil
}

// places says where columns stand in a first line.
func places(names []string, wanted ...string) ([]int, error) {
	at := make([]int, len(wanted))
	for i, name := range wanted {
		if at[i] = slices.Index(names, name); at[i] < 0 {
			return nil, fmt.Errorf("there is no column %s; there are: %s", name, listed(names))
		}
	}
	return at, nil
}

// listed are names as a person reads them, as far as they are not too many.
func listed(names []string) string {
	const most = 200
	text := strings.ToValidUTF8(strings.Join(names, ", "), "?")
	if len(text) > most {
		return fmt.Sprintf("%.*s…", most, text)
	}
	return text
}
