package config

import (
	"time"

	"tidegate/jobs/batchapi"
	"tidegate/jobs/queue"
)

// Batches is what holds for batches that come as files, over HTTP.
type Batches struct {
	MaxLines int           `yaml:"max_lines"` // requests of one batch
	MaxBytes int64         `yaml:"max_bytes"` // of the file of one batch
	Keep     time.Duration `yaml:"keep"`      // how long files are kept whose senders say nothing of it
}

const (
	mostLines = 10_000_000
	mostBytes = 100 << 30
	leastKeep = time.Hour
)

func (b *Batches) setDefaults() {
	b.MaxLines = queue.DefaultMaxLines
	b.MaxBytes = batchapi.DefaultMaxFileBytes
	b.Keep = batchapi.DefaultFilesLive
}

// checkBatches notes what is wrong with the limits of batches.
func (r *reader) checkBatches(b *Batches) {
	if b.MaxLines < 1 || b.MaxLines > mostLines {
		r.problem("batches.max_lines", "must be from 1 to %d", mostLines)
	}
	if b.MaxBytes < 1<<10 || b.MaxBytes > mostBytes {
		r.problem("batches.max_bytes", "must be from 1024 to %d", mostBytes)
	}
	if b.Keep < leastKeep {
		r.problem("batches.keep", "must be at least %s, as in 30d", leastKeep)
	}
}
