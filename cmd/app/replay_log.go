package app

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
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
	return o.readLedger(cmd, f)
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
	switch {
	case err == nil:
	case isEmpty(err), cmd.Context().Err() != nil:
		return nil, nothing(err, from)
	default:
		return nil, &fileError{err}
	}
	return &replayedLog{log, from, append(warnings, log.Warnings()...)}, nil
}

// daysAtOnce is how many days of the ledger are read at a time.
const daysAtOnce = 2

// readLedger reads days of the ledger that it has not read before, and the others from
// where it kept them.
func (o *options) readLedger(cmd *cobra.Command, f *replayFlags) (*replayedLog, error) {
	pool, err := o.connect(cmd.Context(), daysAtOnce)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	since := f.since.Time
	if since.IsZero() {
		since = time.Now().Add(-usualReplay)
	}
	var shown *progress
	cache := logfile.Cache{Dir: f.cacheDir(pool), Workers: daysAtOnce, Told: func(read, about int64) {
		f.telling.Do(func() { shown = newProgress(cmd.ErrOrStderr(), "attempts read", int(about)) })
		shown.Set(int(read))
	}}
	log, use, err := cache.Log(cmd.Context(), store.New(pool), since, f.until.Time)
	if shown != nil {
		shown.Done()
	}
	if err == nil && cache.Dir != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "Read %d of %s of the ledger anew; the others are kept in %s.\n", use.Read, counted(use.Days, "day"), cache.Dir)
	}
	if err == nil && f.route != "" {
		log, err = log.Only(f.route)
	}
	if kept := new(logfile.CacheError); errors.As(err, &kept) {
		return nil, fmt.Errorf("keeping what was read of the ledger in %s: %w; name another folder with --cache, or keep nothing with --no-cache", kept.Dir, kept.Err)
	}
	if err != nil {
		return nil, nothing(err, "the ledger since "+instant(since))
	}
	return &replayedLog{log, "the ledger", log.Warnings()}, nil
}

// cacheDir is where days of a ledger are kept that were read: a folder for each database.
func (f *replayFlags) cacheDir(pool *pgxpool.Pool) string {
	if f.noCache {
		return ""
	}
	if f.cache != "" {
		return f.cache
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "" // there is nowhere to keep them
	}
	where := pool.Config().ConnConfig
	sum := sha256.Sum256(fmt.Appendf(nil, "%s:%d/%s", where.Host, where.Port, where.Database))
	return filepath.Join(dir, "tidegate", "replay", hex.EncodeToString(sum[:8]))
}

// nothing says of a log that is empty which one it is.
func nothing(err error, from string) error {
	if isEmpty(err) {
		return fmt.Errorf("%s: %w", from, err)
	}
	return err
}
