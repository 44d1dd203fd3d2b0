package app

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidegate/routing/replay"
	"tidegate/routing/replay/logfile"
	"tidegate/store"
)

// A replayedLog is a log with where it is from, and what is to be known of it.
type replayedLog struct {
	*replay.Log
	from     string
	warnings []string
}

// readLog reads what is to be replayed. one is the only route of the policy that made
// it, for what names none; empty: there are several.
func (o *options) readLog(cmd *cobra.Command, f *replayFlags, one string) (*replayedLog, error) {
	if len(f.files) > 0 {
		return f.readFiles(cmd, one)
	}
	var read *replayedLog
	err := o.onStore(cmd, func(ctx context.Context, s *store.Store) (err error) {
		read, err = f.readLedger(ctx, cmd, s)
		return err
	})
	return read, err
}

func (f *replayFlags) readFiles(cmd *cobra.Command, one string) (*replayedLog, error) {
	load := logfile.Load{
		Options: logfile.Options{Format: f.format, Route: f.route, Seed: f.seed},
		Narrow:  logfile.Narrow{Since: f.since.Time, Until: f.until.Time, Only: f.route},
		Stdin:   cmd.InOrStdin(),
	}
	if f.route == "" {
		load.Route = one
	}
	size := int64(0)
	for _, file := range f.files {
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			size += info.Size()
		}
	}
	shown := newProgress(cmd.ErrOrStderr(), "bytes read", int(size))
	load.Told = func(bytes int64) { shown.Set(int(bytes)) }
	log, warnings, err := load.Files(cmd.Context(), f.files...)
	shown.Done()
	from := strings.Join(f.files, ", ")
	if err != nil {
		return nil, nothing(err, from)
	}
	return &replayedLog{log, from, append(warnings, log.Warnings()...)}, nil
}

// answeredAfter is for how long after the last request calls are read that were made for
// those that came.
const answeredAfter = time.Hour

func (f *replayFlags) readLedger(ctx context.Context, cmd *cobra.Command, s *store.Store) (*replayedLog, error) {
	since := f.since.Time
	if since.IsZero() {
		since = time.Now().Add(-usualReplay)
	}
	filter := store.LoggedFilter{Since: since}
	if !f.until.IsZero() {
		filter.Until = f.until.Add(answeredAfter)
	}
	about, err := s.LoggedAbout(ctx, filter.Since, filter.Until)
	if err != nil {
		return nil, err
	}
	g := logfile.NewGatherer(int(about))
	g.Narrow = logfile.Narrow{Since: since, Until: f.until.Time, Only: f.route}
	shown := newProgress(cmd.ErrOrStderr(), "attempts read", int(about))
	defer shown.Done()
	n := 0
	for l, err := range s.Logged(ctx, filter) {
		if err == nil {
			err = g.Add(&l)
		}
		if err != nil {
			return nil, err
		}
		if n++; n%tellEvery == 0 {
			shown.Set(n)
		}
	}
	log, err := g.Log()
	if err != nil {
		return nil, nothing(err, fmt.Sprintf("the ledger since %s", instant(since)))
	}
	return &replayedLog{log, "the ledger", log.Warnings()}, nil
}

// nothing says of a log that is empty which one it is.
func nothing(err error, from string) error {
	if isEmpty(err) {
		return fmt.Errorf("%s: %w", from, err)
	}
	return err
}
