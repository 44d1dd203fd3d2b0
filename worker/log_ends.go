package worker

import (
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
)

// LogEnds says which requests that end are worth a line in the log.
type LogEnds string

// Which are.
const (
	// LogSome is up to ten a second that were answered, and ten that were not: all of
	// them as long as little happens, and no million of lines after a big batch. The
	// next line says how many were left out. It is the default.
	LogSome   LogEnds = "some"
	LogAll    LogEnds = "all"
	LogFailed LogEnds = "failed" // all that were not answered
	LogNone   LogEnds = "none"
)

// AllLogEnds lists what there is to choose.
func AllLogEnds() []LogEnds { return []LogEnds{LogSome, LogAll, LogFailed, LogNone} }

// endsASecond is how many of a kind LogSome lets into the log each second.
const endsASecond = 10

// endLog writes a line for requests that end. Safe for concurrent use.
type endLog struct {
	which LogEnds
	log   zerolog.Logger
	now   func() time.Time

	mu    sync.Mutex
	kinds [2]endCount // answered; not answered
}

// An endCount is what became of the lines of one kind in a second.
type endCount struct {
	second  int64
	n       int
	leftOut int // since the last line
}

func newEndLog(config *Config) *endLog {
	return &endLog{which: config.LogEnds, log: config.Log, now: config.Now}
}

// lets tells whether the end of a request is to be written, and how many of its kind
// were left out since the last that was.
func (l *endLog) lets(failed bool) (yes bool, leftOut int) {
	switch l.which {
	case LogAll:
		return true, 0
	case LogFailed:
		return failed, 0
	case LogNone:
		return false, 0
	}
	second, kind := l.now().Unix(), 0
	if failed {
		kind = 1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.kinds[kind]
	if c.second != second {
		c.second, c.n = second, 0
	}
	if c.n++; c.n > endsASecond {
		c.leftOut++
		return false, 0
	}
	leftOut, c.leftOut = c.leftOut, 0
	return true, leftOut
}

// Write says how a request ended, or that its end came too late: it was cancelled, or
// expired, while it was called.
func (l *endLog) Write(r *run, result *jobs.Result, stored bool) {
	failed := !stored || result.State != jobs.StateAnswered
	yes, leftOut := l.lets(failed)
	if !yes {
		return
	}
	line := l.log.Info()
	if stored && failed {
		line = l.log.Warn()
	}
	if leftOut > 0 {
		line = line.Int("left_out", leftOut)
	}
	line = line.Str("request", result.RequestID).Str("batch", r.request.BatchID).Str("route", r.request.Route)
	if !stored {
		line.Str("late", string(result.State)).Str("target", result.Target).Int64("cost_micro_usd", int64(result.Cost)).
			Msg("request had ended already; what came later is not kept, its cost is")
		return
	}
	if result.Class != "" {
		line = line.Str("class", string(result.Class)).Str("code", jobs.CleanCode(result.Code))
	}
	if result.Unpriced {
		line = line.Bool("unpriced", true) // the cost is only what is known of it
	}
	line.Str("state", string(result.State)).Str("target", result.Target).Int("attempts", result.Attempts).
		Int("input_tokens", result.Usage.Input).Int("output_tokens", result.Usage.Output).
		Int64("cost_micro_usd", int64(result.Cost)).Dur("took_ms", l.now().Sub(r.began)).Msg("request ended")
}
