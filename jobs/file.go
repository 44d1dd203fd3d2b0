package jobs

import (
	"errors"
	"time"
)

// Purposes of files.
const (
	PurposeBatch       = "batch"        // lines to be enqueued
	PurposeBatchOutput = "batch_output" // what became of them
)

// A File is what was sent to be the input of a batch, or what came of one.
type File struct {
	ID        string // "file-" and a UUID version 7 without hyphens
	Tenant    string
	Purpose   string
	Name      string // as its sender calls it; no path
	Bytes     int64
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
}

// ErrFileInUse says that a file is still being read, or written.
var ErrFileInUse = errors.New("the file is in use")
