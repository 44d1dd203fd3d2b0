// Package logfile reads and writes the ledger as files: as CSV, JSON lines and Parquet,
// with the same columns, and reads traces that others publish. It makes a replay's Log of
// what it reads.
//
// A file may be compressed with gzip. What it is, its beginning tells: the names of its
// columns, or the mark of Parquet. What is wrong with it is said with the file, the line,
// the field and a remedy.
package logfile
