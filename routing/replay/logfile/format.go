package logfile

import (
	"path/filepath"
	"strings"
)

// The formats. The first three are the ledger's own, with the same columns, and are
// written and read; the others are traces of others, and are read.
const (
	CSV       = "csv"
	JSONL     = "jsonl"
	Parquet   = "parquet"
	Azure     = "azure2023" // requests: when they came, and their tokens
	Mooncake  = "mooncake"  // the same
	Synthetic = "synthetic" // a call to one of some targets for each request
	ServeGen  = "servegen"  // how many requests came, by client: they are made up from that
)

// Formats lists those that are read.
func Formats() []string {
	return []string{CSV, JSONL, Parquet, Azure, Mooncake, Synthetic, ServeGen}
}

// Written lists those that are written.
func Written() []string { return []string{CSV, JSONL, Parquet} }

// ByName says what a file is to be by the ending of its name, and whether it is to be
// compressed with gzip. An ending that says nothing is no format.
func ByName(path string) (format string, zipped bool) {
	name := strings.ToLower(filepath.Base(path))
	if cut, ok := strings.CutSuffix(name, ".gz"); ok {
		name, zipped = cut, true
	}
	switch filepath.Ext(name) {
	case ".csv":
		format = CSV
	case ".jsonl", ".ndjson":
		format = JSONL
	case ".parquet", ".pq":
		format = Parquet
	}
	return format, zipped
}
